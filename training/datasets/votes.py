"""FERPlus: ten votes per picture of FER2013 as soft labels (Barsoum et al., ICMI 2016)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engagement.labels import EXPRESSIONS, SYNONYMS
from engagement.types import FloatArray

#: Columns of votes in fer2013new.csv; the last three are no expression of ours.
FERPLUS_VOTES = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear"),
    *("contempt", "unknown", "NF"),
)


def soft_labels(votes: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Votes as shares of the seven expressions, and which pictures show one.

    As the authors did, a single vote for a class counts as a slip, and pictures that most found to show no
    face, or nothing they could name, are left out; so are those most called contempt, which has no column here.

    Args:
        votes: (n, 10) counts in the order of FERPLUS_VOTES.

    Returns:
        float32 (n, 7) in the order of EXPRESSIONS, rows sum to 1 (to 0 without a vote for any of them); and
        bool (n,), True for pictures to use.
    """
    votes = np.where(votes <= 1, 0, votes).astype(np.float32)
    n = len(EXPRESSIONS)
    order = [EXPRESSIONS.index(SYNONYMS[name]) for name in FERPLUS_VOTES[:n]]
    target = np.zeros((len(votes), n), np.float32)
    target[:, order] = votes[:, :n] / np.maximum(votes[:, :n].sum(axis=1, keepdims=True), 1)
    return target, votes[:, :n].max(axis=1) > votes[:, n:].max(axis=1)
