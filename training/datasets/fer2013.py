"""FER2013 as ordinary files, with its own labels or FERPlus votes.

Kaggle offers two forms: ``fer2013.csv`` with its official three parts, and class folders in which
PublicTest and PrivateTest lie together but can be told apart by the files' names.
"""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from engagement.errors import DataError
from engagement.labels import EXPRESSIONS, SYNONYMS
from training.datasets.copies import without_copies
from training.datasets.files import any_picture, class_folders
from training.datasets.framing import boxes_for
from training.datasets.lists import open_list
from training.datasets.votes import FERPLUS_VOTES, soft_labels
from training.samples.table import SampleTable, one_hot

_CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
_COLUMNS = {"emotion", "pixels", "Usage"}
_USAGE = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
_NAMED = re.compile(r"(Training|PublicTest|PrivateTest)_(\d+)$")
#: Folders into which FERPlus's own tool writes the pictures, by usage.
_FERPLUS_FOLDERS = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}
ALL_SPLITS = ("train", "val", "test")


def from_csv(path: Path) -> SampleTable:
    """The original CSV (emotion, pixels, Usage); pictures are encoded as PNG in memory.

    Raises:
        DataError: naming the line that is no row of FER2013.
    """
    import cv2

    images: list[bytes] = []
    index: list[int] = []
    split: list[str] = []
    with open_list(path) as file:
        table = csv.DictReader(file, skipinitialspace=True)
        if lacking := _COLUMNS - {name.strip() for name in table.fieldnames or ()}:
            raise DataError(
                f"{path} has no column {' and no column '.join(sorted(lacking))}",
                "Give FER2013's whole CSV (emotion, pixels, Usage): icml_face_data.csv or fer2013.csv.",
            )
        for number, raw in enumerate(table, 2):
            row = {str(key).strip(): value for key, value in raw.items()}
            try:
                pixels = np.array(row["pixels"].split(), np.uint8)
                if pixels.size != 48 * 48:
                    raise ValueError(f"{pixels.size} pixels instead of {48 * 48}")
                emotion = int(row["emotion"])
                if not 0 <= emotion < len(_CLASSES):
                    raise ValueError(f"emotion {emotion} is none of 0-6")
                index.append(EXPRESSIONS.index(_CLASSES[emotion]))
                split.append(_USAGE[row["Usage"].strip()])
            except (KeyError, ValueError, OverflowError, AttributeError, TypeError) as error:
                raise DataError(f"{path}, line {number}: not a FER2013 row ({error})") from error
            images.append(cv2.imencode(".png", pixels.reshape(48, 48))[1].tobytes())
    if not images:
        raise DataError(f"{path} has no rows")
    names = np.array([f"row{i}" for i in range(len(images))], dtype=np.str_)
    return SampleTable(
        "fer2013",
        EXPRESSIONS,
        images=images,
        target=one_hot(np.array(index, np.int64), len(EXPRESSIONS)),
        split=np.array(split, dtype=np.str_),
        group=names,
        box=boxes_for("fer2013", len(images)),
        sample_id=names,
    )


def are_kaggle_folders(folder: Path) -> bool:
    """Whether ``train/`` and ``test/`` hold expressions whose files are named as Kaggle's are.

    One name of each class folder decides, so that this costs nothing.
    """
    roots = [folder / name for name in ("train", "test")]
    if not all(root.is_dir() for root in roots):
        return False
    classes = [child for root in roots for child in root.iterdir() if child.is_dir()]
    return bool(classes) and all(
        child.name.lower() in SYNONYMS
        and ((picture := any_picture(child)) is None or _NAMED.fullmatch(picture.stem))
        for child in classes
    )


def kaggle_folders(folder: Path) -> SampleTable:
    """``train|test/<class>/<Usage>_<number>.jpg``: PublicTest becomes val, PrivateTest test.

    Raises:
        DataError: a file's name does not say where it belongs, or a class folder is empty or missing.
    """
    table = class_folders(folder, EXPRESSIONS, "fer2013")
    found = [_NAMED.fullmatch(Path(name).stem) for name in table.sample_id.tolist()]
    for name, match in zip(table.sample_id.tolist(), found, strict=True):
        if match is None:
            raise DataError(
                f"{folder / name} is not named Training_…, PublicTest_… or PrivateTest_… as the others are",
                "Rename it, or read the folder as plain class folders: give a CSV with columns file, label, split.",
            )
    split = np.array([_USAGE[m.group(1)] for m in found if m], dtype=np.str_)
    return replace(table, split=split)


def official(folder: Path) -> SampleTable:
    """FER2013 in a folder: fer2013.csv, Kaggle's folders, or plain class folders framed as its pictures are.

    Raises:
        DataError: none of them, or damaged.
    """
    if (folder / "fer2013.csv").is_file():
        return from_csv(folder / "fer2013.csv")
    if are_kaggle_folders(folder):
        return kaggle_folders(folder)
    return class_folders(folder, None, "fer2013", {str(i): name for i, name in enumerate(_CLASSES)})


