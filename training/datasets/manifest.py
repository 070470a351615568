"""Tables beside pictures: ``manifest.csv`` of captured faces, and a labelled CSV as a data set."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from engagement.errors import DataError
from engagement.faces.manifest import COLUMNS, SPLIT_NAMES
from engagement.spreadsheets import Row, read_sheet
from engagement.types import FloatArray

#: Columns that name what must not be divided by a split, the coarsest first.
_GROUPS = ("group", "person", "person_id", "subject", "subject_id", "source", "recording", "clip")
_PEOPLE = ("person", "person_id", "subject", "subject_id")
_BOX = ("box_x1", "box_y1", "box_x2", "box_y2")
#: What others call the four of them, without "box", "face" and the like around it.
_OTHER_BOXES = (
    ("x1", "y1", "x2", "y2"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("left", "top", "right", "bottom"),
    *(
        (x, y, *sides)
        for x, y in (("x", "y"), ("left", "top"))
        for sides in (("w", "h"), ("width", "height"))
    ),
)
_AROUND = re.compile(r"face|bounding|b?box|[\s_.-]")
_FLIPPED = "box_x1 and box_y1 are the upper left corner, box_x2 and box_y2 the lower right."
#: Names of splits -> ours.
PARTS = dict(zip(SPLIT_NAMES, ("train", "train", "val", "val", "val", "test", "test"), strict=True))
#: In widths of the picture; a face may be cut off, but not be elsewhere.
_FARTHEST = 3.0
#: The highest grade.
MOST = 10
#: How many mistakes of a table are told at once.
_TOLD = 20
#: Columns that say something else than how a face is graded.
KNOWN_COLUMNS = ("file", "label", "split", *_GROUPS, *_BOX, *COLUMNS)

_R = TypeVar("_R")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """What a table says of one picture.

    Attributes:
        line: in the table's file.
        file: as written there, relative to the table, with forward slashes.
        label, split: empty when not given.
        group: what must not be divided (source and time); empty when not given.
        blocks: whether that comes from a column ``group``, which ``faces capture`` writes as ``video#block``.
        box: float32 (4,) face box in fractions of the picture; None when not given.
        cells: column -> text, of all columns.
        surplus: whether there is more in the line than columns.
    """

    line: int
    file: str
    label: str
    split: str
    group: str
    box: FloatArray | None
    blocks: bool
    cells: Mapping[str, str]
    surplus: bool


def read_rows(path: Path) -> list[Listed]:
    """Rows of a CSV with a column ``file`` and, where there are any, label, split, group, box_x1 … box_y2.

    Columns may be written in capitals or small letters. Without a column ``group``, person, subject, source, recording
    or clip stands for it; "Ann" and "ann" are one person.

    Raises:
        DataError: it is no CSV, has no column ``file``, or, naming the lines, rows without file or with a
            box that is none.
    """
    sheet = read_sheet(path, KNOWN_COLUMNS)
    if "file" not in sheet.columns:
        raise DataError(
            f"{path} has no column 'file'", "Expected columns file, label and, if known, split, group."
        )
    spelled: dict[str, str] = {}
    return of_each(path, sheet.rows, lambda row: _listed(path, row, spelled))


def of_each(path: Path, rows: Sequence[_R], read: Callable[[_R], _T]) -> list[_T]:
    """What is read of every row of a table; the mistakes of all are told at once.

    Args:
        read: raises DataError, naming the line, for a row that it cannot read.

    Raises:
        DataError: some rows cannot be read.
    """
    found: list[_T] = []
    wrong: list[DataError] = []
    for row in rows:
        try:
            found.append(read(row))
        except DataError as error:
            wrong.append(error)
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        more = [f"and {len(wrong) - _TOLD} more"] if len(wrong) > _TOLD else []
        raise DataError("\n  ".join([f"{len(wrong)} mistakes in {path}:", *map(str, wrong[:_TOLD]), *more]))
    return found


def _listed(path: Path, row: Row, spelled: dict[str, str]) -> Listed:
    """One row of :func:`read_rows`.

    Args:
        spelled: how people's names were spelled first, by their small letters.
    """
    line, cells = row.line, row.cells
    if not cells["file"]:
        raise DataError(f"{path}, line {line}: no file", "Fill the column 'file', or remove the line.")
    column, group = next(((c, cells[c]) for c in _GROUPS if cells.get(c)), ("", ""))
    return Listed(
        line,
        cells["file"].replace("\\", "/"),
        label=cells.get("label", ""),
        split=cells.get("split", "").lower(),
        group=spelled.setdefault(group.casefold(), group) if column in _PEOPLE else group,
        box=_box(path, line, [cells.get(c, "") for c in _BOX]),
        blocks=bool(cells.get("group")),
        cells=cells,
        surplus=bool(row.surplus),
    )


def _box(path: Path, line: int, texts: Sequence[str]) -> FloatArray | None:
    """The face box of a row, float32 (4,); None where its cells are empty."""
    if not any(texts):
        return None
    try:
        box = np.array([float(t) for t in texts], np.float32)
    except ValueError as error:
        raise DataError(
            f"{path}, line {line}: {', '.join(_BOX)} are no four numbers: {texts}",
            "Write fractions of the picture such as 0.25, or leave all four empty.",
        ) from error
    if not np.isfinite(box).all() or box[2] <= box[0] or box[3] <= box[1]:
        raise DataError(f"{path}, line {line}: the face box {texts} is empty", _FLIPPED)
    if np.abs(box).max() > _FARTHEST:
        raise DataError(
            f"{path}, line {line}: the face box {texts} lies far outside the picture",
            "Boxes are fractions of the picture: divide pixels by its width and height.",
        )
    return box


def unread_box(rows: Sequence[Listed]) -> tuple[str, ...]:
    """Columns that look like a face box but are called otherwise than one is read; empty where boxes are, or none is."""
    columns = rows[0].cells if rows else {}
    plain = {_AROUND.sub("", name.casefold()): name for name in columns}
    if set(_BOX) & set(columns):
        return ()
    return next((tuple(plain[c] for c in box) for box in _OTHER_BOXES if set(box) <= set(plain)), ())


def is_grade(text: str) -> bool:
    """Whether a cell holds a grade: a whole number from 0."""
    return text.isdecimal() and int(text) <= MOST


def _unread_grades(rows: Sequence[Listed]) -> list[str]:
    """Columns that would be read as grades if there were no labels beside them."""
    columns = rows[0].cells if rows else {}
    if "label" not in columns:
        return []
    others = [name for name in columns if name not in (*KNOWN_COLUMNS, *unread_box(rows))]
    texts = {name: {row.cells[name] for row in rows} - {""} for name in others}
    return [name for name, held in texts.items() if len(held) > 1 and all(map(is_grade, held))]


def notes_on(rows: Sequence[Listed]) -> tuple[str, ...]:
    """What should be known of a table: columns that are not read, and faces that are listed more than once."""
    notes: list[str] = []
    if unread := unread_box(rows):
        notes.append(
            f"columns {', '.join(unread)} look like a face box but are not read: boxes are {', '.join(_BOX)}, "
            "the upper left and the lower right corner in fractions of the picture's width and height"
        )
    if grades := _unread_grades(rows):
        notes.append(
            f"columns that could be grades are not read beside 'label': {', '.join(grades)}; a CSV without 'label' "
            "is learned from by its grades"
        )
    faces: set[tuple[str, bytes]] = set()
    again: list[Listed] = []
    for row in rows:
        face = (row.file, b"" if row.box is None else row.box.tobytes())
        if face in faces:
            again.append(row)
        faces.add(face)
    if again:
        notes.append(
            f"faces that an earlier line lists already: {len(again)} of {len(rows)} lines, first line {again[0].line} "
            f"({again[0].file}); each counts"
        )
    return tuple(notes)


def part_of(path: Path, row: Listed) -> str:
    """The split of a row by our name, empty where none is given.

    Raises:
        DataError: there is no such split.
    """
    if row.split and row.split not in PARTS:
        raise DataError(
            f"{path}, line {row.line}: split '{row.split}' is none of train, val, test",
            "Write one of these, or leave it empty.",
        )
    return PARTS.get(row.split, "")


def picture_of(path: Path, row: Listed) -> Path:
    """The picture that a row of a CSV is about.

    Raises:
        DataError: it is not there.
    """
    picture = path.parent / row.file
    if not picture.is_file():
        raise DataError(
            f"{path}, line {row.line}: {picture} does not exist", "Paths count from the CSV's folder."
        )
    return picture
