"""The command line in this process, as a user would call it."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """How a command ended: exit status and what it printed."""

    status: int
    out: str
    err: str


def run_command(*args: object) -> int:
    """Run ``engagement …``; returns its exit status."""
    from engagement.cli import main

    before = sys.argv
    sys.argv = ["engagement", *map(str, args)]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    raise AssertionError("main() returned instead of exiting")
