"""Files that appear whole or not at all."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """Where to write a file that then takes its place: a reader finds the old or the new one, never half of one.

    Several may write the same file at once. Nothing stays of a draft that is not finished.

    Args:
        path: of the file, in a folder that is there.
    """
    draft = path.with_name(f".{uuid.uuid4().hex[:8]}.part")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
