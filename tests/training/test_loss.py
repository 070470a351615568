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


def test_what_is_not_known_counts_for_nothing() -> None:
    target = torch.tensor([[1.0, torch.nan], [0.0, 1.0], [1.0, 0.0]])
    logits = torch.tensor([[0.3, 9.0], [0.1, 0.2], [-0.5, 0.4]])
    weights = answer_weights(target.numpy())
    loss = balanced_loss(logits, target, weights, 0.1)
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
