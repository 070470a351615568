"""Optimisers and schedules of a recipe."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from training.recipes.recipe import Recipe


def parameter_groups(
    named: Iterable[tuple[str, nn.Parameter]], recipe: Recipe, backbone: str = "network.backbone."
) -> list[dict[str, Any]]:
    """Parameters by learning rate and decay.

    Decay pulls weights towards zero; on biases and BatchNorm that only shifts the activations, so it acts
    on matrices and kernels alone.

    Args:
        named: name -> parameter.
        recipe: rates and decay.
        backbone: how names of the backbone's parameters begin; they learn at ``backbone_rate``.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in named:
        groups.setdefault((name.startswith(backbone), parameter.ndim >= 2), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": recipe.learning_rate * (recipe.backbone_rate if in_backbone else 1.0),
            "weight_decay": recipe.weight_decay if decays else 0.0,
        }
        for (in_backbone, decays), parameters in groups.items()
    ]


def make_optimizer(groups: list[dict[str, Any]], recipe: Recipe) -> Optimizer:
    """The recipe's optimiser, within SAM where it asks for that."""
    if recipe.optimizer == "sgd":
        optimizer: Optimizer = torch.optim.SGD(
            groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov
        )
    elif recipe.optimizer == "adam":
        optimizer = torch.optim.Adam(groups)
    else:
        optimizer = torch.optim.AdamW(groups)
    return Sam(optimizer, recipe.sam) if recipe.sam else optimizer


def make_schedule(optimizer: Optimizer, recipe: Recipe, steps: int) -> LRScheduler | ReduceLROnPlateau:
    """The recipe's schedule; all but ``plateau`` move with every step.

    Args:
        optimizer: whose groups have their full rates.
        recipe: which schedule, and its warm-up.
        steps: of the whole run.
    """
    if recipe.schedule == "plateau":
        return ReduceLROnPlateau(
            optimizer, "max", factor=recipe.plateau_factor, patience=recipe.plateau_patience
        )
    if recipe.schedule == "constant":
        return LambdaLR(optimizer, lambda _: 1.0)
    if recipe.schedule == "cosine":
        rise = round(recipe.warmup * steps)

        def factor(step: int) -> float:
            if step < rise:
                return (step + 1) / (rise + 1)
            return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise))))

        return LambdaLR(optimizer, factor)
    rates = [group["lr"] for group in optimizer.param_groups]
    return OneCycleLR(
        optimizer,
        rates,
        total_steps=steps,
        pct_start=rising_share(recipe.warmup, steps),
        div_factor=10,
        final_div_factor=1000,
        cycle_momentum=recipe.optimizer != "sgd",
    )


def rising_share(share: float, steps: int) -> float:
    """The share of a run's steps in which OneCycleLR's rate rises, moved where it would be one step.

    OneCycleLR divides by the length of its rise less one step.
    """
    return share * 1.5 if abs(share * steps - 1) < 1e-6 else share


class Sam(Optimizer):
    """Sharpness-aware minimisation (Foret et al. 2021) around another optimiser.

    Each step takes the gradient twice: at the weights, and where the loss rises fastest at distance
    ``rho`` from them; the second moves the weights. The step's closure computes loss and gradient, as
    Lightning's automatic optimisation hands it over, so it costs two passes and nothing else changes.

    Args:
        base: takes the steps; its groups, state and defaults are shared.
        rho: distance, above 0.

    Attributes:
        displaced: whether the closure is being called at the second place.
    """

    def __init__(self, base: Optimizer, rho: float) -> None:
        super().__init__(base.param_groups, base.defaults)
        self.base, self.rho, self.displaced = base, rho, False
        self._share()

    def _share(self) -> None:
        self.param_groups, self.state = self.base.param_groups, self.base.state

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        assert closure is not None, "SAM needs a closure that computes the loss anew"
        evaluate = torch.enable_grad()(closure)
        loss = evaluate()
        moved = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        if not moved:
            return loss
        length = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(p.grad) for p in moved]))
        before = [p.detach().clone() for p in moved]
        for parameter in moved:
            parameter.add_(parameter.grad * (self.rho / (length + 1e-12)))
        self.displaced = True
        try:
            evaluate()
        finally:
            self.displaced = False
        for parameter, value in zip(moved, before, strict=True):
            parameter.copy_(value)
        self.base.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        return self.base.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.base.load_state_dict(state_dict)
        self._share()
