"""Files that appear whole or not at all."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DRAFT = re.compile(r"\.[0-9a-f]{8}\.part")


def is_draft(name: str) -> bool:
    """Whether a file is called as an unfinished one is, which only a killed command leaves."""
    return _DRAFT.fullmatch(name) is not None


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
