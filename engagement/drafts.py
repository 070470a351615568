"""Files that appear whole or not at all."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engagement.errors import OutputError

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

    Raises:
        OSError: it cannot be written, which names ``path``: a full disk names no file, and nobody knows the draft.
    """
    draft = path.with_name(f".{uuid.uuid4().hex[:8]}.part")
    try:
        yield draft
        draft.replace(path)
    except OSError as error:
        if error.filename in (None, str(draft)):
            error.filename = str(path)
        raise
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def placed(path: Path) -> Iterator[Path]:
    """:func:`drafted` in a folder that is made where it is missing.

    Raises:
        OutputError: it cannot be written; an earlier file is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with drafted(path) as draft:
            yield draft
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror})", "Is there space, and may you write there?"
        ) from error


def write(path: Path, text: str) -> None:
    """Text as a file, in UTF-8; see :func:`placed`. A link, a pipe or a device is written to as it is, not replaced.

    Raises:
        OutputError, or of what is no plain file OSError: it cannot be written.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        path.write_text(text, encoding="utf-8")
        return
    with placed(path) as draft:
        draft.write_text(text, encoding="utf-8")
