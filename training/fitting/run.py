"""One training run in one folder: fit, resume, select the best epoch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engagement.classification.network import FaceStateNet, NetworkSpec
from engagement.errors import ConfigError, DataError
from engagement.types import ChipSpec
from engagement.wording import count
from training import Say
from training.fitting.batch_norm import renew_statistics
from training.fitting.callbacks import Epochs, History, Patience, checkpoints
from training.fitting.distillation import taught_by
from training.fitting.initial import chip_of, initialise, weights_digest
from training.fitting.lightning import (
    Callback,
    EMAWeightAveraging,
    LearningRateMonitor,
    fit_module,
    pl,
)
from training.fitting.lightning_module import HeadTrainer
from training.fitting.loss import answer_weights, class_weights
from training.fitting.run_folder import best_epoch, changed_run, enter, going_on, steps_done
from training.fitting.teacher import embed_table, load_teacher
from training.fitting.trainer import Limits, hardware, leads, make_trainer
from training.recipes.recipe import Recipe
from training.samples.augment import policy
from training.samples.chip_dataset import ChipDataset
from training.samples.loading import measuring_batches, training_batches
from training.samples.sampling import EpochSampler
from training.samples.table import SampleTable

#: The running mean of the weights has forgotten where it began after about so many of its spans.
_SPANS = 3
#: What earlier run.json lack; it was always so.
_BEFORE = {"processes": 1, "other heads": []}


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
        ConfigError: the folder holds a run of another recipe or other data.
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
    processes, loaders, device = hardware(recipe, limits)
    if (n := min(len(train), len(validation))) < processes:
        raise DataError(
            f"data set '{train.name}': {count(n, 'face')} to train or validate for {processes} processes"
        )
    others = sorted({*network.spec.heads} - {head})
    asked = _record(recipe, table, limits, processes, others)
    last = enter(
        folder, "run.json", asked, resume, before=asked | _BEFORE, changed=changed_run, leading=leading
    )
    if leading:
        (folder / "recipe.json").write_text(json.dumps(recipe.to_dict(), indent=1), encoding="utf-8")
    say(f"{table.name}: {count(len(train), 'face')} to train, {len(validation)} to validate")
    pl.seed_everything(recipe.seed, verbose=False)
    dataset = ChipDataset(train, chip, policy(recipe.augmentation), recipe.seed)
    sampler = EpochSampler(dataset, recipe.seed, processes, recipe.sampling == "balanced")
    batches = training_batches(dataset, recipe.batch_size, sampler, loaders)
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
    trainer = make_trainer(recipe, limits, callbacks, steps, folder)
    fit_module(trainer, module, batches, held_out, last, folder=folder, resume=resume, say=say)
    chosen = folder / "best.ckpt"
    module.load_state_dict(best_epoch(chosen))
    return module.network.eval().cpu(), chosen


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


def _record(
    recipe: Recipe, table: SampleTable, limits: Limits, processes: int, others: list[str]
) -> dict[str, Any]:
    """What run.json says: a folder goes on with this run alone.

    Args:
        others: heads that the network has beside the one that learns.
    """
    train = table.part("train")
    return {
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
