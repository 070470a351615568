"""Parquet files with one encoded picture per row (column ``image``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engagement.errors import DataError
from engagement.labels import EXPRESSIONS, LEARNER_STATES, LabelSet
from engagement.types import FloatArray
from training.datasets.copies import without_copies
from training.datasets.daisee import present
from training.datasets.framing import boxes_for
from training.datasets.votes import FERPLUS_VOTES, soft_labels
from training.datasets.wacv2016 import LEVELS as WACV_LEVELS
from training.samples.table import SampleTable, one_hot

if TYPE_CHECKING:
    import pandas as pd


def _read(files: Sequence[Path], columns: Sequence[str]) -> pd.DataFrame:
    """The files' rows one after another; they must have ``image`` (bytes), ``split`` and these columns."""
    import pandas as pd

    frames = []
    for file in files:
        if not file.is_file():
            raise DataError(f"{file} does not exist")
        try:
            frames.append(pd.read_parquet(file))
        except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
            raise DataError(f"{file} is not a readable Parquet file ({error})") from error
        lacking = {"image", "split", *columns} - set(frames[-1].columns)
        if lacking:
            raise DataError(f"{file} has no column '{min(lacking)}'", "Is it the file of another data set?")
        if len(frames[-1]) and not isinstance(frames[-1]["image"].iloc[0], bytes):
            raise DataError(f"{file}: the column 'image' holds no encoded pictures", "It must be bytes.")
    return pd.concat(frames, ignore_index=True)


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
    frame = _read([folder / "rafdb_train.parquet", folder / "rafdb_test.parquet"], ("label", "name"))
    index = frame["label"].map(EXPRESSIONS.index).to_numpy(dtype=np.int64)
    # No person is known: every picture is its own group.
    return _table("rafdb", frame, EXPRESSIONS, one_hot(index, 7), frame["name"].tolist())


def fer2013(folder: Path) -> SampleTable:
    """FER2013 labels: train, val (PublicTest) and test (PrivateTest)."""
    frame = _read([folder / f"fer2013_{s}.parquet" for s in ("train", "val", "test")], ("label", "name"))
    index = frame["label"].map(EXPRESSIONS.index).to_numpy(dtype=np.int64)
    return _table("fer2013", frame, EXPRESSIONS, one_hot(index, 7), frame["name"].tolist())


def fer2013_clean(folder: Path) -> SampleTable:
    """FER2013 without pictures that have an exact copy on the other side of the split."""
    return replace(without_copies(fer2013(folder), folder, ("train", "val", "test")), name="fer2013_clean")


def ferplus(folder: Path) -> SampleTable:
    """FER2013's pictures with the votes of FERPlus as soft labels; see :func:`votes.soft_labels`.

    Training pictures that have an exact copy in the other splits are left out.
    """
    files = [folder / f"fer2013_{s}.parquet" for s in ("train", "val", "test")]
    frame = _read(files, ("name", *FERPLUS_VOTES))
    target, kept = soft_labels(frame[list(FERPLUS_VOTES)].to_numpy(dtype=np.float32))
    table = _table("ferplus", frame, EXPRESSIONS, target, frame["name"].tolist()).rows(kept)
    return without_copies(table, folder, ("train",))


def daisee(folder: Path) -> SampleTable:
    """DAiSEE: boredom, engagement, confusion as 0/1 at the levels of daisee.PRESENT, and graded; group = subject."""
    frame = _read([folder / "daisee_faces.parquet"], ("clip", "subject", *LEARNER_STATES.classes))
    levels = frame[list(LEARNER_STATES.classes)].to_numpy(dtype=np.int64)
    table = _table("daisee", frame, LEARNER_STATES, present(levels), frame["subject"].tolist())
    return replace(table, levels=levels)


def wacv2016(folder: Path, kind: str | None = None) -> SampleTable:
    """WACV-2016: three levels of engagement; group = person; rows in the order of the frames.

    Args:
        kind: only frames of this kind; ``auto`` leaves out those that were framed otherwise, which gives
            the label away.
    """
    columns = ("clip", "subject", "frame", "engagement", "kind")
    frame: Any = _read([folder / "wacv2016_engagement.parquet"], columns).sort_values(["subject", "frame"])
    if kind is not None:
        frame = frame[frame["kind"] == kind].reset_index(drop=True)
    frame["name"] = frame["clip"] + "/" + frame["frame"].map("{:05d}".format)
    target = one_hot(frame["engagement"].to_numpy(dtype=np.int64), 3)
    return _table("wacv2016", frame, WACV_LEVELS, target, frame["subject"].tolist())


def student_states(folder: Path, split: str = "split_frame") -> SampleTable:
    """Acted states at a webcam, made to show how a leaking split flatters.

    Args:
        folder: of student_states_demo.parquet.
        split: ``split_frame`` (random over frames: neighbours of every test frame are in train) or
            ``split_subject`` (whole people).
    """
    columns = ("clip", "subject", "frame", "label", "state", split)
    frame = _read([folder / "student_states_demo.parquet"], columns)
    labels = LabelSet("student_state", tuple(frame.groupby("label")["state"].first()), "exclusive")
    frame["split"] = frame[split]
    frame["name"] = frame["clip"] + "/" + frame["frame"].map("{:05d}".format)
    name = "student_states_demo" + ("" if split == "split_frame" else "_subject")
    target = one_hot(frame["label"].to_numpy(dtype=np.int64), len(labels))
    return _table(name, frame, labels, target, frame["subject"].tolist())
