"""``engagement train matrix``: backbones x data sets, and an ablation of the augmentation, as one table."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engagement import __version__
from engagement.classification.backbones import BACKBONES as KNOWN_BACKBONES
from engagement.drafts import drafted
from engagement.errors import ConfigError, DataError, EngagementError
from training import Say
from training.base import BaseRun, recorded, require_trainable, train_base
from training.datasets.registry import load, told
from training.figure_text import plain, to_json
from training.fitting.initial import initial_file, weights_digest
from training.fitting.run_folder import OPTIONS, changed_options
from training.fitting.trainer import Limits
from training.recipes.recipe import Recipe, changed_keys, read_recipe
from training.samples.augment import POLICIES
from training.samples.table import SampleTable

BACKBONES = ("resnet18", "vgg16", "efficientnet_b0", "mobilenet_v2")
#: From nothing to the strongest; ``faces`` is the one that the shipped weights were trained with.
AUGMENTATIONS = ("none", "crp", "crp_color", "crp_cutout", "mix", "faces")

_CELLS, _TABLE = "cells", "table"
#: Columns of the tables: key of the figures -> heading.
_SHOWN = {"accuracy": "accuracy", "macro_f1": "macro F1", "mean_class_accuracy": "mean class", "ece": "ECE"}


@dataclass(frozen=True, slots=True)
class MatrixRun:
    """What the command was asked to do.

    Attributes:
        data: references of data sets, one column each; the ablation is done on the first.
        out: folder; ``cells/<name>`` holds a run, ``table.md``, ``.csv`` and ``.json`` the results.
        recipe: name or file, the same for all cells.
        backbones: of the table. augmentations: of the ablation; empty for none.
        ablation_backbone: that the augmentations are compared with.
        init: initial weights by backbone; the name ``*`` is for the others; else the recipe's.
        overrides: recipe keys that differ, in all cells.
        limits, limit, test, skip_bad, command: as in BaseRun.

    Raises:
        ConfigError: a name is unknown or given twice, or nothing is left to do.
    """

    data: tuple[str, ...]
    out: Path
    recipe: str = "finetune"
    backbones: tuple[str, ...] = BACKBONES
    augmentations: tuple[str, ...] = AUGMENTATIONS
    ablation_backbone: str = "efficientnet_b0"
    init: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    limit: int | None = None
    test: bool = False
    skip_bad: bool = False
    command: str = "train matrix"

    def __post_init__(self) -> None:
        wrong: list[str] = []
        names = [set_name(reference) for reference in self.data]
        for what, values in (
            ("data sets", names),
            ("backbones", self.backbones),
            ("augmentations", self.augmentations),
        ):
            if len(set(values)) < len(values):
                wrong.append(f"{what} are named twice: {', '.join(values)}")
        if not self.data or not (self.backbones or self.augmentations):
            wrong.append("there is nothing to train: give data, and backbones or augmentations")
        for what, values, known in (
            ("--backbones", self.backbones, KNOWN_BACKBONES),
            ("--augmentations", self.augmentations, POLICIES),
            ("--ablation-backbone", (self.ablation_backbone,), KNOWN_BACKBONES),
        ):
            if unknown := [value for value in values if value not in known]:
                wrong.append(f"{what}: {', '.join(unknown)} is none of {', '.join(known)}")
        used = {*self.backbones, *([self.ablation_backbone] if self.augmentations else [])}
        idle = sorted(set(self.init) - used - {"*"})
        if idle:
            wrong.append(f"--init is given for {', '.join(idle)}, which no cell uses")
        if "augmentation" in self.overrides or "backbone" in self.overrides:
            wrong.append("--set augmentation and --set backbone are what the table varies")
        if wrong:
            raise ConfigError("; ".join(wrong))


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of the matrix.

    Attributes:
        data: reference of the set.
        recipe: resolved.
        parts: of ``table``, ``ablation``: where it is shown.
        pictures: digest of the set, of how its faces are framed as well.
    """

    data: str
    recipe: Recipe
    parts: tuple[str, ...]
    pictures: str = ""

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{set_name(self.data)}-{self.recipe.backbone}-{self.recipe.augmentation}"


def set_name(reference: str) -> str:
    """A data set in a word: what stands after the colon, or the folder's or file's name."""
    folder, _, name = reference.rpartition(":")
    return name if folder and "/" not in name and "\\" not in name else Path(reference).absolute().stem


