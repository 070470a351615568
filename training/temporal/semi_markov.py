"""Made-up courses of expressions and learner states: which label holds from when to when.

No set of ours labels a face frame by frame, so sequences are drawn from semi-Markov chains: a label
lasts for a time drawn from a distribution of its own, then another follows by a transition matrix.
The numbers below are assumptions in the range of the literature, not measurements of a classroom:
expressions last about 0.5 to 4 s (Ekman 2003, "Emotions Revealed"; Matsumoto & Hwang 2011), with
neutral between them; learner states last tens of seconds, engagement longer than confusion (D'Mello
& Graesser 2011, "The half-life of cognitive-affective states during complex learning").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engagement.labels import EXPRESSIONS
from engagement.types import IndexArray, TimeArray

Family = Literal["lognormal", "gamma"]


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Labels that follow each other without a gap.

    Attributes:
        label: int64 (n,). start_s, end_s: float64 (n,); ``end_s[i] == start_s[i + 1]``.
    """

    label: IndexArray
    start_s: TimeArray
    end_s: TimeArray

    def place(self, times_s: TimeArray) -> IndexArray:
        """Which segment each time lies in."""
        row = np.searchsorted(self.start_s, times_s, side="right") - 1
        return np.clip(row, 0, len(self.label) - 1).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class SemiMarkov:
    """A chain over C labels.

    Attributes:
        transition: float64 (C, C), rows sum to 1, zero diagonal (a single label may stay alone).
        median_s: float64 (C,), median duration of each label.
        spread: sigma of the log-normal, or 1 / sqrt(shape) of the gamma distribution.
        family: of the durations.
        shortest_s: durations are at least this.
    """

    transition: NDArray[np.float64]
    median_s: NDArray[np.float64]
    spread: float
    family: Family = "lognormal"
    shortest_s: float = 0.4

    def __post_init__(self) -> None:
        c = len(self.median_s)
        if self.transition.shape != (c, c) or not np.allclose(self.transition.sum(axis=1), 1):
            raise ValueError(f"the transition matrix must be ({c}, {c}) with rows that sum to 1")
        if c > 1 and np.diag(self.transition).any():
            raise ValueError("a label cannot follow itself: let it last longer instead")

    def duration(self, label: int, rng: np.random.Generator) -> float:
        """A duration in seconds."""
        if self.family == "lognormal":
            value = self.median_s[label] * np.exp(self.spread * rng.standard_normal())
        else:
            shape = 1 / self.spread**2
            value = rng.gamma(shape, self.median_s[label] / max(shape - 1 / 3, 0.1))
        return float(max(value, self.shortest_s))

    def share_of_segments(self) -> NDArray[np.float64]:
        """(C,) how often each label is entered in the long run; sums to 1."""
        # Half of each step stays put, so that chains that alternate settle as well.
        lazy = (self.transition + np.eye(len(self.median_s))) / 2
        return np.linalg.matrix_power(lazy, 512).mean(axis=0)

    def share_of_time(self) -> NDArray[np.float64]:
        """(C,) of the time that each label holds, from the medians; sums to 1."""
        weight = self.share_of_segments() * self.median_s
        return weight / weight.sum()

    def draw(self, duration_s: float, rng: np.random.Generator) -> Segments:
        """Segments that cover [0, duration_s]; the first may have begun before."""
        label = int(rng.choice(len(self.median_s), p=self.share_of_time()))
        start = -rng.random() * self.duration(label, rng)
        labels, starts = [label], [start]
        end = start + self.duration(label, rng)
        while end <= duration_s:
            label = int(rng.choice(len(self.median_s), p=self.transition[label]))
            if end > 0:
                labels.append(label)
                starts.append(end)
            else:  # a first segment that was over before the sequence began
                labels[-1], starts[-1] = label, end
            end += self.duration(label, rng)
        return Segments(
            np.array(labels, np.int64), np.array(starts, np.float64), np.array([*starts[1:], end], np.float64)
        )


