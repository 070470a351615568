"""``engagement train base``: an expression model from labelled faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engagement.classification.network import HeadSpec, NetworkSpec
from engagement.errors import DataError, WeightsError
from engagement.labels import EXPRESSIONS, EXPRESSIONS_8, SYNONYMS, LabelSet
from engagement.weights.store import load_weights
from training import Say
from training.datasets.registry import prepared
from training.datasets.terms import licence_text
from training.delivery import Trained, deliver
from training.fitting.initial import chip_of, initial_file, refuse_replacing
from training.fitting.run import require_every_class, train_head
from training.fitting.trainer import Limits, leads
from training.held_out import flattering, record_of, require_disjoint
from training.measuring.opened import Opened, open_network, resting
from training.measuring.outcome import aligned
from training.recipes.recipe import Recipe, read_recipe
from training.samples.table import SampleTable, joined


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
        gallery: show misclassified faces on the run's page.
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
    gallery: bool = False


def train_base(
    run: BaseRun, say: Say = lambda _: None, read: Mapping[str, SampleTable] | None = None
) -> dict[str, Any]:
    """Train, calibrate, measure, write.

    Args:
        read: by reference, what ``told`` gave of sets that are read already.

    Returns:
        figures of the expression head: split -> figures. Empty in processes of a joint run that do not lead.

    Raises:
        DataError: the data are not expressions, a split or class is empty, or people of the first set stand in two
            splits.
        ConfigError: the recipe is not valid.
    """
    recipe = read_recipe(run.recipe, run.overrides)
    refuse_replacing(run.out / "model.safetensors", recipe.init, *recipe.distil)
    leading = leads(recipe, run.limits)
    say = say if leading else lambda _: None
    tables = [
        prepared((read or {}).get(data, data), run.limit, run.skip_bad, say).with_validation(
            recipe.validation_share
        )
        for data in run.data
    ]
    require_disjoint(tables[0])  # of the others the train split alone is used
    labels = expression_labels(tables[0])
    head = labels.name  # `analyze` shows a head of AffectNet's eight beside the documented columns
    tables = [_as_in_the_first(table, labels) for table in tables]
    beware = flattering(tables[0])
    for text in beware:
        say(f"{tables[0].name}: {text}")
    table = joined([tables[0], *(other.part("train") for other in tables[1:])])
    require_every_class(table.part("train"))
    # Of the first set alone, as it names its people and videos.
    measured_on = {"val": tables[0].part("val"), **({"test": tables[0].part("test")} if run.test else {})}
    before = _continued(recipe)
    spec = _grown(recipe, head, HeadSpec(labels), before, say)
    limits = replace(run.limits, limit=run.limit)
    network, _ = train_head(table, head, spec, recipe, run.out, limits=limits, resume=run.resume, say=say)
    if not leading:
        return {}
    origin = {
        "command": run.command,
        "data": table.name,
        "train_faces": len(table.part("train")),
        **record_of(tables[0].part("val")),
        "init": Path(recipe.init).name or "random",
        "recipe": recorded(recipe),
        **({"base": begun} if (begun := _origin_of(recipe.init)) else {}),
    }
    path = run.out / "model.safetensors"
    bases = dict.fromkeys(filter(None, map(_licence_of, (recipe.init, *recipe.distil))))
    licence = licence_text(table.name, "; ".join(bases))
    chip = chip_of(recipe)
    trained = Trained(
        network,
        head,
        chip,
        measured_on=measured_on,
        origin=origin,
        licence=licence,
        base=before,
        beware=beware,
    )
    return deliver(path, trained, log=run.out / "log" / "metrics.csv", gallery=run.gallery, say=say)


def _continued(recipe: Recipe) -> Opened | None:
    """The network that a run begins with, where it is one of ours that sees faces as this one will."""
    path = initial_file(recipe.init)
    if path is None or path.suffix != ".safetensors" or recipe.renew:
        return None
    try:
        before = open_network(recipe.init)
    except WeightsError:
        return None
    own, spec = (recipe.backbone, recipe.mirror, chip_of(recipe)), before.network.spec
    return before if (spec.backbone, spec.mirror, before.chip) == own else None


def _grown(recipe: Recipe, head: str, made: HeadSpec, before: Opened | None, say: Say) -> NetworkSpec:
    """The network to train: its head, and what rests on frozen stages of the network before, which stays true."""
    spec = NetworkSpec(recipe.backbone, {head: made}, mirror=recipe.mirror)
    if before is None:
        return spec
    network, stages = before.network, len(list(before.network.backbone))
    counts = [recipe.frozen_stages(epoch) for epoch in range(recipe.epochs)]
    names, identity = resting(network, min(stages if count < 0 else count for count in counts))
    heads = {name: network.spec.heads[name] for name in names if name != head}
    if stay := [*heads, *(["the identity feature"] if identity else [])]:
        say(f"{before.name}: {' and '.join(stay)} read frozen stages alone and stay as they are")
    return replace(
        spec, heads={head: made, **heads}, identity_dim=network.spec.identity_dim if identity else 0
    )


def recorded(recipe: Recipe) -> dict[str, Any]:
    """A recipe as plain values for a record, which must not tell where a user keeps things: files by name."""
    return {
        **recipe.to_dict(),
        "init": Path(recipe.init).name,
        "teacher": Path(recipe.teacher).name,
        "distil": [Path(file).name for file in recipe.distil],
    }


def expression_labels(table: SampleTable) -> LabelSet:
    """The classes a base model learns from a set: the seven expressions, or AffectNet's eight.

    Raises:
        DataError: the set is labelled with something else.
    """
    names = {SYNONYMS.get(c.lower(), c) for c in table.labels.classes}
    for labels in (EXPRESSIONS, EXPRESSIONS_8):
        if table.labels.name == labels.name or names == set(labels.classes):
            return labels
    raise DataError(
        f"'{table.name}' is labelled with {table.labels.name} ({', '.join(table.labels.classes)}), not with the "
        f"expressions that a base model learns: {', '.join(EXPRESSIONS.classes)}",
        "For other or fewer classes use `engagement train personal` or `engagement train extension`.",
    )


def require_trainable(table: SampleTable, share: float) -> None:
    """Raise DataError where a base could not be trained on a set as the only one.

    Args:
        table: all splits, reduced where a trial is.
        share: of the train split that validates where there is no validation split.
    """
    require_disjoint(table)
    divided = aligned(table.with_validation(share), expression_labels(table))
    require_every_class(divided.part("train"))


def _as_in_the_first(table: SampleTable, labels: LabelSet) -> SampleTable:
    """A set with the labels of the first one; DataError where it has others."""
    try:
        return aligned(table, labels)
    except DataError as error:
        raise DataError(
            error.message,
            f"The first --data says what is learned: {', '.join(labels.classes)}. Leave '{table.name}' out, give it first, "
            "or take its variant without them (affectnet7).",
        ) from error


def _origin_of(weights: str) -> dict[str, Any]:
    """What weights of our own learned from before, for the record of what goes on from them; empty for others."""
    if not weights:
        return {}
    try:
        loaded = load_weights(weights, "face_state")
    except WeightsError:
        return {}
    return {"name": loaded.name, "sha256": loaded.sha256, **loaded.record.origin}


def _licence_of(weights: str) -> str:
    """Terms that weights of our own bring along; empty for others."""
    try:
        return load_weights(weights, ("face_state", "ensemble")).record.licence
    except WeightsError:  # not a file of ours, or torchvision's
        return ""
