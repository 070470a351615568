"""Pictures of people: the pages of a result hold them, and keep them nowhere else."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

_START = "data:image/jpeg;base64,"


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small square JPEG of a face, when it was taken, and of whom in the eyes of the analysis.

    ``source`` differs from the person it is shown for after a merge or a split; empty where it does not.
    """

    time_s: float
    jpeg: bytes
    source: str = ""

    @property
    def url(self) -> str:
        """The picture itself, as the address of an image."""
        return _START + base64.b64encode(self.jpeg).decode("ascii")


#: Of each person, by id; somebody may have none.
Pictures = Mapping[str, Sequence[Thumbnail]]


def read_pictures(folder: Path) -> dict[str, list[Thumbnail]]:
    """Pictures in the pages of the persons of a session, by whom the analysis took them of.

    Args:
        folder: results of one video. Pages of other versions, or none, give nothing.
    """
    out: dict[str, list[Thumbnail]] = {}
    for page in sorted((folder / "persons").glob("*.html")):
        reader = _Images()
        try:
            reader.feed(page.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            continue
        for source, picture in reader.found:
            out.setdefault(source, []).append(picture)
    return {source: sorted(taken, key=lambda t: t.time_s) for source, taken in out.items()}


class _Images(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, Thumbnail]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        source, taken = values.get("data-source"), values.get("src", "")
        if tag != "img" or not source or not taken.startswith(_START):
            return
        try:
            picture = base64.b64decode(taken.removeprefix(_START), validate=True)
            self.found.append((source, Thumbnail(float(values["data-time"]), picture, source)))
        except (KeyError, ValueError, binascii.Error):
            return
