"""Cutting a long run into overlapping windows of time, and putting the results together again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from temporal.base import TIME_TOLERANCE_S, FloatArray, TimeArray

#: Least weight of a window's edge where windows overlap, against 1 in its middle.
_EDGE_WEIGHT = 0.02


def spans(times_s: TimeArray, window_s: float, hop_s: float) -> list[tuple[int, int]]:
    """Rows [first, last) of windows of ``window_s`` that start every ``hop_s`` from the first sample.

    Every sample lies in at least one window; windows with the same samples as the one before are left out.
    A run that fits into one window gives one.

    Args:
        times_s: (T,) increasing.
        window_s: length of a window, seconds.
        hop_s: seconds from one start to the next, 0 < hop_s <= window_s.
    """
    if not 0 < hop_s <= window_s:
        raise ValueError(f"a hop of {hop_s} s does not suit a window of {window_s} s")
    if not len(times_s):
        return []
    # Relative times first: the same run an hour later must be cut at the same samples.
    relative = times_s - times_s[0]
    count = max(0, int(np.ceil((relative[-1] - window_s - TIME_TOLERANCE_S) / hop_s))) + 1
    starts = np.arange(count) * hop_s
    first = np.searchsorted(relative, starts - TIME_TOLERANCE_S, side="left")
    last = np.searchsorted(relative, starts + window_s + TIME_TOLERANCE_S, side="right")
    out: list[tuple[int, int]] = []
    for a, b in zip(first.tolist(), last.tolist(), strict=True):
        if b > a and (not out or (a, b) != out[-1]):
            out.append((a, b))
    return out


def taper(position: NDArray[np.floating]) -> FloatArray:
    """Triangular weights over a window: 1 in the middle, small but above 0 at the edges.

    Args:
        position: place within the window, 0 at its start and 1 at its end.
    """
    return np.maximum(1 - np.abs(2 * np.asarray(position) - 1), _EDGE_WEIGHT).astype(np.float32)


def overlap_add(
    length: int,
    rows: Sequence[NDArray[np.integer]],
    values: Sequence[FloatArray],
    weights: Sequence[FloatArray],
) -> FloatArray:
    """Weighted mean of windows' results.

    Args:
        length: rows of the result.
        rows: per window, the rows that it speaks of, each at most once.
        values: per window, float32 (n, k).
        weights: per window, (n,), at least 0; a row with weight 0 says nothing.

    Returns:
        float32 (length, k); rows that no window speaks of are 0.
    """
    width = values[0].shape[1] if values else 0
    total, mass = np.zeros((length, width)), np.zeros((length, 1))
    for index, value, weight in zip(rows, values, weights, strict=True):
        total[index] += np.where(weight[:, None] > 0, value, 0.0) * weight[:, None]
        mass[index, 0] += weight
    return (total / np.maximum(mass, 1e-12)).astype(np.float32)
