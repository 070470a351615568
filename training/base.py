"""``engagement train base``: an expression model from labelled faces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engagement.classification.network import HeadSpec
from engagement.errors import DataError
from engagement.labels import EXPRESSIONS
from training.datasets.registry import prepared
from training.datasets.terms import licence_text
from training.delivery import deliver
from training.evaluate import aligned
from training.recipe import read_recipe
from training.run import Limits, expression_spec, train_head

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BaseRun:
    """What the command was asked to do.

    Attributes:
        data: reference of the data set (see ``training.datasets.registry.load``).
        recipe: name or file.
        overrides: recipe keys that differ; None values do not count.
        out: folder of the results.
        limits: how much of the run is done, and on what.
        limit: pictures per split, None for all (trials).
        test: measure the test split, once, when everything is chosen.
        skip_bad: leave out damaged pictures instead of stopping.
        command: for the record.
    """

    data: str
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
    table = prepared(run.data, run.limit, run.skip_bad, say).with_validation(recipe.validation_share)
    if table.labels.name != EXPRESSIONS.name:
        raise DataError(
            f"'{run.data}' is labelled with {table.labels.name} ({', '.join(table.labels.classes)}), not with the "
            f"expressions that a base model learns: {', '.join(EXPRESSIONS.classes)}",
            "For other or fewer classes use `engagement train personal` or `engagement train extension`.",
        )
    table = aligned(table, EXPRESSIONS)
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
        "recipe": {**recipe.to_dict(), "init": Path(recipe.init).name},
    }
    path = run.out / "model.safetensors"
    return deliver(
        path, network, "expression", recipe.chip, measured_on, origin, licence_text(table.name), say=say
    )
