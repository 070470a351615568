"""Data sets as ordinary files: class folders, a CSV of pictures, RAF-DB's official layout."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from engagement.errors import DataError
from engagement.labels import EXPRESSIONS, EXPRESSIONS_8, LEARNER_STATES, SYNONYMS, LabelSet, perhaps
from engagement.types import FloatArray
from engagement.video.discover import is_hidden, is_picture, pictures_in
from training.datasets.framing import boxes_for, framed
from training.datasets.lists import open_list
from training.datasets.manifest import PARTS, Listed, notes_on, of_each, part_of, picture_of, read_rows
from training.samples.table import SampleTable, one_hot

#: How many folders a sentence names.
_NAMED = 5
_RAF_CLASSES = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
#: Sets whose class folders may be numbered -> names of the numbers.
_NUMBERED: Mapping[str, Mapping[str, str]] = {
    "rafdb": {str(i): name for i, name in enumerate(_RAF_CLASSES, 1)},
}


def pictures(folder: Path) -> list[Path]:
    """Pictures anywhere below a folder but in hidden files and folders, sorted.

    Raises:
        DataError: a folder in it cannot be searched.
    """
    return sorted(pictures_in(folder, _refuse_closed))


def any_picture(folder: Path) -> Path | None:
    """One of them, without reading them all."""
    return next(pictures_in(folder, _refuse_closed), None)


def _refuse_closed(folder: Path, why: str) -> NoReturn:
    raise DataError(f"{folder} cannot be searched ({why})", "Check your rights.")


def split_folders(folder: Path) -> list[tuple[str, Path]]:
    """Folders in a folder that are called as a split is, in capitals or not: (split, folder), train first."""
    inside = sorted(p for p in folder.iterdir() if p.is_dir() and p.name.lower() in PARTS)
    order = list(PARTS)
    return [(PARTS[p.name.lower()], p) for p in sorted(inside, key=lambda p: order.index(p.name.lower()))]


def class_folders(
    folder: Path,
    labels: LabelSet | None = None,
    name: str | None = None,
    numbered: Mapping[str, str] | None = None,
    splits: bool = True,
) -> SampleTable:
    """``[split/]class/picture``: any set of classes.

    The folders' names are the classes, in alphabetical order, unless ``labels`` gives the order;
    other names of our expressions are understood (``anger``, ``Happiness``). ``manifest.csv``
    (written by ``engagement faces capture``) gives source and face box of each picture, and its split where
    ``engagement faces split`` has decided it. Copies that ``faces augment`` made stay with their original,
    also without the manifest: their names tell it.

    Args:
        folder: of the class folders, or of train, val and test folders with class folders.
        labels: classes and their order; folders must be among them.
        name: of the set, which decides the framing; by default the folder's, which says nothing of it.
        numbered: what numbers as folder names stand for; by default what they do in the set ``name``.
        splits: False passes over the splits of the manifest, which are then about to be decided.

    Raises:
        DataError: no pictures, an empty class or split folder, a folder that is none of ``labels``, or a
            manifest that gives only some pictures a split or says that one shows something else.
    """
    numbers = numbered or _NUMBERED.get(name or "", {})
    roots = split_folders(folder)
    listed = (
        _in_splits(folder, roots, name, numbers) if roots else _in_classes(folder, "train", name, numbers)
    )
    if not listed:
        raise DataError(f"{folder} holds no pictures in class folders", "Expected class/picture.jpg.")
    manifest = folder / "manifest.csv"
    rows = read_rows(manifest) if manifest.is_file() else []
    known = {row.file: row for row in rows}
    _take_from_manifest(manifest, known, listed, numbers)
    if splits and not roots and any(row.split for row in rows):
        parts = splits_of(folder, [_file_of(item, folder) for item in listed], known)
        for item, part in zip(listed, parts, strict=True):
            item.split = part
    said = (*notes_on(rows), *_doubts(folder, [root for _, root in roots], listed))
    return _as_table(name or folder.absolute().name, folder, listed, labels, said, name or "folder")


def _in_splits(
    folder: Path, roots: Sequence[tuple[str, Path]], name: str | None, numbers: Mapping[str, str]
) -> list[Labelled]:
    """The pictures of the class folders in each split's folder."""
    _require_splits_alone(folder, [root for _, root in roots])
    listed: list[Labelled] = []
    for split, root in roots:
        inside = _in_classes(root, split, name, numbers)
        if not inside:
            raise DataError(
                f"the split folder {root} holds no class folder", "Expected class/picture.jpg in it."
            )
        listed += inside
    return listed


