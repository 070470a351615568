"""The page of ``engagement calibrate`` is served to this computer alone, and takes each answer once."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from engagement.labelling.proposals import ProposalConfig
from engagement.labelling.serve import LabelServer
from engagement.labelling.session import open_sessions, proposals_of
from tests.engagement.test_calibration import STATES, scored_output


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return scored_output(tmp_path / "out", "talk")


@pytest.fixture
def served(out: Path) -> Iterator[tuple[LabelServer, threading.Thread]]:
    (session,) = open_sessions(out / "talk")
    moments = proposals_of(session, ProposalConfig(2))
    server = LabelServer([(session, moments, [None] * len(moments), "it is gone")], STATES)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server, thread
    if thread.is_alive():
        ask(
            server.url + "answers", b'{"page": %d, "number": 99, "done": true, "answers": {}}' % server._pages
        )
    thread.join(20)


def ask(url: str, body: bytes | None = None, host: str = "") -> int:
    request = urllib.request.Request(url, body, {"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_page_is_for_this_computer_and_ends_when_it_is_done(
    served: tuple[LabelServer, threading.Thread],
) -> None:
    server, thread = served
    assert server.url.startswith("http://127.0.0.1:")
    assert ask(server.url) == 200
    assert ask(server.url.rsplit("/", 2)[0] + "/guess/") == 404
    assert ask(server.url, host="evil.example") == 404
    for body in (
        b"{",
        b"[]",
        b'{"page": 1, "number": 0, "answers": {"999": {"boredom": "yes"}}}',
        b'{"page": 1, "number": 0, "answers": {"0": {"sleepy": "yes"}}}',
        b'{"page": 1, "number": 0, "answers": {"0": {"boredom": ["yes"]}}}',
        b'{"answers": {}}',
    ):
        assert ask(server.url + "answers", body) == 400
    assert (
        ask(server.url + "answers", b'{"page": 1, "number": 3, "answers": {"0": {"boredom": "no"}}}') == 204
    )
    assert (
        ask(server.url + "answers", b'{"page": 1, "number": 2, "answers": {"0": {"boredom": "yes"}}}') == 204
    )  # late
    with urllib.request.urlopen(server.url, timeout=20) as reply:  # a reload forgets nothing
        assert '"said":{"boredom":"no"}' in reply.read().decode()
    late = b'{"page": 1, "number": 9, "done": true, "answers": {}}'
    assert ask(server.url + "answers", late) == 409  # of two open pages the one opened last is listened to
    assert thread.is_alive() and [a.present for _, a in server.answers()] == [False]
    done = b'{"page": 2, "number": 0, "done": true, "answers": {"0": {"boredom": "yes", "engagement": "unsure"}}}'
    assert ask(server.url + "answers", done) == 204
    thread.join(20)
    assert not thread.is_alive()
    assert [(a.state, a.present) for _, a in server.answers()] == [
        ("boredom", True),
        ("engagement", None),
    ]
