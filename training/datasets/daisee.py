"""DAiSEE as ordinary files: ``<Train|Validation|Test>/<subject>/<clip>.jpg`` and ``Labels/*Labels.csv``."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from engagement.errors import DataError
from engagement.labels import LEARNER_STATES
from engagement.types import FloatArray, IndexArray
from training.datasets.framing import boxes_for
from training.datasets.lists import open_list
from training.samples.table import SampleTable

#: Level of the crowd label (0-3) from which a state counts as present.
PRESENT = {"boredom": 1, "engagement": 2, "confusion": 1}

_SPLITS = {"Train": "train", "Validation": "val", "Test": "test"}


def official(folder: Path) -> SampleTable:
    """The official layout with one face picture per clip; labelled clips without picture are left out.

    Raises:
        DataError: no picture, or a label that is no level.
    """
    images: list[Path] = []
    grades: list[list[int]] = []
    split: list[str] = []
    for name, short in _SPLITS.items():
        table = folder / "Labels" / f"{name}Labels.csv"
        if not table.is_file():
            continue
        levels = _levels(table)
        for picture in sorted(
            p for p in (folder / name).rglob("*") if p.suffix.lower() in (".jpg", ".png", ".webp")
        ):
            if picture.stem in levels:
                images.append(picture)
                grades.append(levels[picture.stem])
                split.append(short)
    if not images:
        raise DataError(
            f"{folder} holds no face pictures of labelled clips", "Expected Train/<subject>/<clip>.jpg."
        )
    ids = np.array([p.stem for p in images], dtype=np.str_)
    graded = np.array(grades, np.int64)
    return SampleTable(
        name="daisee",
        labels=LEARNER_STATES,
        images=images,
        target=present(graded),
        split=np.array(split, dtype=np.str_),
        # The first six digits of a clip's number are the subject's.
        group=np.array([str(i)[:6] for i in ids], dtype=np.str_),
        box=boxes_for("daisee", len(images)),
        sample_id=ids,
        levels=graded,
    )


def present(levels: IndexArray) -> FloatArray:
    """0/1 of graded labels (n, states) at the levels of PRESENT; float32."""
    least = np.array([PRESENT[c] for c in LEARNER_STATES.classes])
    return (levels >= least).astype(np.float32)


def _levels(table: Path) -> dict[str, list[int]]:
    out: dict[str, list[int]] = {}
    with open_list(table) as file:
        for line, raw in enumerate(csv.DictReader(file), 2):
            row = {str(k).strip().lower(): v for k, v in raw.items()}
            try:
                out[Path(row["clipid"]).stem] = [int(row[c]) for c in LEARNER_STATES.classes]
            except (KeyError, ValueError, TypeError) as error:
                raise DataError(f"{table}, line {line}: not a row of DAiSEE labels ({error})") from error
    return out
