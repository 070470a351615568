"""Fitting a temporal network on sequences drawn from pools, and judging smoothers on held-out ones."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch.utils.data import DataLoader

from temporal.base import TemporalSmoother
from temporal.box import BoxSmoother, NoSmoother
from temporal.conv3d import Conv3dConfig, Conv3dNet
from temporal.hmm import HmmSmoother
from temporal.lstm import LstmConfig, LstmNet
from training import Say
from training.fitting.callbacks import History, checkpoints
from training.fitting.lightning import Callback, WholeCheckpoints, fit_module, pl
from training.fitting.run_folder import best_epoch, enter, going_on
from training.temporal.figures import Tally, figures, overall, tally
from training.temporal.items import Material, RisingSampler, SequenceItems, collate, expression_weights
from training.temporal.module import TemporalTrainer, smoother_of
from training.temporal.semi_markov import EXPRESSION_CHAIN, EXPRESSION_CHAIN_SHIFTED
from training.temporal.sequences import AT_5_HZ, LabelledRun, expression_run, ordered_runs, state_run

Kind = Literal["lstm", "cnn3d"]

#: Windows that validation chooses from, seconds. DAiSEE's labels describe ten seconds, so a longer
#: window for states would be chosen for the made-up durations alone.
WINDOWS_S = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
STATE_WINDOWS_S = (2.0, 5.0, 10.0)

#: Holding times of the HMM that validation chooses from, seconds.
HOLDS_S, STATE_HOLDS_S = (0.3, 0.4, 0.5, 0.7, 1.0, 1.5), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)

#: Length of a held-out sequence, seconds.
HELD_OUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast a network is trained.

    Attributes:
        steps: optimiser steps. epoch_steps: steps between two validations.
        batch: sequences per step. learning_rate: highest of the OneCycle schedule.
        balance: of the expressions' class weights, 0-1. dropout: before the last layer.
        validation_runs: held-out sequences of each of the two kinds.
    """

    steps: int
    batch: int
    learning_rate: float
    epoch_steps: int = 100
    balance: float = 0.5
    dropout: float = 0.1
    validation_runs: int = 40


SCHEDULES: Mapping[Kind, Schedule] = {
    "lstm": Schedule(steps=500, batch=20, learning_rate=3e-3),
    "cnn3d": Schedule(steps=500, batch=12, learning_rate=2e-3),
}


