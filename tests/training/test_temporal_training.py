"""Sequences, figures and a few steps of training on made-up pools; the real files where they are."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from engagement.classification.network import FaceStateNet, HeadSpec, NetworkSpec
from engagement.errors import ConfigError, DataError, WeightsError
from engagement.labels import EXPRESSIONS, LEARNER_STATES
from engagement.types import ChipSpec
from engagement.weights.store import WeightRecord, load_weights, save_weights
from temporal import build_smoother
from temporal.base import ScoreRun, from_logits
from temporal.box import BoxSmoother, NoSmoother
from temporal.conv3d import Conv3dConfig
from temporal.lstm import LstmConfig
from training.frame_outputs import load_frame_model, pool
from training.semi_markov import EXPRESSION_CHAIN, EXPRESSION_CHAIN_SHIFTED, SemiMarkov, state_chain
from training.temporal import fitting, train_temporal
from training.temporal_evaluation import beats, compare, evaluate_temporal
from training.temporal_figures import Tally, figures, overall, segments, tally
from training.temporal_fit import Schedule, choose_windows, fit_network, held_out_runs, judge
from training.temporal_items import Material, SequenceItems, answer_weights, collate, degraded
from training.temporal_module import smoother_of
from training.temporal_report import report
from training.temporal_sequences import (
    AT_5_HZ,
    Conditions,
    LabelledRun,
    Pool,
    expression_run,
    ordered_runs,
    sample_times,
    state_codes,
    state_run,
)

PX = Conv3dConfig().chip_px


def _pool(name: str, states: bool, seed: int, pictures: int = 84, noise: float = 1.0) -> Pool:
    """Pictures whose logits point to their class, noisily."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, noise, (pictures, 1, 10)) + rng.normal(0, 0.3, (pictures, 3, 10))
    expression = np.full(pictures, -1, np.int64)
    state = np.full((pictures, 3), np.nan, np.float32)
    if states:
        state = (rng.random((pictures, 3)) > [0.6, 0.2, 0.7]).astype(np.float32)
        logits[..., 7:] += 2.0 * (state[:, None] - 0.5)
    else:
        expression = (np.arange(pictures) % 7).astype(np.int64)
        logits[np.arange(pictures), :, expression] += 2.5
    chips = rng.integers(0, 256, (pictures, 3, PX, PX)).astype(np.uint8)
    group = np.array([f"p{i % 6}" if states else f"{name}{i}" for i in range(pictures)])
    return Pool(name, logits.astype(np.float32), chips, expression, state, group)


def _material(seed: int) -> Material:
    ordered = _pool("wacv2016", True, seed + 2)
    # Real people stay engaged, or not, for a while.
    ordered = ordered.rows(np.lexsort((ordered.state[:, 1], ordered.group)))
    level = ordered.state.copy()
    level[:, [0, 2]] = np.nan
    ordered = Pool(
        ordered.name, ordered.logits, ordered.chips, np.full(84, -1, np.int64), level, ordered.group
    )
    rng = np.random.default_rng(seed)
    clip = ScoreRun(
        np.arange(40, dtype=np.float64) * 0.2,
        from_logits(rng.normal(0, 1, (40, 10))),
        rng.random(40) > 0.2,
        rng.integers(0, 256, (40, PX, PX)).astype(np.uint8),
    )
    return Material(_pool("rafdb", False, seed), _pool("daisee", True, seed + 1), ordered, [clip])


def test_a_chain_covers_the_time_with_its_shares() -> None:
    drawn = EXPRESSION_CHAIN.draw(20_000.0, np.random.default_rng(0))
    assert drawn.start_s[0] <= 0 < drawn.end_s[0]
    assert drawn.end_s[-1] > 20_000
    np.testing.assert_array_equal(drawn.start_s[1:], drawn.end_s[:-1])
    assert (np.diff(drawn.label) != 0).all()
    length = drawn.end_s - drawn.start_s
    time = np.bincount(drawn.label, length, 7)
    np.testing.assert_allclose(time / time.sum(), EXPRESSION_CHAIN.share_of_time(), atol=0.05)
    happy = EXPRESSIONS.index("happy")
    assert np.median(length[drawn.label == happy]) == pytest.approx(
        EXPRESSION_CHAIN.median_s[happy], rel=0.15
    )
    assert EXPRESSION_CHAIN.share_of_time()[EXPRESSIONS.index("neutral")] > 0.4
    np.testing.assert_allclose(EXPRESSION_CHAIN_SHIFTED.share_of_time(), 1 / 7, atol=1e-6)


