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
        ConfigError: the folder holds another run, or its record is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    last, path = folder / "last.ckpt", folder / record
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


def going_on(last: Path, steps: int) -> str:
    """What is said of a run of so many steps that is gone on with; errors as of :func:`steps_done`."""
    done = steps_done(last)
    what = "finished before, nothing is left to train" if done >= steps else f"goes on after step {done}"
    return f"{last.parent}: {what}"


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
