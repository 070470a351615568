"""Files that somebody names."""

from __future__ import annotations

from pathlib import Path
from stat import S_ISBLK, S_ISCHR, S_ISFIFO, S_ISSOCK
from typing import Any

import click

from engagement.errors import ConfigError


def no_file(path: Path) -> str:
    """What lies there in place of a file, such as "a pipe"; empty for a file, a folder, and nothing.

    A pipe is waited for until somebody writes, perhaps for ever, and what comes can be read only once.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # who reads it will say so
        return ""
    if S_ISFIFO(mode) or S_ISSOCK(mode):
        return "a pipe"
    return "a device" if S_ISCHR(mode) or S_ISBLK(mode) else ""


def is_empty(option: str) -> ConfigError:
    """What is said of an option or argument that is given without content."""
    return ConfigError(f"{option} is empty", "Perhaps a variable that it comes from is not set.")


class GivenPath(click.Path):
    """A path that an option takes. An empty one is refused: as a ``Path`` it would be the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "" and param is not None:
            raise is_empty(param.opts[-1] if isinstance(param, click.Option) else param.human_readable_name)
        return super().convert(value, param, ctx)
