"""One training run in one folder: fit, resume, select, calibrate, write weights and card."""

from __future__ import annotations

import importlib.util
import json
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engagement.classification.network import FaceStateNet, NetworkSpec
from engagement.errors import BackendUnavailable, ConfigError, DataError
from engagement.types import ChipSpec, FloatArray
from engagement.weights.store import WeightRecord, save_weights
from engagement.wording import count
from training import Say
from training.augment import policy
from training.batch_norm import renew_statistics
from training.calibration import fit_platt, fit_temperature
from training.callbacks import Epochs, History, Patience, checkpoints
from training.chip_dataset import ChipDataset
from training.distillation import taught_by
from training.initial import chip_of, initialise, weights_digest
from training.lightning import (
    Callback,
    EMAWeightAveraging,
    LearningRateMonitor,
    MisconfigurationException,
    TensorBoardLogger,
    WholeCheckpoints,
    fit_module,
    pl,
    rank_zero_only,
)
from training.lightning_module import HeadTrainer
from training.loading import fitting_loaders, measuring_batches, training_batches
from training.loss import answer_weights, class_weights
from training.recipe import Recipe
from training.run_folder import best_epoch, changed_run, enter, going_on, steps_done
from training.samples import SampleTable
from training.sampling import EpochSampler
from training.teacher import embed_table, load_teacher

#: The running mean of the weights has forgotten where it began after about so many of its spans.
_SPANS = 3
#: What earlier run.json lack; it was always so.
_BEFORE = {"processes": 1, "other heads": []}


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a run is done, on what, and who is told; the defaults do all of it.

    Attributes:
        max_steps: optimiser steps, -1 for no limit (trials).
        limit: pictures per split that a set was reduced to, None for all of them: for the record.
        devices, strategy, num_nodes, accelerator: Lightning's.
        tensorboard: also write figures for TensorBoard into the run's folder.
        loaders: processes that read and vary faces for each one that trains; None for what suits the device.

    Raises:
        BackendUnavailable: TensorBoard is asked for and not installed.
    """

    max_steps: int = -1
    devices: int | str = "auto"
    strategy: str = "auto"
    num_nodes: int = 1
    accelerator: str = "auto"
    tensorboard: bool = False
    loaders: int | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.tensorboard and not importlib.util.find_spec("tensorboard"):
            raise BackendUnavailable(
                "--tensorboard needs the package 'tensorboard', which is not installed",
                "pip install 'engagement[tensorboard]', or leave the option out: log/metrics.csv has the figures.",
            )


def leads(recipe: Recipe, limits: Limits) -> bool:
    """Whether this process is the one that speaks and writes: the only one, or the first of several.

    Raises:
        ConfigError: Lightning cannot do what the limits say.
    """
    # A cluster numbers tasks also where each trains for itself.
    return _trainer(recipe, limits).world_size == 1 or rank_zero_only.rank == 0


def _nobody(_: str) -> None:
    """Takes what the processes that do not lead would say."""


def train_head(
    table: SampleTable,
    head: str,
    spec: NetworkSpec,
    recipe: Recipe,
    folder: Path,
    *,
    limits: Limits | None = None,
    resume: bool = True,
    say: Say = lambda _: None,
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
        network, table, head, recipe, folder, chip=chip_of(recipe), limits=limits, resume=resume, say=say
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
    say: Say = lambda _: None,
) -> tuple[FaceStateNet, Path]:
    """:func:`train_head` for a network that exists, with the chips it was made for (``chip``).

    The recipe's backbone, init and chip geometry are not looked at.
    """
    limits = limits or Limits()
    leading = leads(recipe, limits)
    say = say if leading else _nobody
    stages = len(list(network.backbone))
    if recipe.freeze > stages:
        raise ConfigError(
            f"freeze {recipe.freeze}: the backbone has {stages} stages", "Write -1 to freeze all of them."
        )
    table = table.with_validation(recipe.validation_share)
    train, validation = table.part("train"), table.part("val")
    processes, loaders, device = _hardware(recipe, limits)
    if (n := min(len(train), len(validation))) < processes:
        raise DataError(
            f"data set '{train.name}': {count(n, 'face')} to train or validate for {processes} processes"
        )
    others = sorted({*network.spec.heads} - {head})
    last = _begin(folder, recipe, table, limits, processes, others, leading, resume)
    say(f"{table.name}: {count(len(train), 'face')} to train, {len(validation)} to validate")
    pl.seed_everything(recipe.seed, verbose=False)
    dataset = ChipDataset(train, chip, policy(recipe.augmentation), recipe.seed)
    sampler = EpochSampler(dataset, recipe.seed, processes, recipe.sampling == "balanced")
    batches = training_batches(dataset, recipe, sampler, loaders)
    steps = len(batches) * recipe.epochs
    if limits.max_steps > 0:
        steps = min(steps, limits.max_steps)
    if last is not None:
        # Lightning draws a resumed run's first batches before it tells the sampler which epoch it is.
        done = steps_done(last)
        sampler.set_epoch(done // len(batches))
        say(going_on(last, steps, limits.tensorboard))
        if done >= steps:  # as was said; Lightning would leave an empty file
            limits = replace(limits, tensorboard=False)
    wanted = _embedded(recipe, train, say) if recipe.imitate else None
    taught = taught_by(recipe, train, chip, device, say, folder) if recipe.distil else None
    if recipe.renew and last is None:
        say(f"BatchNorm's statistics: taken anew from {train.name}")
        renew_statistics(network, dataset, recipe.seed)
    module = HeadTrainer(network, head, recipe, _loss_weights(train, recipe), steps, wanted, taught)
    callbacks = [
        *checkpoints(folder),
        Epochs(sampler),
        History(folder / "log" / "metrics.csv", say),
        *_asked_for(recipe, limits, steps, len(batches), say),
    ]
    held_out = measuring_batches(ChipDataset(validation, chip), processes, loaders, again=True)
    module.train()  # frozen stages go back to evaluation mode at each epoch's start
    with warnings.catch_warnings():
        # About things that are meant: a folder that holds the run to go on with, no worker processes.
        warnings.simplefilter("ignore")
        trainer = _trainer(recipe, limits, callbacks, steps, folder)
        fit_module(trainer, module, batches, held_out, last, folder=folder, resume=resume, say=say)
    chosen = folder / "best.ckpt"
    module.load_state_dict(best_epoch(chosen))
    return module.network.eval().cpu(), chosen


def _hardware(recipe: Recipe, limits: Limits) -> tuple[int, int, torch.device]:
    """How many processes will train, how many prepare faces for each, and where this one's network runs."""
    # To be known before the trainer that starts them.
    planned = _trainer(recipe, limits)
    device = planned.strategy.root_device
    loaders = fitting_loaders(device, planned.num_devices) if limits.loaders is None else limits.loaders
    return planned.world_size, loaders, device


