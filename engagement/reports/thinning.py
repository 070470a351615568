"""Data thinned to what a screen can show. Gaps stay gaps: an empty stretch is never averaged away."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
#: Points along time that a wide screen can tell apart.
SCREEN_POINTS = 1200


def thin(times_s: Floats, values: Floats, points: int = SCREEN_POINTS) -> tuple[Floats, Floats]:
    """Means of equal stretches of time; unchanged when there are few enough.

    Args:
        times_s: (n,) increasing. values: (n, k), NaN where there is nothing.

    Returns:
        Times (m,) and values (m, k); NaN where more than half of a stretch has nothing.
    """
    n = len(times_s)
    if n <= points:
        return times_s, values
    edges = np.linspace(times_s[0], times_s[-1], points + 1)
    bins = np.clip(np.searchsorted(edges, times_s, side="right") - 1, 0, points - 1)
    known = np.isfinite(values)
    out = np.full((points, values.shape[1]), np.nan)
    total = np.bincount(bins, minlength=points)
    for k in range(values.shape[1]):
        have = np.bincount(bins, known[:, k], minlength=points)
        sums = np.bincount(bins, np.where(known[:, k], values[:, k], 0.0), minlength=points)
        enough = (have > 0) & (have * 2 >= total)
        out[enough, k] = sums[enough] / have[enough]
    return (edges[:-1] + edges[1:]) / 2, out


def pick(n: int, points: int = SCREEN_POINTS) -> NDArray[np.int64]:
    """Evenly spaced rows of n: an honest sample of raw values, where means would hide their spread."""
    return (
        np.unique(np.linspace(0, n - 1, min(n, points)).round().astype(np.int64))
        if n
        else np.zeros(0, np.int64)
    )


def with_gaps(times_s: Floats, values: Floats, longest_s: float) -> tuple[Floats, Floats]:
    """An empty row inside every pause longer than ``longest_s``, so that no line crosses it."""
    after = np.flatnonzero(np.diff(times_s) > longest_s)
    if not len(after):
        return times_s, values
    middle = (times_s[after] + times_s[after + 1]) / 2
    return np.insert(times_s, after + 1, middle), np.insert(values, after + 1, np.nan, axis=0)


def spans(times_s: Floats, on: NDArray[np.bool_], step_s: float) -> list[tuple[float, float]]:
    """Stretches in which ``on`` holds; a sample stands for the time until the next, at most 1.5 steps."""
    found: list[tuple[float, float]] = []
    start = -1
    for i in range(len(on) + 1):
        goes_on = i < len(on) and bool(on[i])
        if goes_on and start >= 0 and times_s[i] - times_s[i - 1] <= 1.5 * step_s:
            continue
        if start >= 0:
            end = float(times_s[i - 1]) + step_s
            if i < len(on) and times_s[i] - times_s[i - 1] <= 1.5 * step_s:
                end = float(times_s[i])
            found.append((float(times_s[start]), end))
        start = i if goes_on else -1
    return found


def merged(parts: Iterable[tuple[float, float]], finest_s: float) -> list[tuple[float, float]]:
    """Spans with pauses below ``finest_s`` closed: what a screen would not show apart."""
    out: list[tuple[float, float]] = []
    for start, end in parts:
        if out and start - out[-1][1] < finest_s:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out
