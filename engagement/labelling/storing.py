"""What was answered, fitted and written beside the results; nothing that was said is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from engagement.batch.lock import alone_in
from engagement.calibration.fit import PriorConfig
from engagement.calibration.store import FILE, write_calibration
from engagement.errors import EngagementError
from engagement.labelling.labels import answered
from engagement.labelling.session import Answer, Session, fit_session, open_session
from engagement.reports.theme import moved
from engagement.wording import count


def store(
    sessions: Sequence[Session],
    answers: Mapping[Path, Sequence[Answer]],
    prior: Mapping[str, float],
    *,
    say: Callable[[str], None],
    warn: Callable[[str], None],
) -> bool:
    """Fit and write each session that something was said of; whether something was written.

    Args:
        sessions: as they were when their moments were chosen.
        answers: by the folder of the session they are about.
        prior: what was asked for, by field of PriorConfig; the rest stays as the session was fitted before.
        say: is told what came of it, and the answers that could not be stored.
        warn: is told what was left out.

    Raises:
        OutputError: another command is at work in the output folder, or it cannot be written.
        DataError: an answer is about a moment at which the person has no usable picture.
    """
    wanted = [session for session in sessions if session.folder in answers]
    stored, written = 0, False
    try:
        with alone_in(sessions[0].root):
            for session in wanted:
                written |= _fit(session, answers[session.folder], prior, say, warn)
                stored += 1
    except EngagementError:
        left = {session.video.relative: answers[session.folder] for session in wanted[stored:]}
        if any(left.values()):
            say(f"not stored; keep these lines as a file and give them with --labels:\n{answered(left)}")
        raise
    return written


def _fit(
    shown: Session,
    answers: Sequence[Answer],
    prior: Mapping[str, float],
    say: Callable[[str], None],
    warn: Callable[[str], None],
) -> bool:
    """Fit and write one session; whether something was written.

    Args:
        shown: the session as it was when its moments were chosen: meanwhile others may have labelled or corrected it.
    """
    session = open_session(shown.folder, shown.root)
    still = [answer for answer in answers if answer.person in session.people]
    if gone := len(answers) - len(still):
        warn(f"{session.video}: {count(gone, 'answer')} about somebody who is not there any more: left out")
    before = session.earlier.prior if session.earlier else PriorConfig()
    calibration, dropped = fit_session(session, still, replace(before, **prior))
    if dropped:
        warn(f"{session.video}: {count(dropped, 'earlier label')} about nobody who is there now: left out")
    if not calibration.persons:
        if session.earlier is None:
            return False
        (session.folder / FILE).unlink(missing_ok=True)
        say(f"{session.video}: no label is left, so its {FILE} is gone")
        return True
    write_calibration(calibration, session.folder / FILE)
    for person, own in calibration.persons.items():
        parts = [
            f"{state} {moved(shift)} ({shift:+.2f} in logits, by {count(own.count(state), 'label')})"
            for state, shift in own.shift.items()
        ]
        say(f"{session.video} {person}: {', '.join(parts)}")
    without = [person for person in session.people if person not in calibration.persons]
    if without:
        say(f"{session.video}: no label of {', '.join(without)}, who stay as the model gives them")
    return True
