"""Tables from a saved timeline whose rows change hands, by the code that ``analyze`` uses.

Raw scores stand in the timeline, so smoothing and events are computed again for whoever gained or lost
rows, or whose scores are calibrated; the figures of everybody else stay what they were, bit by bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engagement.corrections.notation import order
from engagement.corrections.plan import Labels
from engagement.errors import DataError
from engagement.followed import FOLLOWED, settle
from engagement.records import FaceRecords
from engagement.smoothing import SmoothingConfig, load_smoother, smooth_further, smooth_persons, smoothers
from engagement.timelines import table
from engagement.timelines.columns import raw_scores, smoothed_scores
from engagement.timelines.episodes import EpisodesConfig
from engagement.timelines.session import SessionTables, TableOptions, build_tables
from engagement.timelines.session_summary import SessionSummary
from engagement.timelines.shifts import Shift, in_order, shifted
from engagement.types import FloatArray, IndexArray, TimeArray

if TYPE_CHECKING:
    import pandas as pd


_HEAD = ["head_x1", "head_y1", "head_x2", "head_y2"]


@dataclass(frozen=True, slots=True)
class Settings:
    """With what the tables of a video were made, from its summary.json."""

    options: TableOptions
    smoothing: SmoothingConfig
    models: Mapping[str, Any]
    further_window_s: float


def settings(summary: SessionSummary, extra: tuple[str, ...]) -> Settings:
    """Settings of a finished result.

    Raises:
        DataError: the summary does not say.
    """
    said = summary.data
    try:
        temporal, limits = said["temporal"], said["limits"]
        # Results name those widths alone that they use; earlier ones all that there were then.
        if temporal["method"] == "box":
            widths = {key: temporal[key] for key in ("window_s", "state_window_s")}
        else:
            widths = {key: temporal[key] for key in ("hold_s", "state_hold_s") if key in temporal}
        smoothing = SmoothingConfig(temporal["method"], temporal.get("weights", ""), **widths)
        options = TableOptions(
            said["sampling"]["step_s"],
            limits["min_quality"],
            temporal["max_gap_s"],
            EpisodesConfig(limits["state_margin"], summary.limits.wide_margin),
            extra,
            summary.sampling.end_s or math.inf,
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"summary.json does not say {error}, which corrections need", table.REDO) from error
    return Settings(options, smoothing, summary.models, float(temporal.get("further_window_s", 0.0)))


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Time and frame index of every sampled frame, (n,)."""

    times_s: TimeArray
    frames: IndexArray


def read_samples(path: Path) -> Samples:
    """``samples.parquet`` of a result.

    Raises:
        DataError: an earlier version wrote none.
    """
    from engagement.timelines.columns import SAMPLES

    if not path.is_file():
        raise DataError(
            f"{path} does not exist; merging, splitting, opting out and calibration need it", table.REDO
        )
    frame = table.read(path, SAMPLES)
    return Samples(frame["time_s"].to_numpy(np.float64), frame["frame_index"].to_numpy(np.int64))


def rebuild(
    timeline: pd.DataFrame,
    label: Labels,
    changed: set[str],
    samples: Samples,
    made_with: Settings,
    shifts: Mapping[str, Shift] = MappingProxyType({}),
) -> SessionTables:
    """Tables of the same observations under other labels.

    Args:
        timeline: as it was, n rows of it observed. label: (n,) whose each of these is; empty for nobody's.
        changed: labels whose scores are smoothed again; the others keep theirs.
        shifts: label -> calibration of its learner states, which goes in before smoothing, or of a network's scores
            after it; the raw scores in the tables stay as they are.
    """
    seen: Any = timeline[timeline["observed"]]
    unread: Any = timeline[timeline["followed"]]
    keep = np.flatnonzero(label != "")
    rows = _records(seen.iloc[keep], samples, made_with.options.extra)
    in_time = np.argsort(rows["sample"], kind="stable")
    rows, whose = rows[in_time], label[keep][in_time]
    first = {str(name): int(rows["sample"][np.argmax(whose == name)]) for name in dict.fromkeys(whose)}
    names = sorted(first, key=lambda name: (first[name], order(name)))
    number = {name: i for i, name in enumerate(names)}
    person = np.array([number[str(name)] for name in whose], np.int64)
    smoothed = rows["clip"].copy()
    by_person = {number[name]: in_order(shift) for name, shift in shifts.items() if name in number}
    # A network looks at all scores at once: a state that is shifted before would move expressions and other states.
    late = smoothers()[made_with.smoothing.method]
    anew = set(changed) if late else {*changed, *shifts}
    # The 3D-CNN scored tracks from pictures, whoever's they are.
    if anew and made_with.smoothing.method != "cnn3d":
        moved = np.isin(person, [number[name] for name in anew if name in number])
        scored = rows.copy()
        scored["prob"] = rows["prob"] if late else _calibrated(rows["prob"], person, by_person)
        smoothed[moved] = _smooth(scored, np.where(moved, person, -1), samples, made_with)[moved]
    if late:
        smoothed = _calibrated(smoothed, person, by_person)
    followed = _followed(unread, seen, label, number, samples)
    followed = settle(followed, rows["sample"], person, rows["box"])
    options = made_with.options
    # Of raw scores alone: whoever has the same rows as before gets the same.
    window_s = made_with.further_window_s
    further = smooth_further(samples.times_s, rows, person, options.max_gap_s, options.min_quality, window_s)
    both = np.concatenate([smoothed, further], axis=1)
    return build_tables(samples.times_s, samples.frames, rows, person, both, options, names, followed)