def test_labels_are_looked_up_at_their_times() -> None:
    drawn = EXPRESSION_CHAIN.draw(30.0, np.random.default_rng(1))
    middle = (drawn.start_s + drawn.end_s) / 2
    np.testing.assert_array_equal(drawn.at(middle), drawn.label)


def test_a_chain_is_checked() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        SemiMarkov(np.ones((2, 2)), np.ones(2), 0.5)
    with pytest.raises(ValueError, match="follow itself"):
        SemiMarkov(np.eye(2), np.ones(2), 0.5)


def test_states_prefer_single_changes_and_a_lone_one_stays() -> None:
    chain = state_chain(np.array([0b000, 0b001, 0b111]), np.array([5, 5, 5]))
    assert chain.transition[0, 1] > chain.transition[0, 2] > 0
    alone = state_chain(np.array([2]), np.array([9])).draw(500.0, np.random.default_rng(0))
    assert set(alone.label.tolist()) == {0}


@pytest.mark.parametrize("rate_hz", [1.0, 5.0, 10.0])
def test_times_are_irregular_and_increasing(rate_hz: float) -> None:
    how = Conditions(rate_hz=(rate_hz, rate_hz), lost=0.2)
    times = sample_times(60.0, how, np.random.default_rng(0))
    assert (np.diff(times) > 0).all()
    assert len(times) == pytest.approx(60 * rate_hz * 0.8, rel=0.15)
    assert np.std(np.diff(times)) > 0.05 / rate_hz


def test_an_expression_sequence_shows_pictures_of_its_truth() -> None:
    source = _pool("rafdb", False, 0, noise=0.0)
    how = Conditions(rate_hz=(5.0, 5.0), noise=0.0, offset=0.0)
    run = expression_run(source, 60.0, how, np.random.default_rng(0))
    valid = run.run.valid
    assert valid.mean() > 0.6
    np.testing.assert_array_equal(run.run.prob[valid, :7].argmax(axis=1), run.expression[valid])
    assert np.isnan(run.state).all()
    assert len(set(run.expression.tolist())) > 2


def test_some_samples_are_invalid_and_show_something_else() -> None:
    source = _pool("rafdb", False, 0, noise=0.0)
    runs = [expression_run(source, 60.0, AT_5_HZ, np.random.default_rng(s)) for s in range(10)]
    valid = np.concatenate([r.run.valid for r in runs])
    assert 0.02 < (~valid).mean() < 0.12
    right = np.concatenate([r.run.prob[:, :7].argmax(axis=1) == r.expression for r in runs])
    assert right[valid].mean() > 0.95
    assert right[~valid].mean() < 0.6


def test_consecutive_frames_err_alike() -> None:
    run = expression_run(_pool("rafdb", False, 0), 120.0, AT_5_HZ, np.random.default_rng(0)).run
    log = np.log(run.prob[run.valid])
    near = np.abs(log[1:] - log[:-1]).mean()
    far = np.abs(log[25:] - log[:-25]).mean()
    assert near < 0.6 * far


def test_a_state_sequence_stays_with_one_person() -> None:
    source = _pool("daisee", True, 0, noise=0.0)
    for seed in range(5):
        run = state_run(source, 60.0, AT_5_HZ, np.random.default_rng(seed))
        mine = set(state_codes(source.state[source.group == run.group]).tolist())
        assert set(state_codes(run.state).tolist()) <= mine
        assert (run.expression == -1).all()


def test_the_scores_do_not_depend_on_whether_pictures_are_made() -> None:
    source = _pool("rafdb", False, 0)
    with_chips = expression_run(source, 20.0, Conditions(), np.random.default_rng(3))
    without = expression_run(source, 20.0, Conditions(chips=False), np.random.default_rng(3))
    assert without.run.chips is None
    np.testing.assert_array_equal(without.run.prob, with_chips.run.prob)


def test_an_empty_class_is_named() -> None:
    source = _pool("rafdb", False, 0)
    with pytest.raises(DataError, match="fear"):
        expression_run(source.rows(source.expression != 2), 5.0, AT_5_HZ, np.random.default_rng(0))


def test_ordered_pictures_keep_order_and_person() -> None:
    source = _pool("wacv2016", True, 0)
    runs = ordered_runs(source)
    assert [r.group for r in runs] == [f"p{i}" for i in range(6)]
    np.testing.assert_array_equal(runs[2].state, source.state[2::6])
    np.testing.assert_array_equal(np.diff(runs[2].run.times_s), 1.0)


