"""``engagement train base``: an expression model from labelled faces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engagement.classification.network import HeadSpec
from engagement.errors import DataError, WeightsError
from engagement.labels import EXPRESSIONS
from engagement.weights.store import load_weights
from training.datasets.registry import prepared
from training.datasets.terms import licence_text
from training.delivery import deliver
from training.evaluate import aligned
from training.recipe import Recipe, read_recipe
from training.run import Limits, expression_spec, train_head
from training.samples import SampleTable, joined

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BaseRun:
    """What the command was asked to do.

    Attributes:
        data: references of data sets (see ``training.datasets.registry.load``). The first one's splits
            validate and test; of the others the train split alone is used.
        recipe: name or file.
        overrides: recipe keys that differ; None values do not count.
        out: folder of the results.
        limits: how much of the run is done, and on what.
        limit: pictures per split, None for all (trials).
        test: measure the test split, once, when everything is chosen.
        skip_bad: leave out damaged pictures instead of stopping.
        command: for the record.
    """

    data: tuple[str, ...]
    recipe: str
    out: Path
    overrides: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    limit: int | None = None
    test: bool = False
    skip_bad: bool = False
    resume: bool = True
    command: str = "train base"


def train_base(run: BaseRun, say: Say = lambda _: None) -> dict[str, Any]:
    """Train, calibrate, measure, write.

    Returns:
        figures of the expression head: split -> figures.

    Raises:
        DataError: the data are not expressions, or a split or class is empty.
        ConfigError: the recipe is not valid.
    """
    recipe = read_recipe(run.recipe, run.overrides)
    table = joined(
        [_expressions(data, run, recipe, first=i == 0, say=say) for i, data in enumerate(run.data)]
    )
    measured_on = {"val": table.part("val"), **({"test": table.part("test")} if run.test else {})}
    spec = expression_spec(recipe.backbone, HeadSpec(EXPRESSIONS))
    network, _ = train_head(
        table, "expression", spec, recipe, run.out, limits=run.limits, resume=run.resume, say=say
    )
    origin = {
        "command": run.command,
        "data": table.name,
        "train_faces": len(table.part("train")),
        "init": Path(recipe.init).name or "random",
        "recipe": {
            **recipe.to_dict(),
            "init": Path(recipe.init).name,
            "teacher": Path(recipe.teacher).name,
        },
    }
    path = run.out / "model.safetensors"
    return deliver(
        path,
        network,
        "expression",
        recipe.chip,
        measured_on,
        origin,
        licence_text(table.name, _licence_of(recipe.init)),
        say=say,
    )


def _expressions(data: str, run: BaseRun, recipe: Recipe, first: bool, say: Say) -> SampleTable:
    """One of the run's data sets in the order of EXPRESSIONS; whole, or its train split."""
    table = prepared(data, run.limit, run.skip_bad, say).with_validation(recipe.validation_share)
    if table.labels.name != EXPRESSIONS.name:
        raise DataError(
            f"'{data}' is labelled with {table.labels.name} ({', '.join(table.labels.classes)}), not with the "
            f"expressions that a base model learns: {', '.join(EXPRESSIONS.classes)}",
            "For other or fewer classes use `engagement train personal` or `engagement train extension`.",
        )
    table = aligned(table, EXPRESSIONS)
    return table if first else table.part("train")


def _licence_of(init: str) -> str:
    """Terms that initial weights of our own bring along; empty for others."""
    try:
        return load_weights(init, "face_state").record.licence if init.endswith(".safetensors") else ""
    except WeightsError:
        return ""
