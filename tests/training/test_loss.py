"""Rare classes and rare answers weigh as much as is wanted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.fitting.loss import answer_weights, balanced_loss, class_weights


def test_class_weights_count_as_one_on_average() -> None:
    target = np.eye(2, dtype=np.float32)[[0] * 90 + [1] * 10]
    for balance in (0.0, 0.5, 1.0):
        weight = class_weights(target, balance).numpy()
        assert (target @ weight).mean() == pytest.approx(1.0)
    assert class_weights(target, 0.0).tolist() == [1.0, 1.0]
    equal = class_weights(target, 1.0)
    assert float(equal[1] / equal[0]) == pytest.approx(9.0)


def test_both_answers_weigh_the_same() -> None:
    target = np.array([[1, 0, np.nan]] * 3 + [[0, 0, np.nan]], np.float32)
    no, yes = answer_weights(target).numpy()
    assert 3 * yes[0] == pytest.approx(1 * no[0])
    assert (no[2], yes[2]) == (1, 1)  # never known
    assert np.isfinite([no, yes]).all()
    # Faces of which it is not known change nothing.
    some = np.array([1, np.nan, 1, 0, np.nan], np.float32)[:, None]
    assert torch.equal(answer_weights(some), answer_weights(some[np.isfinite(some)][:, None]))


@pytest.mark.parametrize("answer", [0, 1])
def test_an_answer_that_nearly_nobody_gives_counts_as_one_of_a_hundred(answer: int) -> None:
    target = np.full((1000, 1), 1 - answer, np.float32)
    target[0] = answer
    assert float(answer_weights(target)[answer, 0]) == pytest.approx(50)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_of_states_is_the_mean_over_what_is_known(smoothing: float) -> None:
    """By hand, from the probability that is said: the logarithm of it for yes, of the rest for no."""
    target = torch.tensor([[1.0, torch.nan], [0.0, 1.0], [torch.nan, 0.0]])
    said = torch.tensor([[0.7, 0.5], [0.4, 0.2], [0.5, 0.9]])
    weights = torch.tensor([[0.5, 2.0], [3.0, 4.0]])
    yes, no = torch.tensor([0.7, 0.4, 0.2, 0.9]).log(), torch.tensor([0.3, 0.6, 0.8, 0.1]).log()
    soft = torch.tensor([1.0, 0.0, 1.0, 0.0]) * (1 - smoothing) + smoothing / 2
    each = -(soft * yes + (1 - soft) * no) * torch.tensor([3.0, 0.5, 4.0, 2.0])
    assert float(balanced_loss(said.logit(), target, weights, smoothing)) == pytest.approx(float(each.mean()))


def test_what_is_not_known_counts_for_nothing() -> None:
    target = torch.tensor([[1.0, torch.nan], [0.0, 1.0], [1.0, 0.0]])
    logits = torch.tensor([[0.3, 9.0], [0.1, 0.2], [-0.5, 0.4]])
    weights = answer_weights(target.numpy())
    loss = balanced_loss(logits, target, weights, 0.1)
    assert torch.isfinite(loss)
    logits[0, 1] = -9.0
    assert torch.equal(balanced_loss(logits, target, weights, 0.1), loss)


def test_balanced_loss_is_least_at_even_odds_where_nothing_tells_the_answers_apart() -> None:
    target = torch.tensor([[1.0]] * 9 + [[0.0]])
    weights = answer_weights(target.numpy())
    at = {x: float(balanced_loss(torch.full((10, 1), x), target, weights)) for x in (-1.0, 0.0, 1.0)}
    assert at[0.0] < min(at[-1.0], at[1.0])


def test_smoothing_keeps_exclusive_targets_whole() -> None:
    target = torch.eye(3)[[0, 1, 2, 2]]
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    plain = torch.nn.functional.cross_entropy(logits, target.argmax(dim=1), label_smoothing=0.2)
    assert float(balanced_loss(logits, target, torch.ones(3), 0.2)) == pytest.approx(float(plain), rel=1e-5)
