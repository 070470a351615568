"""The Lightning side of training a temporal network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from temporal.base import EXPRESSION_COUNT, TemporalSmoother
from temporal.conv3d import Conv3dNet, Conv3dSmoother
from temporal.lstm import LstmNet, LstmSmoother
from training.fitting.lightning import pl
from training.fitting.optimization import rising_share
from training.temporal.figures import Tally, figures, overall, tally
from training.temporal.sequences import LabelledRun

#: Weight of the answers that the box or the frame model gives where there is no label.
_SOFT = 0.1


def smoother_of(network: LstmNet | Conv3dNet) -> TemporalSmoother:
    """The network as it is used, sharing its weights."""
    return LstmSmoother(network) if isinstance(network, LstmNet) else Conv3dSmoother(network)


class TemporalTrainer(pl.LightningModule):
    """Cross-entropy of expressions and states, with a pull towards the box where there is no label.

    Args:
        network: LstmNet or Conv3dNet.
        class_weights: (7,) of the expressions.
        held_out: runs that the smoother is judged on after each epoch.
        learning_rate: highest of the OneCycle schedule, with AdamW.
        steps: optimiser steps of the whole run.
        seed: of dropout.
    """

    def __init__(
        self,
        network: LstmNet | Conv3dNet,
        class_weights: Tensor,
        held_out: Sequence[LabelledRun],
        learning_rate: float,
        steps: int,
        seed: int = 1,
    ) -> None:
        super().__init__()
        self.network = network
        self.held_out = list(held_out)
        self.learning_rate, self.steps, self.seed = learning_rate, steps, seed
        self.register_buffer("class_weights", class_weights)
        self._tallies: list[Tally] = []

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Corrected logits, the shape of ``batch["base"]``."""
        if isinstance(self.network, LstmNet):
            correction = self.network(batch["features"], batch["lengths"].cpu())
        else:
            correction = self.network(batch["chips"], batch["logits"], batch["base"], batch["seen"])
        return batch["base"] + correction

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Mean over the samples that the box has scores for."""
        usable = batch["usable"]
        logits = self(batch)[usable]
        truth, state, soft = batch["expression"][usable], batch["state"][usable], batch["soft"][usable]
        weights = self.class_weights
        assert isinstance(weights, Tensor)
        log_prob = torch.log_softmax(logits[:, :EXPRESSION_COUNT], dim=1)
        known = truth >= 0
        index = truth.clamp(min=0)
        hard = -log_prob.gather(1, index[:, None])[:, 0] * weights[index]
        teacher = -(soft[:, :EXPRESSION_COUNT] * log_prob).sum(dim=1)
        expression = torch.where(known, hard, _SOFT * teacher)
        answered = torch.isfinite(state)
        target = torch.where(answered, state, soft[:, EXPRESSION_COUNT:]).float()
        each = nn.functional.binary_cross_entropy_with_logits(
            logits[:, EXPRESSION_COUNT:], target, reduction="none"
        )
        weight = torch.where(answered, batch["state_weight"][usable].float(), torch.full_like(target, _SOFT))
        return expression.mean() + (each * weight).mean()

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        # Dropout depends on the step alone, so a resumed run goes on as it would have.
        torch.manual_seed(self.seed * 1_000_003 + self.global_step)
        loss = self.loss(batch)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["usable"]))
        return loss

    def validation_step(self, row: Tensor, _: int) -> None:
        run = self.held_out[int(row)]
        self._tallies.append(tally(run, smoother_of(self.network).smooth(run.run)))

    def on_validation_epoch_end(self) -> None:
        figure = figures(Tally.join(self._tallies).total())
        self._tallies.clear()
        for name in ("macro_f1", "event_f1", "log_loss", "state_auc", "state_log_loss"):
            self.log(f"val_{name}", figure[name])
        self.log("val_score", overall(figure))

    def configure_optimizers(self) -> dict[str, Any]:
        matrices = [p for p in self.network.parameters() if p.ndim >= 2]
        others = [p for p in self.network.parameters() if p.ndim < 2]
        optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}],
            lr=self.learning_rate,
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.learning_rate, total_steps=self.steps, pct_start=rising_share(0.1, self.steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
