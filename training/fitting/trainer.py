"""Lightning's trainer for a recipe: how much is done, on what, in how many processes."""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from engagement.errors import BackendUnavailable, ConfigError
from training.fitting.lightning import (
    Callback,
    MisconfigurationException,
    TensorBoardLogger,
    WholeCheckpoints,
    pl,
    rank_zero_only,
)
from training.recipes.recipe import Recipe
from training.samples.loading import fitting_loaders


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
    return make_trainer(recipe, limits).world_size == 1 or rank_zero_only.rank == 0


def hardware(recipe: Recipe, limits: Limits) -> tuple[int, int, torch.device]:
    """How many processes will train, how many prepare faces for each, and where this one's network runs."""
    # To be known before the trainer that starts them.
    planned = make_trainer(recipe, limits)
    device = planned.strategy.root_device
    loaders = fitting_loaders(device, planned.num_devices) if limits.loaders is None else limits.loaders
    return planned.world_size, loaders, device


def make_trainer(
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
        return make_trainer(recipe, replace(limits, strategy="ddp"), callbacks, steps, folder)
    return trainer
