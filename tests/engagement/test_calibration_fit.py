"""Personal calibration without files: which moments, which shifts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import rankdata

from engagement.calibration.fit import PriorConfig, fit_shifts
from engagement.errors import ConfigError
from engagement.labelling.proposals import ProposalConfig, information, propose
from engagement.timelines.shifts import in_order, logits, shifted

scores = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def one_person(score: list[float], yes: list[bool], prior: PriorConfig | None = None) -> float:
    whose = np.zeros(len(score), np.int64)
    return float(fit_shifts(np.array(score), np.array(yes), whose, 1, prior or PriorConfig())[0])


@given(scores, st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_the_shift_is_where_labels_and_prior_balance(score: list[float], seed: int) -> None:
    yes = np.random.default_rng(seed).random(len(score)) < 0.5
    prior = PriorConfig()
    shift = one_person(score, yes.tolist(), prior)
    pull = (yes - expit(logits(np.array(score)) + shift)).sum()
    # One person alone: the two priors add up to one of the sum of their variances.
    assert pull * (prior.person_sd**2 + prior.session_sd**2) == pytest.approx(shift, abs=1e-3)


@given(scores, st.floats(-5, 5))
@settings(max_examples=60, deadline=None)
def test_no_shift_turns_the_order_of_moments_round(score: list[float], shift: float) -> None:
    before, after = np.array(score), shifted(np.array(score), shift)
    assert ((after >= 0) & (after <= 1)).all()
    assert (np.diff(after[np.argsort(before, kind="stable")]) >= -1e-12).all()


def test_no_shift_changes_no_bit() -> None:
    values = np.array([0.0, 1e-9, 0.3, 1.0, np.nan], np.float32)
    assert np.array_equal(shifted(values, 0.0), values.astype(np.float64), equal_nan=True)
    assert np.isnan(shifted(values, 0.4)[-1])


def test_a_shift_is_added_to_the_logit() -> None:
    """Odds of one to one become three to one by the logarithm of three."""
    up = float(np.log(3))
    assert shifted(np.array([0.5, 0.25, 0.9]), up).tolist() == pytest.approx([0.75, 0.5, 27 / 28])
    assert shifted(np.array([0.5, 0.75]), np.array([up, -up])).tolist() == pytest.approx([0.75, 0.5])
    certain = logits(np.array([0.0, 1.0]))
    assert np.isfinite(certain).all() and certain[0] == pytest.approx(-certain[1])
    assert in_order({"engagement": up}).tolist() == [0.0, up, 0.0]


def test_two_labels_move_little_ten_move_more() -> None:
    moved = [one_person([0.5] * n, [True] * n) for n in (1, 2, 10, 100)]
    assert moved == sorted(moved)
    assert moved[1] < 0.6 < moved[2] < 2 < moved[3]
    assert one_person([0.5] * 10, [False] * 10) == pytest.approx(-moved[2], abs=1e-4)


def test_what_the_model_knows_already_moves_nothing() -> None:
    assert abs(one_person([0.8] * 10, [True] * 8 + [False] * 2)) < 1e-3


def test_people_without_label_stay_and_others_lean_on_the_session() -> None:
    prior = PriorConfig()
    others = np.repeat(np.arange(1, 9), 6)
    score, whose = np.full(50, 0.5), np.concatenate([[0, 0], others])
    same = fit_shifts(score, np.ones(50, bool), whose, 10, prior)
    against = fit_shifts(score, np.array([True, True] + [False] * 48), whose, 10, prior)
    assert same[9] == against[9] == 0
    assert same[0] > one_person([0.5] * 2, [True] * 2) > against[0]


def test_a_wider_prior_lets_labels_move_more() -> None:
    given = [one_person([0.5] * 4, [True] * 4, PriorConfig(sd, 0.5)) for sd in (0.1, 0.75, 3)]
    assert given == sorted(given) and given[0] < 0.5 * given[2]


@pytest.mark.parametrize("options", [(0, 0.5), (0.75, 11), (float("nan"), 1)])
def test_a_prior_out_of_range_is_named(options: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match=r"prior .* is not within 0\.01-10"):
        PriorConfig(*options)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=60), st.integers(1, 12), st.floats(0, 9)
)
@settings(max_examples=60, deadline=None)
def test_moments_are_few_apart_and_in_order(prob: list[tuple[float, float]], n: int, apart: float) -> None:
    times = np.arange(len(prob)) * 0.2
    rows = propose(times, np.array(prob).reshape(-1, 2), ProposalConfig(n, apart))
    assert len(rows) <= n and (len(rows) > 0) == (len(prob) > 0)
    assert (np.diff(times[rows]) >= apart - 1e-9).all() and (np.diff(rows) > 0).all()


def test_of_each_stretch_the_least_certain_moment_is_taken() -> None:
    prob = np.full((60, 3), 0.02)
    best = [7, 29, 44]
    prob[best] = 0.5
    prob[8] = 0.5  # a second one of the same stretch, as good
    assert propose(np.arange(60.0), prob, ProposalConfig(3, 0)).tolist() == best


def test_information_is_greatest_where_the_score_is_undecided() -> None:
    found = information(np.array([[0.5, 0.5], [0.5, 1.0], [0.9, 0.9], [0.0, 1.0]]))
    assert found.tolist() == pytest.approx([1.0, 0.5, 0.36, 0.0])
    assert rankdata(found).tolist() == [4, 3, 2, 1]


@pytest.mark.parametrize("n", [0, 101])
def test_a_silly_number_of_moments_is_named(n: int) -> None:
    with pytest.raises(ConfigError, match=f"--moments {n} "):
        ProposalConfig(n)


def test_a_second_round_asks_about_other_moments() -> None:
    times = np.arange(100.0)
    prob = np.full((100, 1), 0.5)
    first = propose(times, prob, ProposalConfig(4, 5.0))
    second = propose(times, prob, ProposalConfig(4, 5.0), times[first].tolist())
    assert np.abs(times[first][:, None] - times[second][None]).min() >= 5.0
    # Where nothing else is left, the same is asked again: an answer may be changed.
    assert len(propose(times[:4], prob[:4], ProposalConfig(4, 5.0), [1.0]))