def _take_from_manifest(
    manifest: Path, known: Mapping[str, Listed], listed: Sequence[Labelled], numbers: Mapping[str, str]
) -> None:
    """Give each picture the source and box that its row says."""
    for item in listed:
        file = _file_of(item, manifest.parent)
        row = known.get(file)
        if row is not None:
            item.group, item.box, item.blocks = row.group, row.box, row.blocks
            _require_one_label(manifest, row, item.label, numbers)
        item.group = group_of(file, item.group, known)


def group_of(file: str, group: str, known: Mapping[str, Listed]) -> str:
    """The group that a picture is listed with; of a copy without one its original's.

    Args:
        known: rows by file.
    """
    original = None if group else original_of(file)
    if original is None:
        return group
    return (known[original].group if original in known else "") or original


def _file_of(item: Labelled, folder: Path) -> str:
    """What a picture is called in the manifest of a folder, and as a sample; as it is where it lies elsewhere."""
    return (
        item.picture.relative_to(folder) if item.picture.is_relative_to(folder) else item.picture
    ).as_posix()


def _doubts(folder: Path, roots: Sequence[Path], listed: Sequence[Labelled]) -> list[str]:
    """What looks as if somebody meant otherwise: pictures beside the class folders, a list of labels beside the only one,
    and class folders further in."""
    beside = sorted(
        p for root in (folder, *roots) for p in root.iterdir() if not is_hidden(p.name) and is_picture(p)
    )
    notes = (
        [f"pictures beside the class folders are passed over: {len(beside)}, first {beside[0]}"]
        if beside
        else []
    )
    parts = [item.picture.relative_to(folder).parts for item in listed]
    inner = {p[1].lower() if len(p) > 2 else "" for p in parts}
    outer = {p[0] for p in parts}
    if (lists := other_lists(folder)) and not roots and len(outer) == 1:
        notes.append(f"{lists[0]} is not read: where it says what the pictures show, give that path")
    meant = len(outer) == 1 < len(inner) or all(name in SYNONYMS or name in PARTS for name in inner)
    if not roots and "" not in inner and meant:
        notes.append(
            f"the classes are the folders at the top ({_some(outer)}); those inside them ({_some(inner)}) count for "
            "nothing. Where they are meant, give the folder that holds them, or a CSV (file, label, split, person)"
        )
    return notes


def other_lists(folder: Path) -> list[Path]:
    """CSV files in a folder but its manifest, sorted: they may say what its pictures show."""
    return sorted(p for p in folder.glob("*.csv") if p.name != "manifest.csv" and not is_hidden(p.name))


def _some(names: Collection[str]) -> str:
    return ", ".join(sorted(names)[:_NAMED]) + (" …" if len(names) > _NAMED else "")


def _in_classes(root: Path, split: str, name: str | None, numbers: Mapping[str, str]) -> list[Labelled]:
    """The pictures of the class folders in a folder, with what the folders are called or their numbers stand for."""
    listed: list[Labelled] = []
    inside = sorted(p for p in root.iterdir() if not is_hidden(p.name))
    if lost := [p for p in inside if not p.suffix and not p.exists()]:
        raise DataError(f"{lost[0]} is a link to nowhere", "Mend it, or remove it.")
    for child in (p for p in inside if p.is_dir()):
        found = pictures(child)
        if not found:
            raise DataError(f"the class folder {child} holds no picture", "Fill it, or remove it.")
        if numbers and child.name.isdigit() and child.name not in numbers:
            known = ", ".join(f"{number} {label}" for number, label in numbers.items())
            raise DataError(f"{child} is no class of '{name}'", f"Its numbers are {known}.")
        label = numbers.get(child.name, child.name).lower()
        listed += [Labelled(picture, label, split) for picture in found]
    return listed


