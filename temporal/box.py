"""Smoothers without weights: none at all, and the mean over a centred window of time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from temporal.base import (
    EXPRESSION_COUNT,
    TIME_TOLERANCE_S,
    BoolArray,
    FloatArray,
    ScoreRun,
    TimeArray,
    renormalised,
)


class NoSmoother:
    """Gives the scores back; invalid samples become NaN."""

    name = "none"
    needs_chips = False
    chip_px = 0
    context_s = 0.0

    def smooth(self, run: ScoreRun) -> FloatArray:
        """See :meth:`temporal.base.TemporalSmoother.smooth`."""
        out = run.prob.astype(np.float32, copy=True)
        out[~run.valid] = np.nan
        return out


class BoxSmoother:
    """Mean of the valid samples within a window centred on each sample.

    Every valid sample weighs the same, whatever its distance in time to the next. The mean is of
    probabilities, so that the result is the expected share of time and a single confident sample
    cannot outvote its neighbours as it would in a mean of logits.

    Args:
        window_s: whole width of the window for expressions, seconds, above 0.
        state_window_s: the same for learner states, which change more slowly; None: as ``window_s``.
    """

    name = "box"
    needs_chips = False
    chip_px = 0

    def __init__(self, window_s: float, state_window_s: float | None = None) -> None:
        state_window_s = window_s if state_window_s is None else state_window_s
        if not (np.isfinite([window_s, state_window_s]).all() and min(window_s, state_window_s) > 0):
            raise ValueError(f"the box window must be above 0 s, is {window_s} s and {state_window_s} s")
        self.window_s = float(window_s)
        self.state_window_s = float(state_window_s)
        self.context_s = max(self.window_s, self.state_window_s) / 2

    def smooth(self, run: ScoreRun) -> FloatArray:
        """See :meth:`temporal.base.TemporalSmoother.smooth`."""
        expression = window_mean(run.times_s, run.prob[:, :EXPRESSION_COUNT], run.valid, self.window_s)
        state = window_mean(run.times_s, run.prob[:, EXPRESSION_COUNT:], run.valid, self.state_window_s)
        out = renormalised(np.concatenate([expression, state], axis=1))
        # Half a row of scores is of no use to anyone.
        out[np.isnan(out).any(axis=1)] = np.nan
        return out


def window_mean(
    times_s: TimeArray, prob: FloatArray, valid: BoolArray, window_s: float
) -> NDArray[np.float64]:
    """Mean of the valid samples within a centred window, of any scores.

    Args:
        times_s: (T,) increasing. prob: (T, k); rows of invalid samples may hold anything. valid: bool (T,).
        window_s: whole width of the window, seconds.

    Returns:
        float64 (T, k), NaN where the window holds no valid sample.
    """
    values = np.where(valid[:, None], prob, 0.0).astype(np.float64)
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    count = np.concatenate([[0], np.cumsum(valid)])
    half = window_s / 2 + TIME_TOLERANCE_S
    first = np.searchsorted(times_s, times_s - half, side="left")
    last = np.searchsorted(times_s, times_s + half, side="right")
    n = (count[last] - count[first])[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n > 0, (total[last] - total[first]) / n, np.nan)
