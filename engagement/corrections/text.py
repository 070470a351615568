"""The text of a names file, as editors of several systems save it."""

from __future__ import annotations

from pathlib import Path

from engagement.errors import ConfigError

_MAX_BYTES = 1_000_000


def text_of(path: Path) -> str:
    """The text of a names file.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"names file {path} cannot be read ({error.strerror})", "Check its path."
        ) from error
    if len(data) > _MAX_BYTES or data.startswith((b"{\\rtf", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF")):
        raise ConfigError(f"names file {path} is not plain text", "Save it as plain text (.txt).")
    return _decoded(data)


def _decoded(data: bytes) -> str:
    """Text of whatever encoding."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
