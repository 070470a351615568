"""Heads for WACV-2016's three exclusive levels of engagement, judged on people that they were not fitted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engagement.errors import ConfigError
from engagement.types import FloatArray, IndexArray
from training import Say
from training.cache import Blocks
from training.samples.table import SampleTable, one_hot
from training.states_evaluation.designs import Design, LinearHead, Reducer, fit_linear, row_weights
from training.states_evaluation.figures import (
    class_figures,
    figure,
    macro_f1,
    people_weights,
    weighted_auc,
    weighted_spearman,
)
from training.states_evaluation.validation import FOLDS, INNER_FOLDS, folds_by_person


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What heads say of n faces of people that they were not fitted to.

    Attributes:
        balanced: float32 (n, classes) probabilities under equal priors.
        share: float32 (n, classes): how often each level is among the people that the row's head was fitted to.
    """

    balanced: FloatArray
    share: FloatArray

    @property
    def natural(self) -> FloatArray:
        """Probabilities as frequent as the levels are."""
        odds = self.balanced * self.share
        return np.asarray(odds / odds.sum(axis=1, keepdims=True), np.float32)

    def rows(self, index: IndexArray | NDArray[np.bool_]) -> Told:
        """The given rows."""
        return Told(self.balanced[index], self.share[index])


def other_people(
    table: SampleTable,
    blocks: Blocks,
    designs: Sequence[Design],
    score: FloatArray,
    auto: NDArray[np.bool_],
    leave_out: Sequence[str],
    draws: int,
    say: Say = lambda _: None,
) -> dict[str, Any]:
    """Figures of every design, the last one's gains over the others, and of a score that was learned elsewhere.

    Args:
        table: WACV-2016. blocks: of its faces.
        score: (n,) of engagement, learned on other data. auto: (n,) of the one kind.
        leave_out: people of whom that score is not judged, since they are in the other data as well.

    Returns:
        ``all`` frames; ``auto`` by heads fitted to the frames of that kind alone, and ``auto_of_all`` by heads fitted to
        all frames of the other people, as the shipped head is.

    Raises:
        ConfigError: one of ``leave_out`` is not there.
    """
    unknown = sorted(set(leave_out) - set(table.group.tolist()))
    if unknown:
        raise ConfigError(f"--leave-out {','.join(unknown)}: nobody of '{table.name}' is called so")
    level, classes = table.target.argmax(axis=1), table.target.shape[1]
    named = {design.name: design for design in designs}
    alone = np.flatnonzero(auto)
    found: dict[str, tuple[IndexArray, dict[str, Told]]] = {}
    for name, rows in {"all": np.arange(len(table)), "auto": alone}.items():
        say(f"WACV-2016, {name}: {len(rows)} frames")
        part = {block: values[rows] for block, values in blocks.items()}
        found[name] = rows, cross_validated_levels(named, part, level[rows], table.group[rows], classes)
    found["auto_of_all"] = alone, {name: told.rows(alone) for name, told in found["all"][1].items()}
    out: dict[str, Any] = {}
    for name, (rows, told) in found.items():
        truth, weights = level[rows], people_weights(table.group[rows], draws)
        reached = {
            n: macro_f1(own.balanced.argmax(axis=1), truth, weights, classes) for n, own in told.items()
        }
        judged = rows[~np.isin(table.group[rows], list(leave_out))]
        others = people_weights(table.group[judged], draws)
        out[name] = {
            "people": len(set(table.group[rows].tolist())),
            "faces": len(rows),
            "designs": {
                n: class_figures(own.balanced, own.natural, truth, weights) for n, own in told.items()
            },
            "gains": {n: figure(reached[designs[-1].name] - own) for n, own in reached.items()},
            "daisee_score": {
                "people": len(set(table.group[judged].tolist())),
                "spearman": figure(weighted_spearman(score[judged], level[judged], others)),
                "auc_engaged": figure(weighted_auc(score[judged], level[judged] >= 1, others)),
            },
        }
        out[name]["gains"].pop(designs[-1].name)
    return out


def cross_validated_levels(
    designs: Mapping[str, Design],
    blocks: Blocks,
    level: IndexArray,
    people: NDArray[np.generic],
    classes: int,
    seed: int = 0,
) -> dict[str, Told]:
    """Probabilities of the levels, out of fold, whole people held out.

    Scores, one per level against the others, become probabilities by a logistic regression on scores of people
    of the training part that were unseen too.

    Args:
        blocks: block -> (n, d). level: (n,). people: (n,).

    Raises:
        DataError: fewer people than folds.
    """
    from sklearn.linear_model import LogisticRegression

    _, numbers = np.unique(people, return_inverse=True)
    out = {name: np.zeros((len(level), classes), np.float32) for name in designs}
    share = np.zeros((len(level), classes), np.float32)
    for rows, held in folds_by_person(level[:, None], numbers, FOLDS, seed):
        share[held] = np.bincount(level[rows], minlength=classes) / len(rows)
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
    return {name: Told(prob, share) for name, prob in out.items()}
