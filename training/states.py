"""``engagement train states``: a head for apparent learner states on a base model that stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from engagement.classification.network import HeadSpec
from engagement.errors import DataError
from engagement.labels import LEARNER_STATES
from engagement.types import FloatArray, IndexArray
from training import Say
from training.datasets.registry import prepared
from training.datasets.terms import licence_text
from training.delivery import Trained, deliver
from training.engagement_only import engagement_figures, engagement_only
from training.fitting.frozen import HeadFit, apply_head, features_of, fit_head, install_head, require_varying
from training.fitting.initial import refuse_replacing
from training.held_out import require_disjoint
from training.measuring.opened import open_network, with_head
from training.report.cards import FOLDS
from training.samples.table import SampleTable
from training.states_evaluation import validation
from training.states_evaluation.validation import folds_by_person

HEAD = "state"

#: Stages of the backbone that the head reads, where the backbone lets it, and the grid that they are averaged over:
#: the last stage is made for expressions; those before it, and where on the face, say more of learner states
#: (``training.states_evaluation``).
STAGES, GRID = {"efficientnet_b0": (5, 6)}, 3


@dataclass(frozen=True, slots=True)
class StatesRun:
    """What the command was asked to do.

    Attributes:
        data: reference of DAiSEE. base: weights whose features are used. out: folder of the results.
        views: the faces as they are, and this many less one augmented versions.
        hidden: units per member; 0 for a linear head. weight_decay: L2 strength.
        stages: of the backbone that the head reads, none for the last alone; None for what suits the backbone.
        grid: as in HeadSpec.
        fit_splits: of ``data``, that the head learns from. Without ``val`` those people stay unknown to it, as smoothers
            need them (see training.temporal).
        more: reference of faces labelled with engagement alone, which the head also learns from; empty for none.
        leave_out: people of ``more`` who are in ``data`` as well.
        limit, test, skip_bad, command: as in ``training.base.BaseRun``.
    """

    data: str
    base: str
    out: Path
    views: int = 3
    hidden: int = 0
    weight_decay: float = 0.3
    stages: tuple[int, ...] | None = None
    grid: int = GRID
    fit_splits: tuple[str, ...] = ("train", "val")
    more: str = ""
    leave_out: tuple[str, ...] = ()
    seed: int = 1
    limit: int | None = None
    test: bool = False
    skip_bad: bool = False
    command: str = "train states"


def train_states(run: StatesRun, say: Say = lambda _: None) -> dict[str, Any]:
    """Fit, calibrate, measure, write.

    Returns:
        figures of the head: split -> figures.

    Raises:
        DataError: the data are not labelled with learner states, or subjects stand in two splits.
    """
    refuse_replacing(run.out / "model.safetensors", run.base)
    base = open_network(run.base)
    table = _labelled(run, say)
    train = table.rows(np.flatnonzero(np.isin(table.split, run.fit_splits)))
    if not len(train):
        raise DataError(
            f"'{table.name}' has no faces in {' and '.join(run.fit_splits)}", "Give DAiSEE whole."
        )
    fit = HeadFit(hidden=run.hidden, weight_decay=run.weight_decay, seed=run.seed)
    stages = STAGES.get(base.network.spec.backbone, ()) if run.stages is None else run.stages
    spec = HeadSpec(LEARNER_STATES, fit.units, stages, run.grid)
    network = with_head(base, HEAD, spec)
    tables = [train]
    if run.more:
        tables.append(engagement_only(prepared(run.more, run.limit, run.skip_bad, say), run.leave_out))
    faces = [
        Learned(
            features_of(base.network, own, base.chip, run.views, seed=run.seed, say=say, reads=spec.reads),
            own,
        )
        for own in tables
    ]
    for own in faces:
        require_varying(own.features, base.name)
    install_head(network, HEAD, _fitted(faces, spec, fit))
    unseen, *further = held_out_logits(faces, spec, fit, say)
    measured_on = {FOLDS: train, **({"test": table.part("test")} if run.test else {})}
    more = {
        "data": [own.name for own in tables[1:]],
        "left_out": list(run.leave_out),
        "held_out": [engagement_figures(*found) for found in zip(further, tables[1:], strict=True)],
    }
    origin = {
        "command": run.command,
        "data": table.name,
        **({"more": more} if run.more else {}),
        "train_faces": len(train),
        "fit": list(run.fit_splits),
        "head": {
            "views": run.views,
            "hidden": fit.units,
            "weight_decay": run.weight_decay,
            "seed": run.seed,
            "stages": list(stages),
            "grid": run.grid,
        },
        "base": {"name": base.name, "sha256": base.sha256, **base.record.origin},
    }
    path = run.out / "model.safetensors"
    licence = licence_text("+".join(own.name for own in reversed(tables)), base.record.licence)
    trained = Trained(
        network,
        HEAD,
        base.chip,
        measured_on=measured_on,
        origin=origin,
        licence=licence,
        unseen=unseen,
        base=base,
    )
    return deliver(path, trained, say=say)


def _labelled(run: StatesRun, say: Say) -> SampleTable:
    """All faces of the run's data; DataError where they show no learner states, or a person stands in two splits."""
    table = prepared(run.data, run.limit, run.skip_bad, say)
    if table.labels != LEARNER_STATES:
        raise DataError(
            f"'{run.data}' is labelled with {table.labels.name}, not with learner states "
            f"({', '.join(LEARNER_STATES.classes)})",
            "Give DAiSEE: its official folder, or FOLDER:daisee.",
        )
    require_disjoint(table)
    return table


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """Faces of one data set that a head learns from: features (views, n, d) and the table of the n."""

    features: FloatArray
    table: SampleTable

    def rows(self, index: IndexArray) -> Learned:
        """The given faces."""
        return Learned(self.features[:, index], self.table.rows(index))


def _fitted(faces: Sequence[Learned], spec: HeadSpec, fit: HeadFit) -> dict[str, Tensor]:
    features = np.concatenate([own.features for own in faces], axis=1)
    return fit_head(features, np.concatenate([own.table.target for own in faces]), spec, fit)


def held_out_logits(
    faces: Sequence[Learned], spec: HeadSpec, fit: HeadFit, say: Say = lambda _: None
) -> list[FloatArray]:
    """Logits of every face by a head that was fitted to other people: they calibrate, and give the figures.

    More people than a validation split has, and none is lost for the head that is shipped.

    Returns:
        of each set, float32 (n, classes).

    Raises:
        DataError: fewer people than folds.
    """
    out = [np.zeros((len(own.table), len(spec.labels)), np.float32) for own in faces]
    folds = [_folds(own.table) for own in faces]
    for i, parts in enumerate(zip(*folds, strict=True), 1):
        tensors = _fitted(
            [own.rows(others) for own, (others, _) in zip(faces, parts, strict=True)], spec, fit
        )
        for logits, own, (_, held) in zip(out, faces, parts, strict=True):
            logits[held] = apply_head(own.features[0, held], tensors)
        count = sum(len(held) for _, held in parts)
        say(f"fold {i} of {validation.FOLDS}: {count} faces of people that were held out")
    return out


def _folds(table: SampleTable) -> list[tuple[IndexArray, IndexArray]]:
    assert table.levels is not None
    _, people = np.unique(table.group, return_inverse=True)
    return list(folds_by_person(table.levels, people, validation.FOLDS))
