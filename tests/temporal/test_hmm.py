"""The HMM against its definition, path by path, and the laws that follow from it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from temporal.base import EXPRESSION_COUNT, SCORE_COUNT, ScoreRun, from_logits
from temporal.hmm import HmmSmoother

E = EXPRESSION_COUNT
USUAL_S = (0.5, 3.0)


def _run(times: np.ndarray, seed: int = 0) -> ScoreRun:
    logits = np.random.default_rng(seed).normal(0, 1.5, (len(times), SCORE_COUNT))
    return ScoreRun(np.asarray(times, np.float64), from_logits(logits), np.ones(len(times), np.bool_))


def _looks(prob: np.ndarray, times: np.ndarray, look_s: float) -> np.ndarray:
    """What each sample says, (T, C): the less, the more others are near."""
    near = np.maximum(0, 1 - np.abs(times[:, None] - times[None]) / look_s)
    return prob ** (1 / near.sum(axis=1))[:, None]


def _by_paths(evidence: np.ndarray, times: np.ndarray, hold_s: float) -> np.ndarray:
    """Marginals of every label by summing over all paths: (T, C) likelihoods to (T, C) probabilities."""
    count, labels = evidence.shape
    out = np.zeros_like(evidence)
    for path in product(range(labels), repeat=count):
        weight = evidence[0, path[0]] / labels
        for i in range(1, count):
            kept = np.exp(-(times[i] - times[i - 1]) / hold_s)
            weight *= (kept * (path[i] == path[i - 1]) + (1 - kept) / labels) * evidence[i, path[i]]
        out[np.arange(count), path] += weight
    return out / out.sum(axis=1, keepdims=True)


def test_is_the_sum_over_all_paths() -> None:
    run = _run(np.array([0.0, 0.7, 1.5, 6.1]))
    out = HmmSmoother(1.3, 4.0).smooth(run)
    prob = run.prob.astype(np.float64)
    expected = _by_paths(_looks(prob[:, :E], run.times_s, 2.5 * 1.3), run.times_s, 1.3)
    np.testing.assert_allclose(out[:, :E], expected, atol=1e-5)
    for k in range(E, SCORE_COUNT):
        sides = _looks(np.stack([1 - prob[:, k], prob[:, k]], axis=1), run.times_s, 2 * 4.0)
        np.testing.assert_allclose(out[:, k], _by_paths(sides, run.times_s, 4.0)[:, 1], atol=1e-5)


def test_a_sample_alone_keeps_its_scores() -> None:
    run = _run(np.array([5.0]))
    np.testing.assert_allclose(HmmSmoother(*USUAL_S).smooth(run), run.prob, atol=1e-6)


def test_looks_at_the_same_moment_count_once() -> None:
    alone = _run(np.array([1.0]))
    run = ScoreRun(1.0 + np.arange(20) * 1e-4, np.repeat(alone.prob, 20, axis=0), np.ones(20, np.bool_))
    np.testing.assert_allclose(
        HmmSmoother(*USUAL_S).smooth(run), np.repeat(alone.prob, 20, axis=0), atol=1e-3
    )


@pytest.mark.parametrize("rate_hz", [0.5, 1, 3, 5, 10, 30])
@pytest.mark.parametrize("hold_s", [(0.5, 3.0), (2.0, 10.0)])
@pytest.mark.parametrize("sure", [0.4, 0.75, 0.95])
def test_looking_long_and_often_makes_nobody_surer(rate_hz: float, hold_s: tuple, sure: float) -> None:
    prob = np.full((int(100 * rate_hz), SCORE_COUNT), (1 - sure) / (E - 1), np.float32)
    prob[:, 3], prob[:, E:] = sure, [sure, 0.5, 1 - sure]
    run = ScoreRun(np.arange(len(prob)) / rate_hz, prob, np.ones(len(prob), np.bool_))
    out = HmmSmoother(*hold_s).smooth(run)
    assert (out[:, [3, E]] < sure + 0.04).all()
    np.testing.assert_allclose(out[:, E + 1], 0.5, atol=1e-6)
    np.testing.assert_allclose(out[:, E + 2], 1 - out[:, E], atol=1e-5)
    middle = out[len(out) // 2]
    np.testing.assert_allclose(middle[[3, E]], sure, atol=0.04)


def test_one_sample_that_stands_out_is_outvoted() -> None:
    prob = np.full((31, SCORE_COUNT), 0.4 / (E - 1), np.float32)
    prob[:, 3], prob[:, E:] = 0.6, 0.7
    prob[15, [3, 4]] = prob[15, [4, 3]]
    prob[15, E] = 0.2
    out = HmmSmoother(*USUAL_S).smooth(ScoreRun(np.arange(31) * 0.2, prob, np.ones(31, np.bool_)))
    assert out[15, :E].argmax() == 3
    assert 0.6 < out[15, E] < out[15, E + 1]


def test_knows_no_direction_of_time() -> None:
    run = _run(np.array([0.0, 0.1, 0.5, 1.9, 2.0, 2.4]))
    back = ScoreRun(-run.times_s[::-1], run.prob[::-1].copy(), run.valid)
    np.testing.assert_allclose(
        HmmSmoother(*USUAL_S).smooth(back)[::-1], HmmSmoother(*USUAL_S).smooth(run), atol=1e-6
    )


def test_an_unreadable_sample_changes_nothing_and_is_bridged() -> None:
    run = _run(np.arange(8) * 0.2)
    more = ScoreRun(
        np.insert(run.times_s, 4, 0.7), np.insert(run.prob, 4, 0.3, axis=0), np.insert(run.valid, 4, False)
    )
    out = HmmSmoother(*USUAL_S).smooth(more)
    np.testing.assert_allclose(np.delete(out, 4, axis=0), HmmSmoother(*USUAL_S).smooth(run), atol=1e-6)
    between = np.sort(out[[3, 5]], axis=0)
    assert (out[4] > between[0] - 0.1).all() and (out[4] < between[1] + 0.1).all()


def test_long_pauses_forget() -> None:
    run = _run(np.array([0.0, 1e4]))
    np.testing.assert_allclose(HmmSmoother(*USUAL_S).smooth(run), run.prob, atol=1e-5)


def test_certain_scores_that_contradict_each_other_stay_finite() -> None:
    prob = np.zeros((4, SCORE_COUNT), np.float32)
    prob[np.arange(4), [0, 3, 0, 3]] = 1
    prob[:, E:] = np.array([0, 1, 0, 1])[:, None]
    out = HmmSmoother(*USUAL_S).smooth(ScoreRun(np.arange(4) * 1e-3, prob, np.ones(4, np.bool_)))
    assert np.isfinite(out).all()
    np.testing.assert_allclose(out[:, :E].sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("times", [(0.0, 1), (1, -1.0), (float("nan"), 1), (1, float("inf"))])
def test_refuses_times_that_are_none(times: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        HmmSmoother(*times)
