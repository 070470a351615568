"""A finished session whose people are calibrated: moments to label, and what was said of them to shifts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engagement.calibration.apply import at_place, nearest
from engagement.calibration.fit import PriorConfig, fit_shifts
from engagement.calibration.store import Calibration, Label, PersonCalibration, score_weights
from engagement.corrections.calibrated import stored
from engagement.corrections.file import Video
from engagement.corrections.folder import SAMPLES
from engagement.corrections.names import video_of
from engagement.corrections.notation import order
from engagement.errors import DataError
from engagement.labelling.proposals import ProposalConfig, propose
from engagement.labels import LEARNER_STATES
from engagement.results import SUMMARY, require_results, require_summary, root_of
from engagement.timelines import columns, table
from engagement.timelines.session_summary import SessionSummary

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Proposal:
    """A moment that is proposed to be labelled: a person at a time.

    Attributes:
        name: what the person is called on pages. time_s: of the sample. box: corners, source pixels.
    """

    person: str
    name: str
    time_s: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said of a person at a time; None for "cannot say", which takes back what was said before."""

    person: str
    time_s: float
    state: str
    present: bool | None


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """Results of one video as they stand, corrected.

    Attributes:
        root: the output folder. folder: of the results. video: how it is called. summary: of the results.
        people: id -> name, or the id again, of those who are shown. everybody: ids of the tables, also of who is hidden
            or seldom there. seen: observed rows of the timeline that have scores, in order of person and time.
        good: (len(seen),) whether the picture is good enough to be asked about, and does not stand still.
        earlier: the calibration there.
    """

    root: Path
    folder: Path
    video: Video
    summary: SessionSummary
    people: dict[str, str]
    everybody: frozenset[str]
    seen: pd.DataFrame
    good: NDArray[np.bool_]
    earlier: Calibration | None

    def usable_of(self, person: str) -> NDArray[np.bool_]:
        """(len(seen),) those of a person whose picture is good enough."""
        return (self.seen["person_id"].to_numpy(object) == person) & self.good


def open_sessions(output: Path, say: Callable[[str], None] = lambda _: None) -> list[Session]:
    """The sessions of an output folder, or the one whose folder is given.

    Args:
        say: see :func:`engagement.results.require_results`.

    Raises:
        DataError: there is none, or a result is damaged or of a version that says too little.
    """
    root = root_of(output)
    if root != output:
        output = output.absolute()
    return [open_session(folder, root) for folder in require_results(output, say)]


def open_session(folder: Path, root: Path) -> Session:
    """The results of one video as they are now.

    Raises:
        DataError: they are damaged or of a version that says too little.
    """
    summary = require_summary(folder)
    if not score_weights(summary.models):
        raise DataError(f"{folder / SUMMARY} does not say with which weights faces were scored", table.REDO)
    if not (folder / SAMPLES).is_file():
        raise DataError(f"{folder} was written by an earlier version, which cannot be calibrated", table.REDO)
    persons: Any = table.read(folder / "persons.csv", columns.PERSONS)
    timeline: Any = table.read(folder / "timeline.parquet", columns.TIMELINE)
    everybody = frozenset(map(str, persons["person_id"]))
    persons = persons[persons["shown"]]
    people = {
        str(row["person_id"]): str(row["name"]) if isinstance(row["name"], str) else str(row["person_id"])
        for row in persons.to_dict("records")
    }
    least = summary.limits.min_quality or 0.0
    scored = timeline[[f"p_{state}" for state in LEARNER_STATES.classes]].notna().all(axis=1)
    seen = timeline[timeline["observed"] & scored].reset_index(drop=True)
    good = ((seen["quality"] >= least) & ~seen["frozen"]).to_numpy(bool)
    video, earlier = video_of(folder, root), stored(folder)
    if earlier is not None and earlier.video != video.file:
        earlier = None  # of another video: nothing that was said there holds here
    return Session(
        root,
        folder,
        video,
        summary=summary,
        people=people,
        everybody=everybody,
        seen=seen,
        good=good,
        earlier=earlier,
    )


