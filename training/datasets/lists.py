"""Text files that come with pictures: labels, votes, lists."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from engagement.errors import DataError


@contextmanager
def open_list(path: Path) -> Iterator[TextIO]:
    """A list as text, for as long as the block lasts; a byte order mark is passed over.

    Raises:
        DataError: what is read in the block is not UTF-8, or the CSV reader cannot go on.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield file
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text", "Save it again in UTF-8 (spreadsheets call it 'CSV UTF-8')."
        ) from error
    except csv.Error as error:
        raise DataError(
            f"{path} is not a readable CSV file ({error})", "Is a quotation mark left open?"
        ) from error
