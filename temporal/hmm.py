"""A hidden Markov model over true time: forward-backward (Rabiner 1989) over the frame model's scores.

One label holds until, at rate ``1 / hold_s``, another is drawn, each equally likely; so the chain has
a closed form at any spacing of samples, and no habits of anybody are assumed. A score is evidence for
its label as in hybrid models (Bourlard & Morgan 1994): probability over prior, the prior being even.

Neighbouring samples err alike, so each speaks only for its share of time, and how much that is follows
from one demand: **a face that looks the same all the time is as sure as a single look**, however long
or often one looks. What stands out from its neighbours is outvoted; nothing else makes anybody surer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from temporal.base import (
    EXPRESSION_COUNT,
    PROBABILITY_FLOOR,
    SCORE_COUNT,
    STATE_COUNT,
    FloatArray,
    ScoreRun,
    TimeArray,
    renormalised,
)

#: Chains run side by side: the expressions, then each state's absent and present.
_FIRST = np.array([0, *(EXPRESSION_COUNT + 2 * k for k in range(STATE_COUNT))])
_CHAIN = np.array([0] * EXPRESSION_COUNT + [1 + k // 2 for k in range(2 * STATE_COUNT)])
#: 0 for an expression's cell, 1 for a state's.
_KIND = np.minimum(_CHAIN, 1)
#: The cells that say that a state is present.
_PRESENT = EXPRESSION_COUNT + 1 + 2 * np.arange(STATE_COUNT)
_PRIOR = np.array([1 / EXPRESSION_COUNT] * EXPRESSION_COUNT + [0.5] * 2 * STATE_COUNT)

#: Holding times within which samples together count as one, for the expressions and for a state. Found by trying: a
#: constant score comes out as it went in, to 0.04 (less sure towards the ends of a run), at any holding time and rate.
_LOOK = np.array([2.5, 2.0])

#: After so many holding times next to nothing is left of what was known.
_FORGOTTEN = 15.0


class HmmSmoother:
    """The probability of each label at each sample, given all samples of the run.

    An invalid sample always gets one where any is valid: far from valid ones it is the prior, 1/7 and 0.5, not NaN.

    Args:
        hold_s: mean time until the expression is drawn anew, seconds, above 0.
        state_hold_s: the same for learner states, which change more slowly.
    """

    name = "hmm"
    needs_chips = False
    chip_px = 0

    def __init__(self, hold_s: float, state_hold_s: float) -> None:
        if not (np.isfinite([hold_s, state_hold_s]).all() and min(hold_s, state_hold_s) > 0):
            raise ValueError(
                f"the HMM's holding times must be above 0 s, are {hold_s} s and {state_hold_s} s"
            )
        self.hold_s, self.state_hold_s = float(hold_s), float(state_hold_s)
        self.context_s = _FORGOTTEN * max(hold_s, state_hold_s)

    def smooth(self, run: ScoreRun) -> FloatArray:
        """See :meth:`temporal.base.TemporalSmoother.smooth`."""
        if not run.valid.any():
            return np.full((len(run), SCORE_COUNT), np.nan, np.float32)
        hold_s = np.array([self.hold_s, self.state_hold_s])
        likelihood = _likelihood(run, _LOOK * hold_s)
        kept = np.exp(-np.diff(run.times_s)[:, None] / hold_s)[:, _KIND]
        forward, backward = _filtered(likelihood, kept), _filtered(likelihood[::-1], kept[::-1])[::-1]
        # Both hold the sample's own evidence and the prior; each counts once.
        joint = _normalised(forward * backward / (likelihood * _PRIOR))
        return renormalised(np.concatenate([joint[:, :EXPRESSION_COUNT], joint[:, _PRESENT]], axis=1))


def _likelihood(run: ScoreRun, look_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, cells): what each sample says for each label; 1 throughout where it has no say."""
    times = run.times_s[run.valid]
    prob = run.prob[run.valid].astype(np.float64)
    state = prob[:, EXPRESSION_COUNT:]
    sides = np.stack([1 - state, state], axis=2).reshape(len(prob), -1)
    cells = np.maximum(np.concatenate([prob[:, :EXPRESSION_COUNT], sides], axis=1), PROBABILITY_FLOOR)
    out = np.ones((len(run), len(_CHAIN)))
    out[run.valid] = cells ** np.stack([_weight(times, s) for s in look_s], axis=1)[:, _KIND]
    return out


def _weight(times_s: TimeArray, look_s: float) -> NDArray[np.float64]:
    """(T,), above 0: 1 for a sample alone, less the more others are within look_s; in all about one per look_s."""
    times = times_s - times_s[0]
    before = np.concatenate([[0.0], np.cumsum(times)])
    at = np.arange(len(times))
    first = np.searchsorted(times, times - look_s, side="left")
    last = np.searchsorted(times, times + look_s, side="right")
    # Overlap with each neighbour: 1 at the same time, falling to 0 at look_s.
    earlier = (at - first) * times - (before[at] - before[first])
    later = (before[last] - before[at]) - (last - at) * times
    return 1 / (last - first - (earlier + later) / look_s)


def _filtered(likelihood: NDArray[np.float64], kept: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, cells): probability of each label given this sample and those before it.

    Args:
        likelihood: (T, cells). kept: (T - 1, cells), probability that nothing was drawn anew between two samples.
    """
    out = np.empty_like(likelihood)
    out[0] = _normalised(likelihood[0] * _PRIOR)
    drawn = (1 - kept) * _PRIOR
    for i in range(1, len(out)):
        out[i] = _normalised(likelihood[i] * (kept[i - 1] * out[i - 1] + drawn[i - 1]))
    return out


def _normalised(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cells of each chain divided by their sum."""
    return cells / np.add.reduceat(cells, _FIRST, axis=-1)[..., _CHAIN]
