"""Figures and calibration against reference implementations and known cases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from sklearn import metrics as reference

from engagement.classification.classifier import calibrate
from engagement.errors import DataError
from engagement.labels import EXPRESSIONS, LEARNER_STATES, LabelSet
from training.cli.tables import span
from training.datasets.registry import load
from training.measuring.calibration import as_often, fit_platt, fit_temperature
from training.measuring.metrics import (
    auc,
    balanced_accuracy,
    balanced_ece,
    binary_ece,
    bootstrap,
    expected_calibration_error,
    reliability,
    resamplings,
)
from training.measuring.outcome import Outcome, aligned, answerable, figures, head_for
from training.samples.table import SampleTable, one_hot

RNG = np.random.default_rng(4)
PROB = RNG.dirichlet(np.ones(7), 300).astype(np.float32)
TRUTH = np.where(RNG.random(300) < 0.5, PROB.argmax(axis=1), RNG.integers(0, 7, 300))


def test_exclusive_figures_agree_with_scikit_learn() -> None:
    found = figures(PROB, one_hot(TRUTH, 7), np.arange(300).astype(str), EXPRESSIONS, draws=200)
    guess = PROB.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(TRUTH, guess))
    assert found["mean_class_accuracy"] == pytest.approx(reference.balanced_accuracy_score(TRUTH, guess))
    assert found["macro_f1"] == pytest.approx(reference.f1_score(TRUTH, guess, average="macro"))
    assert found["weighted_f1"] == pytest.approx(reference.f1_score(TRUTH, guess, average="weighted"))
    assert found["confusion"] == reference.confusion_matrix(TRUTH, guess).tolist()
    low, high = found["intervals"]["accuracy"]
    assert low < found["accuracy"] < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 300), rel=0.3)
    for row in found["per_class"].values():
        for key, (low, high) in row["intervals"].items():
            assert low < row[key] < high
    # The diagram is of the same answers: its bars are right as often, and as far from what they say.
    bars = found["reliability"]
    assert sum(bar["n"] * bar["accuracy"] for bar in bars) == pytest.approx(300 * found["accuracy"])
    gaps = [bar["n"] * abs(bar["confidence"] - bar["accuracy"]) for bar in bars]
    assert sum(gaps) == pytest.approx(300 * found["ece"], abs=1e-4)


def test_classes_that_do_not_occur_are_left_out_of_the_mean() -> None:
    rows = TRUTH < 3
    found = figures(PROB[rows], one_hot(TRUTH[rows], 7), np.arange(rows.sum()).astype(str), EXPRESSIONS)
    recalls = [(PROB[rows].argmax(1)[TRUTH[rows] == c] == c).mean() for c in range(3)]
    assert found["mean_class_accuracy"] == pytest.approx(np.mean(recalls))
    assert list(found["per_class"]) == ["angry", "disgust", "fear"]


def test_independent_figures_agree_with_scikit_learn_and_leave_out_unknowns() -> None:
    prob = RNG.random((200, 3)).astype(np.float32)
    truth = (RNG.random((200, 3)) < 0.3).astype(np.float32)
    truth[:50, 1] = np.nan
    found = figures(prob, truth, np.repeat(np.arange(20), 10).astype(str), LEARNER_STATES, draws=50)
    assert found["boredom"]["auc"] == pytest.approx(reference.roc_auc_score(truth[:, 0], prob[:, 0]))
    assert found["engagement"]["auc"] == pytest.approx(reference.roc_auc_score(truth[50:, 1], prob[50:, 1]))
    assert found["confusion"]["balanced_accuracy"] == pytest.approx(
        reference.balanced_accuracy_score(truth[:, 2], prob[:, 2] >= 0.5)
    )
    assert found["boredom"]["intervals"]["auc"][0] < found["boredom"]["auc"]


def test_calibration_error_of_known_cases() -> None:
    assert expected_calibration_error(np.full(100, 0.8), np.arange(100) < 80) == pytest.approx(0.0)
    assert expected_calibration_error(np.full(100, 0.9), np.arange(100) < 50) == pytest.approx(0.4)
    yes = np.arange(1000) < 100  # rare, yet 0.5 is right under a balanced prior
    assert balanced_ece(np.full(1000, 0.5), yes) == pytest.approx(0.0)
    assert np.isnan(auc(np.ones(3), np.ones(3)))


def test_calibration_error_is_the_mean_gap_of_bins() -> None:
    """Ten faces at 0.95, of which 8 are right, and ten at 0.55, of which 6 are: (0.15 + 0.05) / 2."""
    said, right = np.repeat([0.95, 0.55], 10), np.concatenate([np.arange(10) < 8, np.arange(10) < 6])
    assert expected_calibration_error(said, right) == pytest.approx(0.1)
    # Of fifteen bins one reaches from 0.6 to 0.667, and the last one holds what is certain.
    together, apart = np.array([0.61, 0.66]), np.array([0.59, 0.61])
    assert expected_calibration_error(together, np.array([1, 0])) == pytest.approx(0.135)
    assert expected_calibration_error(apart, np.array([1, 0])) == pytest.approx((0.41 + 0.61) / 2)
    assert expected_calibration_error(np.ones(4), np.array([1, 1, 1, 0])) == pytest.approx(0.25)
    bins = reliability(said, right)
    assert [(b["low"], b["high"], b["n"], b["accuracy"]) for b in bins] == [
        (8 / 15, 9 / 15, 10, 0.6),
        (14 / 15, 1.0, 10, 0.8),
    ]
    prob = np.full((10, 7), 0.2 / 6, np.float32)
    prob[:, 0] = 0.8
    truth = one_hot(np.array([0] * 8 + [1] * 2), 7)
    assert figures(prob, truth, np.arange(10).astype(str), EXPRESSIONS)["ece"] == pytest.approx(0, abs=1e-6)


def test_of_two_answers_each_weighs_half() -> None:
    """Two of two yes at 0.9, and of eight no two at 0.9 and six at 0.1: bins of 0.625 and 0.375."""
    yes = np.arange(10) < 2
    said = np.array([0.9] * 4 + [0.1] * 6)
    assert balanced_ece(said, yes) == pytest.approx(0.625 * (0.9 - 0.5 / 0.625) + 0.375 * 0.1)
    # Ten bins: 0.61 and 0.69 lie in one.
    assert balanced_ece(np.array([0.61, 0.69]), np.array([True, False])) == pytest.approx(0.15)
    assert binary_ece(np.array([0.61, 0.69]), np.array([True, False])) == pytest.approx(0.15)
    assert np.isnan(balanced_ece(said, np.ones(10, bool)))
    assert balanced_accuracy(
        np.array([0.5, 0.6, 0.4, 0.49]), np.array([True, True, True, False])
    ) == pytest.approx(5 / 6)


def test_one_answer_alone_teaches_nothing() -> None:
    logits = np.linspace(-2, 2, 12).reshape(4, 3).astype(np.float32)
    target = np.array([[1, 0, np.nan]] * 4, np.float32)
    assert fit_platt(logits, target) == ([0.0] * 3, [0.0] * 3)


def test_a_score_without_evidence_says_how_often_a_state_is_there() -> None:
    often = np.array([0.1, 0.5, 0.9], np.float32)
    assert as_often(np.full((2, 3), 0.5, np.float32), often)[0] == pytest.approx(often, abs=1e-6)
    restated = as_often(np.array([[0.2], [0.4], [0.9]], np.float32), often[:1])
    assert (np.diff(restated[:, 0]) > 0).all()  # the order of faces stays
    assert restated[2, 0] == pytest.approx(0.5, abs=1e-6)  # odds of 9 : 1 against odds of 1 : 9


def test_states_calibrated_as_often_as_they_occur_have_no_error() -> None:
    """A rare state of which nothing is known: 0.5 under a balanced prior, 0.1 as often as it occurs."""
    truth = np.zeros((1000, 3), np.float32)
    truth[:100] = 1
    prob, people = np.full((1000, 3), 0.5, np.float32), np.arange(1000).astype(str)
    often = np.full(3, 0.1, np.float32)
    found = figures(prob, truth, people, LEARNER_STATES, draws=20, often=often)["boredom"]
    assert found["ece"] == pytest.approx(0.0, abs=1e-6)
    assert found["ece_balanced"] == pytest.approx(0.0, abs=1e-6)
    assert figures(prob, truth, people, LEARNER_STATES, often=1 - often)["boredom"]["ece"] == pytest.approx(
        0.8
    )
    assert found["intervals"]["ece"][0] < found["intervals"]["ece"][1]
    assert "ece" not in figures(prob, truth, people, LEARNER_STATES)["boredom"]


def test_of_nothing_no_error_is_known() -> None:
    assert np.isnan(expected_calibration_error(np.zeros(0), np.zeros(0, bool)))
    truth = np.full((8, 3), np.nan, np.float32)
    truth[:, 0] = np.arange(8) % 2
    often = np.full(3, 0.5, np.float32)
    found = figures(
        np.full((8, 3), 0.5, np.float32), truth, np.arange(8).astype(str), LEARNER_STATES, often=often
    )
    assert np.isfinite(found["boredom"]["ece"]) and np.isnan(found["engagement"]["ece"])
    assert span(0.5, [float("nan")] * 2) == span(0.5, [None, None]) == "0.500"


def test_faces_of_one_video_are_resampled_together(expression_folders: Path) -> None:
    table = load(str(expression_folders)).part("train")
    videos = np.array([f"{i % 3}.mp4#{i}" for i in range(len(table))], dtype=np.str_)
    table = replace(table, group=videos, blocks=True)
    assert set(table.source.tolist()) == {"0.mp4", "1.mp4", "2.mp4"}
    named = replace(table.rows(np.arange(3)), group=np.array(["c#/1.png", "c#/2.png", "a.mp4#1.2"]))
    assert named.source.tolist() == ["c#/1.png", "c#/2.png", "a.mp4"]  # a name with # in it is no block
    right = np.arange(len(table)) % 3 != 0  # two videos all right, one all wrong
    prob = table.target * right[:, None] + np.roll(table.target, 1, axis=1) * ~right[:, None]
    found = Outcome(table, prob).figures(200)
    assert found["intervals"]["accuracy"] == [0.0, 1.0]
    # Of few people or videos that is said; of a face each, however few, and without intervals it is not.
    assert len(found["beware"]) == 1 and "3 people or videos" in found["beware"][0]
    alone = replace(table, group=table.sample_id)
    assert "beware" not in Outcome(table, prob).figures() | Outcome(alone, prob).figures(20)


def test_scores_that_do_not_depend_on_the_face_are_said(expression_folders: Path) -> None:
    """Where faces held out were told no better than by chance, a state's calibration makes all its scores one."""
    table = load(str(expression_folders)).part("train").rows(np.arange(6))
    answers = np.array([[0, 1, 1], [1, 0, 1]] * 3, np.float32)
    table = replace(table, labels=LEARNER_STATES, target=answers)
    logits = np.stack(
        [-answers[:, 0], answers[:, 1], answers[:, 2]], axis=1
    )  # the first one the wrong way round
    scale, bias = fit_platt(logits, answers)
    prob = expit(logits * scale + bias)
    first, _, third = LEARNER_STATES.classes
    (said,) = Outcome(table, prob).figures()["beware"]
    assert said == f"every face gets the same score of {first}, {third}: nothing can be told of that"
    assert "beware" not in Outcome(table.rows(np.arange(1)), prob[:1]).figures()