def test_fitting_takes_whole_groups_of_every_class() -> None:
    group = np.array([f"g{i // 3}" for i in range(60)])
    stratum = np.array([i // 30 for i in range(60)])
    fit = fitting(group, stratum)
    assert all(len(set(fit[group == g].tolist())) == 1 for g in group)
    assert fit[:30].mean() == pytest.approx(0.7, abs=0.05)
    assert fit[30:].mean() == pytest.approx(0.7, abs=0.05)
    np.testing.assert_array_equal(fit, fitting(group, stratum))
    assert sorted(fitting(np.array(["a", "b"])).tolist()) == [False, True]


def test_both_answers_weigh_the_same() -> None:
    state = np.array([[1, 0, np.nan]] * 3 + [[0, 0, np.nan]], np.float32)
    weight = answer_weights(state)
    assert weight is not None
    assert 3 * weight[0, 1] == pytest.approx(1 * weight[0, 0])
    assert np.isfinite(weight).all()


def test_the_answer_for_a_degraded_clip_is_the_whole_one_averaged() -> None:
    clip = _material(0).clips[0]
    run, soft = degraded(clip, np.random.default_rng(0))
    assert len(run) <= len(clip)
    kept = np.isin(clip.times_s, run.times_s)
    np.testing.assert_array_equal(soft, BoxSmoother(4.0).smooth(clip)[kept])
    assert (run.prob != clip.prob[kept]).any()


@pytest.mark.parametrize("config", [LstmConfig(), Conv3dConfig()])
def test_items_repeat_and_batch(config: LstmConfig | Conv3dConfig) -> None:
    items = SequenceItems(_material(0), config, 8, 1)
    first, again = items[3], SequenceItems(_material(0), config, 8, 1)[3]
    for key in first:
        np.testing.assert_array_equal(first[key], again[key])
    batch = collate([items[i] for i in range(8)])
    lead = batch["base"].shape[:2]
    assert all(v.shape[:2] == lead for k, v in batch.items() if k != "lengths")
    assert torch.isfinite(batch["base"]).all()
    assert torch.isfinite(batch["soft"]).all()
    known = torch.isfinite(batch["state"])
    assert (batch["state_weight"][known] > 0).all()


def _labelled(expression: list[int]) -> LabelledRun:
    n = len(expression)
    prob = np.full((n, 10), 1 / 7, np.float32)
    run = ScoreRun(np.arange(n, dtype=np.float64) * 0.2, prob, np.ones(n, np.bool_))
    return LabelledRun(run, np.array(expression), np.full((n, 3), np.nan, np.float32), "x", "x")


def _certain(expression: list[int]) -> np.ndarray:
    prob = np.full((len(expression), 10), 0.01, np.float32)
    prob[np.arange(len(expression)), expression] = 0.94
    return prob


def test_event_figures_by_hand() -> None:
    truth = [4] * 10 + [3] * 10 + [4] * 10
    exact = figures(tally(_labelled(truth), _certain(truth)))
    assert (exact["event_f1"], exact["macro_f1"]) == (1.0, 1.0)
    # One flicker cuts the first stretch: five predicted, three true, all three found.
    flicker = [4] * 8 + [0] + [4] + [3] * 10 + [4] * 10
    assert figures(tally(_labelled(truth), _certain(flicker)))["event_f1"] == pytest.approx(6 / 8)
    half = [4] * 16 + [3] * 4 + [4] * 10
    assert figures(tally(_labelled(truth), _certain(half)))["event_f1"] == pytest.approx(4 / 6)
    assert segments(np.array([1, 1, 2]), np.array([0.0, 1.0, 2.0])) == [(1, -0.5, 1.5), (2, 1.5, 2.5)]


def test_invalid_samples_do_not_count() -> None:
    truth = [4] * 10 + [3] * 10
    run = _labelled(truth)
    valid = np.arange(20) % 5 != 0
    run = LabelledRun(ScoreRun(run.run.times_s, run.run.prob, valid), run.expression, run.state, "x", "x")
    prob = _certain(truth)
    prob[~valid] = np.nan
    assert figures(tally(run, prob))["macro_f1"] == 1.0


def test_state_figures_agree_with_a_reference() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    state = (rng.random((400, 3)) > 0.7).astype(np.float32)
    state[:20, 1] = 0.5  # neither
    prob = np.clip(rng.normal(0.4 + 0.2 * np.nan_to_num(state.repeat(1, 1)), 0.2), 0.01, 0.99)
    scores = np.concatenate([np.full((400, 7), 1 / 7), prob], axis=1).astype(np.float32)
    run = ScoreRun(np.arange(400, dtype=np.float64) * 0.2, scores, np.ones(400, np.bool_))
    figure = figures(tally(LabelledRun(run, np.full(400, -1), state, "x", "x"), scores))
    for k, name in enumerate(LEARNER_STATES.classes):
        clear = state[:, k] != 0.5
        assert figure[f"auc_{name}"] == pytest.approx(
            roc_auc_score(state[clear, k] > 0.5, prob[clear, k]), abs=0.003
        )
    assert np.isnan(figure["macro_f1"])
    assert overall(figure) == figure["state_auc"]


def test_tallies_add_up() -> None:
    runs = held_out_runs(_material(0), 2, 1)
    whole = judge(BoxSmoother(2.0), runs)
    parts = Tally.join([whole.total(np.array([1, 0, 1, 0])), whole.total(np.array([0, 1, 0, 1]))])
    assert figures(parts.total()) == pytest.approx(figures(whole.total()), nan_ok=True)


def test_the_box_beats_nothing_where_frames_are_noisy(tmp_path: Path) -> None:
    material = _material(3)
    assert material.ordered is not None
    runs = held_out_runs(material, 12, 1)
    windows = choose_windows(runs)
    assert windows[0] > 0.5
    smoothers = {"none": NoSmoother(), "box": BoxSmoother(*windows), "box 2 s": BoxSmoother(2.0)}
    tasks = {"made": runs, "wacv2016": ordered_runs(material.ordered)}
    result = compare(smoothers, tasks, 60)
    assert result["default"] == "box"
    assert result["steps"][0]["against"] == "none"
    value, low, high = result["tasks"]["made"]["box"]["overall"]
    assert low <= value <= high
    # On people who change from frame to frame it does harm, and then it is not chosen.
    fickle = ordered_runs(_pool("wacv2016", True, 5))
    assert compare(smoothers, {"made": runs, "wacv2016": fickle}, 60)["default"] == "none"
    # A smoother that is the simpler one again beats nobody.
    same = compare({"box": BoxSmoother(2.0), "lstm": BoxSmoother(2.0)}, tasks, 20)
    assert same["default"] == "box"
    assert same["steps"][0]["difference"]["made"] == [0.0, 0.0, 0.0]
    page = report(
        {
            **result,
            "frame_weights": {"name": "f", "sha256": "0"},
            "weights": {},
            "box_window_s": windows[0],
            "box_state_window_s": windows[1],
            "sequences": 12,
            "draws": 60,
        }
    )
    assert "**Default: `box`**" in page
    assert f"{value:.3f}" not in page  # the overall figure stands in the comparison alone
    assert f"{result['tasks']['made']['box']['macro_f1'][0]:.3f}" in page


@pytest.mark.parametrize(
    ("made", "shifted", "real", "expected"),
    [
        ((0.1, 0.01, 0.2), (0.1, 0.01, 0.2), (0.0, -0.1, 0.1), True),
        ((0.1, 0.01, 0.2), (0.1, -0.01, 0.2), (0.0, -0.1, 0.1), False),
        ((0.1, -0.01, 0.2), (0.1, 0.01, 0.2), (0.1, 0.0, 0.2), False),
        ((0.1, 0.01, 0.2), (0.1, 0.01, 0.2), (-0.1, -0.2, -0.01), False),
    ],
)
def test_what_beating_means(made: tuple, shifted: tuple, real: tuple, expected: bool) -> None:
    assert beats({"made": made, "shifted": shifted, "wacv2016": real}) is expected


SMALL = Schedule(steps=6, batch=4, learning_rate=1e-2, epoch_steps=3, validation_runs=2)


@pytest.mark.parametrize("config", [LstmConfig(hidden=6), Conv3dConfig(channels=(4, 4, 4), hidden=8)])
def test_a_few_steps_change_the_network_and_survive_the_file(
    config: LstmConfig | Conv3dConfig, tmp_path: Path
) -> None:
    kind = "lstm" if isinstance(config, LstmConfig) else "cnn3d"
    material = _material(0)
    said: list[str] = []
    network, checkpoint, metrics = fit_network(
        kind, material, _material(9), tmp_path, SMALL, config=config, say=said.append
    )
    assert checkpoint.is_file()
    assert (tmp_path / "last.ckpt").is_file()
    assert any(p.abs().max() > 0 for p in network.head.parameters())
    assert 0 < metrics["val_score"] < 1
    assert [s.split(":")[0] for s in said if s.startswith("step")] == ["step 3", "step 6"]
    rows = (tmp_path / "log" / "metrics.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 3
    assert "val_score" in rows[0]
    record = WeightRecord(kind, asdict(network.config))
    save_weights(tmp_path / "out.safetensors", record, network.state_dict())
    loaded = load_weights(str(tmp_path / "out.safetensors"), kind)
    again = build_smoother(kind, (loaded.record.network, loaded.tensors))
    run = held_out_runs(material, 1, 3)[0].run
    np.testing.assert_allclose(again.smooth(run), smoother_of(network).smooth(run), atol=0.01)


def test_a_resumed_run_goes_on_as_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, material, other = LstmConfig(hidden=6), _material(0), _material(9)
    fit_network("lstm", material, other, tmp_path / "whole", SMALL, config=config)

    class KilledError(Exception):
        pass

    def say(text: str) -> None:
        if text.startswith("step 6"):
            raise KilledError

    with pytest.raises(KilledError):
        fit_network("lstm", material, other, tmp_path / "cut", SMALL, config=config, say=say)
    fit_network("lstm", material, other, tmp_path / "cut", SMALL, config=config)
    whole, cut = (
        torch.load(tmp_path / d / "last.ckpt", weights_only=False)["state_dict"] for d in ("whole", "cut")
    )
    for key in whole:
        torch.testing.assert_close(cut[key], whole[key])
    with pytest.raises(ConfigError, match="seed"):
        fit_network("lstm", material, other, tmp_path / "cut", SMALL, config=config, seed=2)


def _frame_weights(path: Path, heads: tuple[str, ...] = ("expression", "state")) -> Path:
    torch.manual_seed(0)
    labels = {"expression": EXPRESSIONS, "state": LEARNER_STATES}
    spec = NetworkSpec("mobilenet_v2", {h: HeadSpec(labels[h]) for h in heads})
    chip = ChipSpec(48, 0.9, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    calibration = {
        "expression": {"temperature": 2.0},
        "state": {"scale": [1.0, 2.0, 0.5], "bias": [0.0, 1.0, -1.0]},
    }
    record = WeightRecord("face_state", spec.to_dict(), chip.to_dict(), calibration)
    save_weights(path, record, FaceStateNet(spec).state_dict())
    return path


def test_the_frame_models_calibration_is_applied(tmp_path: Path) -> None:
    model = load_frame_model(_frame_weights(tmp_path / "frame.safetensors"))
    chips = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 3)).astype(np.uint8)
    logits = model.logits(chips)
    from engagement.faces.chips import normalize_chips

    with torch.inference_mode():
        raw = model.opened.network(torch.from_numpy(normalize_chips(chips, model.chip))).logits
    np.testing.assert_allclose(logits[:, :7], torch.log_softmax(raw["expression"] / 2, 1), atol=1e-4)
    expected = raw["state"].numpy() * [1.0, 2.0, 0.5] + [0.0, 1.0, -1.0]
    np.testing.assert_allclose(logits[:, 7:], expected, atol=1e-4)


def test_a_frame_model_without_states_is_refused(tmp_path: Path) -> None:
    path = _frame_weights(tmp_path / "frame.safetensors", ("expression",))
    with pytest.raises(WeightsError, match="'state' head"):
        load_frame_model(path)


def test_unknown_models_and_training_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lstm, cnn3d"):
        train_temporal("gru", "x", tmp_path, None, tmp_path)
    model = load_frame_model(_frame_weights(tmp_path / "frame.safetensors"))
    with pytest.raises(DataError, match="trained on the train split"):
        pool(model, tmp_path, "rafdb", "train", tmp_path, PX)


@pytest.mark.shared
@pytest.mark.slow
def test_from_files_to_weights_and_figures(shared_data: Path, tmp_path: Path) -> None:
    frame = _frame_weights(tmp_path / "frame.safetensors")
    made = train_temporal("lstm", frame, shared_data, None, tmp_path / "out", max_steps=2, limit=120)
    assert load_weights(str(made["weights"]), "lstm").record.origin["frame_weights"] == "frame"
    card = made["card"].read_text(encoding="utf-8")
    assert "non-commercial" in card
    assert str(tmp_path) not in card
    result = evaluate_temporal(
        frame,
        shared_data,
        tmp_path / "out",
        {"lstm": made["weights"]},
        docs=tmp_path / "temporal.md",
        sequences=2,
        draws=5,
        limit=120,
    )
    stored = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert stored["default"] == result["default"]
    page = (tmp_path / "temporal.md").read_text(encoding="utf-8")
    assert "| lstm |" in page
    assert str(tmp_path) not in page