def _require_splits_alone(folder: Path, roots: Sequence[Path]) -> None:
    """Raise DataError where pictures lie beside the split folders, which would be passed over in silence."""
    for other in sorted(p for p in folder.iterdir() if p.is_dir() and not is_hidden(p.name)):
        if other not in roots and any_picture(other) is not None:
            raise DataError(
                f"{other} holds pictures, but lies beside {', '.join(root.name for root in roots)} and is called like no split",
                "Call it train, val or test, or move it elsewhere.",
            )


def _require_one_label(manifest: Path, row: Listed, label: str, numbers: Mapping[str, str]) -> None:
    """Raise DataError where a manifest contradicts the folder: whoever edits it there expects it to matter."""
    said, lies = map(_small, (numbers.get(row.label, row.label), label))
    if said and SYNONYMS.get(said, said) != SYNONYMS.get(lies, lies):
        raise DataError(
            f"{manifest}, line {row.line}: {row.file} is labelled '{row.label}', but lies in the folder of '{label}'",
            "Labels are those of the folders: `engagement faces review` moves pictures, and keeps the manifest true.",
        )


def original_of(file: str) -> str | None:
    """Of a copy that ``engagement faces augment`` wrote, the original's file; None for other names."""
    found = re.fullmatch(r"(.+)_aug\d{2,}(\.\w+)", file)
    return found.group(1) + found.group(2) if found else None


def splits_of(folder: Path, files: Sequence[str], known: Mapping[str, Listed]) -> list[str]:
    """The split of each of a folder's pictures, as its manifest says.

    Args:
        known: rows of the manifest by file.

    Raises:
        DataError: some pictures have none, or one that there is not.
    """
    manifest = folder / "manifest.csv"
    parts = of_each(manifest, files, lambda file: part_of(manifest, known[file]) if file in known else "")
    if lacking := [file for file, part in zip(files, parts, strict=True) if not part]:
        raise DataError(
            f"{manifest} gives {len(lacking)} of {len(files)} pictures no split, first {lacking[0]}",
            f"Faces have come since: run `{shlex.join(['engagement', 'faces', 'split', str(folder)])}` again.",
        )
    return parts


def labelled_csv(path: Path, labels: LabelSet | None = None) -> SampleTable:
    """A CSV with columns file, label and, where known, split, group, box_x1 … box_y2 (fractions).

    Raises:
        DataError: naming the lines without label and the files that are missing.
    """
    rows = read_rows(path)
    listed = of_each(path, rows, lambda row: _labelled(path, row))
    if not listed:
        raise DataError(f"{path} has no rows", "Expected a line for each picture: file, label.")
    files = [_file_of(item, path.parent) for item in listed]
    known = dict(zip(files, rows, strict=True))
    for item, file in zip(listed, files, strict=True):
        item.group = group_of(file, item.group, known)
    return _as_table(path.stem, path.parent, listed, labels, notes_on(rows))


@dataclass(slots=True, eq=False)
class Labelled:
    """One picture of a folder or CSV; an empty group stands for the picture itself."""

    picture: Path
    label: str
    split: str
    group: str = ""
    box: FloatArray | None = None
    blocks: bool = False


def _labelled(path: Path, row: Listed) -> Labelled:
    if not row.label:
        raise DataError(f"{path}, line {row.line}: no label", "Fill the column 'label'.")
    picture, part = picture_of(path, row), part_of(path, row) or "train"
    return Labelled(picture, row.label.lower(), part, row.group, row.box, row.blocks)


def own_name(name: str) -> str:
    """What the label set of a folder or CSV is called: as it is, but never as one of ours, which means other classes."""
    return f"own_{name}" if name in (s.name for s in (EXPRESSIONS, EXPRESSIONS_8, LEARNER_STATES)) else name


