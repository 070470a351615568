"""The Lightning side of training a FaceStateNet head (and its backbone, where it is not frozen)."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
import torch.distributed
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from engagement.classification.network import FaceStateNet
from engagement.errors import ConfigError
from engagement.inference import channels_last
from training.fitting.batch_norm import statistics_kept
from training.fitting.distillation import Teachers, distillation_loss
from training.fitting.lightning import pl
from training.fitting.loss import balanced_loss
from training.fitting.mixing import draw_mixture
from training.fitting.optimization import Sam, make_optimizer, make_schedule, parameter_groups
from training.measuring.metrics import auc
from training.recipes.recipe import Recipe
from training.samples.augment import policy


class HeadTrainer(pl.LightningModule):
    """Trains the head ``head`` of a network.

    Exclusive labels: cross-entropy against one-hot or voted targets. Independent labels: binary
    cross-entropy in which both answers of each state weigh the same (a balanced prior).

    Args:
        network: with a head of that name.
        recipe: rates, weights, freezing.
        weights: (classes,) per class (exclusive), or (2, classes) for the answers no and yes.
        steps: optimiser steps of the whole run.
        embeddings: (n, d) unit vectors of the training rows that the features should also tell, with the
            recipe's weight ``imitate``; the projection that says them is not part of the network.
        taught: (n, classes) what the recipe's teachers say of the training rows (see training.fitting.distillation), or
            the teachers themselves, which are then asked about every batch as it is shown.
    """

    def __init__(
        self,
        network: FaceStateNet,
        head: str,
        recipe: Recipe,
        weights: Tensor,
        steps: int,
        embeddings: Tensor | None = None,
        taught: Tensor | Teachers | None = None,
    ) -> None:
        super().__init__()
        self.embeddings, self.taught = embeddings, taught
        self.projection = None if embeddings is None else nn.Linear(network.width, embeddings.shape[1])
        self.network = channels_last(network)
        self.head, self.recipe, self.steps = head, recipe, steps
        self.exclusive = network.spec.heads[head].labels.kind == "exclusive"
        self.mixing = policy(recipe.augmentation)
        self.register_buffer("weights", weights)
        self._seen: list[tuple[Tensor, Tensor, Tensor]] = []
        # What thaws later has to be known to optimiser and strategy from the start.
        for stage in self.frozen(recipe.epochs):
            stage.requires_grad_(False)
        # Nor do other heads learn, of which no gradient comes.
        for name, other in [*network.heads.items(), ("", network.identity)]:
            if other is not None and name != head:
                other.requires_grad_(False)

    def frozen(self, epoch: int) -> list[nn.Module]:
        """The backbone's stages that are frozen in an epoch."""
        stages, count = list(self.network.backbone), self.recipe.frozen_stages(epoch)
        return stages if count < 0 else stages[:count]

    def on_fit_start(self) -> None:
        # No part of the network, so they do not travel with it.
        if self.embeddings is not None:
            self.embeddings = self.embeddings.to(self.device)
        if isinstance(self.taught, Tensor):
            self.taught = self.taught.to(self.device)

    def on_train_epoch_start(self) -> None:
        still = set(self.frozen(self.current_epoch))
        for stage in self.network.backbone:
            # Evaluation mode: BatchNorm's statistics stay, dropout rests.
            stage.train(stage not in still)
            stage.requires_grad_(stage not in still)
        if self.network.identity is not None:
            self.network.identity.eval()  # it stays as it is; its BatchNorm must not follow these faces

    def forward(self, chips: Tensor) -> Tensor:
        return self.network(chips.contiguous(memory_format=torch.channels_last)).logits[self.head]

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        assert isinstance(self.weights, Tensor)
        return balanced_loss(logits, target, self.weights, self.recipe.label_smoothing)

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], _: int) -> Tensor:
        recipe, (chips, target, rows) = self.recipe, batch
        # Checkpoints do not hold torch's generator: dropout of a resumed run must be that of an unbroken one.
        torch.manual_seed((recipe.seed * 1009 + self.global_rank) * 1_000_003 + self.global_step)
        rng = np.random.default_rng((recipe.seed, self.global_rank, self.global_step))
        mixture = draw_mixture(self.mixing, len(chips), chips.shape[-1], rng, chips.device)
        taught = self.taught[rows] if isinstance(self.taught, Tensor) else None
        if mixture is not None:
            chips, target = mixture.pictures(chips), mixture.targets(target)
            taught = None if taught is None else mixture.targets(taught)
        if isinstance(self.taught, Teachers):
            taught = self.taught(chips)
        second = self._at_sams_second_pass()
        with statistics_kept(self.network) if second else nullcontext():
            out = self.network(chips.contiguous(memory_format=torch.channels_last))
        loss = self.loss(out.logits[self.head], target)
        figures = {}
        if taught is not None:
            apart = distillation_loss(out.logits[self.head].float(), taught, recipe.distil_temperature)
            figures["train_distil"] = apart
            loss = (1 - recipe.distil_weight) * loss + recipe.distil_weight * apart
        if self.projection is not None and self.embeddings is not None:
            wanted = self.embeddings[rows]
            alike = nn.functional.cosine_similarity(self.projection(out.features), wanted)
            figures["train_cosine"] = alike.mean()
            loss = loss + recipe.imitate * (1 - alike.mean())
        figures["train_loss"] = loss
        if not second:
            for name, value in figures.items():
                self.log(
                    name, value, on_step=False, on_epoch=True, batch_size=len(chips), sync_dist=self._many()
                )
        return loss

    def _at_sams_second_pass(self) -> bool:
        optimizer = self.optimizers(use_pl_optimizer=False) if self.recipe.sam else None
        return isinstance(optimizer, Sam) and optimizer.displaced

    def _many(self) -> bool:
        return self.trainer.world_size > 1

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor], _: int) -> None:
        self._seen.append((self(batch[0]).float().cpu(), batch[1].cpu(), batch[2].cpu()))

    def on_validation_epoch_end(self) -> None:
        seen = list(self._seen)
        self._seen.clear()
        if self._many():  # every process measures all shares, so that all decide alike
            shares: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(shares, seen)
            seen = [part for share in shares for part in share]
        logits, target, row = (torch.cat(parts) for parts in zip(*seen, strict=True))
        if self._many():
            logits, target = logits[row.argsort()], target[row.argsort()]
        if not torch.isfinite(logits).all():
            raise ConfigError(
                f"training has diverged in epoch {self.current_epoch + 1}: the network says nothing finite any more",
                "Lower learning_rate, or set gradient_clip; then start anew with --no-resume or another -o.",
            )
        self.log("val_loss", self.loss(logits.to(self.device), target.to(self.device)))
        if self.exclusive:
            hit = (logits.argmax(1) == target.argmax(1)).float()
            truth = target.argmax(1)
            recall = [hit[truth == c].mean() for c in truth.unique()]
            self.log("val_accuracy", hit.mean(), prog_bar=True)
            self.log("val_mean_class", torch.stack(recall).mean(), prog_bar=True)
            # Both figures count: the one that users see and the one that rare classes feel.
            score = float((hit.mean() + torch.stack(recall).mean()) / 2)
        else:
            known = torch.isfinite(target)  # an answer that nobody gave is no "no"
            areas = [
                auc(logits[k, i].numpy(), target[k, i].numpy() > 0.5) for i, k in enumerate(known.unbind(1))
            ]
            score = float(np.nanmean(areas))
        self.log("val_score", score, prog_bar=True)
        schedule = None if self.trainer.sanity_checking else self.lr_schedulers()
        if isinstance(schedule, ReduceLROnPlateau):
            # Here and not by Lightning, whose turn comes after the checkpoint is written.
            schedule.step(score)

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        if not isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step()

    def configure_optimizers(self) -> dict[str, Any]:
        trained = ("network.backbone.", f"network.heads.{self.head}.", "projection.")
        frozen = {id(p) for stage in self.frozen(self.recipe.epochs) for p in stage.parameters()}
        named = [
            (name, p)
            for name, p in self.named_parameters()
            if name.startswith(trained) and id(p) not in frozen
        ]
        optimizer = make_optimizer(parameter_groups(named, self.recipe), self.recipe)
        schedule = make_schedule(optimizer, self.recipe, self.steps)
        if isinstance(schedule, ReduceLROnPlateau):
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "val_score"}}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
