"""Arrays that take minutes to make, kept in a folder: numbers alone, never a picture."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engagement.types import FloatArray
from training.samples import SampleTable

#: Name -> float32 (n, ...) of n faces.
Blocks = Mapping[str, FloatArray]


def key_of(table: SampleTable, *more: str) -> str:
    """Names exactly these pictures in this framing."""
    digest = hashlib.sha256("\n".join([*more, *table.sample_id.tolist()]).encode())
    digest.update(np.ascontiguousarray(table.box).tobytes())
    if table.roll_deg is not None:
        digest.update(np.ascontiguousarray(table.roll_deg).tobytes())
    for image in table.images:
        digest.update(image if isinstance(image, bytes) else str(image).encode())
    return digest.hexdigest()[:12]


def kept(path: Path, make: Callable[[], Blocks]) -> Blocks:
    """Arrays of a file, made and written first where it is not there; half precision either way."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.stem + ".draft.npz")
        halved: dict[str, Any] = {name: value.astype(np.float16) for name, value in make().items()}
        np.savez(draft, **halved)
        draft.replace(path)
    with np.load(path) as held:
        return {name: held[name].astype(np.float32) for name in held.files}
