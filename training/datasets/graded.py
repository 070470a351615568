"""A CSV of pictures with several graded labels: how bored, how tired, each from 0 upwards.

A grade of K + 1 levels becomes K questions, "at least k?" for k = 1 … K (Frank & Hall 2001, "A Simple Approach to
Ordinal Classification"), named ``bored_1`` … ``bored_K``. Answered by one direction in the features with K thresholds
they make the proportional-odds model (McCullagh 1980), see :func:`thresholds`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engagement.errors import DataError
from engagement.labels import LabelSet
from engagement.types import FloatArray
from training.datasets.files import group_of, own_name
from training.datasets.framing import framed
from training.datasets.manifest import (
    KNOWN_COLUMNS,
    MOST,
    Listed,
    is_grade,
    notes_on,
    of_each,
    part_of,
    picture_of,
    read_rows,
    unread_box,
)
from training.samples.table import SampleTable


def has_grades(columns: list[str]) -> bool:
    """Whether a CSV with these columns is one: no ``label``, and columns that mean nothing else."""
    return "file" in columns and "label" not in columns and bool(set(columns) - set(KNOWN_COLUMNS))


def graded_csv(path: Path) -> SampleTable:
    """A CSV with a column ``file``, one column per grade (whole numbers from 0; empty where not known), and, where
    known, split, group and the face box, as in a labelled one.

    Raises:
        DataError: naming file, lines and values of what is no grade, and missing pictures; a grade that never varies.
    """
    rows = read_rows(path)
    grades = _grades(path, rows)
    read = of_each(path, rows, lambda row: _graded(path, row, grades))
    level = np.array([one.levels for one in read])
    answers: dict[str, FloatArray] = {}
    for column, name in zip(level.T, grades, strict=True):
        answers |= _at_least(path, name, column)
    box, notes = framed("folder", [row.box for row in rows])
    known = {row.file: row for row in rows}
    return SampleTable(
        name=path.stem,
        labels=LabelSet(own_name(path.stem), tuple(answers), "independent"),
        images=[one.picture for one in read],
        target=np.stack(list(answers.values()), axis=1),
        split=np.array([one.split for one in read], dtype=np.str_),
        group=np.array([group_of(row.file, row.group, known) or row.file for row in rows], dtype=np.str_),
        box=box,
        sample_id=np.array([row.file for row in rows], dtype=np.str_),
        blocks=any(row.blocks for row in rows),
        notes=notes + notes_on(rows),
    )


@dataclass(frozen=True, slots=True)
class _Graded:
    """What is read of a row: the picture, its split, and a level per grade, NaN where not known."""

    picture: Path
    split: str
    levels: list[float]


def _graded(path: Path, row: Listed, grades: Sequence[str]) -> _Graded:
    levels = [_level(path, row.line, name, row.cells[name]) for name in grades]
    return _Graded(picture_of(path, row), part_of(path, row) or "train", levels)


def _grades(path: Path, rows: Sequence[Listed]) -> list[str]:
    """The columns of a CSV that are grades, sorted; DataError where there are none or its cells do not fit them."""
    for row in rows:
        if row.surplus:
            raise DataError(
                f"{path}, line {row.line}: more cells than the first line names columns",
                "Put cells that hold a separator in quotation marks.",
            )
    grades = sorted(set(rows[0].cells) - {*KNOWN_COLUMNS, *unread_box(rows)}) if rows else []
    if not grades:
        raise DataError(
            f"{path} has no rows or no grades", "Give a column for each grade, such as 'boredom'."
        )
    return grades


def _at_least(path: Path, name: str, level: NDArray[np.float64]) -> dict[str, FloatArray]:
    """A grade as questions: ``bored_1`` … -> float32 (n,) answers, NaN where the level (n,) is not known.

    Raises:
        DataError: there is nothing to tell apart.
    """
    known = np.isfinite(level)
    top = int(level[known].max()) if known.any() else 0
    if top < 1:
        raise DataError(
            f"{path}: grade '{name}' is never above 0",
            "Leave the column out, or add what it should tell.",
        )
    if (level[known] == top).all():
        raise DataError(
            f"{path}: grade '{name}' is {top} wherever it is known",
            "Leave the column out: there is nothing to tell apart.",
        )
    return {
        f"{name}_{least}": np.where(known, level >= least, np.nan).astype(np.float32)
        for least in range(1, top + 1)
    }


def thresholds(labels: LabelSet) -> dict[str, tuple[int, ...]]:
    """Grade -> columns of its thresholds, in rising order; empty unless every class is one."""
    found: dict[str, list[int]] = {}
    for i, name in enumerate(labels.classes):
        grade, _, number = name.rpartition("_")
        if not grade or not number.isdecimal() or int(number) != len(found.setdefault(grade, [])) + 1:
            return {}
        found[grade].append(i)
    return {grade: tuple(columns) for grade, columns in found.items()}


def _level(path: Path, line: int, name: str, text: str) -> float:
    text = (text or "").strip()
    if not text:
        return float("nan")
    if not is_grade(text):
        raise DataError(
            f"{path}, line {line}: '{text}' is no grade of '{name}'",
            f"Write a whole number from 0 to {MOST}, or nothing where it is not known. A column of classes is called 'label'.",
        )
    return float(text)
