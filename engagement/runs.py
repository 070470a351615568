"""Uninterrupted stretches of observation: what smoothing and events must not reach beyond."""

from __future__ import annotations

import numpy as np

from engagement.types import IndexArray, TimeArray


def find_runs(times_s: TimeArray, max_gap_s: float) -> IndexArray:
    """Number of the uninterrupted stretch that each of n observed times lies in.

    Args:
        times_s: (n,) increasing, seconds. max_gap_s: a longer pause begins a new stretch.

    Returns:
        int64 (n,), from 0.
    """
    if not len(times_s):
        return np.zeros(0, np.int64)
    # Half a millisecond of slack: containers round times.
    return np.concatenate([[0], np.cumsum(np.diff(times_s) > max_gap_s + 5e-4)]).astype(np.int64)
