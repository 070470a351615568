"""JSON files of an output folder, of this version or another."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engagement.errors import DataError
from engagement.timelines.session_summary import SessionSummary
from engagement.timelines.table import REDO


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{path} does not exist", "Give the folder that `engagement analyze` wrote."
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error})", REDO) from error
    if not isinstance(data, dict):
        raise DataError(f"{path} is not a summary", REDO)
    return data


def read_summary(folder: Path) -> SessionSummary:
    """What the result in a folder says of itself.

    Raises:
        DataError: its summary is missing or damaged.
    """
    return SessionSummary(read_json(folder / "summary.json"))


@dataclass(frozen=True, slots=True)
class Axis:
    """What all that is drawn of a session has in common.

    Attributes:
        length_s: of the session, one second at least. step_s: between samples.
        min_quality: the least that counts.
    """

    length_s: float
    step_s: float
    min_quality: float


def axis_of(summary: SessionSummary) -> Axis:
    """As a summary says, also one that lacks something."""
    return Axis(session_length(summary), summary.sampling.step_s or 0.2, summary.limits.min_quality or 0.0)


def session_length(summary: SessionSummary) -> float:
    """Seconds of the session that the axis of its pages shows, one at least."""
    return max(summary.length_s, 1.0)
