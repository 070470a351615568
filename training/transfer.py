"""``engagement train personal`` and ``train extension``: new classes on a base model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from engagement.classification.network import FaceStateNet, HeadSpec
from engagement.errors import ConfigError, DataError
from engagement.labels import EXPRESSIONS, LabelSet
from engagement.wording import count
from training import Say
from training.datasets.framing import with_detected_faces
from training.datasets.graded import thresholds
from training.datasets.registry import prepared
from training.datasets.terms import licence_text
from training.delivery import Trained, deliver
from training.fitting.distillation import teacher_probabilities
from training.fitting.frozen import HeadFit, features_of, fit_head, install_head, require_varying
from training.fitting.initial import refuse_replacing
from training.fitting.run import train_network
from training.fitting.trainer import Limits
from training.held_out import (
    flattering,
    knows,
    record_of,
    require_disjoint,
    with_transfer_validation,
)
from training.measuring.opened import Opened, open_network, resting, with_head, with_heads
from training.recipes.recipe import Recipe
from training.samples.table import SampleTable
from training.states import HEAD as STATE_HEAD

#: How much of a target comes from teachers, and the temperature of what they say.
_FROM_TEACHERS, _SOFTENED = 0.5, 2.0
#: With ``unfreeze``.
_EPOCHS = 10
#: Letters of a head's name.
_MOST_LETTERS = 41


@dataclass(frozen=True, slots=True)
class TransferRun:
    """What the command was asked to do.

    Attributes:
        data: class folders or CSV. base: weights to start from. out: folder of the results.
        unfreeze: the backbone's last stages that are trained too.
        views: the faces as they are, and this many less one augmented versions (frozen backbone).
        weight_decay: L2 strength of the new head (frozen backbone).
        equalize: even out light before the network sees a face, here and later in ``analyze``. The base's other
            heads, which know other chips, are then left out.
        sided: a mirror image would be of another class: none is learned from, and none is looked at in ``analyze``.
        distil: weight files whose averaged probabilities of the classes the head imitates beside the labels.
        detect: the pictures are photographs, in which the largest face is looked for; those without one are left out.
        max_steps: optimiser steps, -1 for no limit (unfrozen backbone).
        test, skip_bad, command: as in ``training.base.BaseRun``.

    Raises:
        ConfigError: steps are limited where there are none.
    """

    data: str
    base: str
    out: Path
    unfreeze: int = 0
    views: int = 4
    weight_decay: float = 0.03
    equalize: bool = False
    sided: bool = False
    distil: tuple[str, ...] = ()
    detect: bool = False
    max_steps: int = -1
    seed: int | None = None
    test: bool = False
    skip_bad: bool = False
    command: str = "train personal"

    @property
    def augmentation(self) -> str:
        """Name of the policy that faces are varied by."""
        return "faces_sided" if self.sided else "faces"

    def __post_init__(self) -> None:
        if self.max_steps > 0 and not self.unfreeze:
            raise ConfigError(
                f"--max-steps {self.max_steps} says nothing about a frozen backbone, whose head is fitted in one go",
                "Leave it out, or add --unfreeze N.",
            )


def train_personal(run: TransferRun, say: Say = lambda _: None) -> dict[str, Any]:
    """Adapt the base to one's own faces; writes ``personal.safetensors``.

    The head is called ``expression`` (and replaces the base's) when all classes are expressions, else
    it is called as the data folder is, and comes to the base's heads.
    """
    refuse_replacing(run.out / "personal.safetensors", run.base, *run.distil)
    base = open_network(run.base)
    table, held, beware = _table(run, say)
    head = "expression" if table.labels.name == EXPRESSIONS.name else head_name(table.name, folder=True)
    _require_columns(base, head, table)
    return _train(run, base, table, head, run.out / "personal.safetensors", held, beware, say)


def train_extension(run: TransferRun, name: str, say: Say = lambda _: None) -> dict[str, Any]:
    """Add a head of new classes to the base, whose heads stay as they are; writes ``model.safetensors``.

    Raises:
        ConfigError: the name is none, or is that of a head that is there.
    """
    name = head_name(name)
    base = open_network(run.base)
    if name in base.heads:
        raise ConfigError(f"--name '{name}' is a head of the base already", "Choose another name.")
    refuse_replacing(run.out / "model.safetensors", run.base, *run.distil)
    table, held, beware = _table(run, say)
    table = replace(table, labels=LabelSet(name, table.labels.classes, table.labels.kind))
    _require_columns(base, name, table)
    return _train(run, base, table, name, run.out / "model.safetensors", held, beware, say)


def _require_columns(base: Opened, name: str, table: SampleTable) -> None:
    """Raise ConfigError where a class would have the column of another head's class in the tables of ``analyze``."""
    taken = {
        f"{head}_{c}": f"'{c}' of '{head}'"
        for head, own in base.heads.items()
        if head != name
        for c in own.labels.classes
    }
    for c in table.labels.classes:
        if f"{name}_{c}" in taken:
            raise ConfigError(
                f"class '{c}' of '{name}' would be called in tables as {taken[f'{name}_{c}']} is: {name}_{c}",
                "Choose another name for the head or the class.",
            )


def head_name(text: str, folder: bool = False) -> str:
    """A name that a head may have.

    Args:
        text: the name asked for.
        folder: ``text`` is a folder's name: letters that do not fit are replaced instead of refused.

    Raises:
        ConfigError: it may not have it.
    """
    name = re.sub(r"[^a-z0-9_]+", "_", text.lower()).strip("_") if folder else text
    if folder and not name[:1].isalpha():
        name = f"classes_{name}".rstrip("_")
    name = name[:_MOST_LETTERS] if folder else name
    # An export calls the identity feature so.
    taken = name == "identity" or hasattr(FaceStateNet, name) or hasattr(nn.ModuleDict(), name)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or len(name) > _MOST_LETTERS or taken:
        if folder and taken:
            return f"own_{name}"
        raise ConfigError(
            f"--name '{text}' cannot be a head's name",
            "Use small letters, digits and _, for example 'tired'.",
        )
    if name in ("expression", STATE_HEAD):
        if folder:
            return f"own_{name}"
        raise ConfigError(f"--name '{name}' is the name of a documented head", "Choose another name.")
    return name


def _table(run: TransferRun, say: Say) -> tuple[SampleTable, SampleTable, list[str]]:
    """The faces, some of which validate; the pictures that were held out for it, whether or not a face is found in them;
    and why figures of those may be too good, which is said as well."""
    table = prepared(run.data, None, run.skip_bad, say, frame=not run.detect)
    if table.labels.kind != "exclusive" and not thresholds(table.labels):
        raise DataError(f"'{run.data}' has independent states, not classes", "Use `engagement train states`.")
    if table.labels.kind == "exclusive" and len(table.labels) < 2:
        raise DataError(
            f"data set '{table.name}' has one class ('{table.labels.classes[0]}'): there is nothing to tell apart",
            "Add a folder with pictures of another class.",
        )
    beware: list[str] = []
    # A picture of which nothing is known is a group called by its own name.
    alone = int(np.isin(table.group, table.sample_id).sum())
    if alone and not (table.split == "val").any():
        which = "the pictures" if alone == len(table) else f"{alone} of {len(table)} pictures"
        beware.append(
            f"nothing tells which person or recording {which} are of (a manifest.csv would, or a column person or source "
            "of a CSV), so near copies may be on both sides of the validation split and make its figures too good"
        )
    if not (table.split == "val").any():  # else `faces split` has decided what belongs together
        table = with_transfer_validation(table)
    held = table.part("val")
    # Also where it has: `--by time` divides each video, and somebody may have copied pictures.
    beware += flattering(table)
    require_disjoint(table)
    if run.detect:
        table = with_detected_faces(table if run.test else table.rows(table.split != "test"), say=say)
    unseen = [c for c, n in _counts(table.part("val")).items() if not n]
    if unseen:
        beware.append(f"too few sources to validate {', '.join(unseen)}; the figures are about the others")
    lacking = [c for c, n in _counts(table.part("train")).items() if not n]
    if lacking:
        raise DataError(
            f"data set '{table.name}' has no training picture of: {', '.join(lacking)}",
            "Give some of its pictures the split train, or leave the class out.",
        )
    for text in beware:
        say(f"{table.name}: {text}")
    return table, held, beware


def _counts(table: SampleTable) -> dict[str, float]:
    """Class -> how many pictures show it."""
    return dict(zip(table.labels.classes, np.nansum(table.target, axis=0).tolist(), strict=True))


def _train(
    run: TransferRun,
    base: Opened,
    table: SampleTable,
    head: str,
    path: Path,
    held: SampleTable,
    beware: Sequence[str],
    say: Say,
) -> dict[str, Any]:
    if knows(base, held):
        text = (
            f"{base.name} learned from this set before and may have held out other faces of it: where it knows some that "
            "now validate, the figures flatter"
        )
        say(f"{table.name}: {text}")
        beware = [*beware, text]
    if head in base.heads and head != "expression":
        say(f"{base.name}: its head '{head}' is replaced")
    if run.equalize:
        base = replace(base, chip=replace(base.chip, equalize=True))
    if run.distil:
        table = _taught(table, run.distil, say)
    train, validation = table.part("train"), table.part("val")
    say(
        f"{table.name}: {count(len(train), 'face')} to train, {len(validation)} to validate, {len(table.labels)} classes"
    )
    if path.is_file():
        say(f"{path} is there from an earlier training and will be replaced")
    measured_on = {"val": validation, **({"test": table.part("test")} if run.test else {})}
    settings: Mapping[str, Any]
    if run.unfreeze:
        network, settings = _unfrozen(run, base, table, head, say)
    else:
        network, settings = _frozen(run, base, train, head, say)
    origin = {
        "command": run.command,
        "data": table.name,
        "train_faces": len(train),
        **record_of(held),
        "sources": len(np.unique(table.source)),
        "head": {
            "name": head,
            **settings,
            **({"distil": [Path(f).name for f in run.distil]} if run.distil else {}),
        },
        "base": {"name": base.name, "sha256": base.sha256, **base.record.origin},
    }
    licence = licence_text(table.name, base.record.licence)
    log = run.out / "log" / "metrics.csv" if run.unfreeze else None
    trained = Trained(
        network,
        head,
        base.chip,
        measured_on=measured_on,
        origin=origin,
        licence=licence,
        base=base,
        beware=beware,
    )
    return deliver(path, trained, log=log, say=say)


def _taught(table: SampleTable, files: tuple[str, ...], say: Say) -> SampleTable:
    """The table with training targets half way to what teachers say, softened (Hinton et al. 2015)."""
    rows = np.flatnonzero(table.split == "train")
    target = table.target.copy()
    taught = teacher_probabilities(files, table.rows(rows), _SOFTENED, say)
    target[rows] = (1 - _FROM_TEACHERS) * target[rows] + _FROM_TEACHERS * taught
    return replace(table, target=target)


def _frozen(
    run: TransferRun, base: Opened, train: SampleTable, head: str, say: Say
) -> tuple[FaceStateNet, Mapping[str, Any]]:
    tied = tuple(thresholds(train.labels).values()) if train.labels.kind == "independent" else ()
    fit = HeadFit(weight_decay=run.weight_decay, tied=tied, seed=1 if run.seed is None else run.seed)
    spec = HeadSpec(train.labels, sided=run.sided)
    features = features_of(base.network, train, base.chip, run.views, run.augmentation, fit.seed, say)
    require_varying(features, base.name)
    network = with_head(base, head, spec)
    install_head(network, head, fit_head(features, train.target, spec, fit))
    if run.equalize:
        network = with_heads(network, {head}, keep_identity=False)
    return network, {"frozen": True, "views": run.views, "weight_decay": fit.weight_decay, "seed": fit.seed}


def _unfrozen(
    run: TransferRun, base: Opened, table: SampleTable, head: str, say: Say
) -> tuple[FaceStateNet, Mapping[str, Any]]:
    """The head is fitted on frozen features first, so that the backbone is not torn by a random head.

    Heads of the base that read stages which change here are left out. ``analyze`` takes them from the shipped network.
    """
    stages = len(list(base.network.backbone))
    if run.unfreeze > stages:
        raise ConfigError(f"--unfreeze {run.unfreeze}: the backbone of {base.name} has {stages} stages")
    network, settings = _frozen(run, base, table.part("train"), head, say)
    others, identity = resting(network, stages - run.unfreeze)
    network = with_heads(network, {head, *others}, identity)
    rows = len(table.part("train"))
    size = max(2, min(32, rows // 2))
    steps = _EPOCHS * max(1, rows // size)
    recipe = replace(
        Recipe(),
        backbone=network.spec.backbone,
        size=base.chip.size,
        margin=base.chip.margin,
        epochs=_EPOCHS,
        batch_size=size,
        learning_rate=3e-4,
        backbone_rate=0.3,
        freeze=stages - run.unfreeze,
        ema=min(0.9, max(0.0, 1 - 6 / steps)),  # a mean that does not lag behind so short a run
        augmentation=run.augmentation,
        seed=1 if run.seed is None else run.seed,
    )
    limits = Limits(max_steps=run.max_steps, devices=1)  # minutes of work, and one process that writes
    network, _ = train_network(
        network, table, head, recipe, run.out, chip=base.chip, limits=limits, resume=False, say=say
    )
    return network, {**settings, "frozen": False, "unfreeze": run.unfreeze, "epochs": recipe.epochs}
