"""AffectNet (Mollahosseini, Hasani, Mahoor, IEEE TAC 2019) in its published forms, with seven or eight classes.

Its authors keep the test pictures to themselves, so that papers report on the validation pictures: these
are our ``test`` split, and a validation split is taken from train. With seven classes pictures of contempt
are left out, with eight it is the last class (``labels.EXPRESSIONS_8``); a seven-class model knows nothing
of contempt and cannot be measured on the eight-class set.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from engagement.errors import DataError
from engagement.labels import EXPRESSIONS, EXPRESSIONS_8, SYNONYMS, LabelSet
from engagement.types import FloatArray
from training.datasets.files import class_folders, pictures
from training.datasets.framing import boxes_for
from training.datasets.lists import open_list
from training.samples.table import SampleTable, one_hot

#: AffectNet's numbers.
_CLASSES = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")
#: Numbers that name no expression: none, uncertain, no face.
_OTHERS = (8, 9, 10)
_NUMBERS = {str(i): name for i, name in enumerate(_CLASSES)}
_SETS = (("train_set", "train"), ("val_set", "test"))
_LISTS = (("training.csv", "train"), ("validation.csv", "test"))
_LIST_FOLDERS = (".", "Manually_Annotated_file_lists", "Manually_Annotated")
_PICTURE_FOLDERS = (
    *(".", "Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images", "Manually_Annotated"),
    "images",
)
#: Columns of the older lists; validation.csv was published without a header.
_COLUMNS = (
    *("subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks"),
    *("expression", "valence", "arousal"),
)


def has_sets(folder: Path) -> bool:
    """Whether ``train_set`` or ``val_set`` with annotations lie in the folder."""
    return any((folder / name / "annotations").is_dir() for name, _ in _SETS)


def has_lists(folder: Path) -> bool:
    """Whether training.csv or validation.csv of the older form lie in the folder."""
    return bool(_lists(folder))


def load(folder: Path, classes: int) -> SampleTable:
    """AffectNet in whichever form the folder has it.

    Args:
        folder: with ``train_set/images`` and ``train_set/annotations/*_exp.npy``; or with ``training.csv``; or
            class folders named by expression or by AffectNet's numbers 0-7.
        classes: 7 or 8.

    Raises:
        DataError: none of them, a picture without annotation, or a label that is none.
    """
    labels = EXPRESSIONS if classes == 7 else EXPRESSIONS_8
    if has_sets(folder):
        return _sets(folder, labels)
    if has_lists(folder):
        return _from_lists(folder, labels)
    table = class_folders(folder, EXPRESSIONS_8, f"affectnet{classes}", _NUMBERS)
    if (
        "test" not in table.split
    ):  # its published validation pictures are what is reported on, as in the other forms
        table = replace(table, split=np.where(table.split == "val", "test", table.split))
    if labels is EXPRESSIONS_8:
        return table
    rows = table.rows(table.target[:, -1] < 0.5)
    return replace(rows, labels=labels, target=rows.target[:, : len(labels)])


def _sets(folder: Path, labels: LabelSet) -> SampleTable:
    images: list[Path] = []
    names: list[str] = []
    split: list[str] = []
    for part, kind in _SETS:
        root = folder / part
        if not root.is_dir():
            continue
        found = pictures(root / "images")
        if not found:
            raise DataError(
                f"{root / 'images'} holds no picture", "Expected images/*.jpg beside annotations/."
            )
        for picture in found:
            name = _annotated(root / "annotations" / f"{picture.stem}_exp.npy", picture)
            if name in labels.classes:
                images.append(picture)
                names.append(name)
                split.append(kind)
    ids = [image.relative_to(folder).as_posix() for image in images]
    return _table(images, names, split, ids, labels)


def _annotated(path: Path, picture: Path) -> str:
    """Expression of an annotation; empty for those that name none."""
    try:
        # The published arrays hold one text or number.
        number = int(np.load(path, allow_pickle=False).item())
    except FileNotFoundError:
        raise DataError(
            f"{picture} has no annotation {path.name}", "Remove it, or fetch its annotation."
        ) from None
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise DataError(f"{path} is not a readable annotation ({error})") from error
    return _named(number, str(path))


def _named(number: int, where: str) -> str:
    if 0 <= number < len(_CLASSES):
        return _CLASSES[number]
    if number in _OTHERS:
        return ""
    raise DataError(f"{where}: expression {number} is none of AffectNet's 0-10")


def _lists(folder: Path) -> list[tuple[Path, str]]:
    for place in _LIST_FOLDERS:
        found = [(folder / place / name, kind) for name, kind in _LISTS if (folder / place / name).is_file()]
        if found and any(_is_list(path) for path, _ in found):
            return found
    return []


def _is_list(path: Path) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        line = file.readline()
    return line.startswith(_COLUMNS[0]) or line.count(",") == len(_COLUMNS) - 1


def _from_lists(folder: Path, labels: LabelSet) -> SampleTable:
    images: list[Path] = []
    names: list[str] = []
    split: list[str] = []
    ids: list[str] = []
    boxes: list[FloatArray] = []
    for path, kind in _lists(folder):
        with open_list(path) as file:
            headed = file.readline().startswith(_COLUMNS[0])
            file.seek(0)
            rows = csv.DictReader(file, fieldnames=None if headed else _COLUMNS)
            for line, row in enumerate(rows, 2 if headed else 1):
                where = f"{path}, line {line}"
                try:
                    relative = row["subDirectory_filePath"].replace("\\", "/")
                    number = int(row["expression"])
                    x, y, width, height = (float(row[c]) for c in _COLUMNS[1:5])
                except (KeyError, ValueError, TypeError, AttributeError) as error:
                    raise DataError(f"{where}: not a row of AffectNet ({error})") from error
                name = _named(number, where)
                if name not in labels.classes:
                    continue
                picture = _picture(folder, relative, where)
                images.append(picture)
                names.append(name)
                split.append(kind)
                ids.append(relative)
                boxes.append(_fractions(picture, x, y, width, height, where))
    return _table(images, names, split, ids, labels, np.stack(boxes) if boxes else None)


def _picture(folder: Path, relative: str, where: str) -> Path:
    for place in _PICTURE_FOLDERS:
        if (folder / place / relative).is_file():
            return folder / place / relative
    raise DataError(f"{where}: {relative} lies in none of {', '.join(_PICTURE_FOLDERS)} of {folder}")


def _fractions(picture: Path, x: float, y: float, width: float, height: float, where: str) -> FloatArray:
    """The listed box, which is in pixels, as fractions of the picture. Only the file's header is read."""
    import PIL.Image

    if width <= 0 or height <= 0:
        raise DataError(f"{where}: the face box {width:g} x {height:g} is empty")
    try:
        with PIL.Image.open(picture) as image:
            side = np.array([*image.size, *image.size], np.float32)
    except OSError:  # a damaged picture, which is said when the set is checked
        return boxes_for("folder", 1)[0]
    return np.array([x, y, x + width, y + height], np.float32) / side


def _table(
    images: Sequence[Path],
    names: Sequence[str],
    split: Sequence[str],
    ids: Sequence[str],
    labels: LabelSet,
    box: FloatArray | None = None,
) -> SampleTable:
    name = f"affectnet{len(labels)}"
    if not images:
        raise DataError(f"no picture of AffectNet shows one of: {', '.join(labels.classes)}")
    index = np.array([labels.index(SYNONYMS[n]) for n in names], np.int64)
    group = np.array(ids, dtype=np.str_)
    boxes = boxes_for(name, len(images)) if box is None else box
    target = one_hot(index, len(labels))
    return SampleTable(
        name,
        labels,
        images=list(images),
        target=target,
        split=np.array(split, dtype=np.str_),
        group=group,
        box=boxes,
        sample_id=group,
    )