def _embedded(recipe: Recipe, train: SampleTable, say: Say) -> torch.Tensor:
    """What the recipe's face embedding says of the training faces, (n, d)."""
    say(f"{recipe.teacher}: looking at {len(train)} faces")
    return torch.from_numpy(embed_table(load_teacher(Path(recipe.teacher)), train))


def _asked_for(recipe: Recipe, limits: Limits, steps: int, per_epoch: int, say: Say) -> list[Callback]:
    """What a recipe and the limits add to every training: a running mean, an early end, a log of the rates."""
    callbacks: list[Callback] = []
    if recipe.ema:
        # Not from the first step (counted from 0): the mean would carry the initial weights along. But within the
        # first epoch, or it would be them that are measured at its end. Trials end sooner.
        start = min(per_epoch - 1, steps // 2)
        _tell_of_a_lag(recipe.ema, steps, limits, say)
        callbacks.append(EMAWeightAveraging(decay=recipe.ema, update_starting_at_step=start))
    if recipe.patience:
        callbacks.append(Patience("val_score", mode="max", patience=recipe.patience))
    if limits.tensorboard:
        callbacks.append(LearningRateMonitor())
    return callbacks


def _tell_of_a_lag(ema: float, steps: int, limits: Limits, say: Say) -> None:
    """A mean over much of a run still holds what the network was long before; trials are told nothing."""
    span = round(1 / (1 - ema))
    if limits.max_steps < 0 and _SPANS * span > steps:
        say(
            f"ema {ema:g} is a mean over about {span} steps, and the run has {steps}: it lags behind what is learned. "
            f"--set ema={max(0.0, 1 - 2 * _SPANS / max(steps, 1)):.3f} would follow."
        )


def _begin(
    folder: Path,
    recipe: Recipe,
    table: SampleTable,
    limits: Limits,
    processes: int,
    others: list[str],
    leading: bool,
    resume: bool,
) -> Path | None:
    """Write what is being run; the checkpoint to go on from, if there is one.

    Raises:
        ConfigError: the folder holds a run of another recipe or other data.
    """
    train = table.part("train")
    asked = {
        "recipe": recipe.to_dict(),
        "pictures, labels or splits": table.digest(),
        "the files of init, teacher or distil": [
            weights_digest(f) for f in (recipe.init, recipe.teacher, *recipe.distil)
        ],
        "data": {"name": train.name, "train": len(train), "first": str(train.sample_id[0])},
        "limit": limits.limit,
        "max_steps": limits.max_steps,
        "processes": processes,
        "other heads": others,
    }
    before = asked | _BEFORE
    last = enter(folder, "run.json", asked, resume, before=before, changed=changed_run, leading=leading)
    if leading:
        (folder / "recipe.json").write_text(json.dumps(recipe.to_dict(), indent=1), encoding="utf-8")
    return last


def _trainer(
    recipe: Recipe,
    limits: Limits,
    callbacks: list[Callback] | None = None,
    steps: int = 0,
    folder: Path | None = None,
) -> pl.Trainer:
    """The trainer of a run; without callbacks, steps and folder one that only tells how many processes it has.

    Raises:
        ConfigError: Lightning cannot do what the limits say.
    """
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    strategy = limits.strategy
    if strategy == "ddp" and recipe.unfreeze_epoch:
        strategy = "ddp_find_unused_parameters_true"  # what thaws later has no gradient before
    try:
        trainer = pl.Trainer(
            max_epochs=recipe.epochs,
            max_steps=limits.max_steps,
            # A trial that ends within the first epoch is validated all the same.
            limit_train_batches=steps if limits.max_steps > 0 and steps else None,
            accelerator=limits.accelerator,
            devices=limits.devices,
            strategy=strategy,
            num_nodes=limits.num_nodes,
            precision=recipe.precision,  # type: ignore[arg-type]
            callbacks=callbacks,
            plugins=WholeCheckpoints(),
            logger=TensorBoardLogger(folder, "log", "tensorboard")
            if folder and limits.tensorboard
            else False,
            gradient_clip_val=recipe.gradient_clip or None,
            use_distributed_sampler=False,  # the samplers share the rows out themselves
            benchmark=True,  # chips of one size: cuDNN may try what is fastest for it
            enable_checkpointing=bool(callbacks),
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
    except (MisconfigurationException, ImportError, ValueError, TypeError) as error:
        asked = f"--accelerator {limits.accelerator} --devices {limits.devices} --strategy {limits.strategy}"
        raise ConfigError(
            f"Lightning cannot train with {asked} --num-nodes {limits.num_nodes}: {str(error).splitlines()[0].rstrip('.!')}",
            "Leave these options out to train on what is found here.",
        ) from error
    if strategy == "auto" and recipe.unfreeze_epoch and trainer.world_size > 1:
        return _trainer(recipe, replace(limits, strategy="ddp"), callbacks, steps, folder)
    return trainer


def require_every_class(train: SampleTable) -> None:
    """Raise DataError naming the exclusive classes that faces to train do not show."""
    empty = [c for c, n in zip(train.labels.classes, np.nansum(train.target, axis=0), strict=True) if n == 0]
    if empty:
        raise DataError(
            f"data set '{train.name}' has no training picture of: {', '.join(empty)}",
            "Add some, or raise --limit where it is given. `engagement train personal` and `engagement train extension` "
            "learn the classes that there are.",
        )


def _loss_weights(train: SampleTable, recipe: Recipe) -> torch.Tensor:
    if train.labels.kind == "exclusive":
        require_every_class(train)
        return class_weights(train.target, recipe.balance)
    return answer_weights(train.target)


def calibration_of(logits: FloatArray, validation: SampleTable) -> dict[str, Any]:
    """Temperature (exclusive), or scale, bias and how often it is there per state (independent), from faces that
    were not learned from.

    Args:
        logits: (n, classes) of the n faces.
    """
    if validation.labels.kind == "exclusive":
        return {"temperature": fit_temperature(logits, validation.target)}
    scale, bias = fit_platt(logits, validation.target)
    often = np.nan_to_num(np.nanmean(validation.target, axis=0), nan=0.5)
    return {"scale": scale, "bias": bias, "often": [float(share) for share in often]}


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