def test_intervals_resample_whole_groups() -> None:
    """Ten people, each all right or all wrong: the interval is that of ten draws, not of a thousand."""
    right = np.repeat(np.arange(10) < 5, 100).astype(float)
    people = bootstrap(lambda rows: float(right[rows].mean()), np.repeat(np.arange(10), 100))
    rows = bootstrap(lambda rows: float(right[rows].mean()), np.arange(1000))
    assert people[1] - people[0] > 5 * (rows[1] - rows[0])


@pytest.mark.parametrize("true", [0.5, 2.0])
def test_temperature_is_recovered(true: float) -> None:
    logits = RNG.normal(0, 2, (4000, 7)).astype(np.float32)
    prob = calibrate(logits, EXPRESSIONS, {"temperature": true})
    drawn = (prob.cumsum(axis=1) > RNG.random((4000, 1))).argmax(axis=1)
    assert fit_temperature(logits, one_hot(drawn, 7)) == pytest.approx(true, rel=0.1)


def test_a_few_right_answers_do_not_make_a_model_certain() -> None:
    logits = one_hot(np.array([0, 1, 2, 3]), 7) * 3
    prob = calibrate(
        logits, EXPRESSIONS, {"temperature": fit_temperature(logits, one_hot(np.array([0, 1, 2, 3]), 7))}
    )
    assert prob.max() < 0.95


