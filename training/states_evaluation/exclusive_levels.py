"""Heads for WACV-2016's three exclusive levels of engagement, judged on people that they were not fitted to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engagement.types import FloatArray, IndexArray
from training.keeping import Blocks
from training.samples import one_hot
from training.states_evaluation.designs import Design, LinearHead, Reducer, fit_linear, row_weights
from training.states_evaluation.validation import FOLDS, INNER_FOLDS, folds_by_person


def cross_validated_levels(
    designs: Mapping[str, Design],
    blocks: Blocks,
    level: IndexArray,
    people: NDArray[np.generic],
    classes: int,
    seed: int = 0,
) -> dict[str, FloatArray]:
    """Probabilities of the levels under equal priors, out of fold, whole people held out.

    Scores, one per level against the others, become probabilities by a logistic regression on scores of people
    of the training part that were unseen too.

    Args:
        blocks: block -> (n, d). level: (n,). people: (n,).

    Returns:
        design -> float32 (n, classes).

    Raises:
        DataError: fewer people than folds.
    """
    from sklearn.linear_model import LogisticRegression

    _, numbers = np.unique(people, return_inverse=True)
    out = {name: np.zeros((len(level), classes), np.float32) for name in designs}
    for rows, held in folds_by_person(level[:, None], numbers, FOLDS, seed):
        reducer = Reducer(blocks, rows)
        for name, design in designs.items():
            inputs = reducer.inputs(design)[0]

            def head(own: IndexArray, inputs: FloatArray = inputs, design: Design = design) -> LinearHead:
                answers = one_hot(level[own], classes)
                weights = row_weights(answers, numbers[own], design)
                if design.graded:
                    answers = level[own, None].astype(np.float32)
                    weights = weights[np.arange(len(own)), level[own]][:, None]
                return fit_linear(inputs[own], answers, weights, design.strength)

            unseen: dict[int, FloatArray] = {}
            for own, other in folds_by_person(level[rows, None], numbers[rows], INNER_FOLDS):
                scores = head(rows[own])(inputs[rows[other]])
                unseen |= dict(zip(rows[other].tolist(), scores, strict=True))
            told = LogisticRegression(class_weight="balanced", max_iter=500)
            told.fit(np.stack([unseen[row] for row in rows.tolist()]), level[rows])
            out[name][np.ix_(held, told.classes_)] = told.predict_proba(head(rows)(inputs[held]))
    return out
