"""Every column of every table: name, type, unit, meaning. The one place that owns them.

The writers, the readers, the pages and the documentation (``engagement columns``) all read this.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from engagement.labels import EXPRESSIONS, LEARNER_STATES

Dtype = Literal["str", "float", "int", "bool"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``unit`` is empty for names; a ``nullable`` column is empty where nothing is known.

    Attributes:
        default: what its absence means in tables of a version that did not have it yet; None where a table
            without it cannot be read.
    """

    name: str
    dtype: Dtype
    unit: str
    meaning: str
    nullable: bool = False
    default: bool | str | float | None = None


def _scores(prefix: str, what: str) -> tuple[Column, ...]:
    expressions = tuple(
        Column(f"{prefix}_{c}", "float", "probability 0-1", f"{what} apparent expression: {c}", True)
        for c in EXPRESSIONS.classes
    )
    states = tuple(
        Column(
            f"{prefix}_{c}",
            "float",
            "score 0-1",
            f"{what} estimate of apparent {c} under a balanced prior; the three do not sum to 1",
            True,
        )
        for c in LEARNER_STATES.classes
    )
    return expressions + states


TIMELINE: tuple[Column, ...] = (
    Column("person_id", "str", "", "person within this session: P01, P02 … by first appearance"),
    Column("time_s", "float", "s", "presentation time from the first frame of the video stream"),
    Column("frame_index", "int", "frame", "position of the frame in the stream, from 0"),
    Column("observed", "bool", "", "whether the face was found in this frame"),
    Column("x1", "float", "px", "left edge of the face box, displayed orientation", True),
    Column("y1", "float", "px", "top edge", True),
    Column("x2", "float", "px", "right edge", True),
    Column("y2", "float", "px", "bottom edge", True),
    Column("detection_score", "float", "probability 0-1", "the detector's confidence", True),
    Column(
        "quality",
        "float",
        "0-1",
        "usability of the crop; below `limits.min_quality` in summary.json the sample is left out of claims",
        True,
    ),
    Column(
        "yaw_deg", "float", "degree", "head turned: positive when the nose points to the image's right", True
    ),
    Column("pitch_deg", "float", "degree", "head raised: positive when the nose points up", True),
    Column("roll_deg", "float", "degree", "head tilted: positive clockwise in the image", True),
    *_scores("p", "raw"),
    *_scores("s", "smoothed"),
    Column(
        "followed",
        "bool",
        "",
        "whether no face was found but the head was followed by its picture, from the sighting before or after",
        default=False,
    ),
    *(
        Column(f"head_{corner}", "float", "px", f"{edge} edge of the followed head", True, float("nan"))
        for corner, edge in (("x1", "left"), ("y1", "top"), ("x2", "right"), ("y2", "bottom"))
    ),
    Column(
        "frozen",
        "bool",
        "",
        "whether the picture of the face stands still here for 20 s or more, as of a photograph or a video that hangs "
        "(8 s if it never looks otherwise); nothing is claimed of it",
        default=False,
    ),
)

PERSONS: tuple[Column, ...] = (
    Column("person_id", "str", "", "person within this session; stays the same whatever the name"),
    Column("name", "str", "", "display name from the names file", True, ""),
    Column("first_s", "float", "s", "first time seen"),
    Column("last_s", "float", "s", "last time seen"),
    Column(
        "observed_s",
        "float",
        "s",
        "time observed: number of samples seen times the sampling step; the last one of the video ends with it",
    ),
    Column(
        "followed_s",
        "float",
        "s",
        "further time in which no face was found but the head was followed; nothing is estimated there",
        default=0,
    ),
    Column("frozen_s", "float", "s", "time observed in which the picture of the face stood still", default=0),
    Column("coverage", "float", "share 0-1", "samples observed between first and last time seen"),
    Column("session_share", "float", "share 0-1", "samples observed of all samples of the video"),
    Column("n_samples", "int", "samples", "samples in which the face was found"),
    Column(
        "n_used", "int", "samples", "samples of sufficient quality and not frozen, on which the means rest"
    ),
    Column("low_quality_share", "float", "share 0-1", "found samples that were too poor to use"),
    Column("median_face_px", "float", "px", "median of the longer side of the face box"),
    *(
        Column(f"mean_{c}", "float", "score 0-1", f"mean smoothed estimate of apparent {c}", True)
        for c in LEARNER_STATES.classes
    ),
    *(
        Column(
            f"labels_{c}",
            "int",
            "labels",
            f"labels by which the smoothed estimates of apparent {c} are calibrated to this person; 0: not calibrated",
            default=0,
        )
        for c in LEARNER_STATES.classes
    ),
    Column("top_expression", "str", "", "expression with the highest mean smoothed probability", True),
    Column("top_expression_prob", "float", "probability 0-1", "that mean", True),
    Column(
        "shown",
        "bool",
        "",
        "whether pages and class curves include the person (not: hidden, or below --min-presence)",
        default=True,
    ),
)

SAMPLES: tuple[Column, ...] = (
    Column("time_s", "float", "s", "presentation time of a sampled frame, whether or not anybody was seen"),
    Column("frame_index", "int", "frame", "position of the frame in the stream, from 0"),
)

EVENTS: tuple[Column, ...] = (
    Column("person_id", "str", "", "person within this session"),
    Column("start_s", "float", "s", "start of the event"),
    Column("end_s", "float", "s", "end of the event"),
    Column(
        "state",
        "str",
        "",
        "leading apparent state, also where it is below 0.5, or 'uncertain' where the lead is small",
    ),
    Column(
        "mean_prob", "float", "score 0-1", "mean smoothed score of that state; of the leader if uncertain"
    ),
)


_FURTHER: dict[tuple[Column, ...], tuple[str, ...]] = {TIMELINE: ("p", "s"), PERSONS: ("mean",)}


def names(columns: tuple[Column, ...]) -> list[str]:
    """Column names in order."""
    return [c.name for c in columns]


def raw_scores() -> list[str]:
    """Names of the ten raw score columns: expressions, then learner states."""
    return [f"p_{c}" for c in (*EXPRESSIONS.classes, *LEARNER_STATES.classes)]


def smoothed_scores() -> list[str]:
    """Names of the ten smoothed score columns, in the order of :func:`raw_scores`."""
    return [f"s_{c}" for c in (*EXPRESSIONS.classes, *LEARNER_STATES.classes)]


def further(columns: tuple[Column, ...], classes: Sequence[str]) -> list[str]:
    """Names of what a table has of further heads' classes behind its own columns; none but in these two.

    Of the timeline all raw scores, then all smoothed ones; of persons the means of the smoothed ones.
    """
    return [f"{prefix}_{c}" for prefix in _FURTHER.get(columns, ()) for c in classes]


def further_classes(columns: tuple[Column, ...], found: Iterable[str]) -> tuple[str, ...]:
    """Classes of further heads, ``head_class`` each, in order, by a table's columns."""
    known, prefix = set(names(columns)), _FURTHER.get(columns, ("",))[0]
    return tuple(
        c[len(prefix) + 1 :] for c in found if prefix and c.startswith(f"{prefix}_") and c not in known
    )
