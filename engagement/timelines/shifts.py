"""Scores moved by a shift of their logits: what personal calibration does to a person's learner states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from engagement.labels import LEARNER_STATES
from engagement.types import Floats

if TYPE_CHECKING:
    import pandas as pd

#: Scores nearer to 0 or 1 than this count as that far: a logit is finite.
_EDGE = 1e-4
#: Learner state -> shift in logits.
Shift = Mapping[str, float]


def logits(score: NDArray[np.floating]) -> Floats:
    """Of scores 0-1, finite."""
    return np.asarray(logit(np.clip(np.asarray(score, np.float64), _EDGE, 1 - _EDGE)))


def shifted(score: NDArray[np.floating], shift: NDArray[np.floating] | float) -> Floats:
    """Scores 0-1 moved by shifts in logits; exactly as they are where the shift is 0, NaN where they are NaN."""
    moved = np.where(np.asarray(shift) == 0, score, expit(logits(score) + shift))
    return np.asarray(moved, np.float64)


def in_order(shift: Shift) -> Floats:
    """(3,) shifts in the order of the learner states; 0 for a state that is not named."""
    return np.array([float(shift.get(state, 0.0)) for state in LEARNER_STATES.classes])


def shifted_scores(timeline: pd.DataFrame, shift: Shift) -> pd.DataFrame:
    """A timeline of one person whose raw scores of learner states are shifted; the same one for no shift."""
    moved = {
        f"p_{state}": shifted(timeline[f"p_{state}"].to_numpy(np.float64), by) for state, by in shift.items()
    }
    return timeline.assign(**moved) if moved else timeline
