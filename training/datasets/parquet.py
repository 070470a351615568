"""Parquet files with one encoded picture per row (column ``image``)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engagement.errors import DataError
from engagement.labels import EXPRESSIONS, LEARNER_STATES, SYNONYMS, LabelSet
from engagement.types import FloatArray
from training.datasets.daisee import PRESENT
from training.datasets.framing import boxes_for
from training.samples import SampleTable, one_hot

#: Columns of votes; the last three are no expression of ours.
FERPLUS_VOTES = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear"),
    *("contempt", "unknown", "NF"),
)

if TYPE_CHECKING:
    import pandas as pd

#: WACV-2016's three levels of apparent engagement.
WACV_LEVELS = LabelSet("engagement_level", ("not_engaged", "nominally_engaged", "very_engaged"), "exclusive")


def _read(files: Sequence[Path]) -> pd.DataFrame:
    import pandas as pd

    for file in files:
        if not file.is_file():
            raise DataError(f"{file} does not exist")
    return pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)


def _table(
    name: str, frame: pd.DataFrame, labels: LabelSet, target: FloatArray, group: Sequence[object]
) -> SampleTable:
    ids = frame["name"] if "name" in frame else frame["clip"].astype(str)
    return SampleTable(
        name=name,
        labels=labels,
        images=list(frame["image"]),
        target=target.astype(np.float32),
        split=frame["split"].replace({"validation": "val"}).to_numpy(dtype=np.str_),
        group=np.asarray([str(g) for g in group], dtype=np.str_),
        box=boxes_for(name, len(frame)),
        sample_id=ids.to_numpy(dtype=np.str_),
    )


def rafdb(folder: Path) -> SampleTable:
    """RAF-DB basic expressions: rafdb_train.parquet and rafdb_test.parquet."""
    frame = _read([folder / "rafdb_train.parquet", folder / "rafdb_test.parquet"])
    index = frame["label"].map(EXPRESSIONS.index).to_numpy(dtype=np.int64)
    # No person is known: every picture is its own group.
    return _table("rafdb", frame, EXPRESSIONS, one_hot(index, 7), frame["name"].tolist())


def fer2013(folder: Path) -> SampleTable:
    """FER2013 labels: train, val (PublicTest) and test (PrivateTest)."""
    frame = _read([folder / f"fer2013_{s}.parquet" for s in ("train", "val", "test")])
    index = frame["label"].map(EXPRESSIONS.index).to_numpy(dtype=np.int64)
    return _table("fer2013", frame, EXPRESSIONS, one_hot(index, 7), frame["name"].tolist())


def ferplus(folder: Path) -> SampleTable:
    """FER2013's pictures with the votes of FERPlus (Barsoum et al. 2016) as soft labels.

    As its authors did, a single vote for a class counts as a slip, and pictures that most found to show no
    face, or nothing they could name, are left out; so are those most called contempt, which has no column
    here, and training pictures that have an exact copy in the other splits.
    """
    frame = _read([folder / f"fer2013_{s}.parquet" for s in ("train", "val", "test")])
    votes = frame[list(FERPLUS_VOTES)].to_numpy(dtype=np.float32, copy=True)
    votes[votes <= 1] = 0
    ours = votes[:, : len(EXPRESSIONS)]
    order = [EXPRESSIONS.classes.index(SYNONYMS.get(c, c)) for c in FERPLUS_VOTES[: len(EXPRESSIONS)]]
    target = np.zeros_like(ours)
    target[:, order] = ours / np.maximum(ours.sum(axis=1, keepdims=True), 1)
    kept = ours.max(axis=1) > votes[:, len(EXPRESSIONS) :].max(axis=1)
    duplicates = folder / "fer2013_duplicates.json"
    if duplicates.is_file():
        copies = json.loads(duplicates.read_text(encoding="utf-8"))[
            "training_rows_with_a_copy_in_a_test_split"
        ]
        kept &= ~((frame["split"] == "train") & frame["row"].isin(copies)).to_numpy()
    table = _table("ferplus", frame, EXPRESSIONS, target, frame["name"].tolist())
    return table.rows(np.flatnonzero(kept))


def daisee(folder: Path) -> SampleTable:
    """DAiSEE: boredom, engagement, confusion as 0/1 at the levels of daisee.PRESENT; group = subject."""
    frame = _read([folder / "daisee_faces.parquet"])
    target = np.stack([frame[c] >= PRESENT[c] for c in LEARNER_STATES.classes], axis=1)
    return _table("daisee", frame, LEARNER_STATES, target.astype(np.float32), frame["subject"].tolist())


def wacv2016(folder: Path) -> SampleTable:
    """WACV-2016: three levels of engagement; group = person; rows in the order of the frames."""
    frame = _read([folder / "wacv2016_engagement.parquet"]).sort_values(["subject", "frame"])
    target = one_hot(frame["engagement"].to_numpy(dtype=np.int64), 3)
    return _table("wacv2016", frame, WACV_LEVELS, target, frame["subject"].tolist())