def told_apart(labels: Sequence[str]) -> list[str]:
    """Classes as training tells them apart: whatever their capitals, and however a system spells an umlaut; by our names,
    where all are expressions."""
    small = list(map(_small, labels))
    return [SYNONYMS[label] for label in small] if all(label in SYNONYMS for label in small) else small


def _small(label: str) -> str:
    return unicodedata.normalize("NFC", label.lower())


def _as_table(
    name: str,
    folder: Path,
    listed: Sequence[Labelled],
    labels: LabelSet | None,
    said: tuple[str, ...],
    framing: str = "folder",
) -> SampleTable:
    """Pictures as a table, in the order of ``labels``, or of the classes that they show.

    Whoever calls a folder as a set is called does not say that it frames faces alike.
    """
    classes = told_apart([item.label for item in listed])
    if labels is None:
        labels = _label_set(name, set(classes))
        said += _perhaps_expressions(set(classes))
    unknown = sorted(set(classes) - set(labels.classes))
    if unknown:
        raise DataError(
            f"{folder} has classes that '{labels.name}' does not know: {', '.join(unknown)}",
            f"Known classes: {', '.join(labels.classes)}",
        )
    box, notes = framed(framing, [item.box for item in listed])
    ids = [_file_of(item, folder) for item in listed]
    return SampleTable(
        name=name,
        labels=labels,
        images=[item.picture for item in listed],
        target=one_hot(np.array([labels.index(label) for label in classes], np.int64), len(labels)),
        split=np.array([item.split for item in listed], dtype=np.str_),
        group=np.array([item.group or i for item, i in zip(listed, ids, strict=True)], dtype=np.str_),
        box=box,
        sample_id=np.array(ids, dtype=np.str_),
        blocks=any(item.blocks for item in listed),
        notes=notes + said,
    )


def _label_set(name: str, there: Collection[str]) -> LabelSet:
    """The classes that a set shows: our expressions in their order, or its own in that of the alphabet."""
    if not all(label in SYNONYMS for label in there):
        return LabelSet(own_name(name), tuple(sorted(there)), "exclusive")
    ordered = tuple(c for c in EXPRESSIONS_8.classes if c in there)
    whole = EXPRESSIONS if set(ordered) <= set(EXPRESSIONS.classes) else EXPRESSIONS_8
    return LabelSet(whole.name, ordered, "exclusive")


def _perhaps_expressions(there: Collection[str]) -> tuple[str, ...]:
    """A note where classes are only called otherwise than our expressions, each by a slip."""
    odd = sorted(set(there) - set(SYNONYMS))
    near = perhaps(odd)
    if not odd or near.keys() != set(odd):
        return ()
    meant = ", ".join(f"'{written}' is '{known}'" for written, known in near.items())
    return (f"classes of its own, not the expressions. Where {meant}, call it so",)


def rafdb(folder: Path) -> SampleTable:
    """RAF-DB's official layout: EmoLabel/list_patition_label.txt and Image/aligned."""
    listing = folder / "EmoLabel" / "list_patition_label.txt"
    aligned = folder / "Image" / "aligned"
    if not aligned.is_dir():
        raise DataError(
            f"{aligned} does not exist", f"Unpack RAF-DB's aligned pictures beside {listing.parent}."
        )
    rows: list[tuple[Path, str, str]] = []
    with open_list(listing) as file:
        lines = file.read().splitlines()
    for number, line in enumerate(lines, 1):
        parts = line.split()
        if len(parts) != 2 or not parts[1].isdigit() or not 1 <= int(parts[1]) <= 7:
            raise DataError(f"{listing}, line {number}: expected 'name.jpg 1…7', found '{line}'")
        stem = Path(parts[0]).stem
        if not stem.startswith(("train", "test")):
            raise DataError(f"{listing}, line {number}: '{parts[0]}' begins with neither train nor test")
        split = "test" if stem.startswith("test") else "train"
        rows.append((aligned / f"{stem}_aligned.jpg", _RAF_CLASSES[int(parts[1]) - 1], split))
    if not rows:
        raise DataError(f"{listing} is empty")
    return _of_rows("rafdb", rows)


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
