"""Training items of the temporal networks: random sequences, as the networks take them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from engagement.labels import LEARNER_STATES
from engagement.types import FloatArray
from temporal.base import EXPRESSION_COUNT, ScoreRun, from_logits, to_logits
from temporal.box import BoxSmoother
from temporal.conv3d import Conv3dConfig, cut_clips
from temporal.lstm import LstmConfig, lstm_features
from temporal.residual import observed_logits
from training.fitting.loss import answer_weights
from training.temporal.semi_markov import varied_chain
from training.temporal.sequences import (
    Conditions,
    LabelledRun,
    Pool,
    expression_run,
    ordered_runs,
    state_run,
)

Config = LstmConfig | Conv3dConfig
Arrays = dict[str, NDArray[Any]]

#: How often a sequence of each kind is drawn, where there is material for it.
MIXTURE = {"expression": 0.45, "state": 0.35, "ordered": 0.1, "clip": 0.1}

#: Window over which the frame model is averaged to teach the networks on unlabelled clips, seconds.
TEACHER_WINDOW_S = 4.0

#: Clips that a sequence gives to the 3D network, and the sequence's length.
_CLIPS, _CLIP_RUN_S = 4, 12.0


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What sequences are drawn from.

    Attributes:
        expression: pictures of known expression. state: pictures of known learner states.
        ordered: pictures in the order of time, or None. clips: unlabelled runs.
    """

    expression: Pool
    state: Pool
    ordered: Pool | None = None
    clips: Sequence[ScoreRun] = ()

    def digest(self) -> str:
        """Names what the frame model said of exactly these pictures and clips."""
        found = hashlib.sha256()
        pools = [pool for pool in (self.expression, self.state, self.ordered) if pool is not None]
        arrays = [array for pool in pools for array in (pool.logits, pool.expression, pool.state)]
        for array in (*arrays, *(clip.prob for clip in self.clips)):
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()[:12]


class SequenceItems(Dataset[Arrays]):
    """``length`` items an epoch; item ``i`` depends on (seed, i) alone.

    Args:
        material: what sequences are drawn from.
        config: of the network; decides what an item looks like.
        length: items of one epoch.
        seed: of all draws.
    """

    def __init__(self, material: Material, config: Config, length: int, seed: int) -> None:
        self.material, self.config, self.length, self.seed = material, config, length, seed
        self.duration_s = config.window_s if isinstance(config, LstmConfig) else _CLIP_RUN_S
        self.how = Conditions(chips=isinstance(config, Conv3dConfig))
        self.box = BoxSmoother(config.box_s, config.state_box_s)
        self.ordered = ordered_runs(material.ordered) if material.ordered is not None else []
        have = {"expression": 1, "state": 1, "ordered": len(self.ordered), "clip": len(material.clips)}
        share = np.array([MIXTURE[k] if have[k] else 0.0 for k in MIXTURE])
        self.share = share / share.sum()
        self.weight = {
            "state": answer_weights(material.state.state).numpy().T,
            "ordered": None if material.ordered is None else answer_weights(material.ordered.state).numpy().T,
        }

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, item: int) -> Arrays:
        rng = np.random.default_rng((self.seed, item))
        kind = str(rng.choice(list(MIXTURE), p=self.share))
        if kind == "clip":
            run, soft = degraded(self.material.clips[int(rng.integers(len(self.material.clips)))], rng)
            nothing = np.full((len(run), len(LEARNER_STATES)), np.nan, np.float32)
            labelled = LabelledRun(run, np.full(len(run), -1, np.int64), nothing, kind, "")
        else:
            labelled = self._labelled(kind, rng)
            soft = None
        base = self.box.smooth(labelled.run)
        # Where nothing is known, the box teaches: a network must not invent what it was never told.
        truth = {
            "expression": labelled.expression,
            "state": labelled.state,
            "state_weight": _weights(labelled.state, self.weight.get(kind)),
            "soft": np.nan_to_num(base if soft is None else soft, nan=0.5),
            "usable": ~np.isnan(base).any(axis=1),
        }
        return network_input(labelled.run, base, truth, self.config, rng)

    def _labelled(self, kind: str, rng: np.random.Generator) -> LabelledRun:
        if kind == "ordered":
            whole = self.ordered[int(rng.integers(len(self.ordered)))]
            # The interval between its frames is not known; about one second is assumed.
            step = float(np.exp(rng.uniform(np.log(0.5), np.log(2.0))))
            count = max(2, int(self.duration_s / step))
            first = int(rng.integers(0, max(1, len(whole.run) - count + 1)))
            part = slice(first, first + count)
            run = whole.run.rows(part)
            run = ScoreRun(run.times_s * step, run.prob, run.valid, run.chips)
            return LabelledRun(run, whole.expression[part], whole.state[part], kind, whole.group)
        if kind == "expression":
            chain = varied_chain(rng)
            return expression_run(self.material.expression, self.duration_s, self.how, rng, chain)
        pace = float(np.exp(rng.normal(0, 0.4)))
        return state_run(self.material.state, self.duration_s, self.how, rng, pace=pace)