def test_one_rare_answer_that_ranks_first_makes_nothing_certain() -> None:
    logits = np.linspace(-1, 1, 30).astype(np.float32)[:, None]
    target = np.zeros((30, 1), np.float32)
    target[-1] = 1
    (scale,), (bias,) = fit_platt(logits, target)
    assert expit(scale * 1 + bias) < 0.75
    assert 1e-4 < expit(scale * -1 + bias) < 0.5


def test_one_group_has_no_interval() -> None:
    assert list(resamplings(np.array(["a", "a"]), 10)) == []
    assert np.isnan(bootstrap(lambda rows: float(len(rows)), np.array(["a", "a"]))).all()


def test_platt_states_probabilities_under_a_balanced_prior() -> None:
    yes = RNG.random(4000) < 0.1
    logits = np.stack(
        [50 * (yes + RNG.normal(0, 1, 4000)), RNG.normal(0, 1, 4000), -1.0 * yes], axis=1
    ).astype(np.float32)
    target = np.stack([yes, yes, yes], axis=1).astype(np.float32)
    scale, bias = fit_platt(logits, target)
    prob = calibrate(logits, LEARNER_STATES, {"scale": scale, "bias": bias})
    assert balanced_ece(prob[:, 0], yes) < 0.04
    assert abs(prob[:, 1].mean() - 0.5) < 0.02
    assert scale[2] == 0.0  # a state that goes the wrong way says nothing rather than the opposite


