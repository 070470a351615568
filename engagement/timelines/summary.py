"""Figures of one session: coverage, and the class's means over time with their spread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engagement.labels import EXPRESSIONS, LEARNER_STATES
from engagement.types import TimeArray

if TYPE_CHECKING:
    import pandas as pd

_MOST_POINTS = 400  # of the class curves; more than a screen shows


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
    if not len(times_s):
        return {"step_s": 1.0, "time_s": [], "n_visible": [], "n_used": []} | {
            f"{s}{end}": [] for s in LEARNER_STATES.classes for end in ("", "_lo", "_hi")
        }
    length = float(times_s[-1])
    apart = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    step = float(max(1.0, np.ceil(length / _MOST_POINTS), np.ceil(2 * apart)))
    count = int(length // step) + 1
    out: dict[str, Any] = {"step_s": step, "time_s": (np.arange(count) * step).tolist()}
    seen: Any = timeline[timeline["observed"]]
    bin_of = (seen["time_s"] // step).astype(int)
    visible = seen.groupby(bin_of)["person_id"].nunique().reindex(range(count), fill_value=0)
    columns = [f"s_{s}" for s in LEARNER_STATES.classes]
    per_person = seen.groupby([bin_of.rename("bin"), "person_id"])[columns].mean().dropna()
    grouped = per_person.groupby("bin")
    n = grouped.size().reindex(range(count), fill_value=0).to_numpy()
    out["n_visible"] = visible.astype(int).tolist()
    out["n_used"] = n.astype(int).tolist()
    mean, spread = grouped.mean().reindex(range(count)), grouped.std().reindex(range(count))
    for state in LEARNER_STATES.classes:
        middle = mean[f"s_{state}"].to_numpy(float)
        half = halfwidths(n) * spread[f"s_{state}"].to_numpy(float) / np.sqrt(np.maximum(n, 1))
        out[state] = _rounded(middle)
        out[f"{state}_lo"] = _rounded(np.clip(middle - half, 0, 1))
        out[f"{state}_hi"] = _rounded(np.clip(middle + half, 0, 1))
    return out


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
