"""Tables that people make: CSV as spreadsheets of several languages save it, with commas, semicolons or tabs."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engagement.errors import DataError
from engagement.given import no_file

_SEPARATORS = ",;\t"


@dataclass(frozen=True, slots=True)
class Row:
    """One line with something in it.

    Attributes:
        line: where it ends in the file, counted from 1.
        cells: column -> text without blanks around it, empty where the line has none.
        surplus: filled cells beyond the columns.
    """

    line: int
    cells: dict[str, str]
    surplus: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as texts: columns in order, and the lines that are not empty."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_sheet(path: Path, known: Collection[str] = ()) -> Sheet:
    """A CSV whose first line names the columns.

    Args:
        known: columns, in small letters, that may be written in capitals as well; where one is there in small letters,
            others of its name stay as they are.

    Raises:
        DataError: it cannot be read, is no text in UTF-8 (or UTF-16), no CSV, or has two columns of one name.
    """
    lines = _lines(path, _text(path))
    _, names = next(lines, (1, []))
    columns, rows = tuple(_folded(names, known)), list[Row]()
    if twice := [name for n, name in enumerate(columns) if name and name in columns[:n]]:
        raise DataError(
            f"{path} has two columns '{twice[0]}'", "Remove one, or call it otherwise in the first line."
        )
    for line, cells in lines:
        if any(cells):
            own = dict(zip(columns, [*cells, *[""] * len(columns)], strict=False))
            rows.append(Row(line, own, tuple(c for c in cells[len(columns) :] if c)))
    return Sheet(columns, tuple(rows))


def columns_of(path: Path) -> tuple[str, ...]:
    """The names in the first line of a CSV, of whatever length the file is.

    Raises:
        DataError: as :func:`read_sheet`.
    """
    _, names = next(_lines(path, _text(path, first=True)), (1, []))
    return tuple(names)


def _folded(names: Sequence[str], known: Collection[str]) -> Iterator[str]:
    taken = set(names)
    for name in names:
        small = name.casefold()
        if small in known and small not in taken:
            taken.add(small)
            name = small
        yield name


def _lines(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line."""
    heading = text.partition("\n")[0]
    delimiter = max(_SEPARATORS, key=heading.count)  # the first of them where there is none
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, delimiter=delimiter)
    try:
        for cells in reader:
            yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise DataError(
            f"{path} is not a readable CSV file ({error})", "Is a quotation mark left open?"
        ) from error


def _text(path: Path, first: bool = False) -> str:
    if what := no_file(path):
        raise DataError(f"{path} is {what}, not a file", "Save it as a CSV file first.")
    try:
        with path.open("rb") as file:
            data = file.readline() if first else file.read()
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return (path.read_bytes() if first else data).decode("utf-16")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})", "Check its path.") from error
    except UnicodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text", "Save it again in UTF-8 (spreadsheets call it 'CSV UTF-8')."
        ) from error
