"""Uninterrupted stretches of observation: what smoothing and events must not reach beyond."""

from __future__ import annotations

import numpy as np

from engagement.types import IndexArray, TimeArray

#: By how much containers round times.
ROUNDING_S = 5e-4
#: Samples of an unbroken stream lie at most so many steps apart: the frames of one hardly faster than the samples do.
#: A little more, since containers round times.
LONGEST_STEPS = 2.05


def find_runs(times_s: TimeArray, max_gap_s: float) -> IndexArray:
    """Number of the uninterrupted stretch that each of n observed times lies in.

    Args:
        times_s: (n,) increasing, seconds. max_gap_s: a longer pause begins a new stretch.

    Returns:
        int64 (n,), from 0.
    """
    if not len(times_s):
        return np.zeros(0, np.int64)
    return np.concatenate([[0], np.cumsum(np.diff(times_s) > max_gap_s + ROUNDING_S)]).astype(np.int64)
