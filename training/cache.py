"""Arrays that take minutes to make, kept in a folder: numbers and small grey faces, never a picture."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engagement.drafts import drafted
from engagement.types import FloatArray
from training.samples.table import SampleTable

#: Name -> float32 (n, ...) of n faces.
Blocks = Mapping[str, FloatArray]
Arrays = Mapping[str, NDArray[Any]]


def key_of(table: SampleTable, *more: str) -> str:
    """Names exactly these pictures in this framing; neither their labels nor their people."""
    digest = hashlib.sha256("\n".join([*more, *table.sample_id.tolist()]).encode())
    digest.update(np.ascontiguousarray(table.box).tobytes())
    if table.roll_deg is not None:
        digest.update(np.ascontiguousarray(table.roll_deg).tobytes())
    for image in table.images:
        digest.update(image if isinstance(image, bytes) else str(image).encode())
    return digest.hexdigest()[:12]


def cached_float16(path: Path, make: Callable[[], Blocks]) -> Blocks:
    """float32 arrays of a file, made and written first where it is not there; half precision either way."""
    found = cached(path, lambda: {name: value.astype(np.float16) for name, value in make().items()})
    return {name: value.astype(np.float32) for name, value in found.items()}


def cached(path: Path, make: Callable[[], Arrays]) -> Arrays:
    """Arrays of a file; made and written where it is not there, or where a killed run left half of one."""
    try:
        with np.load(path) as held:
            return {name: held[name] for name in held.files}
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        path.unlink(missing_ok=True)
    made: dict[str, Any] = dict(make())
    # Tasks of a cluster may make the same file at the same time.
    with drafted(path) as draft, draft.open("wb") as file:
        np.savez(file, **made)
    return made