def _hub(onward: dict[str, float], back: float) -> NDArray[np.float64]:
    """Transitions around neutral: ``onward`` from it; ``back`` of the others return, the rest go on."""
    classes, neutral = EXPRESSIONS.classes, EXPRESSIONS.index("neutral")
    weight = np.array([onward.get(c, 0.0) for c in classes])
    weight /= weight.sum()
    matrix = np.empty((len(classes), len(classes)))
    for i in range(len(classes)):
        row = weight.copy()
        row[i] = 0.0
        if i == neutral:
            matrix[i] = row / row.sum()
        else:
            matrix[i] = row / row.sum() * (1 - back)
            matrix[i, neutral] += back
    return matrix


#: Learning in front of a screen: mostly neutral, seldom fear. Medians in the order of EXPRESSIONS.
EXPRESSION_CHAIN = SemiMarkov(
    transition=_hub(
        {"happy": 0.34, "surprise": 0.18, "sad": 0.16, "angry": 0.14, "disgust": 0.10, "fear": 0.08}, back=0.7
    ),
    median_s=np.array([2.0, 1.6, 1.6, 2.5, 5.0, 2.5, 1.2]),
    spread=0.6,
)

#: The same task with other habits, for asking whether a network has learned the chain instead of the
#: faces: every expression equally often, equally long, another family of durations.
EXPRESSION_CHAIN_SHIFTED = SemiMarkov(
    transition=(1 - np.eye(7)) / 6, median_s=np.full(7, 3.0), spread=0.5, family="gamma"
)


def varied_chain(rng: np.random.Generator) -> SemiMarkov:
    """A chain around EXPRESSION_CHAIN for one training sequence: another person, other habits.

    A network trained on one chain learns it by heart and loses to the plain box as soon as people
    behave otherwise. So half of all transitions come from a random preference (a flat Dirichlet draw)
    and the durations are longer or shorter by a common and a class's own random factor.
    """
    c = len(EXPRESSION_CHAIN.median_s)
    preference = np.tile(rng.dirichlet(np.ones(c)), (c, 1)) + 1e-3
    np.fill_diagonal(preference, 0.0)
    preference /= preference.sum(axis=1, keepdims=True)
    share = rng.uniform(0, 1)
    matrix = (1 - share) * EXPRESSION_CHAIN.transition + share * preference
    factor = np.exp(rng.normal(0.1, 0.3) + rng.normal(0, 0.4, c))
    return SemiMarkov(matrix, EXPRESSION_CHAIN.median_s * factor, float(rng.uniform(0.4, 0.8)))


#: Median duration of a combination of learner states, seconds, and the same in the shifted task.
STATE_MEDIAN_S, STATE_MEDIAN_SHIFTED_S = 20.0, 12.0


def state_chain(
    combination: IndexArray, count: IndexArray, shifted: bool = False, pace: float = 1.0
) -> SemiMarkov:
    """A chain over the combinations of learner states that one person was seen in.

    Args:
        combination: (C,) bit masks, bit k for state k.
        count: (C,) pictures of each; the more, the likelier. Changes of a single state are preferred.
        shifted: shorter, gamma-distributed durations.
        pace: durations are this many times as long.
    """
    c = len(combination)
    median = np.full(c, (STATE_MEDIAN_SHIFTED_S if shifted else STATE_MEDIAN_S) * pace)
    family: Family = "gamma" if shifted else "lognormal"
    if c == 1:
        return SemiMarkov(np.ones((1, 1)), median, 0.6, family, 3.0)
    changes = np.array([[int(a ^ b).bit_count() for b in combination.tolist()] for a in combination.tolist()])
    weight = np.sqrt(count)[None, :] * 0.5 ** (changes - 1.0)
    np.fill_diagonal(weight, 0.0)
    return SemiMarkov(weight / weight.sum(axis=1, keepdims=True), median, 0.6, family, 3.0)
