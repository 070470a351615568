"""WACV-2016 student engagement as ordinary files: ``<subject>/<frame>_<engagement>.png`` and ``labels.csv``."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from engagement.errors import DataError
from engagement.labels import LabelSet
from training.datasets.framing import boxes_for
from training.datasets.lists import open_list
from training.samples.table import SampleTable, one_hot

#: Three levels of apparent engagement.
LEVELS = LabelSet("engagement_level", ("not_engaged", "nominally_engaged", "very_engaged"), "exclusive")
_COLUMNS = ("subject", "frame", "engagement", "split")
_SPLITS = {"train": "train", "validation": "val", "val": "val", "test": "test"}


def is_official(folder: Path) -> bool:
    """Whether the folder's labels.csv is this set's."""
    table = folder / "labels.csv"
    if not table.is_file():
        return False
    with table.open(encoding="utf-8-sig", errors="replace") as file:
        return set(_COLUMNS) <= set(file.readline().strip().split(","))


def official(folder: Path) -> SampleTable:
    """Rows by person and frame; group = person.

    Raises:
        DataError: naming the line that is no row of this set.
    """
    rows: list[tuple[int, int, int, str]] = []
    path = folder / "labels.csv"
    with open_list(path) as file:
        for line, row in enumerate(csv.DictReader(file), 2):
            try:
                subject, frame, level = (int(row[c]) for c in _COLUMNS[:3])
                rows.append((subject, frame, level, _SPLITS[row["split"]]))
            except (KeyError, ValueError, TypeError) as error:
                raise DataError(f"{path}, line {line}: not a row of WACV-2016 ({error})") from error
            if not 0 <= level < len(LEVELS):
                raise DataError(f"{path}, line {line}: engagement {level} is none of 0, 1, 2")
    if not rows:
        raise DataError(f"{path} has no rows")
    rows.sort()
    return SampleTable(
        "wacv2016",
        LEVELS,
        images=[folder / str(subject) / f"{frame:05d}_{level}.png" for subject, frame, level, _ in rows],
        target=one_hot(np.array([level for _, _, level, _ in rows], np.int64), len(LEVELS)),
        split=np.array([split for *_, split in rows], dtype=np.str_),
        group=np.array([str(subject) for subject, *_ in rows], dtype=np.str_),
        box=boxes_for("wacv2016", len(rows)),
        sample_id=np.array([f"p{subject:02d}/{frame:05d}" for subject, frame, *_ in rows], dtype=np.str_),
    )
