"""Figures of a classifier: accuracy, F1, calibration, AUC, with intervals by resampling groups."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engagement.labels import LabelSet
from engagement.types import FloatArray, IndexArray


def expected_calibration_error(
    confidence: NDArray[np.floating], correct: NDArray[np.generic], bins: int = 15
) -> float:
    """ECE with equal-width bins (Guo et al. 2017): mean gap between confidence and accuracy, 0-1."""
    edges = np.clip((np.asarray(confidence) * bins).astype(int), 0, bins - 1)
    right = np.asarray(correct, float)
    total = 0.0
    for b in range(bins):
        inside = edges == b
        if inside.any():
            total += inside.mean() * abs(float(np.mean(confidence[inside])) - float(right[inside].mean()))
    return float(total)


def exclusive_figures(prob: FloatArray, truth: IndexArray, labels: LabelSet) -> dict[str, object]:
    """Figures of a softmax classifier.

    Args:
        prob: (n, classes).
        truth: (n,) class indices.
        labels: of the columns.

    Returns:
        accuracy, mean_class_accuracy, macro_f1, weighted_f1 (over the classes that occur), ece,
        per_class (precision, recall, f1, support), confusion (rows: truth), n.
    """
    classes = len(labels)
    guess = prob.argmax(axis=1)
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (truth, guess), 1)
    support = confusion.sum(axis=1)
    hits = np.diag(confusion)
    recall = hits / np.maximum(support, 1)
    precision = hits / np.maximum(confusion.sum(axis=0), 1)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    present = support > 0
    return {
        "accuracy": float(hits.sum() / len(truth)),
        "mean_class_accuracy": float(recall[present].mean()),
        "macro_f1": float(f1[present].mean()),
        "weighted_f1": float((f1 * support).sum() / len(truth)),
        "ece": expected_calibration_error(prob.max(axis=1), guess == truth),
        "per_class": {
            c: {
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "f1": float(f1[i]),
                "support": int(support[i]),
            }
            for i, c in enumerate(labels.classes)
            if present[i]
        },
        "confusion": confusion.tolist(),
        "n": len(truth),
    }


def auc(score: NDArray[np.floating], positive: NDArray[np.generic]) -> float:
    """Area under the ROC curve; NaN when only one class occurs."""
    from scipy.stats import rankdata

    yes = np.asarray(positive, bool)
    n_yes, n_no = int(yes.sum()), int((~yes).sum())
    if not n_yes or not n_no:
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[yes].sum() - n_yes * (n_yes + 1) / 2) / (n_yes * n_no))


def independent_figures(prob: FloatArray, truth: FloatArray, labels: LabelSet) -> dict[str, object]:
    """Figures of sigmoid heads, one set per state; prob is under a balanced prior.

    ``ece_balanced`` weighs both answers equally, as the prior that the scores are stated under.
    """
    out: dict[str, object] = {"n": len(truth)}
    for i, name in enumerate(labels.classes):
        known = np.isfinite(truth[:, i])
        score, yes = prob[known, i], truth[known, i] > 0.5
        out[name] = {
            "auc": auc(score, yes),
            "balanced_accuracy": balanced_accuracy(score, yes),
            "positive_share": float(yes.mean()) if len(yes) else float("nan"),
            "ece_balanced": balanced_ece(score, yes),
        }
    return out


def balanced_accuracy(prob: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Mean of the two recalls at a probability of 0.5; NaN when only one answer occurs."""
    if not positive.any() or positive.all():
        return float("nan")
    guess = prob >= 0.5
    return float((guess[positive].mean() + (~guess[~positive]).mean()) / 2)


def balanced_ece(prob: NDArray[np.floating], positive: NDArray[np.bool_], bins: int = 10) -> float:
    """Calibration error of P(state) where both answers together weigh the same, 0-1."""
    yes = np.asarray(positive, bool)
    if not yes.any() or yes.all():
        return float("nan")
    weight = np.where(yes, 0.5 / yes.sum(), 0.5 / (~yes).sum())
    edge = np.clip((prob * bins).astype(int), 0, bins - 1)
    total = 0.0
    for b in range(bins):
        inside = edge == b
        mass = weight[inside].sum()
        if mass > 0:
            total += abs(float((weight * prob)[inside].sum()) - float((weight * yes)[inside].sum()))
    return total


def bootstrap(
    figure: Callable[[IndexArray], float], groups: NDArray[np.generic], draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval of a figure, resampling whole groups (people) with replacement.

    Args:
        figure: of row indices.
        groups: (n,) the group of each row.
        draws: how many resamplings.
        seed: of the resampling.
    """
    rng = np.random.default_rng(seed)
    _, inverse = np.unique(groups, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(inverse))[:-1])
    values = []
    for _ in range(draws):
        rows = np.concatenate([members[g] for g in rng.integers(0, len(members), len(members))])
        value = figure(rows)
        if np.isfinite(value):
            values.append(value)
    low, high = np.percentile(values, [2.5, 97.5]) if values else (np.nan, np.nan)
    return float(low), float(high)
