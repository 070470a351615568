"""The evaluation of the learner-state head, on made-up people whose states are known."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score, f1_score

from engagement.errors import ConfigError, DataError
from engagement.labels import LEARNER_STATES, LabelSet
from engagement.types import FloatArray, IndexArray
from tests import media
from training.datasets.daisee import PRESENT, present
from training.datasets.registry import load
from training.figure_text import plain
from training.measuring.metrics import (
    auc,
    balanced_accuracy,
    balanced_ece,
    exclusive_figures,
    expected_calibration_error,
)
from training.samples.table import SampleTable, one_hot
from training.states_evaluation.__main__ import main
from training.states_evaluation.designs import Design, Reducer, fit_linear, fit_reduction
from training.states_evaluation.exclusive_levels import cross_validated_levels, other_people
from training.states_evaluation.figures import (
    class_figures,
    macro_f1,
    people_weights,
    quadratic_kappa,
    threshold_figures,
    weighted_auc,
    weighted_spearman,
)
from training.states_evaluation.framings import video_faces
from training.states_evaluation.report import report
from training.states_evaluation.run import Faces, cross_validate
from training.states_evaluation.validation import (
    FOLDS,
    calibrated,
    fitted,
    folds_by_person,
    folds_fitted,
    pooled,
)

PEOPLE, EACH = 20, 15


def made_up(seed: int = 0, signal: float = 0.0) -> tuple[SampleTable, dict[str, FloatArray]]:
    """People with graded states, and a block whose first columns show the levels ``signal`` strongly."""
    rng = np.random.default_rng(seed)
    n = PEOPLE * EACH
    levels = rng.integers(0, 4, (n, 3))
    noise = rng.normal(0, 1, (n, 8)).astype(np.float32)
    block = noise.copy()
    block[:, :3] += np.float32(signal) * levels
    people = np.array([f"p{i // EACH}" for i in range(n)], dtype=np.str_)
    table = SampleTable(
        "made up",
        LEARNER_STATES,
        [b""] * n,
        present(levels),
        np.full(n, "train"),
        people,
        np.zeros((n, 4), np.float32),
        np.arange(n).astype(np.str_),
        levels=levels,
    )
    return table, {"block": block, "noise": noise}


def levels_of(table: SampleTable) -> IndexArray:
    assert table.levels is not None
    return table.levels


def test_folds_share_no_person_and_predict_each_row_once() -> None:
    table, _ = made_up()
    seen = []
    for rows, held in folds_by_person(levels_of(table), table.group, FOLDS):
        assert set(table.group[rows]).isdisjoint(table.group[held])
        seen.append(held)
    assert np.array_equal(np.sort(np.concatenate(seen)), np.arange(len(table)))


def test_heads_are_calibrated_by_scores_of_people_they_had_not_seen() -> None:
    table, _ = made_up()
    # A block that names the person: within the fit it tells everything, for others nothing.
    _, number = np.unique(table.group, return_inverse=True)
    own = np.eye(PEOPLE, dtype=np.float32)[number]
    head = fitted(
        Design("names", {"own": 1}, components=0, strength=1e-6),
        Reducer({"own": own}, np.arange(len(table))),
        levels_of(table),
        table.target,
        number,
    )
    seen = [auc(head.score({"own": own})[:, i], table.target[:, i]) for i in range(3)]
    unseen = [auc(head.unseen[:, i], table.target[:, i]) for i in range(3)]
    assert min(seen) > max(unseen)


def test_figures_of_a_perfect_score() -> None:
    table, _ = made_up()
    yes = levels_of(table)[:, 0] >= 2
    prob = yes.astype(np.float32)
    share = np.full(len(yes), yes.mean(), np.float32)
    found = threshold_figures(prob, prob, yes, share, people_weights(table.group, 20))
    for name, value in {
        "auc": 1,
        "balanced_accuracy": 1,
        "macro_f1": 1,
        "brier": 0,
        "ece": 0,
        "ece_balanced": 0,
    }.items():
        assert found[name] == {"value": value, "low": value, "high": value}
    assert found["majority_brier"]["value"] == pytest.approx(yes.mean() * (1 - yes.mean()))


def test_a_class_that_a_resampling_lacks_does_not_count() -> None:
    truth, guess = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 0, 2])
    weights = np.array([[1, 1, 1, 1, 1, 1], [1, 2, 0, 1, 0, 0], [0, 0, 0, 0, 0, 3]], np.float32)
    found = macro_f1(guess, truth, weights, 3)
    for row, figure in zip(weights, found, strict=True):
        drawn = np.repeat(np.arange(6), row.astype(int))
        plain = exclusive_figures(
            np.eye(3, dtype=np.float32)[guess[drawn]],
            truth[drawn],
            LabelSet("x", ("a", "b", "c"), "exclusive"),
        )
        assert figure == pytest.approx(plain["macro_f1"])
    assert found[2] == 1


def test_figures_are_those_of_the_plain_definitions() -> None:
    rng = np.random.default_rng(3)
    prob = rng.random(300).astype(np.float32).round(2)  # with ties
    level, guess = rng.integers(0, 4, 300), rng.integers(0, 4, 300)
    yes = level >= 2
    weights = people_weights(np.arange(300) // 10, 10)
    found = threshold_figures(prob, prob, yes, np.full(300, 0.5, np.float32), weights)
    assert found["auc"]["value"] == pytest.approx(auc(prob, yes))
    assert found["balanced_accuracy"]["value"] == pytest.approx(balanced_accuracy(prob, yes))
    assert found["ece_balanced"]["value"] == pytest.approx(balanced_ece(prob, yes), abs=1e-5)
    assert found["ece"]["value"] == pytest.approx(expected_calibration_error(prob, yes, 10), abs=1e-5)
    assert found["macro_f1"]["value"] == pytest.approx(f1_score(yes, prob >= 0.5, average="macro"))
    assert macro_f1(guess, level, weights, 4)[0] == pytest.approx(f1_score(level, guess, average="macro"))
    assert quadratic_kappa(guess, level, weights, 4)[0] == pytest.approx(
        cohen_kappa_score(level, guess, weights="quadratic"), abs=1e-6
    )
    assert weighted_spearman(prob, level, weights)[0] == pytest.approx(
        spearmanr(prob, level).statistic, abs=1e-6
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_weights_count_rows_as_often_as_resampling_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = rng.integers(0, 6, 40).astype(np.float32)
    level, guess = rng.integers(0, 3, 40), rng.integers(0, 3, 40)
    weights = people_weights(rng.integers(0, 4, 40) + np.repeat([0, 1], 20), 3, seed)
    rows = np.repeat(np.arange(40), weights[2].astype(int))
    drawn = weights[2:3]
    assert weighted_auc(score, level > 0, drawn)[0] == pytest.approx(
        auc(score[rows], level[rows] > 0), nan_ok=True
    )
    told = spearmanr(score[rows], level[rows]).statistic if len(set(level[rows])) > 1 else np.nan
    assert weighted_spearman(score, level, drawn)[0] == pytest.approx(told, nan_ok=True, abs=1e-6)
    assert quadratic_kappa(guess, level, drawn, 3)[0] == pytest.approx(
        cohen_kappa_score(level[rows], guess[rows], weights="quadratic", labels=[0, 1, 2]), abs=1e-5
    )


def test_a_block_that_shows_the_states_is_found_and_noise_is_chance() -> None:
    table, blocks = made_up(signal=2.0)
    designs = Design("noise", {"noise": 1}, components=0), Design("shown", {"block": 1}, components=0)
    found = cross_validate(Faces(table, blocks), designs, draws=100)
    assert found["people"] == PEOPLE
    for state in LEARNER_STATES.classes:
        level = f">={min(PRESENT[state], 2)}"
        shown, noise = (found["cross_validation"][d][state] for d in ("shown", "noise"))
        assert shown[level]["auc"]["value"] > 0.9
        assert abs(noise[level]["auc"]["value"] - 0.5) < 0.12
        assert shown["ordinal"]["spearman"]["value"] > 0.7 and shown["ordinal"]["kappa"]["value"] > 0.6
        assert shown["ordinal"]["mae"]["value"] < shown["ordinal"]["majority_mae"]["value"]
        assert shown[level]["brier"]["value"] < shown[level]["majority_brier"]["value"]
        assert found["gains"]["noise"][state]["low"] > 0.2
        for figures in (shown, noise):
            for figure in figures[level].values():
                assert figure["low"] - 0.02 <= figure["value"] <= figure["high"] + 0.02


def test_tables_show_what_there_is_so_far() -> None:
    table, blocks = made_up(signal=2.0)
    designs = Design("noise", {"noise": 1}, components=0), Design("shown", {"block": 1}, components=0)
    result = {
        "weights": {"name": "made up", "sha256": "0" * 64},
        "draws": 10,
        "chosen": {"name": "shown", "strength": 0.3, "views": 1},
    }
    assert "DAiSEE" not in report(result)
    found = cross_validate(Faces(table, blocks), designs, draws=10)
    text = report({**result, "daisee": plain(found)})
    area = found["cross_validation"]["shown"]["boredom"][">=1"]["auc"]["value"]
    assert f"| boredom >=1, **shown** | {area:.3f} (" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 * (2 + 6) + 2 + 6 + 2 + 1


def test_baselines_are_chance_on_shuffled_labels() -> None:
    table, blocks = made_up(signal=2.0)
    rng = np.random.default_rng(7)
    shuffled = levels_of(table)[rng.permutation(len(table))]
    weights = people_weights(table.group, 10)
    parts = [
        (held, heads["d"].predict({"block": blocks["block"][held]}))
        for held, heads in folds_fitted(
            {"d": Design("d", {"block": 1}, components=0)}, blocks, shuffled, present(shuffled), table.group
        )
    ]
    predicted = pooled(parts)
    for i in range(3):
        found = weighted_auc(predicted.balanced[:, i, 0], shuffled[:, i] >= 1, weights)[0]
        assert abs(found - 0.5) < 0.12


def test_exclusive_levels() -> None:
    table, blocks = made_up(signal=2.0)
    level = np.minimum(levels_of(table)[:, 1], 2)
    designs = {
        "shown": Design("shown", {"block": 1}),
        "graded": Design("graded", {"block": 1}, graded=True),
        "noise": Design("noise", {"noise": 1}),
    }
    found = cross_validated_levels(designs, blocks, level, table.group, 3)
    figures = {
        name: class_figures(told.balanced, told.natural, level, people_weights(table.group, 20))["macro_f1"][
            "value"
        ]
        for name, told in found.items()
    }
    assert min(figures["shown"], figures["graded"]) > 0.7 > 0.45 > figures["noise"]
    np.testing.assert_allclose(found["shown"].balanced.sum(axis=1), 1, atol=1e-5)
    # As often as the levels are, unlike under equal priors.
    usual = np.bincount(level) / len(level)
    natural = found["noise"].natural.mean(axis=0)
    assert np.abs(natural - usual).max() < 0.1 < np.abs(usual - 1 / 3).max()


def test_levels_of_one_kind_are_judged_by_heads_of_that_kind_and_of_all() -> None:
    table, blocks = made_up(signal=2.0)
    level = np.minimum(levels_of(table)[:, 1], 2)
    ordered = replace(table, target=one_hot(level, 3))
    auto = np.arange(len(table)) % 2 == 0
    score = level + np.random.default_rng(0).normal(0, 0.1, len(level)).astype(np.float32)
    designs = [Design("noise", {"noise": 1}), Design("shown", {"block": 1})]
    person = str(table.group[0])
    found = other_people(ordered, blocks, designs, score, auto, (person,), 20)
    assert list(found) == ["all", "auto", "auto_of_all"]
    assert found["auto"]["faces"] == found["auto_of_all"]["faces"] == auto.sum()
    assert found["auto_of_all"]["gains"]["noise"]["value"] > 0.2
    assert found["all"]["daisee_score"]["people"] == found["all"]["people"] - 1
    assert found["all"]["daisee_score"]["auc_engaged"]["value"] > 0.9
    with pytest.raises(ConfigError, match="nobody"):
        other_people(ordered, blocks, designs, score, auto, ("stranger",), 20)


def test_calibration_keeps_levels_in_their_shares() -> None:
    rng = np.random.default_rng(0)
    levels = rng.choice(4, (2000, 1), p=[0.1, 0.2, 0.3, 0.4])
    score = (levels + rng.normal(0, 1, (2000, 1))).astype(np.float32)
    found = calibrated(score, score, levels)
    np.testing.assert_allclose(np.bincount(found.guess[:, 0]) / 2000, [0.1, 0.2, 0.3, 0.4], atol=0.03)
    np.testing.assert_allclose(found.prob[:, 0].mean(axis=0), [0.9, 0.7, 0.4], atol=0.02)
    assert expected_calibration_error(found.prob[:, 0, 1], levels[:, 0] >= 2, 10) < 0.04
    assert found.usual[0, 0] == 2


def test_a_folded_head_says_the_same_of_inputs_as_they_come() -> None:
    table, blocks = made_up(signal=1.0)
    _, number = np.unique(table.group, return_inverse=True)
    design = Design("both", {"block": 1, "noise": 0.25}, components=5)
    head = fitted(design, Reducer(blocks, np.arange(len(table))), levels_of(table), table.target, number)
    weight, bias = head.folded()
    raw = np.concatenate([blocks["block"], blocks["noise"]], axis=1)
    np.testing.assert_allclose(raw @ weight + bias, head.score(blocks), atol=1e-4)


def test_augmented_views_are_learned_from_where_the_design_says_so() -> None:
    table, blocks = made_up()
    shown = made_up(signal=3.0)[1]  # the views show what the faces as they are do not
    people = np.repeat(np.arange(PEOPLE), EACH)
    reducer = Reducer(blocks, np.arange(len(table)), [shown])
    found = {}
    for augmented in (False, True):
        design = Design("d", {"block": 1}, components=0, augmented=augmented)
        head = fitted(design, reducer, levels_of(table), table.target, people)
        found[augmented] = auc(head.score(shown)[:, 0], table.target[:, 0])
    assert found[True] > found[False] + 0.05


def test_dead_inputs_and_constant_answers_teach_nothing() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(0, 1, 50), np.zeros(50)]).astype(np.float32)
    inputs = fit_reduction(x, 0)(x)
    assert np.isfinite(inputs).all()
    answers = np.ones((50, 1), np.float32)
    assert np.abs(fit_linear(inputs, answers, answers, 0.3)(inputs)).max() == 0


def test_one_person_alone_is_an_error() -> None:
    with pytest.raises(DataError, match="one person"):
        people_weights(np.full(9, "p1"))
    table, blocks = made_up()
    own = Faces(table, blocks).rows(np.arange(EACH))
    with pytest.raises(DataError, match="one person"):
        cross_validate(own, (Design("d", {"block": 1}),), 10)
    with pytest.raises(DataError, match="1 people cannot be shared out over 5 folds"):
        next(folds_by_person(own.levels, own.table.group, FOLDS))


@pytest.mark.parametrize(
    "wrong",
    [{"blocks": {}}, {"blocks": {"a": 0.0}}, {"strength": 0.0}, {"components": -1}, {"weighting": "none"}],
)
def test_designs_refuse_nonsense(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="'d'"):
        Design(**{"name": "d", "blocks": {"a": 1.0}, **wrong})  # type: ignore[arg-type]


def test_an_unknown_block_is_named_with_those_there_are() -> None:
    table, blocks = made_up()
    with pytest.raises(ConfigError, match=r"'stage9_mean'.*block, noise"):
        cross_validate(Faces(table, blocks), (Design("d", {"stage9_mean": 1}),), 10)


def test_daisee_keeps_its_graded_levels(daisee_folder: Path) -> None:
    table = load(str(daisee_folder))
    assert np.array_equal(table.target, present(levels_of(table)))
    assert np.array_equal(levels_of(table.part("val")), levels_of(table)[table.split == "val"])


def test_clips_are_those_that_smoothers_learn_from(tmp_path: Path) -> None:
    """Whatever their ending, in capitals or not; none is an error that says where they were looked for."""
    with pytest.raises(DataError, match=r"holds no clips named webcam_\*"):
        video_faces(tmp_path)
    for name in ("webcam_1.AVI", "webcam_2.mkv"):
        (tmp_path / name).write_bytes(media.steady(tmp_path).path.read_bytes())
    said: list[str] = []
    with pytest.raises(DataError, match="no face was found"):
        video_faces(tmp_path, said.append)
    assert said == ["faces of webcam_1.AVI", "faces of webcam_2.mkv"]


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom training.states_evaluation.__main__ import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('LOADED', [m for m in ('torch', 'pandas', 'cv2', 'numpy') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("LOADED []")


def test_a_missing_set_is_one_line(tmp_path: Path) -> None:
    failed = CliRunner().invoke(main, ["--data", str(tmp_path), "-o", str(tmp_path / "out")])
    assert failed.exit_code in (1, 2)
    assert failed.stderr.startswith("error: ") and "daisee" in failed.stderr
