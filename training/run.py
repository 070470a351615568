"""One training run in one folder: fit, resume, select, calibrate, write weights and card."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engagement.classification.network import FaceStateNet, HeadSpec, NetworkSpec
from engagement.errors import DataError
from engagement.types import ChipSpec, FloatArray
from engagement.weights.store import WeightRecord, save_weights
from training.calibration import fit_platt, fit_temperature
from training.chip_dataset import ChipDataset
from training.initial import initialise
from training.lightning import Callback, CSVLogger, EarlyStopping, EMAWeightAveraging, ModelCheckpoint, pl
from training.lightning_module import HeadTrainer, class_weights, loader
from training.recipe import Recipe
from training.samples import SampleTable


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a run is done; the defaults do all of it.

    Attributes:
        max_steps: optimiser steps, -1 for no limit (trials).
        devices, strategy, num_nodes, accelerator: Lightning's.
    """

    max_steps: int = -1
    devices: int | str = "auto"
    strategy: str = "auto"
    num_nodes: int = 1
    accelerator: str = "auto"


class _Report(Callback):
    """One line per epoch through a callback: the command line prints, a library does not."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say, self.start = say, time.monotonic()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        figures = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val_")}
        text = ", ".join(f"{k.removeprefix('val_')} {v:.4f}" for k, v in sorted(figures.items()))
        self.say(f"epoch {trainer.current_epoch + 1}: {text} ({time.monotonic() - self.start:.0f} s)")


def train_head(
    table: SampleTable,
    head: str,
    spec: NetworkSpec,
    recipe: Recipe,
    folder: Path,
    *,
    limits: Limits | None = None,
    resume: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[FaceStateNet, Path]:
    """Fit the head and, where the recipe does not freeze it, the backbone.

    The best epoch by ``val_score`` is kept; ``last.ckpt`` in ``folder`` lets a killed run go on.

    Returns:
        the network with the selected weights (the running mean when the recipe has EMA), and the
        Lightning checkpoint it came from.

    Raises:
        DataError: a split is empty.
    """
    limits = limits or Limits()
    table = table.with_validation(recipe.validation_share)
    train, validation = table.part("train"), table.part("val")
    pl.seed_everything(recipe.seed, verbose=False)
    network = FaceStateNet(spec, recipe.dropout)
    origin = initialise(network, recipe.init)
    say(f"{table.name}: {len(train)} faces to train, {len(validation)} to validate; weights: {origin}")
    from training.augment import policy

    batches = loader(ChipDataset(train, recipe.chip, policy(recipe.augmentation), recipe.seed), recipe, True)
    steps = len(batches) * recipe.epochs
    if limits.max_steps > 0:
        steps = min(steps, limits.max_steps)
    module = HeadTrainer(network, head, recipe, _loss_weights(train, recipe), steps)
    best = ModelCheckpoint(folder, "best", monitor="val_score", mode="max", save_last=True, enable_version_counter=False)
    callbacks: list[Callback] = [best, _Report(say)]
    if recipe.ema:
        callbacks.append(EMAWeightAveraging(decay=recipe.ema))
    if recipe.patience:
        callbacks.append(EarlyStopping("val_score", mode="max", patience=recipe.patience))
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    trainer = pl.Trainer(
        max_epochs=recipe.epochs,
        max_steps=limits.max_steps,
        accelerator=limits.accelerator,
        devices=limits.devices,
        strategy=limits.strategy,
        num_nodes=limits.num_nodes,
        callbacks=callbacks,
        logger=CSVLogger(folder, name="", version="log"),
        gradient_clip_val=1.0,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=20,
    )
    last = folder / "last.ckpt"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.json").write_text(json.dumps(recipe.to_dict(), indent=1), encoding="utf-8")
    held_out = loader(ChipDataset(validation, recipe.chip), recipe, False)
    trainer.fit(module, batches, held_out, ckpt_path=last if resume and last.is_file() else None)
    chosen = Path(best.best_model_path or last)
    # Our own file of this run, with Lightning's state beside the tensors.
    state = torch.load(chosen, map_location="cpu", weights_only=False)["state_dict"]
    module.load_state_dict(state)
    return module.network.eval().cpu(), chosen


def _loss_weights(train: SampleTable, recipe: Recipe) -> torch.Tensor:
    if train.labels.kind == "exclusive":
        empty = [c for c, n in zip(train.labels.classes, np.nansum(train.target, axis=0), strict=True) if n == 0]
        if empty:
            raise DataError(f"data set '{train.name}' has no training picture of: {', '.join(empty)}")
        return class_weights(train.target, recipe.balance)
    share = np.clip(np.nanmean(train.target, axis=0), 0.01, 0.99)
    return torch.tensor(np.stack([0.5 / (1 - share), 0.5 / share]), dtype=torch.float32)


@torch.inference_mode()
def predict(network: FaceStateNet, table: SampleTable, spec: ChipSpec, batch: int = 128) -> dict[str, FloatArray]:
    """Logits of every head and ``features`` for every row, without augmentation; float32 (n, …)."""
    dataset = ChipDataset(table, spec)
    network = network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    parts: dict[str, list[FloatArray]] = {}
    for start in range(0, len(dataset), batch):
        chips = torch.stack([dataset[i][0] for i in range(start, min(start + batch, len(dataset)))])
        out = network(chips.contiguous(memory_format=torch.channels_last))
        for name, value in {**out.logits, "features": out.features}.items():
            parts.setdefault(name, []).append(value.numpy())
    return {name: np.concatenate(values) for name, values in parts.items()}


def calibration_of(network: FaceStateNet, head: str, validation: SampleTable, spec: ChipSpec) -> dict[str, Any]:
    """Temperature (exclusive) or scale and bias per state (independent), from the validation split."""
    logits = predict(network, validation, spec)[head]
    if validation.labels.kind == "exclusive":
        return {head: {"temperature": fit_temperature(logits, validation.target)}}
    scale, bias = fit_platt(logits, validation.target)
    return {head: {"scale": scale, "bias": bias}}


def export(
    path: Path,
    network: FaceStateNet,
    chip: ChipSpec,
    calibration: Mapping[str, Any],
    metrics: Mapping[str, Any],
    origin: Mapping[str, Any],
    licence: str,
) -> str:
    """Write a FaceStateNet as a weight file; returns its sha256."""
    record = WeightRecord(
        kind="face_state",
        network=network.spec.to_dict(),
        chip=chip.to_dict(),
        calibration=calibration,
        metrics=metrics,
        licence=licence,
        origin=origin,
    )
    return save_weights(path, record, network.state_dict())


def expression_spec(backbone: str, head: HeadSpec) -> NetworkSpec:
    """A network with the expression head alone."""
    return NetworkSpec(backbone, {"expression": head})
