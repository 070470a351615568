"""``manifest.csv`` beside captured faces: where each picture comes from, and what was decided about it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from engagement.drafts import placed
from engagement.errors import ConfigError, OutputError
from engagement.spreadsheets import read_sheet

NAME = "manifest.csv"
#: Below a folder of faces: those that a review took out, with a manifest of their own. Readers of class
#: folders pass over names that begin with a dot.
DROPPED = ".dropped"

#: What capturing writes, and then what splitting, reviewing and augmenting add.
COLUMNS: tuple[str, ...] = (
    "file",
    "source",
    "source_id",
    "person",
    "time_s",
    "track",
    "x1",
    "y1",
    "x2",
    "y2",
    "roll_deg",
    "detection_score",
    "quality",
    "label",
    "group",
    "box_x1",
    "box_y1",
    "box_x2",
    "box_y2",
    "split",
    "captured_label",
    "original",
)
_NEEDED = ("file", "source", "label", "group")

Rows = list[dict[str, str]]


def read_manifest(folder: Path, own: bool = True) -> Rows:
    """Rows of a folder's manifest, every cell a text; none where there is no manifest.

    Args:
        folder: of the class folders.
        own: whether it must be one that this program wrote, because it is going to be replaced.

    Raises:
        OutputError: it is somebody else's.
        DataError: it cannot be read.
    """
    path = folder / NAME
    if not path.is_file():
        return []
    sheet = read_sheet(path, COLUMNS)
    if own and not set(_NEEDED) <= set(sheet.columns):
        raise OutputError(f"{path} is not a manifest of this program", "Choose another folder with -o.")
    return [row.cells for row in sheet.rows]


def write_manifest(folder: Path, rows: Iterable[Mapping[str, str]], columns: Sequence[str] = COLUMNS) -> None:
    """Write rows sorted by file, whole or not at all; cells that a row lacks are empty.

    Args:
        columns: in this order; further ones that rows have (somebody's notes) follow.

    Raises:
        OutputError: it cannot be written; an earlier one is as it was.
    """
    ordered = sorted(rows, key=lambda row: row["file"])
    names = list(dict.fromkeys([*columns, *(name for row in ordered for name in row)]))
    with placed(folder / NAME) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(ordered)


def printable(name: str) -> str:
    """A file's name as text, whatever bytes it has."""
    return name.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


#: What folders of a split may be called; no class can be.
SPLIT_NAMES: tuple[str, ...] = ("train", "training", "val", "valid", "validation", "test", "testing")


def checked_label(label: str, option: str = "--label") -> str:
    """A class name that can be a folder's; ConfigError naming the option otherwise."""
    odd = not label.strip() or label != Path(label).name or label.startswith(".") or label != label.strip()
    # Surrogates are bytes of a file's name that are no UTF-8.
    if odd or any(c in '\\/:*?"<>|' or ord(c) < 32 or "\ud800" <= c <= "\udfff" for c in label):
        raise ConfigError(
            f"{option} '{printable(label)}' cannot name a folder",
            f"Give a plain word, for example {option} happy.",
        )
    if label.lower() in SPLIT_NAMES:
        raise ConfigError(
            f"{option} '{label}' would be taken for a split, not for a class",
            f"For example {option} {label}_class.",
        )
    return label
