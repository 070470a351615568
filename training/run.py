"""One training run in one folder: fit, resume, select, calibrate, write weights and card."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engagement.classification.network import FaceStateNet, HeadSpec, NetworkSpec
from engagement.errors import ConfigError, DataError
from engagement.types import ChipSpec, FloatArray
from engagement.weights.store import WeightRecord, save_weights
from training.augment import policy
from training.calibration import fit_platt, fit_temperature
from training.chip_dataset import ChipDataset
from training.history import History
from training.initial import initialise
from training.lightning import Callback, EarlyStopping, EMAWeightAveraging, ModelCheckpoint, pl
from training.lightning_module import EpochSampler, HeadTrainer, class_weights, loader
from training.recipe import Recipe
from training.samples import SampleTable
from training.teacher import embed_table, load_teacher


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


class _Epochs(Callback):
    """Tells order and augmentation which epoch it is, also where Lightning wraps the sampler."""

    def __init__(self, sampler: EpochSampler) -> None:
        self.sampler = sampler

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.sampler.set_epoch(trainer.current_epoch)


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
    pl.seed_everything(recipe.seed, verbose=False)
    network = FaceStateNet(spec, recipe.dropout)
    origin = initialise(network, recipe.init)
    say(f"weights: {origin}")
    return train_network(
        network, table, head, recipe, folder, chip=recipe.chip, limits=limits, resume=resume, say=say
    )


def train_network(
    network: FaceStateNet,
    table: SampleTable,
    head: str,
    recipe: Recipe,
    folder: Path,
    *,
    chip: ChipSpec,
    limits: Limits | None = None,
    resume: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[FaceStateNet, Path]:
    """:func:`train_head` for a network that exists, with the chips it was made for (``chip``).

    The recipe's backbone, init and chip geometry are not looked at.
    """
    limits = limits or Limits()
    table = table.with_validation(recipe.validation_share)
    train, validation = table.part("train"), table.part("val")
    last = _begin(folder, recipe, train, limits, resume)
    say(f"{table.name}: {len(train)} faces to train, {len(validation)} to validate")
    pl.seed_everything(recipe.seed, verbose=False)
    dataset = ChipDataset(train, chip, policy(recipe.augmentation), recipe.seed)
    sampler = EpochSampler(dataset, recipe.seed)
    batches = loader(dataset, recipe, sampler)
    if last is not None:
        # Lightning draws a resumed run's first batches before it tells the sampler which epoch it is.
        done = torch.load(last, map_location="cpu", weights_only=False)["global_step"]
        sampler.set_epoch(done // len(batches))
    steps = len(batches) * recipe.epochs
    if limits.max_steps > 0:
        steps = min(steps, limits.max_steps)
    wanted: torch.Tensor | None = None
    if recipe.imitate:
        say(f"{recipe.teacher}: looking at {len(train)} faces")
        wanted = torch.from_numpy(embed_table(load_teacher(Path(recipe.teacher)), train))
    module = HeadTrainer(network, head, recipe, _loss_weights(train, recipe), steps, wanted)
    best = ModelCheckpoint(folder, "best", monitor="val_score", mode="max", enable_version_counter=False)
    # save_last would follow the best epochs only; a resumed run needs every one.
    latest = ModelCheckpoint(folder, "last", enable_version_counter=False)
    callbacks: list[Callback] = [
        best,
        latest,
        _Epochs(sampler),
        History(folder / "log" / "metrics.csv", say),
    ]
    if recipe.ema:
        # Not from the first step: the mean would carry the initial weights along. Trials end sooner.
        start = min(len(batches), steps // 2)
        callbacks.append(EMAWeightAveraging(decay=recipe.ema, update_starting_at_step=start))
    if recipe.patience:
        callbacks.append(EarlyStopping("val_score", mode="max", patience=recipe.patience))
    held_out = loader(ChipDataset(validation, chip), recipe)
    module.train()  # frozen stages go back to evaluation mode at each epoch's start
    with warnings.catch_warnings():
        # About things that are meant: a folder that holds the run to go on with, no worker processes.
        warnings.simplefilter("ignore")
        trainer = _trainer(recipe, limits, callbacks, steps)
        trainer.fit(module, batches, held_out, ckpt_path=last, weights_only=False)
    chosen = folder / "best.ckpt"
    # Our own file of this run, with Lightning's state beside the tensors.
    module.load_state_dict(torch.load(chosen, map_location="cpu", weights_only=False)["state_dict"])
    return module.network.eval().cpu(), chosen


def _begin(folder: Path, recipe: Recipe, train: SampleTable, limits: Limits, resume: bool) -> Path | None:
    """Write what is being run; the checkpoint to go on from, if there is one.

    Raises:
        ConfigError: the folder holds a run of another recipe or other data.
    """
    folder.mkdir(parents=True, exist_ok=True)
    asked = {
        "recipe": recipe.to_dict(),
        "data": {"name": train.name, "train": len(train), "first": str(train.sample_id[0])},
        "max_steps": limits.max_steps,
    }
    last, record = folder / "last.ckpt", folder / "run.json"
    if last.is_file() and resume:
        begun = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else asked
        different = [k for k in asked if begun.get(k) != asked[k]]
        if "recipe" in different:
            # A recipe written before a key existed had that key's default.
            default, old, new = Recipe().to_dict(), begun["recipe"], asked["recipe"]
            different.remove("recipe")
            different += [k for k in new if old.get(k, default[k]) != new[k]]
        if different:
            raise ConfigError(
                f"{folder} holds a run that differs in: {', '.join(different)}",
                "Start anew with --no-resume, or choose another folder with -o.",
            )
    elif not resume:
        for name in ("last.ckpt", "best.ckpt"):
            (folder / name).unlink(missing_ok=True)
    record.write_text(json.dumps(asked, indent=1), encoding="utf-8")
    (folder / "recipe.json").write_text(json.dumps(recipe.to_dict(), indent=1), encoding="utf-8")
    return last if last.is_file() else None


def _trainer(recipe: Recipe, limits: Limits, callbacks: list[Callback], steps: int) -> pl.Trainer:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    return pl.Trainer(
        max_epochs=recipe.epochs,
        max_steps=limits.max_steps,
        # A trial that ends within the first epoch is validated all the same.
        limit_train_batches=steps if limits.max_steps > 0 else None,
        accelerator=limits.accelerator,
        devices=limits.devices,
        strategy=limits.strategy,
        num_nodes=limits.num_nodes,
        callbacks=callbacks,
        logger=False,
        gradient_clip_val=1.0,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def _loss_weights(train: SampleTable, recipe: Recipe) -> torch.Tensor:
    if train.labels.kind == "exclusive":
        empty = [
            c for c, n in zip(train.labels.classes, np.nansum(train.target, axis=0), strict=True) if n == 0
        ]
        if empty:
            raise DataError(f"data set '{train.name}' has no training picture of: {', '.join(empty)}")
        return class_weights(train.target, recipe.balance)
    share = np.clip(np.nanmean(train.target, axis=0), 0.01, 0.99)
    return torch.tensor(np.stack([0.5 / (1 - share), 0.5 / share]), dtype=torch.float32)


@torch.inference_mode()
def predict(
    network: FaceStateNet, table: SampleTable, spec: ChipSpec, batch: int = 128
) -> dict[str, FloatArray]:
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


def calibration_of(
    network: FaceStateNet, head: str, validation: SampleTable, spec: ChipSpec
) -> dict[str, Any]:
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
