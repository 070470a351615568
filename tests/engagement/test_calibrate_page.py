"""The page of ``engagement calibrate`` in a real browser: keys answer what they say, and the command hears it."""

from __future__ import annotations

import html
import re
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from engagement.labelling import serve
from engagement.labelling.labels import read_labels
from engagement.labelling.proposals import ProposalConfig
from engagement.labelling.session import Session, open_sessions, proposals_of
from tests.engagement.test_calibration import STATES, scored_output
from tests.engagement.test_pages_browser import CHROMIUM, browse

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install it or name it in CHROMIUM"),
]

#: Presses keys one after the other once the page is ready.
PRESS = """<script>addEventListener("load", () => {
  for (const word of KEYS) {
    const key = word.replace("held ", ""), repeat = key !== word;
    document.querySelector("#faces").dispatchEvent(new KeyboardEvent("keydown", { key, repeat, bubbles: true, cancelable: true }));
    const help = document.querySelector("#keys");
    if (help && help.open) { help.close(); document.body.dataset.helped = "yes"; }
  }
});</script>"""


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return open_sessions(scored_output(tmp_path / "out", "talk <b>"))[0]


def pressed(
    session: Session, tmp_path: Path, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[serve.LabelServer, str, list[str]]:
    whole = serve.page_text
    script = PRESS.replace("KEYS", str(keys))
    monkeypatch.setattr(
        serve, "page_text", lambda *a, **k: whole(*a, **k).replace("</body>", f"{script}</body>")
    )
    moments = proposals_of(session, ProposalConfig(2))
    picture = cv2.imencode(".jpg", np.full((32, 32, 3), 120, np.uint8))[1].tobytes()
    pictures = [picture, *[None] * (len(moments) - 1)]
    server = serve.LabelServer([(session, moments, pictures, "it <i>moved</i>")], STATES)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    dom, console = browse(server.url, tmp_path / "profile")
    if "s" not in keys:
        assert thread.is_alive()
        server._finished = True  # as an interruption ends it
    thread.join(20)
    assert not thread.is_alive()
    return server, dom, console


def test_keys_answer_move_and_hand_over(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # First moment: yes, no, cannot say. Second: its second question no, then undone; its first yes. Then the last.
    keys = ["?", "y", "n", "c", "2", "n", "u", "1", "y", "End", "3", "n", "s"]
    server, dom, console = pressed(session, tmp_path, keys, monkeypatch)
    assert console == []
    assert 'data-helped="yes"' in dom and 'data-saved="yes"' in dom
    moments = proposals_of(session, ProposalConfig(2))
    first, second, last = moments[0], moments[1], moments[-1]
    assert {(a.person, a.time_s, a.state): a.present for _, a in server.answers()} == {
        (first.person, first.time_s, STATES[0]): True,
        (first.person, first.time_s, STATES[1]): False,
        (first.person, first.time_s, STATES[2]): None,
        (second.person, second.time_s, STATES[0]): True,
        (last.person, last.time_s, STATES[2]): False,
    }


def test_what_is_answered_is_kept_without_saving_and_names_are_text(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, dom, console = pressed(session, tmp_path, ["y"], monkeypatch)
    assert console == [] and [a.present for _, a in server.answers()] == [True]
    assert 'data-ready="yes"' in dom and "No picture: look at the video." in dom
    assert "it &lt;i&gt;moved&lt;/i&gt;" in dom and "<b>" not in dom.replace("&lt;b&gt;", "")
    assert dom.count('role="option"') == len(proposals_of(session, ProposalConfig(2)))


def test_a_moment_answered_again_is_gone_through_question_by_question(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ["y", "y", "y", "ArrowLeft", "n", "n", "n", "c", "s"]
    server, _, console = pressed(session, tmp_path, keys, monkeypatch)
    assert console == []
    first, second = proposals_of(session, ProposalConfig(2))[:2]
    assert {(a.time_s, a.person, a.state): a.present for _, a in server.answers()} == {
        **{(first.time_s, first.person, state): False for state in STATES},
        (second.time_s, second.person, STATES[0]): None,
    }


def test_a_key_that_is_held_down_answers_once_and_caps_lock_changes_nothing(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _, console = pressed(session, tmp_path, ["Y", "held Y", "held Y", "N", "s"], monkeypatch)
    assert console == [] and [a.present for _, a in server.answers()] == [True, False]


def test_answers_are_on_the_page_when_the_command_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed outright it keeps nothing, so the page shows what ``--labels`` takes."""
    (session,) = open_sessions(scored_output(tmp_path / "out", 'say, "yes"'))
    monkeypatch.setattr(serve.LabelServer, "_take", lambda *_: 404)
    server, dom, _ = pressed(session, tmp_path, ["y", "n", "c", "End", "3", "n"], monkeypatch)
    assert server.answers() == [] and "has ended" in dom
    shown = re.search(r'<div id="left">.*?<pre id="lines">(.*?)</pre>', dom, re.S)
    assert shown
    file = tmp_path / "kept.csv"
    file.write_text(html.unescape(shown.group(1)), encoding="utf-8")
    (answers,) = read_labels(file, [session]).values()
    moments = proposals_of(session, ProposalConfig(2))
    first, last = moments[0], moments[-1]
    assert {(a.person, a.time_s, a.state): a.present for a in answers} == {
        (first.person, first.time_s, STATES[0]): True,
        (first.person, first.time_s, STATES[1]): False,
        (first.person, first.time_s, STATES[2]): None,
        (last.person, last.time_s, STATES[2]): False,
    }