def _calibrated(scores: FloatArray, person: IndexArray, shifts: Mapping[int, Any]) -> FloatArray:
    """Scores (n, 10) whose last three, the learner states, are shifted for some persons."""
    out = scores.copy()
    for number, shift in shifts.items():
        own = np.flatnonzero(person == number)
        out[own, -len(shift) :] = shifted(scores[own, -len(shift) :], shift)
    return out


def _smooth(rows: NDArray[np.void], person: IndexArray, samples: Samples, made_with: Settings) -> FloatArray:
    smoother, weights = load_smoother(made_with.smoothing)
    if weights is not None:
        used = {model.get("sha256") for model in made_with.models.values() if isinstance(model, Mapping)}
        if weights.sha256 not in used:
            raise DataError(
                f"the weights of '{made_with.smoothing.method}' are others than those of the analysis",
                table.REDO,
            )
    options = made_with.options
    return smooth_persons(smoother, samples.times_s, rows, person, options.max_gap_s, options.min_quality)


def _followed(
    followed: pd.DataFrame, seen: pd.DataFrame, label: Labels, number: Mapping[str, int], samples: Samples
) -> NDArray[np.void]:
    """Where heads were followed to, each owned by whoever has the row of its person's nearest sighting now."""
    out = np.zeros(len(followed), FOLLOWED)
    out["sample"], out["box"] = _sample(followed, samples), followed[_HEAD].to_numpy()
    whose, source = followed["person_id"].to_numpy(str), seen["person_id"].to_numpy(str)
    when, seen_s = followed["time_s"].to_numpy(np.float64), seen["time_s"].to_numpy(np.float64)
    for person in np.unique(whose):
        rows, own = np.flatnonzero(whose == person), np.flatnonzero(source == person)
        after = np.searchsorted(seen_s[own], when[rows]).clip(0, len(own) - 1)
        before = (after - 1).clip(0)
        earlier = np.abs(seen_s[own[before]] - when[rows]) <= np.abs(seen_s[own[after]] - when[rows])
        nearest = own[np.where(earlier, before, after)]
        out["owner"][rows] = [number.get(str(name), -1) for name in label[nearest]]
        out["away_s"][rows] = np.abs(seen_s[nearest] - when[rows])
    return out


def _sample(rows: pd.DataFrame, samples: Samples) -> IndexArray:
    """Which sample each row of a timeline is of."""
    frames = rows["frame_index"].to_numpy(np.int64)
    at = np.searchsorted(samples.frames, frames)
    if len(frames) and (at.max() >= len(samples.frames) or (samples.frames[at] != frames).any()):
        raise DataError("timeline.parquet and samples.parquet are of different analyses", table.REDO)
    return at.astype(np.int64)


def _records(seen: pd.DataFrame, samples: Samples, extra: tuple[str, ...]) -> NDArray[np.void]:
    """Rows as the analysis had them; ``clip`` holds the smoothed scores."""
    rows = np.zeros(len(seen), FaceRecords(extra).rows.dtype)
    rows["sample"] = _sample(seen, samples)

    def block(columns: list[str]) -> NDArray[np.float32]:
        return seen[columns].to_numpy(np.float32)

    rows["box"] = block(["x1", "y1", "x2", "y2"])
    rows["score"], rows["quality"] = block(["detection_score", "quality"]).T
    rows["pose"] = block(["yaw_deg", "pitch_deg", "roll_deg"])
    rows["prob"], rows["clip"] = block(raw_scores()), block(smoothed_scores())
    rows["frozen"] = seen["frozen"].to_numpy(bool)
    if extra:
        rows["extra"] = block([f"p_{c}" for c in extra])
    return rows
