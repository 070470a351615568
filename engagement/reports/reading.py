"""JSON files of an output folder, of this version or another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engagement.errors import DataError


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
        raise DataError(
            f"{path} cannot be read ({error})", "Analyse the video again with --overwrite."
        ) from error
    if not isinstance(data, dict):
        raise DataError(f"{path} is not a summary", "Analyse the video again with --overwrite.")
    return data


def part(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A nested part, empty when another version wrote none."""
    value = data.get(key)
    return dict(value) if isinstance(value, Mapping) else {}
