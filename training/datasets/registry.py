"""Which reader a reference needs. Every set that can be named, and every layout that is recognised, stands here."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from engagement.errors import ConfigError, DataError
from engagement.given import is_empty
from engagement.labels import LabelSet
from engagement.spreadsheets import columns_of
from engagement.video.discover import is_hidden
from training import Say
from training.datasets import affectnet, daisee, fer2013, files, graded, parquet, wacv2016
from training.datasets.framing import with_measured_framing
from training.samples.table import SampleTable


@dataclass(frozen=True, slots=True)
class Layout:
    """One form in which a data set lies on a disk.

    Attributes:
        looked_for: in words, for the message when nothing is found.
        there: whether a folder has this form; reads no more than it must.
        read: the reader.
    """

    looked_for: str
    there: Callable[[Path], bool]
    read: Callable[[Path], SampleTable]


def _file(name: str, read: Callable[[Path], SampleTable]) -> Layout:
    return Layout(name, lambda folder: (folder / name).is_file(), read)


def _class_folders(name: str) -> Layout:
    return Layout(
        "class folders ([train/|val/|test/]class/picture)",
        _has_folders,
        lambda f: files.class_folders(f, None, name),
    )


def _has_folders(folder: Path) -> bool:
    return any(p.is_dir() and not is_hidden(p.name) for p in folder.iterdir())


def _affectnet(classes: int) -> tuple[Layout, ...]:
    read = partial(affectnet.load, classes=classes)
    return (
        Layout("train_set/annotations", affectnet.has_sets, read),
        Layout("training.csv (subDirectory_filePath, face_x, …)", affectnet.has_lists, read),
        Layout("class folders named by expression or 0-7", _has_folders, read),
    )


_FER_PARQUET = "fer2013_train.parquet"
_FER_CLASSES = Layout("train/ and test/ with class folders", _has_folders, fer2013.official)
_STATES = "student_states_demo.parquet"

#: Name of a set -> the layouts in which ``FOLDER:NAME`` is looked for, in this order.
SETS: Mapping[str, tuple[Layout, ...]] = {
    "rafdb": (
        _file("rafdb_train.parquet", parquet.rafdb),
        _file("EmoLabel/list_patition_label.txt", files.rafdb),
        _class_folders("rafdb"),
    ),
    "fer2013": (
        _file(_FER_PARQUET, parquet.fer2013),
        _file("fer2013.csv", fer2013.official),
        _FER_CLASSES,
    ),
    "fer2013_clean": (
        _file(_FER_PARQUET, parquet.fer2013_clean),
        _file("fer2013.csv", fer2013.clean),
        Layout(_FER_CLASSES.looked_for, _has_folders, fer2013.clean),
    ),
    "ferplus": (_file(_FER_PARQUET, parquet.ferplus), _file("fer2013new.csv", fer2013.ferplus)),
    "affectnet7": _affectnet(7),
    "affectnet8": _affectnet(8),
    "daisee": (
        _file("daisee_faces.parquet", parquet.daisee),
        _file("Labels/TrainLabels.csv", daisee.official),
        _class_folders("daisee"),
    ),
    "wacv2016": (
        _file("wacv2016_engagement.parquet", parquet.wacv2016),
        Layout("labels.csv (subject, frame, engagement, split)", wacv2016.is_official, wacv2016.official),
        _class_folders("wacv2016"),
    ),
    "student_states_demo": (_file(_STATES, parquet.student_states),),
    "student_states_demo_subject": (_file(_STATES, partial(parquet.student_states, split="split_subject")),),
}

#: Layouts that a folder is recognised by without a name.
_KNOWN = (
    _file("EmoLabel/list_patition_label.txt", files.rafdb),
    _file("Labels/TrainLabels.csv", daisee.official),
    _file("fer2013.csv", fer2013.official),
    Layout("labels.csv of WACV-2016", wacv2016.is_official, wacv2016.official),
    Layout(
        "train|test/class/Training_…|PublicTest_…|PrivateTest_…",
        fer2013.are_kaggle_folders,
        fer2013.kaggle_folders,
    ),
)

#: Layouts that no folder of class folders has by chance.
_UNMISTAKABLE = (
    *_KNOWN,
    *(layout for of_set in SETS.values() for layout in of_set if layout.there is not _has_folders),
)


def load(reference: str, labels: LabelSet | None = None) -> SampleTable:
    """A data set by path.

    Args:
        reference: ``FOLDER:SET`` with SET one of :data:`SETS`, in any layout of that set; a folder in the
            official layout of RAF-DB, DAiSEE, FER2013 or WACV-2016; FER2013's CSV; a CSV with columns file
            and label, or file and grades; a folder of class folders.
        labels: class order that class folders must follow; by default what is found.

    Raises:
        ConfigError: the reference is empty, which as a path would be the current folder.
        DataError: nothing readable there, with what was looked for.
    """
    if not reference:
        raise is_empty("the path of a data set")
    folder, _, name = reference.rpartition(":")
    if folder and name in SETS:
        return _named(Path(folder), name)
    path = Path(reference)
    if path.suffix.lower() == ".csv" and path.is_file():
        header = [name.casefold() for name in columns_of(path)]
        if "pixels" in header:
            return fer2013.from_csv(path)
        return graded.graded_csv(path) if graded.has_grades(header) else files.labelled_csv(path, labels)
    if path.is_dir():
        return _recognised(path, labels)
    _refuse(reference)


def _refuse(reference: str) -> NoReturn:
    """Raise DataError that says why a reference is no data set: it is misspelled, not there, or something else."""
    expected = (
        "Give a folder of class folders, a data set's official folder, a CSV, "
        f"or FOLDER:SET with SET one of {', '.join(SETS)}."
    )
    folder, colon, name = reference.rpartition(":")
    if colon and not Path(reference).exists() and "/" not in name and "\\" not in name:
        near = difflib.get_close_matches(name.lower(), SETS, 1)
        remedy = f"Do you mean {folder or 'FOLDER'}:{near[0]}?" if near else expected
        raise DataError(f"'{reference}' is no data set: '{name}' is the name of none", remedy)
    if not Path(reference).exists():
        raise DataError(f"'{reference}' does not exist", f"Check the spelling of the path. {expected}")
    raise DataError(f"'{reference}' is no data set", expected)


def _named(folder: Path, name: str) -> SampleTable:
    if not folder.is_dir():
        raise DataError(f"{folder} does not exist", f"Give the folder of '{name}'.")
    for layout in SETS[name]:
        if layout.there(folder):
            if layout.there is _has_folders:
                _require_no_set_further_in(folder)
            return layout.read(folder)
    looked_for = "; ".join(layout.looked_for for layout in SETS[name])
    raise DataError(f"{folder} does not hold the data set '{name}'", f"Looked for {looked_for}.")


def _recognised(folder: Path, labels: LabelSet | None) -> SampleTable:
    present = [
        key
        for key, layouts in SETS.items()
        if layouts[0].looked_for.endswith(".parquet") and layouts[0].there(folder)
    ]
    if present:
        choices = ", ".join(f"{folder}:{key}" for key in present)
        raise DataError(f"{folder} holds Parquet files of several data sets", f"Name one: {choices}")
    if affectnet.has_sets(folder) or affectnet.has_lists(folder):
        raise DataError(
            f"{folder} holds AffectNet, which has seven or eight classes",
            f"Name one: {folder}:affectnet7 (without contempt) or {folder}:affectnet8",
        )
    for layout in _KNOWN:
        if layout.there(folder):
            return layout.read(folder)
    if not _has_folders(folder):
        looked_for = "; ".join(layout.looked_for for layout in _KNOWN)
        lists = files.other_lists(folder)
        raise DataError(
            f"{folder} holds no pictures in class folders",
            f"Where {lists[0]} says what they show, give that path."
            if lists
            else f"Looked for [train/|val/|test/]class/picture; {looked_for}.",
        )
    _require_no_set_further_in(folder)
    return files.class_folders(folder, labels)


def _require_no_set_further_in(folder: Path) -> None:
    """Raise DataError where a published set lies one or two folders further in, as in RAF-DB's ``basic/``: its own folders
    would be taken for classes."""
    outer = _folders_in(folder)
    for inner in (*outer, *(further for each in outer for further in _folders_in(each))):
        if _is_set(inner):
            raise DataError(
                f"{folder} holds no class folders, but a data set further in",
                f"Give the set's own folder, such as {inner}.",
            )


def _folders_in(folder: Path) -> list[Path]:
    """Sorted; none of one that cannot be read. The pictures beside them, thousands in a class, are not looked at one by one."""
    _, names, _ = next(os.walk(folder), ("", [], []))
    return [folder / name for name in sorted(names) if not is_hidden(name)]


def _is_set(folder: Path) -> bool:
    """Whether a folder is a published set's own."""
    try:
        return any(layout.there(folder) for layout in _UNMISTAKABLE)
    except PermissionError:  # which is said once its pictures are read
        return False


