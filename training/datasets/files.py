"""Data sets as ordinary files: class folders, RAF-DB's official layout, FER2013's CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engagement.errors import DataError
from engagement.labels import EXPRESSIONS, SYNONYMS, LabelSet
from engagement.types import FloatArray
from training.datasets.framing import boxes_for
from training.datasets.manifest import read_rows
from training.samples import SampleTable, one_hot

_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
_RAF_CLASSES = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
_FER_CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
_FER_USAGE = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}


def _pictures(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in _PICTURES and p.is_file())


def class_folders(folder: Path, labels: LabelSet | None = None, name: str | None = None) -> SampleTable:
    """``[split/]class/picture``: any set of classes.

    The folders' names are the classes, in alphabetical order, unless ``labels`` gives the order;
    other names of our seven expressions are understood (``anger``, ``Happiness``). ``manifest.csv``
    (written by ``engagement faces capture``) gives source and face box of each picture.

    Raises:
        DataError: no pictures, an empty class folder, or a folder that is none of ``labels``.
    """
    roots = [(split, folder / key) for key, split in _SPLITS.items() if (folder / key).is_dir()]
    roots = roots or [("train", folder)]
    listed: list[Labelled] = []
    empty: list[Path] = []
    for split, root in roots:
        for child in sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")):
            found = _pictures(child)
            listed += [Labelled(picture, child.name.lower(), split) for picture in found]
            if not found:
                empty.append(child)
    if empty:
        raise DataError(f"the class folder {empty[0]} holds no picture", "Fill it, or remove it.")
    if not listed:
        raise DataError(f"{folder} holds no pictures in class folders", "Expected class/picture.jpg.")
    manifest = folder / "manifest.csv"
    known = {row.file: row for row in read_rows(manifest)} if manifest.is_file() else {}
    for item in listed:
        row = known.get(item.picture.relative_to(folder).as_posix())
        if row is not None:
            item.group, item.box = row.group, row.box
    return _labelled(name or folder.name, folder, listed, labels)


def labelled_csv(path: Path, labels: LabelSet | None = None) -> SampleTable:
    """A CSV with columns file, label and, where known, split, group, box_x1 … box_y2 (fractions).

    Raises:
        DataError: naming the line without label or the file that is missing.
    """
    listed: list[Labelled] = []
    for line, row in enumerate(read_rows(path), 2):
        picture = path.parent / row.file
        if not row.label:
            raise DataError(f"{path}, line {line}: no label", "Fill the column 'label'.")
        if not picture.is_file():
            raise DataError(f"{path}, line {line}: {picture} does not exist")
        if row.split and row.split not in _SPLITS:
            raise DataError(f"{path}, line {line}: split '{row.split}' is none of train, val, test")
        split = _SPLITS.get(row.split, "train")
        listed.append(Labelled(picture, row.label.lower(), split, row.group, row.box))
    if not listed:
        raise DataError(f"{path} has no rows")
    return _labelled(path.stem, path.parent, listed, labels)


@dataclass(slots=True, eq=False)
class Labelled:
    """One picture of a folder or CSV; an empty group stands for the picture itself."""

    picture: Path
    label: str
    split: str
    group: str = ""
    box: FloatArray | None = None


def _labelled(name: str, folder: Path, listed: list[Labelled], labels: LabelSet | None) -> SampleTable:
    found = sorted({item.label for item in listed})
    if all(label in SYNONYMS for label in found):
        for item in listed:
            item.label = SYNONYMS[item.label]
        ordered = tuple(c for c in EXPRESSIONS.classes if c in {item.label for item in listed})
        found_set = LabelSet(EXPRESSIONS.name, ordered, "exclusive")
    else:
        found_set = LabelSet(name, tuple(found), "exclusive")
    labels = labels or found_set
    box = boxes_for(name, len(listed))
    for i, item in enumerate(listed):
        if item.box is not None:
            box[i] = item.box
    ids = [item.picture.relative_to(folder).as_posix() for item in listed]
    return SampleTable(
        name=name,
        labels=labels,
        images=[item.picture for item in listed],
        target=one_hot(np.array([labels.index(item.label) for item in listed], np.int64), len(labels)),
        split=np.array([item.split for item in listed], dtype=np.str_),
        group=np.array([item.group or i for item, i in zip(listed, ids, strict=True)], dtype=np.str_),
        box=box,
        sample_id=np.array(ids, dtype=np.str_),
    )


def rafdb(folder: Path) -> SampleTable:
    """RAF-DB's official layout: EmoLabel/list_patition_label.txt and Image/aligned."""
    listing = folder / "EmoLabel" / "list_patition_label.txt"
    rows: list[tuple[Path, str, str]] = []
    for number, line in enumerate(listing.read_text(encoding="utf-8").splitlines(), 1):
        parts = line.split()
        if len(parts) != 2 or not parts[1].isdigit() or not 1 <= int(parts[1]) <= 7:
            raise DataError(f"{listing}, line {number}: expected 'name.jpg 1…7', found '{line}'")
        stem = Path(parts[0]).stem
        split = "test" if stem.startswith("test") else "train"
        rows.append(
            (folder / "Image" / "aligned" / f"{stem}_aligned.jpg", _RAF_CLASSES[int(parts[1]) - 1], split)
        )
    return _of_rows("rafdb", rows)


def fer2013_csv(path: Path) -> SampleTable:
    """FER2013's original CSV (emotion, pixels, Usage); pictures are re-encoded without loss."""
    import cv2

    images: list[bytes] = []
    index: list[int] = []
    split: list[str] = []
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            try:
                pixels = np.array(row["pixels"].split(), np.uint8).reshape(48, 48)
                index.append(EXPRESSIONS.index(_FER_CLASSES[int(row["emotion"])]))
                split.append(_FER_USAGE[row["Usage"]])
            except (KeyError, ValueError, IndexError) as error:
                raise DataError(f"{path}, line {number}: not a FER2013 row ({error})") from error
            images.append(cv2.imencode(".png", pixels)[1].tobytes())
    names = np.array([f"row{i}" for i in range(len(images))], dtype=np.str_)
    target = one_hot(np.array(index, np.int64), 7)
    return SampleTable(
        "fer2013",
        EXPRESSIONS,
        images,
        target,
        np.array(split, dtype=np.str_),
        names,
        boxes_for("fer2013", len(images)),
        names,
    )


def _of_rows(name: str, rows: Sequence[tuple[Path, str, str]]) -> SampleTable:
    ids = np.array([path.name for path, _, _ in rows], dtype=np.str_)
    index = np.array([EXPRESSIONS.index(label) for _, label, _ in rows], np.int64)
    return SampleTable(
        name=name,
        labels=EXPRESSIONS,
        images=[path for path, _, _ in rows],
        target=one_hot(index, 7),
        split=np.array([split for _, _, split in rows], dtype=np.str_),
        group=ids,
        box=boxes_for(name, len(rows)),
        sample_id=ids,
    )
