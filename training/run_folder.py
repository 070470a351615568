"""The folder of a training run: what is being run, and the checkpoint to go on from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engagement.errors import ConfigError


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
                "Start anew with --no-resume, or choose another folder with -o.",
            )
    if leading:
        if not resume:
            for name in ("last.ckpt", "best.ckpt"):
                (folder / name).unlink(missing_ok=True)
        draft = path.with_suffix(".part")  # other processes may be reading the record
        draft.write_text(json.dumps(asked, indent=1), encoding="utf-8")
        draft.replace(path)
    return last if resume and last.is_file() else None


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path} cannot be read ({error})", "Remove it, or use --no-resume.") from error
