"""Files that somebody names."""

from __future__ import annotations

from pathlib import Path
from stat import S_ISBLK, S_ISCHR, S_ISFIFO, S_ISSOCK


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
