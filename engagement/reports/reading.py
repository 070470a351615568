"""JSON files of an output folder, of this version or another."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engagement.errors import DataError
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


def length_of(summary: Mapping[str, Any]) -> float:
    """Seconds of a session: to where the analysis found its end. 0 where nothing is known.

    Earlier versions did not say where that is. Of theirs: what the container declares or what was sampled, whichever is
    longer; of a video that could not be read as a whole what was sampled, since nothing is known of the rest.
    """
    video, sampling = part(summary, "video"), part(summary, "sampling")
    end = number(sampling.get("end_s"))
    if end is not None:
        return end
    sampled = (number(sampling.get("last_s")) or 0.0) + (number(sampling.get("step_s")) or 0.0)
    declared = number(video.get("duration_s")) or 0.0
    return max(declared if video.get("complete") is not False else 0.0, sampled)


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


def axis_of(summary: Mapping[str, Any]) -> Axis:
    """As a summary says, also one that lacks something."""
    return Axis(
        session_length(summary),
        number(part(summary, "sampling").get("step_s")) or 0.2,
        number(part(summary, "limits").get("min_quality")) or 0.0,
    )


def session_length(summary: Mapping[str, Any]) -> float:
    """Seconds of the session that the axis of its pages shows, one at least."""
    return max(length_of(summary), 1.0)


def number(value: object) -> float | None:
    """A finite number or None, whatever another version wrote."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def part(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A nested part, empty when another version wrote none."""
    value = data.get(key)
    return dict(value) if isinstance(value, Mapping) else {}
