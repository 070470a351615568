"""Sequences with known truth, training items, and figures against hand counts and references."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from engagement.errors import DataError
from engagement.labels import EXPRESSIONS, LEARNER_STATES
from temporal.base import ScoreRun
from temporal.box import BoxSmoother
from temporal.conv3d import Conv3dConfig
from temporal.lstm import LstmConfig
from tests.training.made_up_pools import made_up_material, made_up_pool
from training.temporal.figures import Tally, figures, overall, segments, tally
from training.temporal.fit import held_out_runs, judge
from training.temporal.items import SequenceItems, collate, degraded, expression_weights
from training.temporal.semi_markov import (
    EXPRESSION_CHAIN,
    EXPRESSION_CHAIN_SHIFTED,
    SemiMarkov,
    state_chain,
    varied_chain,
)
from training.temporal.sequences import (
    AT_5_HZ,
    Conditions,
    LabelledRun,
    expression_run,
    ordered_runs,
    sample_times,
    state_codes,
    state_run,
)
from training.temporal.train import fitting


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


def test_training_varies_the_chain() -> None:
    chains = [varied_chain(np.random.default_rng(s)) for s in range(30)]
    shares = np.stack([c.share_of_time() for c in chains])
    neutral = EXPRESSIONS.index("neutral")
    assert np.ptp(shares[:, neutral]) > 0.2
    assert (shares > 0).all()
    assert shares[:, neutral].mean() < EXPRESSION_CHAIN.share_of_time()[neutral]
    weight = expression_weights(0.5)
    assert weight.argmin() == neutral


def test_segments_are_looked_up_at_their_times() -> None:
    drawn = EXPRESSION_CHAIN.draw(30.0, np.random.default_rng(1))
    middle = (drawn.start_s + drawn.end_s) / 2
    np.testing.assert_array_equal(drawn.place(middle), np.arange(len(drawn.label)))


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
    source = made_up_pool("rafdb", False, 0, noise=0.0)
    how = Conditions(rate_hz=(5.0, 5.0), noise=0.0, offset=0.0)
    run = expression_run(source, 60.0, how, np.random.default_rng(0))
    valid = run.run.valid
    assert valid.mean() > 0.6
    np.testing.assert_array_equal(run.run.prob[valid, :7].argmax(axis=1), run.expression[valid])
    assert np.isnan(run.state).all()
    assert len(set(run.expression.tolist())) > 2


def test_some_samples_are_invalid_and_show_something_else() -> None:
    source = made_up_pool("rafdb", False, 0, noise=0.0)
    runs = [expression_run(source, 60.0, AT_5_HZ, np.random.default_rng(s)) for s in range(10)]
    valid = np.concatenate([r.run.valid for r in runs])
    assert 0.02 < (~valid).mean() < 0.12
    right = np.concatenate([r.run.prob[:, :7].argmax(axis=1) == r.expression for r in runs])
    assert right[valid].mean() > 0.95
    assert right[~valid].mean() < 0.6


def test_consecutive_frames_err_alike() -> None:
    run = expression_run(made_up_pool("rafdb", False, 0), 120.0, AT_5_HZ, np.random.default_rng(0)).run
    log = np.log(run.prob[run.valid])
    near = np.abs(log[1:] - log[:-1]).mean()
    far = np.abs(log[25:] - log[:-25]).mean()
    assert near < 0.6 * far


def test_a_state_sequence_stays_with_one_person() -> None:
    source = made_up_pool("daisee", True, 0, noise=0.0)
    for seed in range(5):
        run = state_run(source, 60.0, AT_5_HZ, np.random.default_rng(seed))
        mine = set(state_codes(source.state[source.group == run.group]).tolist())
        assert set(state_codes(run.state).tolist()) <= mine
        assert (run.expression == -1).all()


def test_the_scores_do_not_depend_on_whether_pictures_are_made() -> None:
    source = made_up_pool("rafdb", False, 0)
    with_chips = expression_run(source, 20.0, Conditions(), np.random.default_rng(3))
    without = expression_run(source, 20.0, Conditions(chips=False), np.random.default_rng(3))
    assert without.run.chips is None
    np.testing.assert_array_equal(without.run.prob, with_chips.run.prob)


def test_an_empty_class_is_named() -> None:
    source = made_up_pool("rafdb", False, 0)
    with pytest.raises(DataError, match="fear"):
        expression_run(source.rows(source.expression != 2), 5.0, AT_5_HZ, np.random.default_rng(0))


def test_ordered_pictures_keep_order_and_person() -> None:
    source = made_up_pool("wacv2016", True, 0)
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


def test_the_answer_for_a_degraded_clip_is_the_whole_one_averaged() -> None:
    clip = made_up_material(0).clips[0]
    run, soft = degraded(clip, np.random.default_rng(0))
    assert len(run) <= len(clip)
    kept = np.isin(clip.times_s, run.times_s)
    np.testing.assert_array_equal(soft, BoxSmoother(4.0).smooth(clip)[kept])
    assert (run.prob != clip.prob[kept]).any()


@pytest.mark.parametrize("config", [LstmConfig(), Conv3dConfig()])
def test_items_repeat_and_batch(config: LstmConfig | Conv3dConfig) -> None:
    items = SequenceItems(made_up_material(0), config, 8, 1)
    first, again = items[3], SequenceItems(made_up_material(0), config, 8, 1)[3]
    for key in first:
        np.testing.assert_array_equal(first[key], again[key])
    batch = collate([items[i] for i in range(8)])
    lead = batch["base"].shape[:2]
    assert all(v.shape[:2] == lead for k, v in batch.items() if k != "lengths")
    assert torch.isfinite(batch["base"]).all()
    assert torch.isfinite(batch["soft"]).all()
    known = torch.isfinite(batch["state"])
    assert (batch["state_weight"][known] > 0).all()


def test_every_frame_of_ordered_pictures_is_drawn() -> None:
    whole = made_up_material(0)
    assert whole.ordered is not None
    single = replace(whole.ordered, group=np.array(["one"] * len(whole.ordered)))
    items = SequenceItems(replace(whole, ordered=single), LstmConfig(window_s=10.0), 10, 1)
    rows = {prob.tobytes(): i for i, prob in enumerate(items.ordered[0].run.prob)}
    seen: set[int] = set()
    for seed in range(400):
        seen |= {rows[p.tobytes()] for p in items._labelled("ordered", np.random.default_rng(seed)).run.prob}
    assert seen == set(range(len(single)))


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
    runs = held_out_runs(made_up_material(0), 2, 1)
    whole = judge(BoxSmoother(2.0), runs)
    parts = Tally.join([whole.total(np.array([1, 0, 1, 0])), whole.total(np.array([0, 1, 0, 1]))])
    assert figures(parts.total()) == pytest.approx(figures(whole.total()), nan_ok=True)
