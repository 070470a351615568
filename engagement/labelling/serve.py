"""The page on which moments are labelled, served to this computer alone and from memory alone.

Its address holds a secret, so that neither other programs nor pages of the network can ask for the pictures.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from engagement.errors import ConfigError
from engagement.labelling.labels import COLUMNS
from engagement.labelling.session import Answer, Proposal, Session
from engagement.labels import LEARNER_STATES
from engagement.reports.page import page_text

#: What counts as there, in the words of the labels that the model learned from (DAiSEE, levels 0-3).
QUESTIONS: Mapping[str, str] = {
    "boredom": "bored, at least a little",
    "engagement": "engaged, clearly",
    "confusion": "confused, at least a little",
}
_LARGEST = 1 << 22
_WORDS = {"yes": True, "no": False, "unsure": None}

#: A session, its moments, and a picture of each or the reason why there are none.
Shown = tuple[Session, Sequence[Proposal], Sequence[bytes | None], str]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a browser may hang up at any time."""


class LabelServer:
    """Serves one page and takes its answers.

    Args:
        shown: what is to be labelled. states: what is asked about each moment.
        port: 0 for any that is free.

    Raises:
        ConfigError: the port cannot be had.
    """

    def __init__(self, shown: Sequence[Shown], states: Sequence[str], port: int = 0) -> None:
        self._listed = [(session, moment) for session, moments, _, _ in shown for moment in moments]
        self._said: dict[tuple[int, str], str] = {}
        self._states = tuple(states)
        self._latest, self._pages = (0, -1), 0
        self._done = self._finished = False
        self._secret = secrets.token_urlsafe(16)
        self._shown = shown
        try:
            self._http = _Server(("127.0.0.1", port), self._handler())
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"--port {port} cannot be had ({error})", "Leave it out for a free one."
            ) from error

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self._http.server_port}/{self._secret}/"

    def run(self) -> None:
        """Serve until the page says that it is done; interrupted, what was answered so far stays."""
        try:
            self._http.timeout = 0.2  # how often it is looked whether the page is done
            while not self._finished:
                self._http.handle_request()
        finally:
            self._http.server_close()

    def answers(self) -> list[tuple[Session, Answer]]:
        """What was said."""
        out: list[tuple[Session, Answer]] = []
        for (place, state), word in self._said.items():
            session, moment = self._listed[place]
            out.append((session, Answer(moment.person, moment.time_s, state, _WORDS[word])))
        return out

    def _take(self, body: bytes) -> int:
        """Take all answers so far, ``{"page": 1, "number": 7, "done": …, "answers": {"3": {"boredom": "yes"}}}``.

        Of two that are under way at once, the one with the higher number holds, whichever comes last. A page that was
        opened later began with all that was answered until then, so it alone is listened to.

        Returns:
            HTTP status: 204, 400 where it cannot be understood, 409 of a page that is open a second time.
        """
        try:
            data = json.loads(body)
            page, number = int(data["page"]), int(data["number"])
            said = {
                (int(place), state): str(word)
                for place, states in data["answers"].items()
                for state, word in states.items()
            }
        except (ValueError, KeyError, AttributeError, TypeError):
            return 400
        if any(
            not 0 <= place < len(self._listed) or state not in self._states or word not in _WORDS
            for (place, state), word in said.items()
        ):
            return 400
        if page != self._pages:
            return 409
        if (page, number) > self._latest:
            self._latest, self._said, self._done = (page, number), said, data.get("done") is True
        return 204

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10  # of a connection that says nothing

            def do_GET(self) -> None:
                if not self._asked("/"):
                    self._reply(404, b"")
                    return
                server._pages += 1
                # With what was said before a reload.
                page = _page(server._shown, server._states, server._said, server._pages)
                self._reply(200, page.encode("utf-8", "replace"))

            def do_POST(self) -> None:
                given = self.headers.get("Content-Length") or ""
                length = int(given) if given.isdigit() else 0
                if not self._asked("/answers") or not 0 < length <= _LARGEST:
                    self._reply(404, b"")
                else:
                    self._reply(server._take(self.rfile.read(length)), b"")
                    server._finished = server._done  # only now, or the page would not hear of it

            def _asked(self, path: str) -> bool:
                asked = secrets.compare_digest(self.path.encode(), f"/{server._secret}{path}".encode())
                # A name that leads here is none of ours: a foreign page would get past the browser with it.
                return asked and self.headers.get("Host", "").split(":")[0] in ("127.0.0.1", "localhost")

            def _reply(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.send_header("X-Content-Type-Options", "nosniff")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: the terminal is the user's."""

        return Handler


def _page(
    shown: Sequence[Shown], states: Sequence[str], said: Mapping[tuple[int, str], str], number: int
) -> str:
    moments: list[dict[str, Any]] = []
    reasons: list[str] = []
    for session, own, pictures, reason in shown:
        if reason:
            reasons.append(f"{session.video}: no pictures, {reason}.")
        before = _said_before(session)
        for moment, picture in zip(own, pictures, strict=True):
            place, about = len(moments), (moment.person, moment.time_s)
            known = {s: before[*about, s] for s in states if (*about, s) in before}
            moments.append(
                {
                    "person": moment.name
                    if moment.name == moment.person
                    else f"{moment.name} ({moment.person})",
                    "video": str(session.video) if len(shown) > 1 else "",
                    # As a file for --labels names them.
                    "names": [session.video.relative, moment.person],
                    "time_s": moment.time_s,
                    "src": f"data:image/jpeg;base64,{base64.b64encode(picture).decode('ascii')}"
                    if picture
                    else "",
                    "said": known | {s: said[place, s] for s in states if (place, s) in said},
                }
            )
    data = {
        "page": number,
        "moments": moments,
        "columns": COLUMNS,
        "questions": [{"state": s, "text": QUESTIONS[s]} for s in LEARNER_STATES.classes if s in states],
    }
    return page_text(
        "calibrate.html",
        connect_src="'self'",
        total=len(moments),
        people=len({(m["video"], m["person"]) for m in moments}),
        reasons=reasons,
        questions=data["questions"],
        data=json.dumps(data, ensure_ascii=False, separators=(",", ":")),
    )


def _said_before(session: Session) -> dict[tuple[str, float, str], str]:
    people = session.earlier.persons if session.earlier else {}
    return {
        (person, label.time_s, label.state): "yes" if label.present else "no"
        for person, own in people.items()
        for label in own.labels
    }