def table_with(labels: LabelSet) -> SampleTable:
    n = len(labels)
    text = np.array(["x"] * n)
    return SampleTable(
        "set", labels, [b""] * n, np.eye(n, dtype=np.float32), text, text, np.zeros((n, 4), np.float32), text
    )


def test_targets_follow_the_model_s_order() -> None:
    moved = aligned(table_with(LabelSet("expression", ("surprise", "angry"), "exclusive")), EXPRESSIONS)
    assert moved.target.argmax(axis=1).tolist() == [6, 0]
    names = aligned(table_with(LabelSet("x", ("happiness", "Anger"), "exclusive")), EXPRESSIONS)
    assert names.target.argmax(axis=1).tolist() == [3, 0]


def test_names_that_mean_the_same_are_kept_apart_or_put_together() -> None:
    own = LabelSet("own", ("bored", "happy", "joy"), "exclusive")
    assert aligned(table_with(own), own).target.tolist() == np.eye(3).tolist()
    turned = LabelSet("own", ("joy", "bored", "happy"), "exclusive")
    assert aligned(table_with(turned), own).target.argmax(axis=1).tolist() == [2, 0, 1]
    both = aligned(table_with(LabelSet("x", ("happy", "joy", "sad"), "exclusive")), EXPRESSIONS)
    assert both.target.argmax(axis=1).tolist() == [3, 3, 5] and both.target.sum(axis=1).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("classes", "head"),
    [
        (("Sad", "happiness"), "mood"),
        (("happy", "sad", "fear"), "expression"),
        (("happy",), "expression"),
        (EXPRESSIONS.classes, "expression"),
        (("bored", "confused"), "state"),
        (("yawning",), "yawns"),
    ],
)
def test_the_head_that_has_just_the_classes_of_a_set_is_measured_on_it(
    classes: tuple[str, ...], head: str
) -> None:
    heads = {
        "state": LEARNER_STATES,
        "expression": EXPRESSIONS,
        "mood": LabelSet("mood", ("happy", "sad"), "exclusive"),
        "again": LabelSet("again", EXPRESSIONS.classes, "exclusive"),
        "yawns": LabelSet("yawns", ("yawning", "other"), "exclusive"),
    }
    model: Any = SimpleNamespace(
        name="mine", heads={name: SimpleNamespace(labels=labels) for name, labels in heads.items()}
    )
    named = "expression" if set(classes) & set(EXPRESSIONS.classes) or "Sad" in classes else "own"
    assert head_for(model, table_with(LabelSet(named, classes, "exclusive"))) == head