def cells(run: MatrixRun) -> list[Cell]:
    """All runs, each once, in order: the table, then what the ablation adds.

    Raises:
        ConfigError: a cell's recipe is not valid, or its initial weights do not exist; naming the cell.
    """
    wanted: dict[tuple[str, str, str], list[str]] = {}
    usual = read_recipe(run.recipe, {**run.overrides, "init": ""}).augmentation
    for data in run.data:
        for backbone in run.backbones:
            wanted.setdefault((data, backbone, usual), []).append("table")
    for augmentation in run.augmentations:
        wanted.setdefault((run.data[0], run.ablation_backbone, augmentation), []).append("ablation")
    out: list[Cell] = []
    for (data, backbone, augmentation), parts in wanted.items():
        init = run.init.get(backbone, run.init.get("*", run.overrides.get("init")))
        changes = {**run.overrides, "backbone": backbone, "augmentation": augmentation, "init": init}
        try:
            recipe = read_recipe(run.recipe, changes)
        except ConfigError as error:
            raise ConfigError(f"{set_name(data)}, {backbone}, {augmentation}: {error.message}", error.hint)
        if recipe.init not in ("", "hub") and initial_file(recipe.init) is None:
            raise ConfigError(
                f"initial weights '{recipe.init}' for {backbone} do not exist",
                f"Give --init {backbone}=FILE, {backbone}=hub or {backbone}= (random).",
            )
        out.append(Cell(data, recipe, tuple(parts)))
    return out


def train_matrix(run: MatrixRun, say: Say = lambda _: None) -> str:
    """Train what is not there yet; the tables are written after every cell.

    A finished cell is kept, a killed one goes on where it was, with the time it had already taken.

    Returns:
        the tables as Markdown.

    Raises:
        ConfigError: the folder holds a cell of other settings.
        DataError: a set on which no cell can be trained; all of them are named before the first cell.
        EngagementError: of a cell, which it names; what is finished stays.
    """
    todo = cells(run)
    # As the cells learn from them, how faces are framed included: looked at and told once.
    tables = {data: told(load(data), say) for data in run.data}
    _require_trainable(run, tables, todo[0].recipe.validation_share)
    digests = {data: table.digest() for data, table in tables.items()}
    todo = [replace(cell, pictures=digests[cell.data]) for cell in todo]
    for cell in todo:
        _check(run, cell)
    results: list[dict[str, Any]] = []
    for i, cell in enumerate(todo, 1):
        label = f"[{i}/{len(todo)}] {cell.name}"
        found = _read(run, cell)
        if found.get("done"):
            say(f"{label}: finished before")
        else:
            say(f"{label}: begins" if not found else f"{label}: goes on")
            before_s = float(found.get("seconds", 0))
            found = _train(run, cell, tables, before_s, lambda text, at=label: say(f"{at}: {text}"))
        results.append({"name": cell.name, "parts": list(cell.parts), **found})
        text = _save(run, todo, results)
    return text


def _require_trainable(run: MatrixRun, tables: Mapping[str, SampleTable], share: float) -> None:
    wrong: list[DataError] = []
    for table in tables.values():
        try:
            require_trainable(table if run.limit is None else table.limited(run.limit), share)
        except DataError as error:
            wrong.append(error)
    if wrong:
        hints = dict.fromkeys(error.hint for error in wrong if error.hint)
        raise DataError("; ".join(error.message for error in wrong), " ".join(hints))


def _folder(run: MatrixRun, cell: Cell) -> Path:
    return run.out / _CELLS / cell.name


def _asked(run: MatrixRun, cell: Cell) -> dict[str, Any]:
    recipe = {**recorded(cell.recipe), "init": _origin(cell.recipe.init)}
    asked = {
        "data": set_name(cell.data),
        "pictures, labels or splits": cell.pictures,
        "recipe": recipe,
        "the files of init, teacher or distil": [
            weights_digest(file) for file in (cell.recipe.init, cell.recipe.teacher, *cell.recipe.distil)
        ],
        "limit": run.limit,
        "max_steps": run.limits.max_steps,
        "split": "test" if run.test else "val",
    }
    return json.loads(json.dumps(asked))


def _origin(init: str) -> str:
    return Path(init).name if init else "random"


def _read(run: MatrixRun, cell: Cell) -> dict[str, Any]:
    path = _folder(run, cell) / "cell.json"
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ConfigError(f"{path} cannot be read ({error})", "Remove that cell's folder.") from error


def _check(run: MatrixRun, cell: Cell) -> None:
    begun, asked = _read(run, cell).get("asked"), _asked(run, cell)
    if begun is None:
        return
    # What earlier versions did not write counts as the same.
    told = ("recipe", *OPTIONS)
    different = changed_options(begun, asked)
    different += [k for k in asked if k not in told and begun.get(k, asked[k]) != asked[k]]
    different += changed_keys(begun["recipe"], asked["recipe"])
    if not different:
        return
    raise ConfigError(
        f"{_folder(run, cell)} holds a run that differs in: {', '.join(different)}",
        "Choose another folder with -o, or remove that cell's folder.",
    )


