"""DAiSEE as ordinary files: ``<Train|Validation|Test>/<subject>/<clip>.jpg`` and ``Labels/*Labels.csv``."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from engagement.errors import DataError
from engagement.labels import LEARNER_STATES
from training.datasets.framing import boxes_for
from training.samples import SampleTable

#: Level of the crowd label (0-3) from which a state counts as present.
PRESENT = {"boredom": 1, "engagement": 2, "confusion": 1}

_SPLITS = {"Train": "train", "Validation": "val", "Test": "test"}


def official(folder: Path) -> SampleTable:
    """The official layout with one face picture per clip; labelled clips without picture are left out.

    Raises:
        DataError: no picture, or a label that is no level.
    """
    images: list[Path] = []
    target: list[list[float]] = []
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
                target.append(levels[picture.stem])
                split.append(short)
    if not images:
        raise DataError(
            f"{folder} holds no face pictures of labelled clips", "Expected Train/<subject>/<clip>.jpg."
        )
    ids = np.array([p.stem for p in images], dtype=np.str_)
    return SampleTable(
        name="daisee",
        labels=LEARNER_STATES,
        images=images,
        target=np.array(target, np.float32),
        split=np.array(split, dtype=np.str_),
        # The first six digits of a clip's number are the subject's.
        group=np.array([str(i)[:6] for i in ids], dtype=np.str_),
        box=boxes_for("daisee", len(images)),
        sample_id=ids,
    )


def _levels(table: Path) -> dict[str, list[float]]:
    out: dict[str, list[float]] = {}
    with table.open(newline="", encoding="utf-8-sig") as file:
        for line, raw in enumerate(csv.DictReader(file), 2):
            row = {str(k).strip().lower(): v for k, v in raw.items()}
            try:
                states = [float(int(row[c]) >= PRESENT[c]) for c in LEARNER_STATES.classes]
                out[Path(row["clipid"]).stem] = states
            except (KeyError, ValueError, TypeError) as error:
                raise DataError(f"{table}, line {line}: not a row of DAiSEE labels ({error})") from error
    return out