def told(whole: SampleTable, say: Say, frame: bool = True) -> SampleTable:
    """A whole set as it is used, and what should be known of how it was read, and of how its faces are framed.

    Args:
        frame: find out how pictures of unknown framing show their faces.
    """
    for note in whole.notes:
        say(f"{whole.name}: {note}")
    return with_measured_framing(whole, say) if frame else whole


def prepared(
    data: str | SampleTable,
    limit: int | None,
    skip_bad: bool,
    say: Say,
    choose: Callable[[SampleTable], SampleTable] = lambda whole: whole,
    frame: bool = True,
) -> SampleTable:
    """A data set, reduced for a trial where asked, with every picture known to be readable.

    Args:
        data: see :func:`load`; or what :func:`told` gave of it, of which nothing more is said.
        limit: pictures per split of what is chosen, None for all.
        skip_bad: report and drop damaged pictures instead of stopping.
        say: gets one line for each of them, and what should be known of how the set was read.
        choose: what of the whole set is wanted; the rest is not decoded. A limit comes after it, or it would be
            decided anew what was held out from training.
        frame: find out how pictures of unknown framing show their faces; not needed where each face is looked for.

    Raises:
        ConfigError: the limit is below 1.
        DataError: no such set, or a damaged picture.
    """
    if limit is not None and limit < 1:
        raise ConfigError(
            f"--limit {limit} is below 1", "Give the number of pictures per split, or leave it out."
        )
    # Told from the whole set, so that it is the same for each of its parts.
    table = choose(told(load(data), say, frame) if isinstance(data, str) else data)
    if limit is not None:
        table = table.limited(limit)
    return table.readable(skip_bad, say)
