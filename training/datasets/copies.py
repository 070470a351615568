"""Pictures of FER2013 that occur in more than one split.

A copy is the same picture pixel by pixel. Sets that were compressed again no longer show this; for them
``fer2013_duplicates.json`` beside the pictures lists the rows, as found on the original ones.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engagement.errors import DataError
from training.samples.table import ImageSource, SampleTable, read_rgb

_LIST = "fer2013_duplicates.json"
#: First row of each split in fer2013.csv.
_STARTS = {"train": 0, "val": 28709, "test": 32298}
_ROWS = 35887
#: The original files have hundreds of copies; a set of this size with none was compressed again.
_SURELY_SOME = 20_000


def digest(rgb: NDArray[np.uint8]) -> str:
    """Name of a picture's pixels: equal for exact copies, whatever their file format."""
    return hashlib.md5(repr(rgb.shape).encode() + rgb.tobytes(), usedforsecurity=False).hexdigest()


def without_copies(table: SampleTable, folder: Path, splits: tuple[str, ...]) -> SampleTable:
    """FER2013 without pictures that have an exact copy on the other side of the split.

    Args:
        table: all splits; names of pictures end in their row of fer2013.csv where rows are needed.
        folder: where ``fer2013_duplicates.json`` may lie.
        splits: which of them lose pictures: train those with a copy in val or test, val and test those with
            a copy in train.

    Raises:
        DataError: the list is damaged, or nothing shows which pictures are copies.
    """
    listed = folder / _LIST
    rows = _rows(table)
    if listed.is_file() and rows is not None:
        copied = np.isin(rows, _listed_rows(listed))
    else:
        copied = _copied(table)
        if len(table) >= _SURELY_SOME and not copied.any():
            raise DataError(
                f"{folder}: no picture of FER2013 has an exact copy in another split, so these were compressed again",
                f"Put {_LIST} beside them, or search near copies with `engagement dataset inspect`.",
            )
    return table.rows(~(copied & np.isin(table.split, splits)))


def _listed_rows(path: Path) -> NDArray[np.int64]:
    try:
        lists = json.loads(path.read_text(encoding="utf-8"))
        return np.array(
            [
                *lists["training_rows_with_a_copy_in_a_test_split"],
                *lists["public_test_rows_with_a_copy_in_training"],
                *lists["private_test_rows_with_a_copy_in_training"],
            ],
            np.int64,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a list of FER2013's copies ({error})") from error


def _rows(table: SampleTable) -> NDArray[np.int64] | None:
    """Rows of fer2013.csv by the numbers in the names; None where those are other numbers."""
    found = [re.search(r"(\d+)\D*$", str(name)) for name in table.sample_id]
    if not all(found):
        return None
    rows = np.array([int(m.group(1)) for m in found if m], np.int64)
    ends = np.searchsorted([*_STARTS.values(), _ROWS], rows, side="right") - 1
    names = np.array([*_STARTS, ""], dtype=np.str_)
    return rows if (names[np.minimum(ends, 3)] == table.split).all() else None


def _copied(table: SampleTable) -> NDArray[np.bool_]:
    names = [_digest_of(source, i) for i, source in enumerate(table.images)]
    train = table.split == "train"
    inside = {name for name, own in zip(names, train, strict=True) if own}
    outside = {name for name, own in zip(names, train, strict=True) if not own}
    both = inside & outside
    return np.array([name in both for name in names])


def _digest_of(source: ImageSource, row: int) -> str:
    try:
        return digest(read_rgb(source))
    except DataError:
        return f"damaged {row}"  # said later, when the set is checked
