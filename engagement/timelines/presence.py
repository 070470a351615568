"""Who was there long enough to be shown: ``--min-presence``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engagement.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

_FORM = re.compile(r"(\d+(?:[.,]\d+)?)\s*(%|s|sec|seconds|m|min|minutes)?", re.IGNORECASE)
#: Both figures come from a table with four decimals.
_SLACK = 1e-4
#: Of the samples in which whoever was read most could be read.
_FAIR = 0.05


@dataclass(frozen=True, slots=True)
class PresenceConfig:
    """The least that somebody must have been seen to appear in pages and class curves.

    Attributes:
        min_s: seconds in which the face was found.
        min_share: share of the session's samples in which it was found, 0-1.
    """

    min_s: float = 0.0
    min_share: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.min_share <= 1:
            raise ConfigError(f"--min-presence {self.min_share:.0%} is not within 0-100 %", "Try 5%.")
        if not 0 <= self.min_s < float("inf"):
            raise ConfigError(f"--min-presence {self.min_s} s is no length of time", "Try 10s.")

    def __str__(self) -> str:
        return (
            f"{self.min_share * 100:g}\u202f% of the session" if self.min_share else f"{self.min_s:g}\u202fs"
        )

    def keeps(self, persons: pd.DataFrame) -> NDArray[np.bool_]:
        """Which rows of the table of persons were seen for long enough."""
        long_enough = persons["observed_s"].to_numpy(float) >= self.min_s - _SLACK
        return long_enough & (persons["session_share"].to_numpy(float) >= self.min_share - _SLACK)


def read_long(n_used: ArrayLike) -> NDArray[np.bool_]:
    """Who could be read for a fair part of the time, so that curves are of them: of photographs and of faces that are
    always too poor nothing is known, and of a face on a slide hardly anything.

    Args:
        n_used: (n,) samples in which each could be read.
    """
    n = np.asarray(n_used, np.int64)
    return (n > 0) & (n >= _FAIR * n.max(initial=0))


def counts(persons: pd.DataFrame) -> dict[str, int]:
    """How many people summary.json names: all, those who are shown, and those of these who could be read for long."""
    shown = persons["shown"].to_numpy(bool)
    read = read_long(persons["n_used"][shown])
    return {"n_persons": len(persons), "n_shown": int(shown.sum()), "n_read": int(read.sum())}


def parse_presence(text: str) -> PresenceConfig:
    """``10``, ``10s``, ``2 min`` or ``5%``.

    Raises:
        ConfigError: something else.
    """
    found = _FORM.fullmatch(text.strip())
    if not found:
        raise ConfigError(
            f"--min-presence '{text}' is neither a time nor a share",
            "Write seconds or a share of the session, such as 10s or 5%.",
        )
    value, unit = float(found[1].replace(",", ".")), (found[2] or "s").lower()
    if unit == "%":
        return PresenceConfig(min_share=value / 100)
    return PresenceConfig(min_s=value * (60 if unit.startswith("m") else 1))
