"""The folder of a training run: what is being run, and the checkpoint to go on from."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engagement.drafts import drafted, is_draft
from engagement.errors import ConfigError, DataError
from training.recipes.recipe import changed_keys

#: Keys of records that are options of the command, too, and those that follow from the first of them.
OPTIONS = ("limit", "max_steps")
_PICTURES = ("pictures, labels or splits", "data")


def changed_options(begun: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Options that were given otherwise, each with both values; what earlier versions did not write counts as the same."""

    def shown(value: int | None) -> str:
        return "not given" if value in (None, -1) else str(value)

    return [
        f"--{key.replace('_', '-')} ({shown(before)} before, {shown(asked[key])} now)"
        for key in OPTIONS
        if (before := begun.get(key, asked[key])) != asked[key]
    ]


def changed_run(begun: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """What differs between two records of a training by a recipe."""
    told = {"recipe", *OPTIONS, *(_PICTURES if begun["limit"] != asked["limit"] else ())}
    others = [key for key in asked if key not in told and begun[key] != asked[key]]
    # A recipe written before a key existed had that key's default.
    return [*changed_options(begun, asked), *others, *changed_keys(begun["recipe"], asked["recipe"])]


def _changed(begun: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    return [key for key in asked if begun.get(key) != asked[key]]


def enter(
    folder: Path,
    record: str,
    asked: Mapping[str, Any],
    resume: bool,
    *,
    before: Mapping[str, Any] | None = None,
    changed: Callable[[Mapping[str, Any], Mapping[str, Any]], list[str]] = _changed,
    leading: bool = True,
) -> Path | None:
    """Make the folder and write down what is run in it; the checkpoint to go on from, if there is one.

    Args:
        record: name of the file that says what is run.
        asked: that, as JSON has it.
        resume: go on with what the folder holds; otherwise its checkpoints are removed.
        before: what counts as asked for where a record does not say.
        changed: names of what differs between what was begun and what is asked for.
        leading: this process is the one of several that writes.

    Raises:
        ConfigError: the folder holds another run, its record is damaged, or what lies in its place is no such record.
    """
    last, path = folder / "last.ckpt", folder / record
    if not last.is_file():
        _require_free(path, asked)
    folder.mkdir(parents=True, exist_ok=True)
    asked = json.loads(json.dumps(asked))
    if resume and last.is_file():
        different = changed({**(before or {}), **_read(path)}, asked)
        if different:
            raise ConfigError(
                f"{folder} holds a run that differs in: {', '.join(different)}",
                f"Choose another folder with -o. {_anew(folder)}",
            )
    if leading:
        for there in list(folder.iterdir()):
            if is_draft(there.name) or (there.name in ("last.ckpt", "best.ckpt") and not resume):
                there.unlink(missing_ok=True)
        with drafted(path) as draft:  # other processes may be reading the record
            draft.write_text(json.dumps(asked, indent=1), encoding="utf-8")
    return last if resume and last.is_file() else None


def _require_free(path: Path, asked: Mapping[str, Any]) -> None:
    """Raise ConfigError where a file of something else, such as an analysis, lies in the place of a run's record."""
    if not path.exists():
        return
    try:
        ours = bool(asked.keys() & _read(path).keys())
    except ConfigError:
        ours = False
    if not ours:
        raise ConfigError(
            f"{path} is not of a training and would be replaced", "Choose another folder with -o."
        )


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path} cannot be read ({error})", _anew(path.parent)) from error


def steps_done(last: Path) -> int:
    """Optimiser steps of a run that is gone on with.

    Raises:
        DataError: its checkpoint cannot be read.
    """
    return int(_checkpoint(last)["global_step"])


def going_on(last: Path, steps: int, tensorboard: bool = False) -> str:
    """What is said of a run of so many steps that is gone on with; errors as of :func:`steps_done`.

    Args:
        tensorboard: figures are also to be written for TensorBoard.
    """
    done = steps_done(last)
    if done < steps:
        return f"{last.parent}: goes on after step {done}"
    left = ", nor to write for --tensorboard; log/metrics.csv has the figures" if tensorboard else ""
    return f"{last.parent}: finished before, nothing is left to train{left}"


def best_epoch(best: Path) -> Mapping[str, Tensor]:
    """State of the module in the best epoch of a run that is over.

    Raises:
        DataError: its checkpoint is gone or cannot be read.
    """
    if not best.is_file():
        raise DataError(f"{best} is gone, which held the best epoch", _anew(best.parent))
    return _checkpoint(best)["state_dict"]


def _anew(folder: Path) -> str:
    return f"Remove {folder / 'last.ckpt'}: the run then begins anew."


def _checkpoint(path: Path) -> Mapping[str, Any]:
    try:
        # Our own file of this run, with Lightning's state beside the tensors.
        found = torch.load(path, map_location="cpu", weights_only=False)
        return {key: found[key] for key in ("global_step", "state_dict")}
    except (EOFError, RuntimeError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise DataError(f"{path} is damaged", _anew(path.parent)) from error