def _train(
    run: MatrixRun, cell: Cell, tables: Mapping[str, SampleTable], before_s: float, say: Say
) -> dict[str, Any]:
    folder = _folder(run, cell)
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"asked": _asked(run, cell), "seconds": before_s, "done": False}
    start = time.monotonic()

    def keep() -> None:
        found["seconds"] = before_s + time.monotonic() - start
        with drafted(folder / "cell.json") as draft:
            draft.write_text(to_json(found), encoding="utf-8")

    def hear(text: str) -> None:
        keep()  # once an epoch at least: a killed cell must not forget its time
        say(text)

    keep()
    changes = {**run.overrides, "backbone": cell.recipe.backbone, "augmentation": cell.recipe.augmentation}
    changes["init"] = cell.recipe.init
    base = BaseRun(
        (cell.data,),
        run.recipe,
        folder,
        overrides=changes,
        limits=run.limits,
        limit=run.limit,
        test=run.test,
        skip_bad=run.skip_bad,
        command=run.command,
    )
    try:
        figures = train_base(base, hear, tables)
    except EngagementError as error:
        raise type(error)(f"{cell.name}: {error.message}", error.hint) from error
    found["figures"] = plain(figures["test" if run.test else "val"])
    found["cost"] = json.loads((folder / "cost.json").read_text(encoding="utf-8"))
    found["done"] = True
    keep()
    # As large as the model several times over, and of use to an unfinished run alone.
    for name in ("best.ckpt", "last.ckpt"):
        (folder / name).unlink(missing_ok=True)
    return found


def _save(run: MatrixRun, todo: Sequence[Cell], results: Sequence[Mapping[str, Any]]) -> str:
    settings = _settings(run, todo)
    text = _markdown(run, settings, results, len(todo))
    run.out.mkdir(parents=True, exist_ok=True)
    (run.out / f"{_TABLE}.md").write_text(text, encoding="utf-8")
    (run.out / f"{_TABLE}.json").write_text(
        to_json({"settings": settings, "cells": list(results)}), encoding="utf-8"
    )
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\n")
    writer.writerow([*_IDENTITY, *_SHOWN, "n", "seconds", "gflops", "parameters"])
    for result in results:
        recipe, found, cost = result["asked"]["recipe"], result["figures"], result["cost"]
        own = {**recipe, "data": result["asked"]["data"], "split": result["asked"]["split"]}
        values = [own[key] for key in _IDENTITY] + [found[key] for key in _SHOWN]
        writer.writerow(
            [*values, found["n"], round(result["seconds"], 1), cost["gflops"], cost["parameters"]]
        )
    (run.out / f"{_TABLE}.csv").write_text(sheet.getvalue(), encoding="utf-8")
    return text


_IDENTITY = ("data", "backbone", "augmentation", "split", "init", "size", "epochs", "seed")


def _settings(run: MatrixRun, todo: Sequence[Cell]) -> dict[str, Any]:
    def values(key: str) -> str:
        return ", ".join(dict.fromkeys(str(getattr(cell.recipe, key)) for cell in todo))

    changed = {key: recorded(todo[0].recipe)[key] for key in run.overrides if key != "init"}
    starts = {cell.recipe.backbone: _origin(cell.recipe.init) for cell in todo}
    return {
        "command": run.command,
        "version": __version__,
        "recipe": Path(run.recipe).name,
        "size": values("size"),
        "epochs": values("epochs"),
        "seed": values("seed"),
        "pictures per split": run.limit if run.limit is not None else "all",
        "optimiser steps at most": run.limits.max_steps if run.limits.max_steps > 0 else "all of the epochs",
        "measured on": "test split" if run.test else "validation split",
        "started from": ", ".join(f"{name}: {origin}" for name, origin in starts.items()),
        **({"changed": ", ".join(f"{k}={v}" for k, v in changed.items())} if changed else {}),
    }


def _markdown(
    run: MatrixRun, settings: Mapping[str, Any], results: Sequence[Mapping[str, Any]], cells: int
) -> str:
    lines = [f"- {key}: {f'`{value}`' if key == 'command' else value}" for key, value in settings.items()]
    if len(results) < cells:
        lines.append(f"- finished cells: {len(results)} of {cells}")
    lines.append(
        "- one run per cell; in brackets the 95 % interval over faces, which does not hold what another seed changes"
    )
    for part, title, column in (
        ("table", "Backbones and data sets", "backbone"),
        ("ablation", f"Augmentation ({run.ablation_backbone}, {set_name(run.data[0])})", "augmentation"),
    ):
        rows = [r for r in results if part in r["parts"]]
        if rows:
            heads = ["data", column, *_SHOWN.values(), "faces", "GFLOPs", "time"]
            lines += ["", f"## {title}", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
            lines += [f"| {' | '.join(_row(r, column))} |" for r in rows]
    return "\n".join(lines) + "\n"


def _row(result: Mapping[str, Any], column: str) -> list[str]:
    found, asked = result["figures"], result["asked"]
    spans = found.get("intervals", {})
    shown = []
    for key in _SHOWN:
        low, high = spans.get(key) or (None, None)
        shown.append(f"{found[key]:.3f}" + (f" ({low:.3f}–{high:.3f})" if low is not None else ""))
    minutes, seconds = divmod(round(result["seconds"]), 60)
    times = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    name = asked["recipe"][column]
    return [asked["data"], name, *shown, str(found["n"]), f"{result['cost']['gflops']:.3f}", times]
