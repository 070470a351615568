"""Arrays of one video to its tables: timeline, persons, events."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
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

    timelines: list[pd.DataFrame] = []
    persons: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    for index in range(int(person.max(initial=-1)) + 1):
        own = rows[person == index]
        name = names[index] if names else person_name(index)
        seen = own["sample"]
        times = times_s[seen]
        run = find_runs(times, options.max_gap_s)
        valid = own["quality"] >= options.min_quality
        curves, own_classes = np.split(smoothed[person == index], [len(smoothed_scores())], axis=1)
        between = followed[followed["owner"] == index]
        between = between[(between["sample"] > seen[0]) & (between["sample"] < seen[-1])]
        timelines.append(_timeline(name, times_s, frames, own, between, curves, own_classes, options))
        persons.append(_person(name, times_s, own, len(between), valid, curves, own_classes, options))
        for episode in find_episodes(
            times, curves[:, _E:], run, options.step_s, options.episodes, options.end_s
        ):
            events.append(
                {
                    "person_id": name,
                    "start_s": episode.start_s,
                    "end_s": episode.end_s,
                    "state": episode.state,
                    "mean_prob": episode.mean_prob,
                }
            )
    timeline = pd.concat(timelines, ignore_index=True) if timelines else pd.DataFrame()
    return SessionTables(
        _table(timeline, TIMELINE, options.extra),
        _table(pd.DataFrame(persons), PERSONS, options.extra),
        _table(pd.DataFrame(events), EVENTS),
    )


def _table(found: pd.DataFrame, columns: tuple[Column, ...], extra: Sequence[str] = ()) -> pd.DataFrame:
    """With the documented columns, and behind them what there is of further classes."""
    wanted = further(columns, extra)
    found = found.reindex(columns=[c.name for c in columns] + wanted)
    return conform(found, columns).assign(**{name: found[name].to_numpy("float64") for name in wanted})


def _timeline(
    name: str,
    times_s: TimeArray,
    frames: IndexArray,
    own: NDArray[np.void],
    between: NDArray[np.void],
    smoothed: FloatArray,
    own_classes: FloatArray,
    options: TableOptions,
) -> pd.DataFrame:
    """One row per sampled time between first and last sight; what was not observed is empty."""
    import pandas as pd

    first, last = int(own["sample"][0]), int(own["sample"][-1])
    n = last - first + 1
    at = own["sample"] - first

    def spread(values: NDArray[Any]) -> NDArray[np.float64]:
        out = np.full((n, *values.shape[1:]), np.nan)
        out[at] = values
        return out

    observed, followed = np.zeros(n, bool), np.zeros(n, bool)
    observed[at] = True
    followed[between["sample"] - first] = True
    head = np.full((n, 4), np.nan)
    head[followed] = between["box"]
    columns: dict[str, Any] = {
        "person_id": name,
        "time_s": times_s[first : last + 1],
        "frame_index": frames[first : last + 1],
        "observed": observed,
        "followed": followed,
        **{f"head_{name}": head[:, i] for i, name in enumerate(("x1", "y1", "x2", "y2"))},
    }
    blocks = [
        (("x1", "y1", "x2", "y2"), own["box"]),
        (("detection_score",), own["score"][:, None]),
        (("quality",), own["quality"][:, None]),
        (("yaw_deg", "pitch_deg", "roll_deg"), own["pose"]),
        (raw_scores(), own["prob"]),
        (smoothed_scores(), smoothed),
        (further(TIMELINE, options.extra), np.concatenate([own["extra"], own_classes], axis=1)),
    ]
    for names, values in blocks:
        filled = spread(values)
        for i, column in enumerate(names):
            columns[column] = filled[:, i]
    return pd.DataFrame(columns)


def _person(
    name: str,
    times_s: TimeArray,
    own: NDArray[np.void],
    n_followed: int,
    valid: NDArray[np.bool_],
    smoothed: FloatArray,
    own_classes: FloatArray,
    options: TableOptions,
) -> dict[str, Any]:
    first, last = int(own["sample"][0]), int(own["sample"][-1])
    used = np.isfinite(smoothed).all(axis=1)
    means = (
        smoothed[used].mean(axis=0, dtype=np.float64) if used.any() else np.full(smoothed.shape[1], np.nan)
    )
    top = int(np.argmax(means[:_E])) if used.any() else -1
    side = (own["box"][:, 2:] - own["box"][:, :2]).max(axis=1)
    out: dict[str, Any] = {
        "person_id": name,
        "first_s": float(times_s[first]),
        "last_s": float(times_s[last]),
        "observed_s": options.seconds(own["sample"], times_s),
        "followed_s": n_followed * options.step_s,
        "coverage": len(own) / (last - first + 1),
        "session_share": len(own) / len(times_s),
        "n_samples": len(own),
        "n_used": int(used.sum()),
        "low_quality_share": float((~valid).mean()),
        "median_face_px": float(np.median(side)),
        "top_expression": EXPRESSIONS.classes[top] if top >= 0 else None,
        "top_expression_prob": float(means[top]) if top >= 0 else np.nan,
        "shown": True,
    }
    for i, state in enumerate(LEARNER_STATES.classes):
        out[f"mean_{state}"] = float(means[_E + i])
        out[f"labels_{state}"] = 0
    for column, values in zip(further(PERSONS, options.extra), own_classes.T, strict=True):
        known = values[np.isfinite(values)]
        out[column] = float(known.mean(dtype=np.float64)) if len(known) else np.nan
    return out