def proposals_of(
    session: Session, config: ProposalConfig, states: Sequence[str] = LEARNER_STATES.classes
) -> list[Proposal]:
    """The moments worth a label, by person and time."""
    found: list[Proposal] = []
    for person, name in session.people.items():
        own: Any = session.seen[session.usable_of(person)]
        prob = own[[f"p_{state}" for state in states]].to_numpy(np.float64)
        chosen = propose(own["time_s"].to_numpy(np.float64), prob, config, _labelled(session, person, states))
        for row in own.iloc[chosen].to_dict("records"):
            found.append(Proposal(person, name, float(row["time_s"]), _box(row)))
    return found


def _labelled(session: Session, person: str, states: Sequence[str]) -> list[float]:
    """Times at which all of these states of a person have been labelled before."""
    earlier = session.earlier.persons.get(person) if session.earlier else None
    said: dict[float, set[str]] = {}
    for label in earlier.labels if earlier else ():
        said.setdefault(label.time_s, set()).add(label.state)
    return [time for time, own in said.items() if own >= set(states)]


def fit_session(session: Session, answers: Collection[Answer], prior: PriorConfig) -> tuple[Calibration, int]:
    """A calibration from what was said now and before; what is said now replaces what was said of the same.

    Earlier labels are about times and places, so they hold for new weights and another least quality as well: their
    scores are looked up again. Those that are about nobody who is there now are left out.

    Returns:
        The calibration, and how many earlier labels were left out.

    Raises:
        DataError: an answer is about a moment at which the person has no usable picture.
    """
    said, dropped = _said(session, answers)
    people = sorted({person for person, _, _ in said}, key=order)
    labels: dict[str, list[Label]] = {person: [] for person in people}
    shifts: dict[str, dict[str, float]] = {person: {} for person in people}
    for state in LEARNER_STATES.classes:
        keys = sorted(key for key in said if key[2] == state)
        if not keys:
            continue
        score = session.seen[f"p_{state}"].to_numpy(np.float64)[[row for _, row, _ in keys]]
        yes = np.array([said[key] for key in keys])
        whose = np.array([people.index(person) for person, _, _ in keys], np.int64)
        found = fit_shifts(score, yes, whose, len(people), prior)
        for (person, row, _), value, present in zip(keys, score, yes, strict=True):
            at: Any = session.seen.iloc[row]
            labels[person].append(Label(float(at["time_s"]), _box(at), state, float(value), bool(present)))
            shifts[person][state] = round(float(found[people.index(person)]), 6)
    calibration = Calibration(
        session.video.file,
        session.video.relative,
        score_weights(session.summary.models),
        prior,
        {person: PersonCalibration(tuple(labels[person]), shifts[person]) for person in people},
    )
    return calibration, dropped


def _said(session: Session, answers: Collection[Answer]) -> tuple[dict[tuple[str, int, str], bool], int]:
    """(person, row, state) -> what is said of it in the end; and how many earlier labels are about nobody there."""
    said: dict[tuple[str, int, str], bool] = {}
    dropped = 0
    # Hiding somebody can be taken back: what was said stays.
    known = session.seen["person_id"].isin(list(session.everybody)).to_numpy(bool)
    for own in (session.earlier.persons if session.earlier else {}).values():
        for label in own.labels:
            box = np.array([label.box], np.float32)
            # Whoever's it is now: merging and splitting move a face to another id.
            row = at_place(label.time_s, box, session.seen, known)
            if row is None:
                dropped += 1
            else:
                said[str(session.seen["person_id"][row]), row, label.state] = label.present
    for answer in answers:
        key = answer.person, row_of(session, answer.person, answer.time_s), answer.state
        if answer.present is None:
            said.pop(key, None)
        else:
            said[key] = answer.present
    return said, dropped


def row_of(session: Session, person: str, time_s: float) -> int:
    """The usable row of a person nearest to a time.

    Raises:
        DataError: nobody of that id, or no usable picture of the person within half a second.
    """
    if person not in session.people:
        raise DataError(
            f"there is no {person} in {session.video}", f"Known: {', '.join(session.people) or 'nobody'}."
        )
    row = nearest(time_s, None, session.seen, session.usable_of(person))
    if row is None:
        raise DataError(
            f"{person} has no usable picture within half a second of {time_s:g} s in {session.video}",
            "Take a time at which the person is seen well: `--list` proposes some.",
        )
    return row


def _box(row: Any) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (round(float(row[c]), 2) for c in ("x1", "y1", "x2", "y2"))
    return x1, y1, x2, y2
