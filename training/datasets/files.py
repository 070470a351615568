"""Data sets as ordinary files: class folders, RAF-DB's official layout, FER2013's CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engagement.errors import DataError
from engagement.labels import EXPRESSIONS, SYNONYMS, LabelSet
from training.datasets.framing import boxes_for
from training.samples import SampleTable, one_hot

_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
_SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_RAF_CLASSES = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
_FER_CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
_FER_USAGE = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}


def _pictures(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in _PICTURES and p.is_file())


def class_folders(folder: Path, labels: LabelSet | None = None, name: str | None = None) -> SampleTable:
    """``[split/]class/picture``: any set of classes.

    The folders' names are the classes, in alphabetical order, unless ``labels`` gives the order;
    other names of our seven expressions are understood (``anger``, ``Happiness``). ``manifest.csv``
    (written by ``engagement faces capture``) gives the source of each picture as its group.

    Raises:
        DataError: no pictures, or a folder that is none of ``labels``.
    """
    roots = [(split, folder / key) for key, split in _SPLITS.items() if (folder / key).is_dir()]
    roots = roots or [("train", folder)]
    groups = _manifest_groups(folder)
    rows: list[tuple[Path, str, str]] = []
    for split, root in roots:
        for child in sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")):
            label = child.name.lower()
            rows += [(picture, label, split) for picture in _pictures(child)]
    if not rows:
        raise DataError(f"{folder} holds no pictures in class folders", "Expected class/picture.jpg.")
    found = sorted({label for _, label, _ in rows})
    if all(label in SYNONYMS for label in found):
        rows = [(picture, SYNONYMS[label], split) for picture, label, split in rows]
        known = {SYNONYMS[label] for label in found}
        ordered = tuple(c for c in EXPRESSIONS.classes if c in known)
        found_set = LabelSet(EXPRESSIONS.name, ordered, "exclusive")
    else:
        found_set = LabelSet(folder.name, tuple(found), "exclusive")
    labels = labels or found_set
    index = np.array([labels.index(label) for _, label, _ in rows], np.int64)
    return SampleTable(
        name=name or folder.name,
        labels=labels,
        images=[picture for picture, _, _ in rows],
        target=one_hot(index, len(labels)),
        split=np.array([split for _, _, split in rows], dtype=np.str_),
        group=np.array(
            [groups.get(p.relative_to(folder).as_posix(), p.as_posix()) for p, _, _ in rows], dtype=np.str_
        ),
        box=boxes_for(name or "folder", len(rows)),
        sample_id=np.array([p.relative_to(folder).as_posix() for p, _, _ in rows], dtype=np.str_),
    )


def _manifest_groups(folder: Path) -> dict[str, str]:
    path = folder / "manifest.csv"
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {row["file"]: row["group"] for row in csv.DictReader(file) if row.get("group")}


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
        rows.append((folder / "Image" / "aligned" / f"{stem}_aligned.jpg", _RAF_CLASSES[int(parts[1]) - 1], split))
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
        "fer2013", EXPRESSIONS, images, target, np.array(split, dtype=np.str_), names, boxes_for("fer2013", len(images)), names
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