@pytest.mark.parametrize(("named", "further"), [("expression8", "contempt"), ("own", "unknown")])
def test_what_is_left_of_a_set_is_measured_as_if_nothing_else_had_been_there(
    named: str, further: str
) -> None:
    heads = {"again": LabelSet("again", ("happy", "neutral", "sad"), "exclusive"), "expression": EXPRESSIONS}
    heads = {name: SimpleNamespace(labels=labels) for name, labels in heads.items()}
    model: Any = SimpleNamespace(name="mine", heads=heads, head=heads.get)
    head, table, left_out = answerable(
        model, None, table_with(LabelSet(named, ("happy", "sad", further), "exclusive"))
    )
    assert (head, table.labels, left_out) == ("expression", EXPRESSIONS, {further: 1})
    alone = table_with(LabelSet(named, ("happy", "sad", further), "exclusive")).rows(np.array([2]))
    with pytest.raises(DataError, match=f"all that is chosen are pictures of {further}, which the model"):
        answerable(model, None, alone)


def test_classes_that_the_model_lacks_are_named() -> None:
    with pytest.raises(DataError, match="does not know: contempt"):
        aligned(table_with(LabelSet("x", ("happy", "contempt"), "exclusive")), EXPRESSIONS)
    with pytest.raises(DataError, match=r"independent.*or another --head"):
        aligned(table_with(LEARNER_STATES), EXPRESSIONS)
    with pytest.raises(DataError, match="does not know: yawning"):
        aligned(table_with(LabelSet("x", ("bored", "yawning"), "exclusive")), LEARNER_STATES)


def test_class_folders_of_states_say_yes_to_their_own_and_no_to_the_others() -> None:
    folders = aligned(table_with(LabelSet("x", ("bored", "Confusion"), "exclusive")), LEARNER_STATES)
    assert folders.labels == LEARNER_STATES
    np.testing.assert_array_equal(folders.target, [[1, np.nan, 0], [0, np.nan, 1]])


def test_steps_of_a_grade_stay_questions_of_their_own() -> None:
    steps = LabelSet("graded", ("boredom_1", "boredom_2", "Engaged_1"), "independent")
    asked = aligned(table_with(steps), LEARNER_STATES)
    assert asked.labels.classes == steps.classes and asked.target.tolist() == np.eye(3).tolist()
    own = LabelSet("own", ("engaged_1", "boredom_2", "boredom_1"), "independent")
    assert aligned(table_with(steps), own).target.tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
