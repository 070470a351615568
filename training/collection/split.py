"""Which captured faces train and which check: whole videos, people or blocks of time, never single frames.

Neighbouring frames show the same face; a split that divides them measures memory (docs/datasets.md).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engagement.errors import ConfigError, DataError
from engagement.faces.manifest import Rows
from engagement.wording import count
from training import Say
from training.collection.folder import Faces, read_faces
from training.datasets.files import class_folders, told_apart
from training.inspection.leaks import KINDS, relations
from training.inspection.pictures import collect
from training.inspection.similar import SimilarOptions
from training.samples.division import by_unit

By = Literal["video", "time", "person"]

#: What is held together, in words; and what to do when a class comes from one of it.
_WORDS = {
    "video": (
        "video",
        "Record {0} once more, or hold out the end of each video with --by time; its figures flatter.",
    ),
    "time": ("block of time", "Capture more of {0}, or with a smaller --block."),
    "person": (
        "person",
        "Record {0} with somebody else, or split with --by video; its figures hold for known faces.",
    ),
}


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """How faces are divided.

    Attributes:
        by: what is never divided: ``video``, ``person``, or ``time``: the end of each video checks, in blocks.
        val: share of the faces that validate, above 0.
        test: share that tests, 0 for no test split.
    """

    by: By = "video"
    val: float = 0.2
    test: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.val <= 0.5:
            raise ConfigError(f"--val {self.val:g} is not above 0 and at most 0.5", "0.2 is usual.")
        if not 0 <= self.test <= 0.4:
            raise ConfigError(f"--test {self.test:g} is not within 0-0.4", "0 makes no test split.")

    @property
    def parts(self) -> dict[str, float]:
        """Shares of the splits besides train, in the order in which they are taken."""
        return {"test": self.test, "val": self.val} if self.test else {"val": self.val}


@dataclass(frozen=True, slots=True, eq=False)
class Division:
    """What was decided.

    Attributes:
        counts: split -> class -> faces.
        units: split -> class -> videos (people, blocks of time).
        near: split -> faces with a copy or near copy in train.
    """

    counts: dict[str, dict[str, int]]
    units: dict[str, dict[str, int]]
    near: dict[str, int]


def split_faces(folder: Path, options: SplitOptions, say: Say = lambda _: None) -> Division:
    """Write the column ``split`` of a folder's manifest; the same faces always get the same split.

    An empty ``group`` is filled with what was not divided, so that training holds the same together.

    Raises:
        DataError: copies among the faces, faces of unknown source, or a class that comes from too few.
    """
    faces = read_faces(folder, say)
    faces.require_originals("split")
    for row in faces.rows:
        row["group"] = _group(row, options.by)
    units = _units(faces, options.by)
    labels = told_apart([row["label"] for row in faces.rows])
    _require_several(faces, units, labels, options)
    in_time = options.by == "time"
    split = _by_time(faces.rows, units, labels, options) if in_time else by_unit(units, labels, options.parts)
    _require_whole(faces.rows, labels, split, options)
    before = any(row.get("split") for row in faces.rows)
    for row, name in zip(faces.rows, split.tolist(), strict=True):
        row["split"] = name
    near = _near(faces, split)
    faces.write()
    if before:
        say("an earlier split is replaced")
    return Division(_counts(split, labels), _several(split, labels, units), near)


def _units(faces: Faces, by: By) -> list[str]:
    """What each face must not be separated from, by name."""
    if faces.unlisted:
        raise DataError(
            f"{count(len(faces.unlisted), 'picture is', 'pictures are')} not in {faces.folder / 'manifest.csv'}, first {faces.unlisted[0]}",
            "Nobody knows which video they are from: capture them with `engagement faces capture`, or write the "
            "columns file, source and, for --by time, time_s.",
        )
    column = {"video": "source", "time": "group", "person": "person"}[by]
    names = [(row.get(column) or "").strip() for row in faces.rows]
    if by == "person":  # "Ann" and "ann " are one
        spelled: dict[str, str] = {}
        names = [spelled.setdefault(name.casefold(), name) for name in names]
    if by == "video":  # one recording that was captured under two names
        recorded: dict[str, str] = {}
        ids = [row.get("source_id") or name for row, name in zip(faces.rows, names, strict=True)]
        names = [recorded.setdefault(own, name) if name else "" for own, name in zip(ids, names, strict=True)]
    lacking = [row["file"] for row, name in zip(faces.rows, names, strict=True) if not name]
    if lacking:
        remedy = (
            "Capture with --person NAME, or fill the column 'person'."
            if by == "person"
            else "Fill the columns 'source' and, for --by time, 'time_s'."
        )
        raise DataError(
            f"{faces.folder / 'manifest.csv'} names no {_WORDS[by][0]} for {count(len(lacking), 'face')}, first {lacking[0]}",
            remedy,
        )
    return names


def _group(row: dict[str, str], by: By) -> str:
    """What training must not divide: as the manifest says, or as this split does where it says nothing.

    A whole video's name counts as nothing: an earlier split by video wrote it. For a split by person nothing
    is written, since training takes the person then.
    """
    group, source = row.get("group", ""), row.get("source", "")
    if group and group != source:
        return group
    if by == "time":
        return _block(row) or group
    return source if by == "video" else ""


def _block(row: dict[str, str]) -> str:
    source = row.get("source", "")
    return f"{source}#{int(_time(row) // 2)}" if source and row.get("time_s") else ""


def _time(row: dict[str, str]) -> float:
    """Seconds; DataError where the manifest says something else."""
    try:
        time_s = float(row.get("time_s") or 0)
    except ValueError:
        time_s = math.nan
    if not math.isfinite(time_s):
        raise DataError(f"{row['file']}: the time '{row['time_s']}' is no number", "Give seconds.")
    return time_s


def _require_several(faces: Faces, units: list[str], labels: list[str], options: SplitOptions) -> None:
    word, remedy = _WORDS[options.by]
    plural = {"video": "videos", "time": "blocks of time", "person": "people"}[options.by]
    needed = 1 + len(options.parts)
    lacking: dict[str, list[str]] = {}
    for label in sorted(set(labels)):
        own = sorted({unit for unit, name in zip(units, labels, strict=True) if name == label})
        if len(own) < needed:
            lacking[label] = own
    if lacking:
        said = ", ".join(
            f"'{label}' comes from one {word} ({own[0]})"
            if len(own) == 1
            else f"'{label}' comes from {len(own)} {plural}"
            for label, own in lacking.items()
        )
        why = (
            "so it cannot be both learned and checked" if needed == 2 else "train, val and test need one each"
        )
        raise DataError(
            f"{faces.folder}: {said}, {why}", remedy.format("it" if len(lacking) == 1 else "them")
        )


def _by_time(rows: Rows, units: list[str], labels: list[str], options: SplitOptions) -> NDArray[np.str_]:
    """The last blocks of each class in each video test and validate: one border each, not one per block."""
    split = dict.fromkeys(units, "train")
    runs: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row, unit, label in zip(rows, units, labels, strict=True):
        blocks = runs.setdefault((row.get("source", ""), label), {})
        blocks.setdefault(unit, []).append(_time(row))
    needed = 1 + len(options.parts)
    for label in sorted({label for _, label in runs}):
        own = [
            sorted(blocks.items(), key=_begin) for (_, name), blocks in sorted(runs.items()) if name == label
        ]
        long = [video for video in own if len(video) >= needed]
        # Where every video is too short to be divided, its blocks are taken together.
        for blocks in long or [[block for video in own for block in video]]:
            faces, left = sum(len(times) for _, times in blocks), len(blocks)
            for i, (part, share) in enumerate(options.parts.items()):
                taken = 0
                while left > len(options.parts) - i:
                    unit, times = blocks[left - 1]
                    if taken and taken + len(times) / 2 > share * faces:
                        break
                    left, taken = left - 1, taken + len(times)
                    split[unit] = part if split[unit] == "train" else split[unit]
    return np.array([split[unit] for unit in units], dtype=np.str_)


def _begin(block: tuple[str, list[float]]) -> float:
    return min(block[1])


def _require_whole(rows: Rows, labels: list[str], split: NDArray[np.str_], options: SplitOptions) -> None:
    """No block of a video on two sides, and every class in train."""
    sides: dict[str, str] = {}
    for row, name in zip(rows, split.tolist(), strict=True):
        group = row.get("group", "")
        if group and sides.setdefault(group, name) != name:
            raise DataError(
                f"{group.rpartition('#')[0] or group} shows people of different splits at the same time, "
                f"first in {row['file']}",
                f"Split with --by {'video' if options.by != 'video' else 'time'}.",
            )
    for label in sorted(set(labels)):
        there = {name for own, name in zip(labels, split.tolist(), strict=True) if own == label}
        if "train" not in there:
            raise DataError(
                f"'{label}' shares each of its {_WORDS[options.by][0]}s with other classes, and none is left to train",
                "Capture more of it.",
            )


def _near(faces: Faces, split: NDArray[np.str_]) -> dict[str, int]:
    table = class_folders(faces.folder, splits=False)
    side = {row["file"]: name for row, name in zip(faces.rows, split.tolist(), strict=True)}
    table = replace(table, split=np.array([side[str(i)] for i in table.sample_id], dtype=np.str_))
    found = relations(collect([table]), SimilarOptions())
    return {part: len(found.affected(part, KINDS[:3])) for part in ("val", "test") if (split == part).any()}


def _counts(split: NDArray[np.str_], labels: list[str]) -> dict[str, dict[str, int]]:
    counted = Counter(zip(split.tolist(), labels, strict=True))
    order = [part for part in ("train", "val", "test") if (split == part).any()]
    return {part: {label: counted[part, label] for label in sorted(set(labels))} for part in order}


def _several(split: NDArray[np.str_], labels: list[str], units: list[str]) -> dict[str, dict[str, int]]:
    once = sorted(set(zip(split.tolist(), labels, units, strict=True)))
    return _counts(np.array([part for part, _, _ in once], dtype=np.str_), [label for _, label, _ in once])