def _weights(state: FloatArray, weight: FloatArray | None) -> FloatArray:
    if weight is None:
        return np.zeros_like(state)
    known = np.nan_to_num(state, nan=0.0)
    each = ((1 - known) * weight[:, 0] + known * weight[:, 1]) * np.isfinite(state)
    return each.astype(np.float32)


def degraded(clean: ScoreRun, rng: np.random.Generator) -> tuple[ScoreRun, FloatArray]:
    """A run with frames dropped and blurred, and what the frame model says of the whole one, averaged.

    Returns:
        the run, and float32 (T, 10) at its samples (NaN where the face was long away).
    """
    import cv2

    teacher = BoxSmoother(TEACHER_WINDOW_S).smooth(clean)
    kept = np.sort(rng.permutation(len(clean))[: max(2, int(len(clean) * rng.uniform(0.5, 1.0)))])
    run, teacher = clean.rows(kept.astype(np.int64)), teacher[kept]
    assert run.chips is not None
    chips, prob = run.chips.copy(), run.prob.copy()
    bad = np.flatnonzero((rng.random(len(run)) < 0.2) & run.valid)
    for i in bad:
        chips[i] = cv2.GaussianBlur(chips[i], (0, 0), float(rng.uniform(0.8, 2.5)))
    noise = rng.normal(0, 1.0, (len(bad), prob.shape[1])).astype(np.float32)
    prob[bad] = from_logits(to_logits(prob[bad]) + noise)
    return ScoreRun(run.times_s, prob, run.valid, chips), teacher


def network_input(
    run: ScoreRun, base: FloatArray, truth: Arrays, config: Config, rng: np.random.Generator
) -> Arrays:
    """A run as a network takes it, with the truth beside it.

    Args:
        run: the scores.
        base: (T, 10), their box.
        truth: arrays (T, …).
        config: of the network.
        rng: picks clips.

    Returns:
        for the LSTM arrays (T, …) with ``features``, ``base``; for the 3D network arrays (n, L, …)
        with ``chips``, ``logits``, ``base``, ``seen``.
    """
    if isinstance(config, LstmConfig):
        _, smooth = observed_logits(run, base)
        return {"features": lstm_features(run, base), "base": smooth, **truth}
    clips = cut_clips(run, base, config)
    chosen = np.sort(rng.permutation(len(clips.point))[:_CLIPS])
    at = clips.sample[chosen]
    out = {"chips": clips.chips, "logits": clips.logits, "base": clips.base, "seen": clips.seen}
    out = {key: value[chosen] for key, value in out.items()}
    out.update({key: value[at] for key, value in truth.items()})
    # A grid point far from any sample shows nothing and is nobody's answer.
    out["usable"] = out["usable"] & out["seen"]
    return out


_FILL = {"expression": -1, "state": np.nan}


def collate(items: Sequence[Arrays]) -> dict[str, Tensor]:
    """Sequences padded at the end to (n, T, …) with their ``lengths``; clips put one after the other."""
    batch: dict[str, Tensor] = {}
    sequences = "features" in items[0]
    for key in items[0]:
        parts = [torch.from_numpy(np.ascontiguousarray(item[key])) for item in items]
        if sequences:
            batch[key] = torch.nn.utils.rnn.pad_sequence(
                parts, batch_first=True, padding_value=_FILL.get(key, 0)
            )
        else:
            batch[key] = torch.cat(parts)
    if sequences:
        batch["lengths"] = torch.tensor([len(item["usable"]) for item in items])
    return batch


class RisingSampler(Sampler[int]):
    """Items ``epoch * n … epoch * n + n - 1``: no item comes twice, and a resumed run goes on as it would."""

    def __init__(self, n: int) -> None:
        self.n, self.epoch = n, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.epoch * self.n, (self.epoch + 1) * self.n))


def expression_weights(balance: float, draws: int = 200) -> Tensor:
    """(7,) class weights (1 / share of time) ** balance over training's chains; mean of 1 over samples."""
    rng = np.random.default_rng(0)
    share = np.mean([varied_chain(rng).share_of_time() for _ in range(draws)], axis=0)
    weight = np.maximum(share, 1e-3) ** -balance
    assert len(weight) == EXPRESSION_COUNT
    return torch.tensor(weight / float((weight * share).sum()), dtype=torch.float32)
