"""Figures of one session: coverage, and the class's means over time with their spread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engagement.labels import EXPRESSIONS, LEARNER_STATES, LabelSet
from engagement.types import TimeArray

if TYPE_CHECKING:
    import pandas as pd

_MOST_POINTS = 400  # of the class curves; more than a screen shows


@dataclass(frozen=True, slots=True, eq=False)
class _Means:
    """Means over persons in steps of time.

    Attributes:
        step_s: length of a step, float. time_s, n_visible, n_used: of each step.
        of: column -> (steps, 3): mean, low, high; NaN where nobody or one person was usable.
    """

    step_s: float
    time_s: list[float]
    n_visible: list[int]
    n_used: list[int]
    of: dict[str, NDArray[np.float64]]

    @property
    def axis(self) -> dict[str, Any]:
        return {
            "step_s": self.step_s,
            "time_s": self.time_s,
            "n_visible": self.n_visible,
            "n_used": self.n_used,
        }


def class_curves(timeline: pd.DataFrame, times_s: TimeArray) -> dict[str, Any]:
    """Means over the visible persons in steps of time.

    Every person counts once per step, however many samples there are. The band is Student's 95 %
    interval of the mean over persons: it tells how far people differ, not how wrong the model may
    be; with one person there is none.

    Args:
        timeline: the table. times_s: (n,) of every sampled frame, observed or not; a step holds two or more.

    Returns:
        step_s, and lists of equal length: time_s (start of the step), n_visible, n_used, and for each
        state its mean, ``_lo`` and ``_hi`` (None where nobody or one person was usable).
    """
    return _curves(timeline, *_steps(times_s))


def person_curves(rows: pd.DataFrame, curves: Mapping[str, Any]) -> dict[str, Any]:
    """The same of one person alone, in the steps of the class's.

    Args:
        rows: of the timeline, of one person. curves: see :func:`class_curves`.
    """
    return _curves(rows, float(curves.get("step_s") or 1.0), len(curve_of(curves, "time_s")))


def _curves(timeline: pd.DataFrame, step_s: float, count: int) -> dict[str, Any]:
    means = _means(timeline, step_s, count, [f"s_{s}" for s in LEARNER_STATES.classes])
    out = means.axis
    for state in LEARNER_STATES.classes:
        for end, values in zip(("", "_lo", "_hi"), means.of[f"s_{state}"].T, strict=True):
            out[f"{state}{end}"] = _rounded(values)
    return out


def further_heads(
    timeline: pd.DataFrame, times_s: TimeArray, heads: Mapping[str, LabelSet]
) -> dict[str, dict[str, Any]]:
    """What a checkpoint's further heads can tell apart, and the class's means of it over time.

    Args:
        timeline, times_s: see :func:`class_curves`. heads: name -> its classes, which the timeline has.

    Returns:
        name -> labels (see ``LabelSet.to_dict``) and ``curves``: step_s, time_s, n_visible and n_used as in
        :func:`class_curves`, and for each of ``mean``, ``low`` and ``high`` a list per class.
    """
    out: dict[str, dict[str, Any]] = {}
    for name, labels in heads.items():
        means = _means(timeline, *_steps(times_s), [f"s_{name}_{c}" for c in labels.classes])
        curves = means.axis
        for i, end in enumerate(("mean", "low", "high")):
            curves[end] = {c: _rounded(means.of[f"s_{name}_{c}"][:, i]) for c in labels.classes}
        out[name] = {**labels.to_dict(), "curves": curves}
    return out


def curve_of(curves: Mapping[str, Any], name: str) -> NDArray[np.float64]:
    """One of the lists of :func:`class_curves` or a part of :func:`further_heads`, None as NaN; empty when there is none."""
    values = curves.get(name)
    if not isinstance(values, list | tuple):
        return np.zeros(0)
    return np.array([np.nan if v is None else float(v) for v in values], np.float64)


def _steps(times_s: TimeArray) -> tuple[float, int]:
    """Length of a step in seconds, and how many there are."""
    if not len(times_s):
        return 1.0, 0
    length = float(times_s[-1])
    apart = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    step = float(max(1.0, np.ceil(length / _MOST_POINTS), np.ceil(2 * apart)))
    return step, int(length // step) + 1


def _means(timeline: pd.DataFrame, step: float, count: int, columns: list[str]) -> _Means:
    seen: Any = timeline[timeline["observed"]]
    bin_of = (seen["time_s"] // step).astype(int)
    visible = seen.groupby(bin_of)["person_id"].nunique().reindex(range(count), fill_value=0)
    per_person = seen.groupby([bin_of.rename("bin"), "person_id"])[columns].mean().dropna()
    grouped = per_person.groupby("bin")
    n = grouped.size().reindex(range(count), fill_value=0).to_numpy()
    mean, spread = grouped.mean().reindex(range(count)), grouped.std().reindex(range(count))
    of = {}
    for column in columns:
        middle = mean[column].to_numpy(float)
        half = halfwidths(n) * spread[column].to_numpy(float) / np.sqrt(np.maximum(n, 1))
        of[column] = np.stack([middle, np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)], axis=1)
    return _Means(
        step,
        (np.arange(count) * step).tolist(),
        visible.astype(int).tolist(),
        n.astype(int).tolist(),
        of,
    )


def halfwidths(n: ArrayLike) -> NDArray[np.float64]:
    """Half the width of Student's 95 % interval of a mean over n people, in standard errors; NaN below two."""
    from scipy.special import stdtrit

    freedom = np.asarray(n, np.float64) - 1
    return np.where(freedom > 0, stdtrit(np.maximum(freedom, 1), 0.975), np.nan)


def band_halfwidth(mean: ArrayLike, low: ArrayLike, high: ArrayLike) -> NDArray[np.float64]:
    """Half the width of a band that :func:`class_curves` cut off at 0 and 1, from its uncut side.

    NaN where both sides are cut off: it is unknown how far the band would reach, and nothing can be said there.
    """
    middle, lower, upper = (np.asarray(values, np.float64) for values in (mean, low, high))
    half = np.maximum(middle - lower, upper - middle)
    return np.where((lower <= 0) & (upper >= 1), np.nan, half)


def expression_share(timeline: pd.DataFrame) -> dict[str, float]:
    """Mean smoothed probability of each expression over all usable samples; empty without any."""
    columns = [f"s_{c}" for c in EXPRESSIONS.classes]
    means = timeline[columns].mean()
    return {c: round(float(m), 4) for c, m in zip(EXPRESSIONS.classes, means, strict=True) if np.isfinite(m)}


def visibility(timeline: pd.DataFrame, n_samples: int) -> dict[str, float | int]:
    """coverage (share of samples with a face), mean_visible, max_visible."""
    seen: Any = timeline.loc[timeline["observed"], "frame_index"].value_counts()
    return {
        "coverage": round(len(seen) / n_samples, 4) if n_samples else 0.0,
        "mean_visible": round(float(seen.sum()) / n_samples, 2) if n_samples else 0.0,
        "max_visible": int(seen.max()) if len(seen) else 0,
    }


def _rounded(values: np.ndarray) -> list[float | None]:
    return [round(float(v), 4) if np.isfinite(v) else None for v in values]
