"""Labels from a CSV file, and proposed moments as one to fill in."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from engagement.calibration.session import Answer, Moment, Session, row_of
from engagement.corrections.file import Mistake, matching, raise_mistakes
from engagement.corrections.notation import person_id, seconds
from engagement.errors import DataError
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
    for row in sheet.rows:
        try:
            parsed = _parsed(row.cells, sessions)
        except DataError as error:
            mistakes.append(Mistake(row.line, error.message, error.hint))
            continue
        if parsed is not None:
            session, answer = parsed
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
    if row["state"] not in LEARNER_STATES.classes:
        raise DataError(f"state is '{row['state']}'", f"Known: {', '.join(LEARNER_STATES.classes)}.")
    time_s = seconds(row["time_s"])
    if time_s is None:
        raise DataError(f"time_s is '{row['time_s']}'", "Write seconds, m:ss or h:mm:ss.")
    try:
        person = person_id(row["person"])
    except ValueError:
        raise DataError(f"person is '{row['person']}'", "Write an id such as P03.") from None
    row_of(session, person, time_s)
    return session, Answer(person, time_s, row["state"], _WORDS[row["present"].casefold()])


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


def listed(moments: Sequence[tuple[Session, Moment]], states: Sequence[str]) -> str:
    """Moments as CSV, a line for each state, ``present`` empty: to be filled in and given to ``--labels``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for session, moment in moments:
        for state in states:
            writer.writerow([session.video.relative, moment.person, f"{moment.time_s:.3f}", state, ""])
    return text.getvalue()
