"""Figures of a classifier: accuracy, F1, calibration, AUC, with intervals by resampling groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from engagement.labels import LabelSet
from engagement.types import FloatArray, IndexArray


def reliability(
    confidence: NDArray[np.floating], correct: NDArray[np.generic], bins: int = 15
) -> list[dict[str, float]]:
    """What a reliability diagram draws: equal-width bins of confidence, those that hold a prediction.

    Args:
        confidence: (n,) probability of what was said, 0-1.
        correct: (n,) whether it was right.

    Returns:
        per bin ``low`` and ``high`` (its edges), ``n``, mean ``confidence`` and ``accuracy``.
    """
    place = np.clip((np.asarray(confidence) * bins).astype(int), 0, bins - 1)
    right = np.asarray(correct, float)
    return [
        {
            "low": b / bins,
            "high": (b + 1) / bins,
            "n": int(inside.sum()),
            "confidence": float(np.mean(confidence[inside])),
            "accuracy": float(right[inside].mean()),
        }
        for b in range(bins)
        if (inside := place == b).any()
    ]


def expected_calibration_error(
    confidence: NDArray[np.floating], correct: NDArray[np.generic], bins: int = 15
) -> float:
    """ECE with equal-width bins (Guo et al. 2017): mean gap between confidence and accuracy, 0-1; NaN of nothing."""
    if not len(confidence):
        return float("nan")
    found = reliability(confidence, correct, bins)
    return float(sum(b["n"] * abs(b["confidence"] - b["accuracy"]) for b in found) / len(confidence))


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


def independent_figures(
    prob: FloatArray, truth: FloatArray, labels: LabelSet, frequent: FloatArray | None = None
) -> dict[str, object]:
    """Figures of sigmoid heads, one set per state; prob is under a balanced prior.

    ``n`` of a state counts the faces of which it is known; ``ece_balanced`` weighs both answers equally, as the prior
    that the scores are stated under.

    Args:
        frequent: (n, states) the same as often as training faces had them (``training.measuring.calibration.as_often``), whose
            calibration error is ``ece``; None where that is not known.
    """
    out: dict[str, object] = {"n": len(truth)}
    for i, name in enumerate(labels.classes):
        known = np.isfinite(truth[:, i])
        score, yes = prob[known, i], truth[known, i] > 0.5
        out[name] = {
            "n": int(known.sum()),
            "auc": auc(score, yes),
            "balanced_accuracy": balanced_accuracy(score, yes),
            "positive_share": float(yes.mean()) if len(yes) else float("nan"),
            "ece_balanced": balanced_ece(score, yes),
            **({} if frequent is None else {"ece": binary_ece(frequent[known, i], yes)}),
        }
    return out


def balanced_accuracy(prob: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Mean of the two recalls at a probability of 0.5; NaN when only one answer occurs."""
    if not positive.any() or positive.all():
        return float("nan")
    guess = prob >= 0.5
    return float((guess[positive].mean() + (~guess[~positive]).mean()) / 2)


def balanced_reliability(
    prob: NDArray[np.floating], positive: NDArray[np.bool_], bins: int = 10
) -> list[dict[str, float]]:
    """:func:`reliability` of P(state) where both answers together weigh the same; empty where one is lacking.

    ``accuracy`` is the weighted share of yes, ``weight`` the bin's share of the total weight.
    """
    yes = np.asarray(positive, bool)
    if not yes.any() or yes.all():
        return []
    weight = np.where(yes, 0.5 / yes.sum(), 0.5 / (~yes).sum())
    place = np.clip((prob * bins).astype(int), 0, bins - 1)
    out: list[dict[str, float]] = []
    for b in range(bins):
        inside = place == b
        mass = float(weight[inside].sum())
        if mass > 0:
            out.append(
                {
                    "low": b / bins,
                    "high": (b + 1) / bins,
                    "n": int(inside.sum()),
                    "weight": mass,
                    "confidence": float((weight * prob)[inside].sum()) / mass,
                    "accuracy": float((weight * yes)[inside].sum()) / mass,
                }
            )
    return out


def balanced_ece(prob: NDArray[np.floating], positive: NDArray[np.bool_], bins: int = 10) -> float:
    """Calibration error of P(state) where both answers together weigh the same, 0-1; NaN where one is lacking."""
    found = balanced_reliability(prob, positive, bins)
    if not found:
        return float("nan")
    return sum(b["weight"] * abs(b["confidence"] - b["accuracy"]) for b in found)


def binary_ece(prob: NDArray[np.floating], positive: NDArray[np.bool_], bins: int = 10) -> float:
    """:func:`expected_calibration_error` of P(state), in as many bins as :func:`balanced_ece` has."""
    return expected_calibration_error(prob, positive, bins)


def resamplings(groups: NDArray[np.generic], draws: int, seed: int = 0) -> Iterator[IndexArray]:
    """Row indices of ``draws`` resamplings of whole groups (people) with replacement.

    None of a single group: how another one would differ is not known, and its own faces do not tell.

    Args:
        groups: (n,) the group of each row.
    """
    rng = np.random.default_rng(seed)
    _, inverse = np.unique(groups, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(inverse))[:-1])
    for _ in range(draws if len(members) > 1 else 0):
        yield np.concatenate([members[g] for g in rng.integers(0, len(members), len(members))])


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % percentile interval of resampled values; those that are not finite do not count."""
    finite = [value for value in values if np.isfinite(value)]
    low, high = np.percentile(finite, [2.5, 97.5]) if finite else (np.nan, np.nan)
    return float(low), float(high)


def bootstrap(
    figure: Callable[[IndexArray], float], groups: NDArray[np.generic], draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """:func:`interval` of a figure of row indices over :func:`resamplings`."""
    return interval([figure(rows) for rows in resamplings(groups, draws, seed)])
