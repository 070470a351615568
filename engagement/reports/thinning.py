"""Data thinned to what a screen can show. Gaps stay gaps: an empty stretch is never averaged away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engagement.runs import LONGEST_STEPS
from engagement.types import Floats

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
    """Stretches in which ``on`` holds; a sample stands for the time until the next, if that follows unbroken."""
    found: list[tuple[float, float]] = []
    start, longest_s = -1, LONGEST_STEPS * step_s
    for i in range(len(on) + 1):
        goes_on = i < len(on) and bool(on[i])
        follows = 0 < i < len(on) and times_s[i] - times_s[i - 1] <= longest_s
        if goes_on and start >= 0 and follows:
            continue
        if start >= 0:
            found.append(
                (float(times_s[start]), float(times_s[i]) if follows else float(times_s[i - 1]) + step_s)
            )
        start = i if goes_on else -1
    return found


def fewer(
    parts: list[tuple[float, float]], length_s: float, points: int = SCREEN_POINTS
) -> list[tuple[float, float]]:
    """Spans that a screen can show apart: as they are where these are few enough.

    Else whole stretches of a screen's width, about where the spans lie and as many of them as the spans fill: what
    one stretch has too little or too much is carried to the next, so that the share of time stays that of the tables.

    Args:
        parts: in order, not overlapping, seconds.
        length_s: of the axis.
    """
    if len(parts) <= points // 2:
        return parts
    width = length_s / points
    out: list[tuple[float, float]] = []
    waiting = 0.0
    for k, inside in enumerate(filled(parts, width, points)):
        waiting += inside
        if waiting < width / 2:
            continue
        waiting -= width
        if out and out[-1][1] == k * width:
            out[-1] = (out[-1][0], (k + 1) * width)
        else:
            out.append((k * width, (k + 1) * width))
    return out


def filled(
    parts: Sequence[tuple[Any, ...]], width: float, count: int, weights: Sequence[float] | None = None
) -> Floats:
    """(count,) seconds that spans fill of each stretch of an axis; what lies beyond its end counts for the last.

    Args:
        parts: start and end of each span, seconds, and whatever else.
        width: of a stretch, seconds.
        weights: that the seconds of each span are multiplied by.
    """
    out = np.zeros(count)
    for (start, end, *_), weight in zip(parts, weights or np.ones(len(parts)), strict=True):
        first, last = (min(int(edge // width), count - 1) for edge in (start, end))
        if first == last:
            out[first] += (end - start) * weight
            continue
        out[first] += ((first + 1) * width - start) * weight
        out[first + 1 : last] += width * weight
        out[last] += (end - last * width) * weight
    return out
