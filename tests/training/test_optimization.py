"""Optimisers and schedules as their papers define them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from training.fitting.optimization import Sam, make_optimizer, make_schedule, parameter_groups
from training.recipes.recipe import Recipe


def quadratic(weights: nn.Parameter, optimizer: torch.optim.Optimizer) -> torch.Tensor:
    """Half of 4 x^2 + y^2; its gradient is (4 x, y)."""
    optimizer.zero_grad()
    loss = 0.5 * (torch.tensor([4.0, 1.0]) * weights**2).sum()
    loss.backward()
    return loss.detach()


def test_sam_takes_the_gradient_where_the_loss_rises_fastest() -> None:
    weights = nn.Parameter(torch.tensor([1.0, 3.0]))
    optimizer = Sam(torch.optim.SGD([weights], lr=0.1), rho=0.5)
    loss = optimizer.step(lambda: quadratic(weights, optimizer))
    gradient = np.array([4.0, 3.0])
    there = np.array([1.0, 3.0]) + 0.5 * gradient / 5.0
    expected = np.array([1.0, 3.0]) - 0.1 * np.array([4.0, 1.0]) * there
    np.testing.assert_allclose(weights.detach().numpy(), expected, rtol=1e-6)
    assert float(loss) == pytest.approx(6.5)  # the loss at the weights, not at the second place
    assert not optimizer.displaced


def test_sam_goes_to_the_minimum_of_a_quadratic_within_its_distance() -> None:
    weights = nn.Parameter(torch.tensor([1.0, 3.0]))
    optimizer = Sam(torch.optim.SGD([weights], lr=0.05, momentum=0.5), rho=0.01)
    for _ in range(200):
        optimizer.step(lambda: quadratic(weights, optimizer))
    assert float(weights.detach().norm()) < 0.01


def test_sam_goes_on_from_its_state() -> None:
    def run(steps: int, weights: nn.Parameter, state: dict | None = None) -> dict:
        optimizer = Sam(torch.optim.AdamW([weights], lr=0.1), rho=0.05)
        if state is not None:
            optimizer.load_state_dict(state)
        for _ in range(steps):
            optimizer.step(lambda: quadratic(weights, optimizer))
        return copy.deepcopy(optimizer.state_dict())

    unbroken, broken = (nn.Parameter(torch.tensor([1.0, 3.0])) for _ in range(2))
    run(6, unbroken)
    run(4, broken, run(2, broken))
    assert torch.equal(unbroken, broken)


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)]
)
def test_decay_pulls_at_matrices_only(name: str, kind: type) -> None:
    """With gradients of zero a step moves weights by their decay alone, and biases not at all."""
    recipe = Recipe(optimizer=name, learning_rate=0.1, weight_decay=0.5, backbone_rate=0.1)
    network = nn.ModuleDict(
        {"backbone": nn.Conv2d(1, 2, 3), "norm": nn.BatchNorm2d(2), "head": nn.Linear(2, 2)}
    )
    nn.init.ones_(network["head"].bias)  # type: ignore[arg-type]
    named = [(f"network.{n}", p) for n, p in network.named_parameters()]
    optimizer = make_optimizer(parameter_groups(named, recipe), recipe)
    assert type(optimizer) is kind  # AdamW is an Adam, too
    before = {n: p.detach().clone() for n, p in named}
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name_, parameter in named:
        moved = not torch.equal(parameter, before[name_])
        assert moved == (parameter.ndim >= 2), name_
    if name == "adamw":  # apart from the gradient: by rate x decay, the backbone's a tenth of it
        torch.testing.assert_close(network["head"].weight, before["network.head.weight"] * (1 - 0.05))
        torch.testing.assert_close(
            network["backbone"].weight, before["network.backbone.weight"] * (1 - 0.005)
        )


def rates(recipe: Recipe, steps: int) -> list[float]:
    optimizer = make_optimizer([{"params": [nn.Parameter(torch.zeros(2, 2))], "lr": 1.0}], recipe)
    schedule = make_schedule(optimizer, recipe, steps)
    out = []
    for step in range(steps):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step + 1 < steps:
            schedule.step()  # type: ignore[call-arg]
    return out


def test_onecycle_rises_for_a_tenth_and_falls_to_a_ten_thousandth() -> None:
    found = rates(Recipe(), 110)
    assert found[0] == pytest.approx(0.1)
    assert int(np.argmax(found)) == 10
    assert max(found) == pytest.approx(1.0)
    assert found[-1] == pytest.approx(0.1 / 1000)


def test_cosine_rises_falls_and_is_half_in_the_middle() -> None:
    found = rates(Recipe(schedule="cosine"), 110)
    assert found[:11] == pytest.approx([(i + 1) / 12 for i in range(11)])
    assert found[11] == pytest.approx(1.0)
    assert found[11 + 50] == pytest.approx(0.5, abs=0.01)
    assert np.all(np.diff(found[11:]) < 0)
    assert found[-1] < 0.001


@pytest.mark.parametrize("schedule", ["onecycle", "cosine", "constant"])
@pytest.mark.parametrize("steps", [1, 2, 5, 10, 20])
@pytest.mark.parametrize("warmup", [0.05, 0.1, 0.5])
def test_a_run_of_any_length_has_a_schedule(schedule: str, steps: int, warmup: float) -> None:
    found = rates(Recipe(schedule=schedule, warmup=warmup), steps)
    assert np.isfinite(found).all()
    assert 0 <= min(found) <= max(found) <= 1.0001
    if schedule == "constant":
        assert set(found) == {1.0}


def test_the_plateau_falls_when_the_score_no_longer_rises() -> None:
    recipe = Recipe(schedule="plateau", plateau_factor=0.25, plateau_patience=1)
    optimizer = make_optimizer([{"params": [nn.Parameter(torch.zeros(2, 2))], "lr": 1.0}], recipe)
    schedule = make_schedule(optimizer, recipe, 100)
    found = []
    for score in (0.5, 0.6, 0.6, 0.6, 0.7):
        schedule.step(score)  # type: ignore[call-arg]
        found.append(optimizer.param_groups[0]["lr"])
    assert found == pytest.approx([1.0, 1.0, 1.0, 0.25, 0.25])
