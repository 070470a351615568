"""How a figure and its interval are written: on the terminal, on pages and on cards alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

#: A figure that is not known.
UNKNOWN = "–"


def figure_text(value: Any) -> str:
    """Three decimals; counts as they are; an en dash for what is unknown (None or NaN)."""
    if value is None or value != value:
        return UNKNOWN
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def interval_text(interval: Sequence[float | None] | None) -> str:
    """Both ends; empty where one is unknown."""
    if not interval or any(end is None or end != end for end in interval):
        return ""
    low, high = interval
    return f"{low:.3f}–{high:.3f}"
