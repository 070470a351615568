"""What every smoother takes and gives: a run of scores of one person, and the same scores smoothed.

A run holds no gap: whoever builds it cuts where the person was away, so that nothing is smoothed
across a gap. Single samples within a run may be invalid (a blurred or half hidden face); they get no
say, but a smoothed value where valid neighbours allow one. Depends on numpy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
TimeArray = NDArray[np.float64]
ByteArray = NDArray[np.uint8]
BoolArray = NDArray[np.bool_]

#: The first columns are expressions that exclude each other (a softmax); the others are states, each
#: on its own (a sigmoid).
EXPRESSION_COUNT = 7
STATE_COUNT = 3
SCORE_COUNT = EXPRESSION_COUNT + STATE_COUNT

#: Probabilities are kept this far from 0 and 1 before their logarithm is taken.
PROBABILITY_FLOOR = 1e-4

#: Times this close count as equal (seconds): adding a constant to all times must not change a window.
TIME_TOLERANCE_S = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class ScoreRun:
    """Scores of one person without a gap; zero samples are legal.

    Attributes:
        times_s: float64 (T,), seconds, strictly increasing, at any spacing.
        prob: float32 (T, 10): seven expressions that sum to 1, then three states, each 0-1. Rows of
            invalid samples may hold anything, NaN too.
        valid: bool (T,): observed, and of a quality that the scores can be believed at.
        chips: uint8 (T, S, S), small grey faces (:func:`temporal.chips.grey_chips`), or None.
    """

    times_s: TimeArray
    prob: FloatArray
    valid: BoolArray
    chips: ByteArray | None = None

    def __post_init__(self) -> None:
        n = len(self.times_s)
        if self.prob.shape != (n, SCORE_COUNT):
            raise ValueError(f"prob has shape {self.prob.shape}, expected ({n}, {SCORE_COUNT})")
        if self.valid.shape != (n,) or self.valid.dtype != np.bool_:
            raise ValueError(f"valid must be bool ({n},), is {self.valid.dtype} {self.valid.shape}")
        if not np.isfinite(self.times_s).all() or (np.diff(self.times_s) <= 0).any():
            raise ValueError("times must be finite and strictly increasing")
        if not np.isfinite(self.prob[self.valid]).all():
            raise ValueError("a valid sample has a score that is not finite")
        if self.chips is not None:
            shape = self.chips.shape
            if self.chips.dtype != np.uint8 or len(shape) != 3 or shape[0] != n or shape[1] != shape[2]:
                raise ValueError(f"chips must be uint8 ({n}, S, S), are {self.chips.dtype} {shape}")

    def __len__(self) -> int:
        return len(self.times_s)

    def __repr__(self) -> str:
        return f"ScoreRun(T={len(self)}, valid={int(self.valid.sum())}, chips={self.chips is not None})"

    def rows(self, index: slice | NDArray[np.int64] | NDArray[np.bool_]) -> ScoreRun:
        """The given samples, in order of time."""
        chips = None if self.chips is None else self.chips[index]
        return ScoreRun(self.times_s[index], self.prob[index], self.valid[index], chips)


@runtime_checkable
class TemporalSmoother(Protocol):
    """Smooths the scores of a run over true time.

    Attributes:
        name: as the command line has it.
        needs_chips: whether ``run.chips`` must be there.
        chip_px: side of those chips, pixels; 0 where none are needed.
        context_s: an output at time t depends on samples within t +- context_s (the HMM's next to nothing on others), and
            of the rest only on when the run begins: networks cut it into windows from there, which moves a score by some
            hundredths at most.
    """

    @property
    def name(self) -> str: ...
    @property
    def needs_chips(self) -> bool: ...
    @property
    def chip_px(self) -> int: ...
    @property
    def context_s(self) -> float: ...

    def smooth(self, run: ScoreRun) -> FloatArray:
        """Smoothed scores.

        Returns:
            float32 (T, 10); expressions sum to 1, states lie in 0-1. A valid sample always gets
            scores; an invalid one gets NaN where no valid sample is near enough. A run without any
            valid sample gives NaN throughout.
        """
        ...


def renormalised(prob: NDArray[np.floating]) -> FloatArray:
    """Scores with expressions that sum to 1 and states within 0-1; NaN rows stay NaN."""
    out = np.clip(np.asarray(prob, np.float64), 0.0, 1.0)
    out[:, :EXPRESSION_COUNT] /= np.maximum(out[:, :EXPRESSION_COUNT].sum(axis=1, keepdims=True), 1e-12)
    return out.astype(np.float32)


def to_logits(prob: NDArray[np.floating]) -> FloatArray:
    """Log probabilities of the expressions and log odds of the states, float32, same shape."""
    p = np.clip(np.asarray(prob, np.float64), PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    logits = np.log(p)
    logits[..., EXPRESSION_COUNT:] -= np.log1p(-p[..., EXPRESSION_COUNT:])
    return logits.astype(np.float32)


def from_logits(logits: NDArray[np.floating]) -> FloatArray:
    """Softmax over the expressions, sigmoid of each state; float32, same shape."""
    x = np.asarray(logits, np.float64)
    expression = x[..., :EXPRESSION_COUNT]
    weight = np.exp(expression - expression.max(axis=-1, keepdims=True))
    state = 1 / (1 + np.exp(-x[..., EXPRESSION_COUNT:]))
    prob = np.concatenate([weight / weight.sum(axis=-1, keepdims=True), state], axis=-1)
    return prob.astype(np.float32)
