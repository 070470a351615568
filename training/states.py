"""``engagement train states``: a head for apparent learner states on a base model that stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engagement.classification.network import HeadSpec
from engagement.errors import DataError
from engagement.labels import LEARNER_STATES
from training.datasets.registry import prepared
from training.datasets.terms import licence_text
from training.delivery import deliver
from training.frozen import HeadFit, features_of, fit_head, install_head
from training.opened import open_network, with_head
from training.samples import SampleTable

Say = Callable[[str], None]

HEAD = "state"

#: Stages of the backbone that the head reads, where the backbone lets it: the last stage is made for expressions,
#: and those before it say more of learner states (``training.states_evaluation``).
STAGES = {"efficientnet_b0": (6,)}


@dataclass(frozen=True, slots=True)
class StatesRun:
    """What the command was asked to do.

    Attributes:
        data: reference of DAiSEE. base: weights whose features are used. out: folder of the results.
        views: the faces as they are, and this many less one augmented versions.
        hidden: units per member; 0 for a linear head. weight_decay: L2 strength.
        stages: of the backbone that the head reads, none for the last alone; None for what suits the backbone.
        limit, test, skip_bad, command: as in ``training.base.BaseRun``.
    """

    data: str
    base: str
    out: Path
    views: int = 3
    hidden: int = 0
    weight_decay: float = 0.1
    stages: tuple[int, ...] | None = None
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
    table = prepared(run.data, run.limit, run.skip_bad, say).with_validation(0.2)
    if table.labels != LEARNER_STATES:
        raise DataError(
            f"'{run.data}' is labelled with {table.labels.name}, not with learner states "
            f"({', '.join(LEARNER_STATES.classes)})",
            "Give DAiSEE: its official folder, or FOLDER:daisee.",
        )
    require_disjoint(table)
    fit = HeadFit(hidden=run.hidden, weight_decay=run.weight_decay, seed=run.seed)
    train = table.part("train")
    measured_on = {"val": table.part("val"), **({"test": table.part("test")} if run.test else {})}
    stages = STAGES.get(base.network.spec.backbone, ()) if run.stages is None else run.stages
    spec = HeadSpec(LEARNER_STATES, fit.units, stages)
    network = with_head(base, HEAD, spec)
    features = features_of(base.network, train, base.chip, run.views, seed=run.seed, say=say, stages=stages)
    install_head(network, HEAD, fit_head(features, train.target, spec, fit))
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
        },
        "base": {"name": base.name, "sha256": base.sha256, **base.record.origin},
    }
    path = run.out / "model.safetensors"
    licence = licence_text(table.name, base.record.licence)
    return deliver(path, network, HEAD, base.chip, measured_on, origin, licence, base=base, say=say)


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
