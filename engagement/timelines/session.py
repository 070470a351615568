"""Arrays of one video to its tables: timeline, persons, events."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engagement.followed import FOLLOWED
from engagement.labels import EXPRESSIONS, LEARNER_STATES
from engagement.runs import find_runs
from engagement.timelines.columns import (
    EVENTS,
    PERSONS,
    TIMELINE,
    Column,
    further,
    raw_scores,
    smoothed_scores,
)
from engagement.timelines.episodes import EpisodesConfig, find_episodes
from engagement.timelines.table import conform
from engagement.types import FloatArray, IndexArray, TimeArray

if TYPE_CHECKING:
    import pandas as pd

_E = len(EXPRESSIONS)


@dataclass(frozen=True, slots=True, eq=False)
class SessionTables:
    """The three tables of a video, with the documented columns."""

    timeline: pd.DataFrame
    persons: pd.DataFrame
    events: pd.DataFrame


@dataclass(frozen=True, slots=True)
class TableOptions:
    """What the tables need to know: the sampling step, the limits of claims, k further classes, the video's end."""

    step_s: float
    min_quality: float
    max_gap_s: float
    episodes: EpisodesConfig
    extra: tuple[str, ...] = ()
    end_s: float = math.inf

    def seconds(self, sample: IndexArray, times_s: TimeArray) -> float:
        """How long some of the samples stand for; the last one no longer than the video goes on."""
        beyond = max(times_s[-1] + self.step_s - max(self.end_s, times_s[-1]), 0.0)
        return len(sample) * self.step_s - (beyond if len(times_s) - 1 in sample else 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Own:
    """What there is of one person.

    Attributes:
        rows: the records of the face, in order of time.
        followed: rows of FOLLOWED between the first of them and the last.
        scores: (len(rows), 10) smoothed; NaN where nothing is claimed.
        further: (len(rows), k) smoothed scores of further classes.
    """

    name: str
    rows: NDArray[np.void]
    followed: NDArray[np.void]
    scores: FloatArray
    further: FloatArray


def person_name(index: int) -> str:
    """P01, P02, …"""
    return f"P{index + 1:02d}"


def build_tables(
    times_s: TimeArray,
    frames: IndexArray,
    rows: NDArray[np.void],
    person: IndexArray,
    smoothed: FloatArray,
    options: TableOptions,
    names: Sequence[str] | None = None,
    followed: NDArray[np.void] | None = None,
) -> SessionTables:
    """Tables of one video.

    Args:
        times_s, frames: (n_samples,) time and frame index of each sampled frame.
        rows: the records of the faces (see FaceRecords), in order of time.
        person: (len(rows),) index of the person from 0, -1 for nobody.
        smoothed: (len(rows), 10 + k), the last k of the further classes; NaN where nothing is claimed.
        names: id of each person; P01, P02 … when not given.
        followed: rows of FOLLOWED, owned by persons, none where a face was found; those before the first sight
            of a person and after the last are left out.
    """
    import pandas as pd

    if followed is None:
        followed = np.zeros(0, FOLLOWED)

    people: list[_Own] = []
    for index in range(int(person.max(initial=-1)) + 1):
        own = rows[person == index]
        scores, further_scores = np.split(smoothed[person == index], [len(smoothed_scores())], axis=1)
        between = followed[followed["owner"] == index]
        first, last = own["sample"][[0, -1]]
        between = between[(between["sample"] > first) & (between["sample"] < last)]
        name = names[index] if names else person_name(index)
        people.append(_Own(name, own, between, scores, further_scores))
    timelines = [_timeline(own, times_s, frames, options) for own in people]
    timeline = pd.concat(timelines, ignore_index=True) if timelines else pd.DataFrame()
    persons = pd.DataFrame([_figures(own, times_s, options) for own in people])
    events = pd.DataFrame([event for own in people for event in _events(own, times_s, options)])
    return SessionTables(
        _table(timeline, TIMELINE, options.extra),
        _table(persons, PERSONS, options.extra),
        _table(events, EVENTS),
    )


def _table(found: pd.DataFrame, columns: tuple[Column, ...], extra: Sequence[str] = ()) -> pd.DataFrame:
    """With the documented columns, and behind them what there is of further classes."""
    wanted = further(columns, extra)
    found = found.reindex(columns=[c.name for c in columns] + wanted)
    return conform(found, columns).assign(**{name: found[name].to_numpy("float64") for name in wanted})


def _timeline(own: _Own, times_s: TimeArray, frames: IndexArray, options: TableOptions) -> pd.DataFrame:
    """One row per sampled time between first and last sight; what was not observed is empty."""
    import pandas as pd

    rows = own.rows
    first, last = int(rows["sample"][0]), int(rows["sample"][-1])
    n = last - first + 1

    def spread(values: NDArray[Any], sample: IndexArray) -> NDArray[np.float64]:
        out = np.full((n, *values.shape[1:]), np.nan)
        out[sample - first] = values
        return out

    observed, followed, frozen = np.zeros((3, n), bool)
    observed[rows["sample"] - first] = True
    followed[own.followed["sample"] - first] = True
    frozen[rows["sample"] - first] = rows["frozen"]
    columns: dict[str, Any] = {
        "person_id": own.name,
        "time_s": times_s[first : last + 1],
        "frame_index": frames[first : last + 1],
        "observed": observed,
        "followed": followed,
        "frozen": frozen,
    }
    further_scores = np.concatenate([rows["extra"], own.further], axis=1)
    for names, values, sample in (
        (("head_x1", "head_y1", "head_x2", "head_y2"), own.followed["box"], own.followed["sample"]),
        (("x1", "y1", "x2", "y2"), rows["box"], rows["sample"]),
        (("detection_score",), rows["score"][:, None], rows["sample"]),
        (("quality",), rows["quality"][:, None], rows["sample"]),
        (("yaw_deg", "pitch_deg", "roll_deg"), rows["pose"], rows["sample"]),
        (raw_scores(), rows["prob"], rows["sample"]),
        (smoothed_scores(), own.scores, rows["sample"]),
        (further(TIMELINE, options.extra), further_scores, rows["sample"]),
    ):
        columns |= zip(names, spread(values, sample).T, strict=True)
    return pd.DataFrame(columns)


def _figures(own: _Own, times_s: TimeArray, options: TableOptions) -> dict[str, Any]:
    """The row of the table of persons."""
    sample, scores = own.rows["sample"], own.scores
    first, last = int(sample[0]), int(sample[-1])
    used = np.isfinite(scores).all(axis=1)
    means = scores[used].mean(axis=0, dtype=np.float64) if used.any() else np.full(scores.shape[1], np.nan)
    top = int(np.argmax(means[:_E])) if used.any() else -1
    side = (own.rows["box"][:, 2:] - own.rows["box"][:, :2]).max(axis=1)
    out: dict[str, Any] = {
        "person_id": own.name,
        "first_s": float(times_s[first]),
        "last_s": float(times_s[last]),
        "observed_s": options.seconds(sample, times_s),
        "followed_s": len(own.followed) * options.step_s,
        "frozen_s": options.seconds(sample[own.rows["frozen"]], times_s),
        "coverage": len(sample) / (last - first + 1),
        "session_share": len(sample) / len(times_s),
        "n_samples": len(sample),
        "n_used": int(used.sum()),
        "low_quality_share": float((own.rows["quality"] < options.min_quality).mean()),
        "median_face_px": float(np.median(side)),
        "top_expression": EXPRESSIONS.classes[top] if top >= 0 else None,
        "top_expression_prob": float(means[top]) if top >= 0 else np.nan,
        "shown": True,
    }
    for i, state in enumerate(LEARNER_STATES.classes):
        out[f"mean_{state}"] = float(means[_E + i])
        out[f"labels_{state}"] = 0
    for column, values in zip(further(PERSONS, options.extra), own.further.T, strict=True):
        known = values[np.isfinite(values)]
        out[column] = float(known.mean(dtype=np.float64)) if len(known) else np.nan
    return out


def _events(own: _Own, times_s: TimeArray, options: TableOptions) -> list[dict[str, Any]]:
    """The person's rows of the table of events."""
    times = times_s[own.rows["sample"]]
    run = find_runs(times, options.max_gap_s)
    states = own.scores[:, _E:]
    found = find_episodes(times, states, run, options.step_s, options.episodes, options.end_s)
    return [{"person_id": own.name, **asdict(episode)} for episode in found]
