"""Figures of graded states with 95 % intervals, all from weights of the rows.

A resampling of people gives each row the number of times its person was drawn. Every figure here takes
a matrix of such weights, so that the point (weights of one) and all resamplings are one matrix product.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engagement.errors import DataError
from engagement.types import FloatArray, IndexArray
from training.measuring.metrics import interval, resamplings

DRAWS = 1000
_BINS = 10

Flags = NDArray[np.bool_]
#: A figure for each row of weights.
Values = NDArray[np.floating]
#: name -> ``value``, ``low`` and ``high``, the 95 % interval over people.
Figures = dict[str, dict[str, float]]


def people_weights(groups: NDArray[np.generic], draws: int = DRAWS, seed: int = 0) -> FloatArray:
    """Weights of n rows: float32 (1 + draws, n), the first row all ones.

    Raises:
        DataError: there is one person only, whom resampling cannot vary.
    """
    if len(np.unique(groups)) < 2:
        raise DataError(
            "all faces are of one person, so nothing can be said about others", "Give more people."
        )
    n = len(groups)
    drawn = [np.bincount(rows, minlength=n) for rows in resamplings(groups, draws, seed)]
    return np.stack([np.ones(n), *drawn]).astype(np.float32)


def threshold_figures(
    prob: FloatArray, balanced: FloatArray, yes: Flags, expected_share: FloatArray, weights: FloatArray
) -> Figures:
    """Figures of one state at one level.

    Args:
        prob: (n,) calibrated P(level reached) as often as it is reached in the data.
        balanced: (n,) the same under a balanced prior, as `analyze` states it; said from 0.5.
        yes: (n,) whether it was reached.
        expected_share: (n,) its share among the people that each row's model was fitted to.
        weights: of :func:`people_weights`.

    Returns:
        ``auc``, ``balanced_accuracy``, ``macro_f1``, ``brier``, ``ece`` of prob, ``ece_balanced``, and what
        always saying the more frequent answer gets: ``majority_macro_f1``, ``majority_brier`` (the share as
        probability). A majority's AUC and balanced accuracy are 0.5.
    """
    guess = balanced >= 0.5
    frequent = np.full(len(yes), yes.mean() >= 0.5)
    return {
        "auc": figure(weighted_auc(balanced, yes, weights)),
        "balanced_accuracy": figure(np.mean(_recalls(guess, yes, weights), axis=0)),
        "macro_f1": figure(macro_f1(guess.astype(np.int64), yes.astype(np.int64), weights, 2)),
        "brier": figure(_mean((prob - yes) ** 2, weights)),
        "ece": figure(_ece(prob, yes, weights)),
        "ece_balanced": figure(_ece(balanced, yes, _balanced(yes, weights))),
        "majority_macro_f1": figure(macro_f1(frequent.astype(np.int64), yes.astype(np.int64), weights, 2)),
        "majority_brier": figure(_mean((expected_share - yes) ** 2, weights)),
    }


def ordinal_figures(
    expected: FloatArray, guess: IndexArray, level: IndexArray, usual: FloatArray, weights: FloatArray
) -> Figures:
    """Figures of the graded label 0-3.

    Args:
        expected: (n,) expected level. guess: (n,) level that is said. level: (n,) the label.
        usual: (n,) the median level of the people each row's model was fitted to.

    Returns:
        ``mae`` of the expected level, ``majority_mae`` of the usual one, ``kappa`` (quadratic weights; Cohen 1968)
        of what is said, ``spearman`` of the expected level.
    """
    return {
        "mae": figure(_mean(np.abs(expected - level), weights)),
        "majority_mae": figure(_mean(np.abs(usual - level), weights)),
        "kappa": figure(quadratic_kappa(guess, level, weights, 4)),
        "spearman": figure(weighted_spearman(expected, level, weights)),
    }


def class_figures(
    balanced: FloatArray, natural: FloatArray, truth: IndexArray, weights: FloatArray
) -> Figures:
    """Figures of exclusive, graded classes: ``macro_f1``, ``accuracy`` and ``kappa`` of the class said where all
    count the same, ``ece`` of the most probable class as often as they occur, and ``majority_macro_f1``.

    Args:
        balanced, natural: (n, classes) probabilities under equal priors, and as frequent as the classes are.
        truth: (n,).
    """
    classes, guess = balanced.shape[1], balanced.argmax(axis=1)
    majority = np.full(len(truth), np.bincount(truth, minlength=classes).argmax())
    return {
        "macro_f1": figure(macro_f1(guess, truth, weights, classes)),
        "accuracy": figure(_mean(guess == truth, weights)),
        "kappa": figure(quadratic_kappa(guess, truth, weights, classes)),
        "ece": figure(_ece(natural.max(axis=1), natural.argmax(axis=1) == truth, weights)),
        "majority_macro_f1": figure(macro_f1(majority, truth, weights, classes)),
    }


def weighted_auc(score: FloatArray, yes: Flags, weights: FloatArray) -> Values:
    """Area under the ROC curve for each row of weights; NaN where one answer is lacking."""
    order, starts, sizes = _ties(score)
    w = weights[:, order].astype(np.float64)
    no = w * ~yes[order]
    below = _midranks(no, starts, sizes)
    won = (w * yes[order] * below).sum(axis=1)
    total = (w * yes[order]).sum(axis=1) * no.sum(axis=1)
    return np.divide(won, total, out=np.full(len(w), np.nan), where=total > 0)


def weighted_spearman(score: FloatArray, level: IndexArray, weights: FloatArray) -> Values:
    """Rank correlation for each row of weights; NaN where one of the two is constant."""
    ranks = []
    for values in (score, level):
        order, starts, sizes = _ties(values)
        own = np.empty(weights.shape)
        own[:, order] = _midranks(weights[:, order].astype(np.float64), starts, sizes)
        ranks.append(own - (own * weights).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True))
    a, b = ranks
    scale = np.sqrt((weights * a * a).sum(axis=1) * (weights * b * b).sum(axis=1))
    return np.divide((weights * a * b).sum(axis=1), scale, out=np.full(len(a), np.nan), where=scale > 1e-9)


def macro_f1(guess: IndexArray, truth: IndexArray, weights: FloatArray, classes: int) -> Values:
    """Mean F1 of the classes that occur, for each row of weights: as ``training.measuring.metrics``, a resampling may lack some."""
    table = _confusion(guess, truth, weights, classes)
    hits, support = np.einsum("dcc->dc", table), table.sum(axis=2)
    f1 = 2 * hits / np.maximum(table.sum(axis=1) + support, 1e-9)
    return f1.mean(axis=1, where=support > 0)


def quadratic_kappa(guess: IndexArray, truth: IndexArray, weights: FloatArray, classes: int) -> Values:
    """Cohen's kappa with quadratic weights for each row of weights; 0 for a guess that never varies."""
    table = _confusion(guess, truth, weights, classes)
    cost = (np.arange(classes)[:, None] - np.arange(classes)) ** 2
    chance = (
        table.sum(axis=2)[:, :, None] * table.sum(axis=1)[:, None, :] / table.sum(axis=(1, 2))[:, None, None]
    )
    return 1 - (table * cost).sum(axis=(1, 2)) / np.maximum((chance * cost).sum(axis=(1, 2)), 1e-9)


