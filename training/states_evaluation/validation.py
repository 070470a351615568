"""Out-of-fold predictions: folds that never divide a person, calibration inside each fold's training part."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from engagement.errors import DataError
from engagement.types import FloatArray, IndexArray
from training.cache import Blocks
from training.measuring.calibration import as_often, fit_platt
from training.states_evaluation.designs import (
    Design,
    LinearHead,
    Reducer,
    Reduction,
    fit_linear,
    joined,
    row_weights,
)

#: Folds of the figures, and of the calibration within their training parts.
FOLDS, INNER_FOLDS = 5, 4
#: Levels that a graded state may reach: 1, 2, 3.
_LEVELS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """What heads say of n faces of people that they were not fitted to.

    Attributes:
        prob: float32 (n, states, 3): P(level >= 1, 2, 3) as often as it is reached in the data.
        balanced: the same under a balanced prior.
        share: the same of the people that each row's head was fitted to, whatever the face.
        guess: int64 (n, states): the level said; over the fitted people each is said as often as it is true.
        usual: float32 (n, states): median level of the fitted people.
        score: float32 (n, states): uncalibrated.
    """

    prob: FloatArray
    balanced: FloatArray
    share: FloatArray
    guess: IndexArray
    usual: FloatArray
    score: FloatArray

    @property
    def expected(self) -> FloatArray:
        """Expected level, float32 (n, states)."""
        return self.prob.sum(axis=2)

    def rows(self, index: IndexArray) -> Predicted:
        """The given rows."""
        names = ("prob", "balanced", "share", "guess", "usual", "score")
        return Predicted(*(getattr(self, name)[index] for name in names))


def folds_by_person(
    levels: IndexArray, people: IndexArray, folds: int, seed: int = 0
) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Rows to fit to and rows to predict; whole people, each predicted once, levels shared out evenly.

    Args:
        levels: (n, k) of 0-3. people: (n,).

    Raises:
        DataError: fewer people than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    count = len(np.unique(people))
    if count < folds:
        raise DataError(f"{count} people cannot be shared out over {folds} folds", "Give more people.")
    kind = levels @ (4 ** np.arange(levels.shape[1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that some mixture of levels is rarer than the folds
        yield from StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(levels, kind, people)


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A head with all that it takes to say what a face means.

    Attributes:
        unseen: float32 (m, states) scores of the fitted people by heads that had not seen them: they calibrate.
        levels: int64 (m, states) of those.
    """

    design: Design
    reductions: tuple[Reduction, ...]
    head: LinearHead
    unseen: FloatArray
    levels: IndexArray

    def score(self, blocks: Blocks) -> FloatArray:
        """Uncalibrated scores (n, states)."""
        reduced = [r(blocks[name]) for name, r in zip(self.design.blocks, self.reductions, strict=True)]
        return self.head(joined(self.design, reduced))

    def predict(self, blocks: Blocks) -> Predicted:
        """Of other faces."""
        return calibrated(self.score(blocks), self.unseen, self.levels)

    def folded(self) -> tuple[FloatArray, FloatArray]:
        """Weight (d, states) and bias of the blocks as they come from the network, side by side."""
        return self.head.folded(self.design, self.reductions)


def fitted(
    design: Design, reducer: Reducer, levels: IndexArray, present: FloatArray, people: IndexArray
) -> Fitted:
    """A head fitted to the reducer's rows and calibrated by cross-validation among them.

    Args:
        levels: int64 (n, states). present: float32 (n, states) of 0/1. people: int64 (n,); of all rows.
    """
    rows, inputs = reducer.rows, reducer.inputs(design)

    def head(own: IndexArray) -> LinearHead:
        answers = levels[own].astype(np.float32) if design.graded else present[own]
        weights = row_weights(present[own], people[own], design)
        repeat = (len(inputs), 1)
        seen = np.concatenate([view[own] for view in inputs])
        return fit_linear(seen, np.tile(answers, repeat), np.tile(weights, repeat), design.strength)

    unseen = np.empty((len(rows), levels.shape[1]), np.float32)
    for own, other in folds_by_person(levels[rows], people[rows], INNER_FOLDS):
        unseen[other] = head(rows[own])(inputs[0][rows[other]])
    reductions = tuple(reducer.reduction(block, design.components)[0] for block in design.blocks)
    return Fitted(design, reductions, head(rows), unseen, levels[rows])


def calibrated(score: FloatArray, unseen: FloatArray, levels: IndexArray) -> Predicted:
    """Predictions from scores, by what the scores of other unseen people meant.

    Args:
        score: (n, states). unseen: (m, states) scores of other people by heads that did not see them.
        levels: (m, states) of those.
    """
    n, states = score.shape
    prob, balanced, share = (np.empty((n, states, _LEVELS), np.float32) for _ in range(3))
    guess, usual = np.empty((n, states), np.int64), np.empty((n, states), np.float32)
    for level in range(1, _LEVELS + 1):
        reached = (levels >= level).astype(np.float32)
        scale, bias = fit_platt(unseen, reached)
        often = np.clip(reached.mean(axis=0), 1e-4, 1 - 1e-4)
        balanced[..., level - 1] = expit(score * np.asarray(scale) + np.asarray(bias))
        prob[..., level - 1] = as_often(balanced[..., level - 1], often)
        share[..., level - 1] = often
    for state in range(states):
        below = np.array([(levels[:, state] < level).mean() for level in range(1, _LEVELS + 1)])
        guess[:, state] = np.searchsorted(np.quantile(unseen[:, state], below), score[:, state], side="right")
        usual[:, state] = np.median(levels[:, state])
    return Predicted(prob, balanced, share, guess, usual, score)


def folds_fitted(
    designs: Mapping[str, Design],
    blocks: Blocks,
    levels: IndexArray,
    present: FloatArray,
    people: NDArray[np.generic],
    views: Sequence[Blocks] = (),
    seed: int = 0,
) -> Iterator[tuple[IndexArray, dict[str, Fitted]]]:
    """For each fold the rows that are held out, and each design fitted to the others.

    Args:
        blocks: block -> (n, d). levels, present: (n, states). people: (n,) names or numbers.
        views: blocks of augmented views, for designs that learn from them.

    Raises:
        DataError: fewer people than folds.
    """
    _, numbers = np.unique(people, return_inverse=True)
    for rows, held in folds_by_person(levels, numbers, FOLDS, seed):
        reducer = Reducer(blocks, rows, views)
        yield held, {name: fitted(d, reducer, levels, present, numbers) for name, d in designs.items()}


def pooled(parts: Sequence[tuple[IndexArray, Predicted]]) -> Predicted:
    """Predictions of all folds in the order of the rows."""
    back = np.argsort(np.concatenate([rows for rows, _ in parts]), kind="stable")
    names = ("prob", "balanced", "share", "guess", "usual", "score")
    whole = Predicted(*(np.concatenate([getattr(part, name) for _, part in parts]) for name in names))
    return whole.rows(back)