@dataclass(frozen=True, slots=True)
class Fitting:
    """Which network is fitted, and how.

    Attributes:
        kind: which network.
        schedule: length and rates.
        config: of the network; its box windows are replaced by those that validation chooses.
        max_steps: fewer steps than the schedule has, -1 for all.
        seed: of weights and sequences.
    """

    kind: Kind
    schedule: Schedule
    config: LstmConfig | Conv3dConfig | None = None
    max_steps: int = -1
    seed: int = 1

    @property
    def steps(self) -> int:
        """Those that are asked for; an epoch is never cut, so somewhat fewer or more are taken."""
        return self.schedule.steps if self.max_steps < 0 else min(self.max_steps, self.schedule.steps)

    @property
    def epochs(self) -> int:
        """How often the network is validated."""
        return max(1, round(self.steps / self.schedule.epoch_steps))

    @property
    def per_epoch(self) -> int:
        """Steps of each epoch."""
        return max(1, self.steps // self.epochs)


def held_out_runs(
    material: Material, count: int, seed: int, *, shifted: bool = False, steady: bool = False
) -> list[LabelledRun]:
    """``count`` sequences of expressions and as many of states at 5 Hz; fixed by the seed.

    Args:
        shifted: with other habits than training's.
        steady: one picture stands for a whole stretch, so that what is misread once stays misread.
    """
    runs: list[LabelledRun] = []
    chain = EXPRESSION_CHAIN_SHIFTED if shifted else EXPRESSION_CHAIN
    how = replace(AT_5_HZ, hold_s=(HELD_OUT_S, HELD_OUT_S)) if steady else AT_5_HZ
    for i in range(count):
        rngs = [np.random.default_rng((seed, i, kind)) for kind in (0, 1)]
        made = (
            expression_run(material.expression, HELD_OUT_S, how, rngs[0], chain),
            state_run(material.state, HELD_OUT_S, how, rngs[1], shifted),
        )
        runs += [replace(run, group=f"{run.source} {run.group or i}") for run in made]
    return runs


def validation_runs(material: Material, count: int, seed: int) -> list[LabelledRun]:
    """What windows and epochs are chosen on: made-up sequences, and the ordered runs where there are any."""
    ordered = ordered_runs(material.ordered) if material.ordered is not None else []
    return held_out_runs(material, count, seed + 100) + ordered


def judge(smoother: TemporalSmoother, runs: Sequence[LabelledRun]) -> Tally:
    """Tally of a smoother over runs, in their order."""
    return Tally.join([tally(run, smoother.smooth(run.run)) for run in runs])


def choose_windows(runs: Sequence[LabelledRun]) -> tuple[float, float]:
    """The box windows (expressions, states), seconds, with the best figures on validation runs.

    Expressions: by the mean of macro-F1 and event-F1. States: by AUC; of windows within 0.005 of the
    best the shortest, since a long one hides real changes.
    """
    expression: list[float] = []
    for window in WINDOWS_S:
        figure = figures(judge(BoxSmoother(window), runs).total())
        expression.append((figure["macro_f1"] + figure["event_f1"]) / 2)
    state = [figures(judge(BoxSmoother(2.0, w), runs).total())["state_auc"] for w in STATE_WINDOWS_S]
    good = [w for w, area in zip(STATE_WINDOWS_S, state, strict=True) if area >= max(state) - 0.005]
    return WINDOWS_S[int(np.argmax(expression))], (good or [STATE_WINDOWS_S[0]])[0]


def choose_hmm(material: Material, count: int, seed: int) -> tuple[float, float]:
    """The HMM's holding times (expressions, states), seconds, with the best figures on validation sequences.

    Of either habits, and both with errors that come and go and with errors that last. Expressions: by the mean of
    macro-F1 and event-F1. States: by AUC.
    """
    kinds = [
        held_out_runs(material, count, seed + 100 + 2 * steady + shifted, shifted=shifted, steady=steady)
        for shifted in (False, True)
        for steady in (False, True)
    ]

    def mean(smoother: HmmSmoother, *names: str) -> float:
        every = [figures(judge(smoother, runs).total()) for runs in kinds]
        return float(np.mean([[figure[name] for name in names] for figure in every]))

    # Expressions and states have nothing to do with each other.
    return (
        max(HOLDS_S, key=lambda s: mean(HmmSmoother(s, s), "macro_f1", "event_f1")),
        max(STATE_HOLDS_S, key=lambda s: mean(HmmSmoother(s, s), "state_auc")),
    )


def fit_network(
    fitting: Fitting, fit: Material, validate: Material, folder: Path, say: Say = lambda _: None
) -> tuple[LstmNet | Conv3dNet, Path, dict[str, float]]:
    """Fit a network on sequences drawn from pools; the best epoch by ``val_score`` is kept.

    Where ``last.ckpt`` is there, the same fitting goes on from it.

    Args:
        fit: pools to draw training sequences from.
        validate: pools of other pictures and people, for windows and selection.
        folder: for checkpoints, settings and ``log/metrics.csv``.
        say: takes messages.

    Returns:
        the network, its Lightning checkpoint, and validation figures of the network (``val_…``) beside
        the scores of ``box`` and ``none``.

    Raises:
        ConfigError: the folder holds a run with other settings.
        DataError: a checkpoint in it cannot be read.
    """
    schedule, seed, steps = fitting.schedule, fitting.seed, fitting.epochs * fitting.per_epoch
    held_out = validation_runs(validate, schedule.validation_runs, seed)
    windows = choose_windows(held_out)
    say(f"box windows by validation: {windows[0]} s for expressions, {windows[1]} s for states")
    pl.seed_everything(seed, verbose=False)
    network = _network(fitting, windows)
    settings = {
        "kind": fitting.kind,
        "schedule": asdict(schedule),
        "network": asdict(network.config),
        "outputs of the frame model": [fit.digest(), validate.digest()],
        "steps": fitting.steps,
        "seed": seed,
    }
    last = enter(folder, "settings.json", settings, resume=True)
    if last is not None:
        say(going_on(last, steps))
    items = SequenceItems(fit, network.config, fitting.per_epoch * schedule.batch, seed)
    weights = expression_weights(schedule.balance)
    module = TemporalTrainer(network, weights, held_out, schedule.learning_rate, steps, seed)
    best, latest = checkpoints(folder)
    trainer = _trainer(fitting.epochs, [best, latest, History(folder / "log" / "metrics.csv", say, "step")])
    batches = DataLoader(
        items, batch_size=schedule.batch, sampler=RisingSampler(len(items)), collate_fn=collate
    )
    rows = DataLoader(torch.arange(len(held_out)), batch_size=1)  # type: ignore[arg-type]
    fit_module(trainer, module, batches, rows, last, folder=folder, resume=True, say=say)
    chosen = Path(best.best_model_path or folder / "last.ckpt")
    module.load_state_dict(best_epoch(chosen))
    network = module.network.eval().cpu()
    own = figures(judge(smoother_of(network), held_out).total())
    metrics = {f"val_{k}": round(v, 4) for k, v in {**own, "score": overall(own)}.items() if np.isfinite(v)}
    for plain in (BoxSmoother(*windows), NoSmoother()):
        metrics[f"{plain.name}_val_score"] = round(overall(figures(judge(plain, held_out).total())), 4)
    return network, chosen, metrics


def _trainer(epochs: int, callbacks: list[Callback]) -> pl.Trainer:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    return pl.Trainer(
        # Epochs, not steps: Lightning resumes a run that counts steps in the middle of an epoch.
        max_epochs=epochs,
        accelerator="cpu",
        devices=1,
        callbacks=callbacks,
        plugins=WholeCheckpoints(),
        logger=False,
        gradient_clip_val=1.0,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def _network(fitting: Fitting, windows_s: tuple[float, float]) -> LstmNet | Conv3dNet:
    """A fresh network that corrects boxes of these windows (expressions, states)."""
    config, dropout = fitting.config, fitting.schedule.dropout
    box_s, state_box_s = windows_s
    if fitting.kind == "lstm":
        assert config is None or isinstance(config, LstmConfig)
        return LstmNet(replace(config or LstmConfig(), box_s=box_s, state_box_s=state_box_s), dropout)
    assert config is None or isinstance(config, Conv3dConfig)
    return Conv3dNet(replace(config or Conv3dConfig(), box_s=box_s, state_box_s=state_box_s), dropout)
