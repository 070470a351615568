"""The box against a plain reading of its definition."""

from __future__ import annotations

import numpy as np
import pytest

from temporal.base import SCORE_COUNT, ScoreRun, from_logits
from temporal.box import BoxSmoother, NoSmoother


def _run(count: int, seed: int = 0) -> ScoreRun:
    rng = np.random.default_rng(seed)
    return ScoreRun(
        np.cumsum(rng.uniform(0.05, 0.6, count)),
        from_logits(rng.normal(0, 2, (count, SCORE_COUNT))),
        rng.random(count) > 0.25,
    )


@pytest.mark.parametrize("window_s", [0.3, 2.0, 7.0])
def test_is_the_mean_of_the_valid_samples_in_the_window(window_s: float) -> None:
    run = _run(80)
    out = BoxSmoother(window_s).smooth(run)
    for t, row in zip(run.times_s, out, strict=True):
        inside = run.valid & (np.abs(run.times_s - t) <= window_s / 2)
        if inside.any():
            np.testing.assert_allclose(row, run.prob[inside].mean(axis=0), atol=1e-6)
        else:
            assert np.isnan(row).all()


def test_states_have_a_window_of_their_own() -> None:
    run = _run(80)
    both = BoxSmoother(1.0, 6.0).smooth(run)
    np.testing.assert_array_equal(both[run.valid, :7], BoxSmoother(1.0).smooth(run)[run.valid, :7])
    np.testing.assert_array_equal(both[run.valid, 7:], BoxSmoother(6.0).smooth(run)[run.valid, 7:])


def test_the_edge_of_the_window_belongs_to_it() -> None:
    prob = np.zeros((3, SCORE_COUNT), np.float32)
    prob[:, 0] = 1
    prob[:, 9] = [0.0, 0.5, 1.0]
    # 0.1 + 0.2 is not 0.3 in floating point.
    run = ScoreRun(np.array([0.1, 0.3 - 0.1, 0.1 + 0.2]), prob, np.ones(3, np.bool_))
    np.testing.assert_allclose(BoxSmoother(0.2).smooth(run)[:, 9], [0.25, 0.5, 0.75], atol=1e-6)


def test_a_long_run_is_as_exact_as_a_short_one() -> None:
    run = _run(50_000)
    np.testing.assert_allclose(
        BoxSmoother(2.0).smooth(run)[-50:],
        BoxSmoother(2.0).smooth(run.rows(slice(-200, None)))[-50:],
        atol=1e-6,
    )


@pytest.mark.parametrize("window_s", [0.0, -1.0, float("nan"), float("inf")])
def test_refuses_a_window_that_is_none(window_s: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        BoxSmoother(window_s)


def test_none_gives_back_what_it_got() -> None:
    run = _run(20)
    out = NoSmoother().smooth(run)
    np.testing.assert_array_equal(out[run.valid], run.prob[run.valid])
    assert np.isnan(out[~run.valid]).all()
