"""The text of a names file, as editors of several systems save it."""

from __future__ import annotations

from pathlib import Path

from engagement.errors import ConfigError
from engagement.given import no_file

_MAX_BYTES = 1_000_000


def text_of(path: Path) -> str:
    """The text of a names file.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    if what := no_file(path):
        raise ConfigError(f"names file {path} is {what}, not a file", "Save it as plain text (.txt).")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"names file {path} cannot be read ({error.strerror})", "Check its path."
        ) from error
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))  # UTF-16
    other = data.startswith((b"{\\rtf", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF"))
    if len(data) > _MAX_BYTES or other or (b"\0" in data and not wide):
        raise ConfigError(f"names file {path} is not plain text", "Save it as plain text (.txt).")
    if wide:
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
