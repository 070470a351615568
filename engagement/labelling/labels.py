"""Labels from a CSV file, and proposed moments as one to fill in."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from engagement.corrections.file import matching
from engagement.corrections.mistakes import Mistake, raise_mistakes
from engagement.corrections.notation import person_id, seconds
from engagement.errors import DataError
from engagement.labelling.session import Answer, Proposal, Session, row_of
from engagement.labels import LEARNER_STATES
from engagement.spreadsheets import read_sheet

COLUMNS = ("video", "person", "time_s", "state", "present")
#: How an answer may be written; nothing at all is no answer.
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("yes", "y", "1", "true"), True),
    **dict.fromkeys(("no", "n", "0", "false"), False),
    **dict.fromkeys(("?", "cannot say", "unsure"), None),
}


def read_labels(path: Path, sessions: Sequence[Session]) -> dict[Path, list[Answer]]:
    """Answers of a CSV with the columns of COLUMNS, by the folder of the session they are about.

    ``video`` may be left out where there is a single one; times are seconds, m:ss or h:mm:ss.

    Raises:
        DataError: it cannot be read, or lacks columns.
        ConfigError: naming every line that is wrong, the value and the remedy.
    """
    sheet = read_sheet(path, COLUMNS)
    lacking = [c for c in COLUMNS[1:] if c not in sheet.columns]
    if lacking:
        raise DataError(
            f"{path} lacks the column{'s' if len(lacking) > 1 else ''} {', '.join(lacking)}",
            f"Write a first line {','.join(COLUMNS)}; `--list` prints one to fill in.",
        )
    found: dict[Path, list[Answer]] = {}
    mistakes: list[Mistake] = []
    said: dict[tuple[Path, int, str], tuple[int, bool | None]] = {}
    for row in sheet.rows:
        try:
            parsed = _parsed(row.cells, sessions)
        except DataError as error:
            mistakes.append(Mistake(row.line, error.message, error.hint))
            continue
        if parsed is None:
            continue
        session, answer = parsed
        key = session.folder, row_of(session, answer.person, answer.time_s), answer.state
        line, before = said.setdefault(key, (row.line, answer.present))
        if before != answer.present:
            same = f"line {line} says something else of {answer.person} at that moment"
            mistakes.append(Mistake(row.line, same, "Leave one of the two lines out."))
        elif line == row.line:
            found.setdefault(session.folder, []).append(answer)
    raise_mistakes(path, mistakes)
    return found


def _parsed(row: dict[str, str], sessions: Sequence[Session]) -> tuple[Session, Answer] | None:
    if not row["present"]:
        return None
    if row["present"].casefold() not in _WORDS:
        raise DataError(
            f"present is '{row['present']}'", "Write yes, no or cannot say; leave it empty for no answer."
        )
    session = _session(row.get("video", ""), sessions)
    state = row["state"].casefold()
    if state not in LEARNER_STATES.classes:
        raise DataError(f"state is '{row['state']}'", f"Known: {', '.join(LEARNER_STATES.classes)}.")
    time_s = seconds(row["time_s"])
    if time_s is None:
        raise DataError(f"time_s is '{row['time_s']}'", "Write seconds, m:ss or h:mm:ss.")
    try:
        person = person_id(row["person"])
    except ValueError:
        raise DataError(f"person is '{row['person']}'", "Write an id such as P03.") from None
    row_of(session, person, time_s)
    return session, Answer(person, time_s, state, _WORDS[row["present"].casefold()])


def _session(title: str, sessions: Sequence[Session]) -> Session:
    found = matching(title, [session.video for session in sessions])
    known = ", ".join(str(session.video) for session in sessions)
    if len(found) == 1:
        return next(session for session in sessions if session.video == found[0])
    if not title:
        raise DataError(f"video is empty, and the folder holds {len(sessions)}", f"Known: {known}.")
    if found:
        raise DataError(f"video '{title}' is the name of {len(found)} videos", f"Write the folder: {known}.")
    raise DataError(f"there is no video '{title}'", f"Known: {known}.")


def listed(moments: Sequence[tuple[Session, Proposal]], states: Sequence[str]) -> str:
    """Moments as CSV, a line for each state, ``present`` empty: to be filled in and given to ``--labels``."""
    return _csv((s.video.relative, m.person, m.time_s, state, "") for s, m in moments for state in states)


def answered(answers: Mapping[str, Sequence[Answer]]) -> str:
    """Answers as such a CSV, by the folder of their session's results within the output folder."""
    words = {True: "yes", False: "no", None: "?"}
    return _csv(
        (video, a.person, a.time_s, a.state, words[a.present]) for video, own in answers.items() for a in own
    )


def _csv(rows: Iterable[tuple[str, str, float, str, str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([video, person, f"{time_s:.3f}", *rest] for video, person, time_s, *rest in rows)
    return text.getvalue()
