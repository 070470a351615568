"""Who does the work of a run, and in which pieces."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from engagement.errors import ConfigError
from engagement.video.sampling import LEAD_S

#: With "auto": ranges of this many seconds, for videos of at least twice the length.
AUTO_SPLIT_S = 600.0
#: A range is at least this long, or its lead-in and tail would be most of the work.
SHORTEST_S = 3 * LEAD_S


@dataclass(frozen=True, slots=True)
class Crew:
    """Who does the work.

    Attributes:
        workers: processes of this machine; with 1 it is this process, and 0 counts the cores.
        scheduler: address of a Dask scheduler whose workers do it instead; empty for none.
    """

    workers: int = 1
    scheduler: str = ""


def parse_crew(workers: str | None, scheduler: str | None) -> Crew:
    """What ``--workers`` and ``--scheduler`` ask for.

    Raises:
        ConfigError: both, or no sensible number.
    """
    if scheduler and workers:
        raise ConfigError(
            "--workers and --scheduler exclude each other", "The cluster has workers of its own."
        )
    if scheduler and not re.fullmatch(r"[a-z]+://[^/\s]+:\d+", scheduler):
        raise ConfigError(
            f"--scheduler '{scheduler}' is no address", "Give what 'dask scheduler' prints: tcp://HOST:8786."
        )
    text = workers or "1"
    if text != "auto" and not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1024):
        raise ConfigError(f"--workers '{text}' is neither auto nor a number from 1 to 1024")
    return Crew(0 if text == "auto" else int(text), scheduler or "")


def split_seconds(given: str | None) -> float:
    """What ``--split`` asks for: seconds per range, 0 for whole videos.

    Raises:
        ConfigError: neither ``auto`` nor a sensible number of minutes.
    """
    if given is None:
        return 0.0
    if given == "auto":
        return AUTO_SPLIT_S
    try:
        seconds = float(given) * 60
    except ValueError:
        seconds = math.nan
    if not SHORTEST_S <= seconds <= 86400:
        raise ConfigError(
            f"--split '{given}' is neither auto nor minutes from {SHORTEST_S / 60:g} to 1440",
            f"auto makes ranges of {AUTO_SPLIT_S / 60:g} minutes.",
        )
    return seconds
