"""How figures are written: on the terminal, on pages and on cards alike, and as JSON that every reader takes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
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


def plain(value: Any) -> Any:
    """The value with floats rounded to six places and NaN as None."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def to_json(value: Any) -> str:
    """Indented JSON of figures."""
    return json.dumps(plain(value), indent=1, allow_nan=False) + "\n"
