"""The Lightning side of training a FaceStateNet head (and its backbone, where it is not frozen)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler

from engagement.classification.network import FaceStateNet
from engagement.types import FloatArray
from training.chip_dataset import ChipDataset
from training.lightning import pl
from training.metrics import auc
from training.recipe import Recipe


def class_weights(target: FloatArray, balance: float) -> Tensor:
    """Weight per class, (n / n_class) ** balance, scaled so that the mean over the rows is 1."""
    count = np.maximum(np.nansum(target, axis=0), 1.0)
    weight = (count.sum() / count) ** balance
    return torch.tensor(weight / float((weight * count).sum() / count.sum()), dtype=torch.float32)


class EpochSampler(Sampler[int]):
    """A random order that depends on (seed, epoch) alone, so that a resumed run goes on as it would have."""

    def __init__(self, dataset: ChipDataset, seed: int) -> None:
        self.dataset, self.seed, self.epoch = dataset, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = self.dataset.epoch = epoch

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[int]:
        return iter(np.random.default_rng((self.seed, self.epoch)).permutation(len(self.dataset)).tolist())


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
    """

    def __init__(
        self,
        network: FaceStateNet,
        head: str,
        recipe: Recipe,
        weights: Tensor,
        steps: int,
        embeddings: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.projection = None if embeddings is None else nn.Linear(network.width, embeddings.shape[1])
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.head, self.recipe, self.steps = head, recipe, steps
        self.exclusive = network.spec.heads[head].labels.kind == "exclusive"
        self.register_buffer("weights", weights)
        self._seen: list[tuple[Tensor, Tensor]] = []
        for stage in self._frozen():
            stage.requires_grad_(False)

    def _frozen(self) -> list[nn.Module]:
        stages = list(self.network.backbone)
        return stages if self.recipe.freeze < 0 else stages[: self.recipe.freeze]

    def on_train_epoch_start(self) -> None:
        for stage in self._frozen():
            stage.eval()

    def forward(self, chips: Tensor) -> Tensor:
        return self.network(chips.contiguous(memory_format=torch.channels_last)).logits[self.head]

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        weights = self.weights
        assert isinstance(weights, Tensor)
        if self.exclusive:
            smooth = self.recipe.label_smoothing
            soft = target * (1 - smooth) + smooth / target.shape[1]
            each = -(soft * weights * nn.functional.log_softmax(logits, dim=1)).sum(dim=1)
            return each.mean()
        known = torch.isfinite(target)
        answer = torch.where(known, target, torch.zeros_like(target))
        weight = torch.where(answer > 0.5, weights[1], weights[0]) * known
        smooth = self.recipe.label_smoothing
        soft = answer * (1 - smooth) + smooth / 2
        each = nn.functional.binary_cross_entropy_with_logits(logits, soft, reduction="none")
        return (each * weight).sum() / known.sum().clamp(min=1)

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], _: int) -> Tensor:
        # Checkpoints do not hold torch's generator: dropout of a resumed run must be that of an unbroken one.
        torch.manual_seed((self.recipe.seed * 1009 + self.global_rank) * 1_000_003 + self.global_step)
        out = self.network(batch[0].contiguous(memory_format=torch.channels_last))
        loss = self.loss(out.logits[self.head], batch[1])
        if self.projection is not None and self.embeddings is not None:
            wanted = self.embeddings[batch[2].cpu()].to(loss.device)
            alike = nn.functional.cosine_similarity(self.projection(out.features), wanted)
            self.log("train_cosine", alike.mean(), on_step=False, on_epoch=True, batch_size=len(alike))
            loss = loss + self.recipe.imitate * (1 - alike.mean())
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch[0]))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor], _: int) -> None:
        self._seen.append((self(batch[0]).cpu(), batch[1].cpu()))

    def on_validation_epoch_end(self) -> None:
        logits, target = (torch.cat(parts) for parts in zip(*self._seen, strict=True))
        self._seen.clear()
        self.log("val_loss", self.loss(logits.to(self.device), target.to(self.device)))
        if self.exclusive:
            hit = (logits.argmax(1) == target.argmax(1)).float()
            truth = target.argmax(1)
            recall = [hit[truth == c].mean() for c in truth.unique()]
            self.log("val_accuracy", hit.mean(), prog_bar=True)
            self.log("val_mean_class", torch.stack(recall).mean(), prog_bar=True)
            # Both figures count: the one that users see and the one that rare classes feel.
            self.log("val_score", (hit.mean() + torch.stack(recall).mean()) / 2)
        else:
            areas = [auc(logits[:, i].numpy(), target[:, i].numpy() > 0.5) for i in range(target.shape[1])]
            self.log("val_score", float(np.nanmean(areas)), prog_bar=True)

    def configure_optimizers(self) -> dict[str, Any]:
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            in_backbone = name.startswith("network.backbone.")
            if parameter.requires_grad and name.startswith(
                ("network.backbone.", f"network.heads.{self.head}.", "projection.")
            ):
                key = (in_backbone, parameter.ndim >= 2)
                groups.setdefault(key, []).append(parameter)
        rates, settings = [], []
        for (in_backbone, decays), parameters in groups.items():
            rate = self.recipe.learning_rate * (self.recipe.backbone_rate if in_backbone else 1.0)
            rates.append(rate)
            # Decay pulls weights towards zero; on biases and BatchNorm that only shifts the activations.
            decay = self.recipe.weight_decay if decays else 0.0
            settings.append({"params": parameters, "lr": rate, "weight_decay": decay})
        optimizer = torch.optim.AdamW(settings)
        warmup = self.recipe.warmup
        if abs(warmup * self.steps - 1) < 1e-6:
            warmup *= 1.5  # OneCycleLR divides by the length of its rise less one step
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, rates, total_steps=self.steps, pct_start=warmup, div_factor=10, final_div_factor=1000
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def loader(
    dataset: ChipDataset, recipe: Recipe, sampler: EpochSampler | None = None, workers: int = 0
) -> DataLoader[Any]:
    """Batches: in the sampler's order for training, in the table's order without one.

    The last short batch is dropped in training, because BatchNorm needs pictures to average over.
    """
    if sampler is None:
        return DataLoader(dataset, batch_size=128, num_workers=workers)
    short = len(dataset) < recipe.batch_size
    return DataLoader(
        dataset, batch_size=recipe.batch_size, sampler=sampler, drop_last=not short, num_workers=workers
    )