def clean(folder: Path) -> SampleTable:
    """:func:`official` without pictures that have an exact copy on the other side of the split."""
    table = without_copies(official(folder), folder, ALL_SPLITS)
    return replace(table, name="fer2013_clean")


def ferplus(folder: Path) -> SampleTable:
    """FERPlus's fer2013new.csv beside fer2013.csv, Kaggle's folders numbered by row, or FERPlus's own folders.

    Training pictures that have an exact copy in the other splits are left out.

    Raises:
        DataError: the votes do not fit the pictures.
    """
    path = folder / "fer2013new.csv"
    rows = _vote_rows(path)
    usage = [row["Usage"].strip() for row in rows]
    if (folder / "fer2013.csv").is_file():
        table = from_csv(folder / "fer2013.csv")
        if [_USAGE.get(u, "") for u in usage] != table.split.tolist():
            raise DataError(
                f"{path} ({len(rows)} rows) does not go with {folder / 'fer2013.csv'} ({len(table)} rows): "
                "its rows must be the same ones in the same order"
            )
        order = np.arange(len(table))
    elif (folder / _FERPLUS_FOLDERS["Training"]).is_dir():
        table, order = _own_folders(folder, rows)
    else:
        table = kaggle_folders(folder)
        order = _by_row(table, usage, path)
    votes = _votes(path, rows)[order]
    target, kept = soft_labels(votes)
    if not kept.any():
        raise DataError(f"{path}: no picture has votes for one of {', '.join(EXPRESSIONS.classes)}")
    table = replace(table, name="ferplus", target=target, box=boxes_for("ferplus", len(table)))
    # The copies are looked for among all pictures: those without a usable vote may be copies too.
    keep_ids = set(without_copies(table, folder, ("train",)).sample_id.tolist())
    kept &= np.array([name in keep_ids for name in table.sample_id.tolist()])
    return table.rows(kept)


def _vote_rows(path: Path) -> list[dict[str, str]]:
    with open_list(path) as file:
        reader = csv.DictReader(file, restval="")
        lacking = [c for c in ("Usage", "Image name", *FERPLUS_VOTES) if c not in (reader.fieldnames or ())]
        if lacking:
            raise DataError(
                f"{path} has no column '{lacking[0]}'", "Take fer2013new.csv of microsoft/FERPlus."
            )
        return list(reader)


def _votes(path: Path, rows: list[dict[str, str]]) -> np.ndarray:
    out = np.zeros((len(rows), len(FERPLUS_VOTES)), np.float32)
    for i, row in enumerate(rows):
        try:
            out[i] = [float(row[name]) for name in FERPLUS_VOTES]
        except (ValueError, TypeError) as error:
            raise DataError(f"{path}, line {i + 2}: votes are no numbers ({error})") from error
    return out


def _own_folders(folder: Path, rows: list[dict[str, str]]) -> tuple[SampleTable, np.ndarray]:
    order, images, split = [], [], []
    for i, row in enumerate(rows):
        name = row["Image name"].strip()
        part = _FERPLUS_FOLDERS.get(row["Usage"].strip())
        if name and part:  # FERPlus gives no name to pictures without a face
            order.append(i)
            images.append(folder / part / name)
            split.append(_USAGE[row["Usage"].strip()])
    if not images:
        raise DataError(
            f"{folder / 'fer2013new.csv'} names no picture of {', '.join(_FERPLUS_FOLDERS.values())}"
        )
    # A few of the names occur twice, so the row tells pictures apart.
    names = np.array([f"row{i}" for i in order], dtype=np.str_)
    blank = np.zeros((len(images), len(EXPRESSIONS)), np.float32)
    box = boxes_for("ferplus", len(images))
    parts = np.array(split, dtype=np.str_)
    return SampleTable(
        "ferplus",
        EXPRESSIONS,
        images=images,
        target=blank,
        split=parts,
        group=names,
        box=box,
        sample_id=names,
    ), np.array(order)


def _by_row(table: SampleTable, usage: list[str], path: Path) -> np.ndarray:
    """Row of the votes for each picture that is named by its row of fer2013.csv."""
    numbers = [int(Path(name).stem.rsplit("_", 1)[1]) for name in table.sample_id.tolist()]
    for number, part, name in zip(numbers, table.split.tolist(), table.sample_id.tolist(), strict=True):
        if number >= len(usage) or _USAGE.get(usage[number].strip()) != part:
            raise DataError(
                f"{name} cannot be joined with {path}: its number is no row of that split there",
                "Kaggle numbers its pictures otherwise than FERPlus; put fer2013.csv beside fer2013new.csv.",
            )
    return np.array(numbers)
