"""A calibration put to the people of a result: to whom it applies, and why not to others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engagement.calibration.store import (
    FILE,
    Calibration,
    Label,
    PersonCalibration,
    fits_scores,
    score_weights,
)
from engagement.geometry import SAME_FACE, iou_matrix
from engagement.labels import LEARNER_STATES
from engagement.timelines.shifts import Shift

if TYPE_CHECKING:
    import pandas as pd

#: Samples of two analyses this far apart show the same moment.
_SAME_TIME_S = 0.51
_AGAIN = (
    "`engagement calibrate --refit` on this folder fits the labels to who is there now; else label again."
)


@dataclass(frozen=True, slots=True)
class Applied:
    """What becomes of a calibration in one result.

    Attributes:
        shifts: person -> state -> shift, of those it applies to.
        counts: person -> state -> number of labels.
        problems: a sentence for each part that does not apply.
        state: of the calibration, to see later whether it changed; empty for none.
        uncalibrated: everybody else in the result.
    """

    shifts: Mapping[str, Shift] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    state: str = ""
    uncalibrated: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """For summary.json; empty when there is no calibration."""
        if not self.state:
            return {}
        persons = {
            person: {
                state: {"labels": self.counts[person][state], "shift": round(shift, 4)}
                for state, shift in own.items()
            }
            for person, own in self.shifts.items()
        }
        return {
            "state": self.state,
            "persons": persons,
            "uncalibrated": list(self.uncalibrated),
            "problems": list(self.problems),
        }

    def labels(self, person: str, state: str) -> int:
        """By how many labels a person's state is calibrated."""
        return self.counts.get(person, {}).get(state, 0)


def put_to(
    calibration: Calibration | None,
    seen: pd.DataFrame,
    label: NDArray[np.object_],
    models: Mapping[str, Any],
    video: str = "",
) -> Applied:
    """Whom a calibration applies to.

    Args:
        calibration: None for none.
        seen: (n,) observed rows of a timeline. label: (n,) whose each is; empty for nobody's.
        models: of the result's summary.
        video: name of the result's video file; empty where it is not known.
    """
    if calibration is None:
        return Applied()
    people = sorted({str(p) for p in label} - {""})
    if video and calibration.video != video:
        told = f"{FILE} is not applied: it is of the video {calibration.video}, this is {video}."
        return Applied(problems=(told,), state=calibration.state, uncalibrated=tuple(people))
    if not fits_scores(calibration, models):
        return Applied(
            problems=(
                f"{FILE} is not applied: it belongs to the weights {named(calibration.weights)}, these scores come "
                f"from {named(score_weights(models))}. `engagement calibrate --refit` on this folder fits the same labels again.",
            ),
            state=calibration.state,
            uncalibrated=tuple(people),
        )
    shifts: dict[str, Shift] = {}
    counts: dict[str, dict[str, int]] = {}
    problems: list[str] = []
    for person, own in calibration.persons.items():
        if problem := _not_the_same(person, own, seen, label):
            problems.append(problem)
        elif own.shift:
            shifts[person] = dict(own.shift)
            counts[person] = {state: own.count(state) for state in LEARNER_STATES.classes}
    rest = tuple(person for person in people if person not in shifts)
    return Applied(shifts, counts, tuple(problems), calibration.state, rest)


def without_opted_out(
    calibration: Calibration, seen: pd.DataFrame, label: NDArray[np.object_]
) -> Calibration:
    """What may be kept after an opt-out: people all of whose labels are clearly about somebody who remains.

    Args:
        seen: (n,) observed rows. label: (n,) whose each is; empty for who opted out.
    """

    def whose(one: Label) -> str:
        row = at_place(one.time_s, np.array([one.box], np.float32), seen, np.ones(len(seen), np.bool_))
        return "" if row is None else str(label[row])

    kept = [
        person
        for person, own in calibration.persons.items()
        if own.labels and all(whose(one) == person for one in own.labels)
    ]
    return calibration.only(kept)


def agrees(label: Label, seen: pd.DataFrame, own: NDArray[np.bool_]) -> bool:
    """Whether the person of some rows was where a label says that the labelled person was."""
    return nearest(label.time_s, np.array([label.box], np.float32), seen, own) is not None


def same_moment(one: Label, other: Label) -> bool:
    """Whether two labels answer the same question about the same face."""
    boxes = (np.array([label.box], np.float32) for label in (one, other))
    return (
        one.state == other.state
        and abs(one.time_s - other.time_s) <= _SAME_TIME_S
        and bool(iou_matrix(*boxes)[0, 0] >= SAME_FACE)
    )


def at_place(
    time_s: float, box: NDArray[np.float32], seen: pd.DataFrame, among: NDArray[np.bool_]
) -> int | None:
    """The row nearest to a time, whoever's it is, of a face at a place; None when there is none within half a second.

    Args:
        box: (1, 4). seen: (n,) observed rows. among: (n,) those that count.
    """
    boxes = seen[["x1", "y1", "x2", "y2"]].to_numpy(np.float32)
    return nearest(time_s, None, seen, among & (iou_matrix(boxes, box)[:, 0] >= SAME_FACE))


def nearest(
    time_s: float, box: NDArray[np.float32] | None, seen: pd.DataFrame, own: NDArray[np.bool_]
) -> int | None:
    """The row of a person nearest to a time; None when there is none within half a second, or elsewhere.

    Args:
        box: (1, 4) where the face must have been; None for anywhere.
        seen: (n,) observed rows. own: (n,) those of the person.
    """
    rows = np.flatnonzero(own)
    if not len(rows):
        return None
    away = np.abs(seen["time_s"].to_numpy(np.float64)[rows] - time_s)
    row = int(rows[np.argmin(away)])
    if away.min() > _SAME_TIME_S:
        return None
    if box is not None:
        there = seen[["x1", "y1", "x2", "y2"]].to_numpy(np.float32)[[row]]
        if iou_matrix(there, box)[0, 0] < SAME_FACE:
            return None
    return row


def _not_the_same(person: str, own: PersonCalibration, seen: pd.DataFrame, label: NDArray[np.object_]) -> str:
    """Why a person's calibration does not apply; empty when it does."""
    rows = np.asarray(label == person, np.bool_)
    if not rows.any():
        return f"{FILE} names {person}, who is not in this result. {_AGAIN}"
    moments = {(one.time_s, one.box): one for one in own.labels}.values()
    right = sum(agrees(one, seen, rows) for one in moments)
    if 2 * right > len(moments):
        return ""
    return (
        f"{person} of {FILE} is not applied: at {len(moments) - right} of {len(moments)} labelled moments {person} "
        f"was not where the labelled person was, so it may be somebody else. {_AGAIN}"
    )


def named(weights: Mapping[str, str]) -> str:
    """Weights for a message."""
    return ", ".join(f"{name} {sha[:12]}" for name, sha in weights.items()) or "of an unknown model"
