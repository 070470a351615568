"""A hidden Markov model over true time: forward-backward (Rabiner 1989) over the frame model's scores.

One label holds until, at rate ``1 / hold_s``, another is drawn, each equally likely; so the chain has
a closed form at any spacing of samples, and no habits of anybody are assumed. A score is evidence for
its label as in hybrid models (Bourlard & Morgan 1994): probability over prior, the prior being even.
Neighbouring samples err alike, so that each speaks only for its share of ``evidence_s``: looking twice
as often at the same face makes nobody surer.
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
#: The cells that say that a state is present.
_PRESENT = EXPRESSION_COUNT + 1 + 2 * np.arange(STATE_COUNT)
_PRIOR = np.array([1 / EXPRESSION_COUNT] * EXPRESSION_COUNT + [0.5] * 2 * STATE_COUNT)

#: After so many holding times next to nothing is left of what was known.
_FORGOTTEN = 15.0


class HmmSmoother:
    """The probability of each label at each sample, given all samples of the run.

    A sample by itself keeps its scores. Several that agree are surer together than each alone; single ones
    that disagree are outvoted.

    Args:
        hold_s: mean time until the expression is drawn anew, seconds, above 0.
        evidence_s: how far apart samples of an expression must be to count in full, seconds, above 0.
        state_hold_s, state_evidence_s: the same for learner states.
    """

    name = "hmm"
    needs_chips = False
    chip_px = 0

    #: hold_s, evidence_s, state_hold_s, state_evidence_s: what validation chose (docs/temporal.md).
    USUAL_S = (1.5, 1.0, 10.0, 5.0)

    def __init__(
        self,
        hold_s: float = USUAL_S[0],
        evidence_s: float = USUAL_S[1],
        state_hold_s: float = USUAL_S[2],
        state_evidence_s: float = USUAL_S[3],
    ) -> None:
        given = (hold_s, evidence_s, state_hold_s, state_evidence_s)
        if not (np.isfinite(given).all() and min(given) > 0):
            raise ValueError(f"times of the HMM must be above 0 s, are {', '.join(f'{v:g}' for v in given)}")
        self.context_s = _FORGOTTEN * max(hold_s, state_hold_s)
        self._hold_s = np.where(_CHAIN == 0, hold_s, state_hold_s)
        self._evidence_s, self._state_evidence_s = evidence_s, state_evidence_s

    def smooth(self, run: ScoreRun) -> FloatArray:
        """See :meth:`temporal.base.TemporalSmoother.smooth`."""
        if not run.valid.any():
            return np.full((len(run), SCORE_COUNT), np.nan, np.float32)
        likelihood = self._likelihood(run)
        kept = np.exp(-np.diff(run.times_s)[:, None] / self._hold_s)
        forward, backward = _filtered(likelihood, kept), _filtered(likelihood[::-1], kept[::-1])[::-1]
        # Both hold the sample's own evidence and the prior; each counts once.
        joint = _normalised(forward * backward / (likelihood * _PRIOR))
        return renormalised(np.concatenate([joint[:, :EXPRESSION_COUNT], joint[:, _PRESENT]], axis=1))

    def _likelihood(self, run: ScoreRun) -> NDArray[np.float64]:
        """(T, cells): what each sample says for each label; 1 throughout where it has no say."""
        times = run.times_s[run.valid]
        prob = run.prob[run.valid].astype(np.float64)
        state = prob[:, EXPRESSION_COUNT:]
        sides = np.stack([1 - state, state], axis=2).reshape(len(prob), -1)
        cells = np.maximum(np.concatenate([prob[:, :EXPRESSION_COUNT], sides], axis=1), PROBABILITY_FLOOR)
        out = np.ones((len(run), len(_CHAIN)))
        weight = [_weight(times, evidence_s) for evidence_s in (self._evidence_s, self._state_evidence_s)]
        out[run.valid] = cells ** np.stack(weight, axis=1)[:, np.minimum(_CHAIN, 1)]
        return out


def _weight(times_s: TimeArray, evidence_s: float) -> NDArray[np.float64]:
    """(T,), each above 0: 1 for a sample alone, less the more others are near; they sum to about (duration / evidence_s) + 1."""
    times = times_s - times_s[0]
    before = np.concatenate([[0.0], np.cumsum(times)])
    at = np.arange(len(times))
    first = np.searchsorted(times, times - evidence_s, side="left")
    last = np.searchsorted(times, times + evidence_s, side="right")
    # Overlap with each neighbour: 1 at the same time, falling to 0 at evidence_s.
    earlier = (at - first) * times - (before[at] - before[first])
    later = (before[last] - before[at]) - (last - at) * times
    return 1 / (last - first - (earlier + later) / evidence_s)


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
