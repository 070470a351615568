"""``engagement train temporal``: a smoother from held-out outputs of a frame model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from engagement.errors import ConfigError
from engagement.provenance import base_sha256
from engagement.weights.store import WeightRecord, load_weights, save_weights
from engagement.wording import count
from temporal import build_smoother
from temporal.conv3d import Conv3dConfig
from training import Say
from training.temporal.card import write_card
from training.temporal.clip_outputs import clip_runs, clips_of
from training.temporal.figures import figures, overall
from training.temporal.fit import SCHEDULES, Fitting, Kind, fit_network, held_out_runs, judge
from training.temporal.frame_outputs import FrameModel, load_frame_model, pool
from training.temporal.items import Material
from training.temporal.sequences import Pool

LICENCE = (
    "non-commercial research only: trained on outputs for RAF-DB, DAiSEE and WACV-2016 pictures, "
    "whose terms allow no commercial use"
)


@dataclass(frozen=True, slots=True)
class TemporalRun:
    """What the command was asked to do.

    Attributes:
        kind: ``lstm`` or ``cnn3d``.
        frame_weights: shipped name, ``default`` or file of kind ``face_state``, with both heads.
        data: folder of the Parquet sets (rafdb, daisee, wacv2016).
        videos: folder with ``webcam_*`` clips as unlabelled material, or None.
        out: folder of the run; outputs of the frame model are kept in ``out/outputs`` and shared.
        max_steps: optimiser steps, -1 for the schedule's.
        seed: of weights and sequences.
        limit: pictures per split and clips, for trials.
    """

    kind: str
    frame_weights: str
    data: Path
    videos: Path | None
    out: Path
    max_steps: int = -1
    seed: int = 1
    limit: int | None = None


def train_temporal(run: TemporalRun, say: Say = lambda _: None) -> dict[str, Any]:
    """Train a smoother on held-out outputs of a frame model; goes on from ``out/<kind>/last.ckpt`` where there is one.

    Args:
        say: takes one line per epoch.

    Returns:
        weights (Path of the weight file), card (Path), checkpoint (Path), metrics (dict).

    Raises:
        ConfigError: unknown kind, or the folder holds another run.
        DataError, WeightsError: data or frame weights that do not serve.
    """
    fitting = _fitting(run)
    if run.videos is not None:
        clips_of(run.videos)  # said before thousands of pictures are looked at
    model = load_frame_model(run.frame_weights)
    for text in model.beware:
        say(f"warning: {text}")
    fit, validate = read_material(model, run.data, run.videos, run.out, run.limit, say)
    network, checkpoint, metrics = fit_network(fitting, fit, validate, run.out / run.kind, say)
    record = WeightRecord(
        kind=run.kind,
        network=asdict(network.config),
        metrics=metrics,
        licence=LICENCE,
        origin=_origin(fitting, model, fit),
    )
    path = run.out / f"{run.kind}.safetensors"
    digest = save_weights(path, record, network.state_dict())
    # Half precision on disk: what is written must still be the model that was measured.
    loaded = load_weights(str(path), run.kind)
    again = build_smoother(run.kind, (loaded.record.network, loaded.tensors))
    score = overall(figures(judge(again, held_out_runs(validate, 10, run.seed + 100)).total()))
    say(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB; read back, score {score:.4f} on a quarter")
    parameters = sum(p.numel() for p in network.parameters())
    card = write_card(run.out / f"{run.kind}.md", record, digest, parameters)
    return {"weights": path, "card": card, "checkpoint": checkpoint, "metrics": metrics}


def _fitting(run: TemporalRun) -> Fitting:
    for kind in get_args(Kind):
        if kind == run.kind:
            return Fitting(kind, SCHEDULES[kind], max_steps=run.max_steps, seed=run.seed)
    raise ConfigError(f"unknown temporal model '{run.kind}'", f"Choose one of: {', '.join(get_args(Kind))}")


def _origin(fitting: Fitting, model: FrameModel, fit: Material) -> dict[str, Any]:
    """Where a smoother comes from, as its file and card say."""
    sources = ["RAF-DB: part of the validation share", "DAiSEE: part of the validation persons"]
    sources += ["WACV-2016: train persons"]
    sources += [count(len(fit.clips), "unlabelled webcam clip")] if fit.clips else []
    return {
        "command": f"engagement train temporal --model {fitting.kind} --seed {fitting.seed}",
        "frame_weights": model.opened.name,
        "frame_weights_sha256": model.opened.sha256,
        "frame_weights_base_sha256": base_sha256(model.opened.record),
        "frame_weights_learned": model.learned,
        "data": sources,
        "initial_weights": "random",
        "schedule": asdict(fitting.schedule),
        "max_steps": fitting.max_steps,
    }


def read_material(
    model: FrameModel, data: Path, videos: Path | None, folder: Path, limit: int | None, say: Say
) -> tuple[Material, Material]:
    """Material to fit and, from other pictures and people, to validate.

    Of the frame model's validation pictures 70 % fit and 30 % validate, by picture (RAF-DB) or
    person (DAiSEE); WACV-2016 has splits by person.
    """
    chip_px = Conv3dConfig().chip_px

    def read(name: str, split: str) -> Pool:
        return pool(model, data, name, split, folder, chip_px, limit, say)

    expression, state = read("rafdb", "val"), read("daisee", "val")
    # By picture, but the same share of every class; by person.
    pictures, people = fitting(expression.group, expression.expression), fitting(state.group)
    clips = clip_runs(model, videos, folder, chip_px, limit, say) if videos is not None else []
    fit = Material(expression.rows(pictures), state.rows(people), read("wacv2016", "train"), clips)
    return fit, Material(expression.rows(~pictures), state.rows(~people), read("wacv2016", "val"))


def fitting(
    group: NDArray[np.str_], stratum: NDArray[np.int64] | None = None, share: float = 0.7
) -> NDArray[np.bool_]:
    """(n,) True for the share of groups that fits; the same ones every time, in each stratum alike.

    Where a stratum has two groups or more, both sides get at least one.
    """
    kind = dict.fromkeys(group.tolist(), 0)
    if stratum is not None:
        kind.update(zip(group.tolist(), stratum.tolist(), strict=True))
    rng = np.random.default_rng(7)
    chosen: set[str] = set()
    for k in sorted(set(kind.values())):
        members = sorted(g for g in kind if kind[g] == k)
        count = min(max(1, round(share * len(members))), max(1, len(members) - 1))
        chosen.update(members[i] for i in rng.permutation(len(members))[:count])
    return np.array([g in chosen for g in group.tolist()], np.bool_)
