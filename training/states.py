"""``engagement train states``: a head for apparent learner states on a base model that stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engagement.classification.network import HeadSpec
from engagement.errors import DataError
from engagement.labels import LEARNER_STATES
from engagement.types import FloatArray
from training.cards import FOLDS
from training.datasets.registry import prepared
from training.datasets.terms import licence_text
from training.delivery import deliver
from training.frozen import HeadFit, apply_head, features_of, fit_head, install_head
from training.opened import open_network, with_head
from training.samples import SampleTable
from training.states_evaluation import validation
from training.states_evaluation.validation import folds_by_person

Say = Callable[[str], None]

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
    base = open_network(run.base)
    table = prepared(run.data, run.limit, run.skip_bad, say)
    if table.labels != LEARNER_STATES:
        raise DataError(
            f"'{run.data}' is labelled with {table.labels.name}, not with learner states "
            f"({', '.join(LEARNER_STATES.classes)})",
            "Give DAiSEE: its official folder, or FOLDER:daisee.",
        )
    require_disjoint(table)
    fit = HeadFit(hidden=run.hidden, weight_decay=run.weight_decay, seed=run.seed)
    train = table.rows(np.flatnonzero(table.split != "test"))
    stages = STAGES.get(base.network.spec.backbone, ()) if run.stages is None else run.stages
    spec = HeadSpec(LEARNER_STATES, fit.units, stages, run.grid)
    network = with_head(base, HEAD, spec)
    features = features_of(
        base.network, train, base.chip, run.views, seed=run.seed, say=say, reads=spec.reads
    )
    install_head(network, HEAD, fit_head(features, train.target, spec, fit))
    unseen = held_out_logits(features, train, spec, fit, say)
    measured_on = {FOLDS: train, **({"test": table.part("test")} if run.test else {})}
    origin = {
        "command": run.command,
        "data": table.name,
        "train_faces": len(train),
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
    licence = licence_text(table.name, base.record.licence)
    return deliver(
        *(path, network, HEAD, base.chip, measured_on, origin, licence), unseen=unseen, base=base, say=say
    )


def held_out_logits(
    features: FloatArray, table: SampleTable, spec: HeadSpec, fit: HeadFit, say: Say = lambda _: None
) -> FloatArray:
    """Logits of every face by a head that was fitted to other people: they calibrate, and give the figures.

    More people than a validation split has, and none is lost for the head that is shipped.

    Args:
        features: (views, n, d). table: n faces.

    Returns:
        float32 (n, classes).

    Raises:
        DataError: fewer people than folds.
    """
    assert table.levels is not None
    out = np.zeros((len(table), len(spec.labels)), np.float32)
    _, people = np.unique(table.group, return_inverse=True)
    for i, (others, held) in enumerate(folds_by_person(table.levels, people, validation.FOLDS), 1):
        tensors = fit_head(features[:, others], table.target[others], spec, fit)
        out[held] = apply_head(features[0, held], tensors)
        say(f"fold {i} of {validation.FOLDS}: {len(held)} faces of people that were held out")
    return out


def require_disjoint(table: SampleTable) -> None:
    """Raise DataError when a group (a person) stands in two splits."""
    sides: dict[str, set[str]] = {}
    for group, split in zip(table.group.tolist(), table.split.tolist(), strict=True):
        sides.setdefault(group, set()).add(split)
    both = sorted(group for group, splits in sides.items() if len(splits) > 1)
    if both:
        raise DataError(
            f"data set '{table.name}': {len(both)} people or sources stand in two splits, first '{both[0]}'",
            "Split by person: figures on people that were trained on mean nothing.",
        )