def figure(values: Values) -> dict[str, float]:
    """The first value with the interval of the others; of a difference of two figures, its paired interval."""
    low, high = interval(values[1:].tolist())
    return {"value": float(values[0]), "low": low, "high": high}


def _mean(values: NDArray[np.generic], weights: FloatArray) -> Values:
    return weights @ np.asarray(values, np.float32) / weights.sum(axis=1)


def _recalls(guess: Flags, yes: Flags, weights: FloatArray) -> tuple[Values, Values]:
    there, absent = weights @ yes.astype(np.float32), weights @ (~yes).astype(np.float32)
    with np.errstate(invalid="ignore"):
        right = weights @ (guess & yes).astype(np.float32) / there
        return right, weights @ (~guess & ~yes).astype(np.float32) / absent


def _balanced(yes: Flags, weights: FloatArray) -> Values:
    """Weights under which both answers count the same; NaN where one is lacking."""
    with np.errstate(divide="ignore", invalid="ignore"):
        per_yes = 0.5 / (weights @ yes.astype(np.float32))
        per_no = 0.5 / (weights @ (~yes).astype(np.float32))
        return weights * np.where(yes, per_yes[:, None], per_no[:, None])


def _ece(prob: FloatArray, yes: Flags, weights: Values) -> Values:
    """Calibration error in equal bins for each row of weights."""
    place = np.clip((prob * _BINS).astype(int), 0, _BINS - 1)
    inside = np.eye(_BINS, dtype=np.float32)[place]
    gap = weights @ (inside * (prob - yes)[:, None].astype(np.float32))
    return np.abs(gap).sum(axis=1) / weights.sum(axis=1)


def _confusion(guess: IndexArray, truth: IndexArray, weights: FloatArray, classes: int) -> Values:
    """(rows of weights, classes, classes); rows: truth."""
    cells = np.eye(classes * classes, dtype=np.float32)[truth * classes + guess]
    return (weights @ cells).reshape(-1, classes, classes).astype(np.float64)


def _ties(values: NDArray[np.generic]) -> tuple[IndexArray, IndexArray, IndexArray]:
    """Order of the values, where each run of equal ones starts in it, and the runs' lengths."""
    order = np.argsort(values, kind="stable")
    _, starts, sizes = np.unique(values[order], return_index=True, return_counts=True)
    return order, starts, sizes


def _midranks(weights: NDArray[np.floating], starts: IndexArray, sizes: IndexArray) -> NDArray[np.floating]:
    """Weight of what lies below each place of sorted rows, plus half of what lies level with it."""
    run = np.add.reduceat(weights, starts, axis=1)
    return np.repeat(np.cumsum(run, axis=1) - run / 2, sizes, axis=1)
