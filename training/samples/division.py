"""Faces divided among splits by what must stay together: a video, a person, a recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from engagement.types import FloatArray, IndexArray

#: Of so many units every choice is looked at.
_FEW = 14


def by_unit(units: Sequence[str], labels: Sequence[str], parts: Mapping[str, float]) -> NDArray[np.str_]:
    """A split of n faces that divides no unit and keeps a unit of each class in train.

    Args:
        units: n names of what must not be divided.
        labels: n classes.
        parts: shares of the splits besides train; ``test`` is taken first.

    Returns:
        n of ``train`` and the parts' names.
    """
    names, unit = np.unique(np.array(units, dtype=np.str_), return_inverse=True)
    _, label = np.unique(np.array(labels, dtype=np.str_), return_inverse=True)
    counts = np.zeros((len(names), label.max() + 1), np.float32)
    np.add.at(counts, (unit, label), 1)
    side = np.full(len(names), "train", dtype=np.dtype("<U5"))
    for part, share in parts.items():
        free = np.flatnonzero(side == "train")
        spare = 1 + (
            part == "test" and len(parts) > 1
        )  # what each class must keep for the splits that come after
        side[free[held_units(counts[free], share * counts.sum(axis=0), spare)]] = part
    return side[unit]


def held_units(counts: FloatArray, wanted: FloatArray, spare: int) -> IndexArray:
    """Units that together hold as many faces of each class as wanted, as nearly as whole units allow.

    Steepest descent over adding or removing one unit, beginning with none: exact for one unit a class, and
    unlike folds of equal number it serves classes that come from two units each. Of few units every choice is
    looked at: one person who has all classes would stand in the way of several who fit better together.

    Args:
        counts: (units, classes) faces.
        wanted: (classes,) faces to hold out.
        spare: units of each class that must not be held out.
    """
    total, there = counts.sum(axis=0), (counts > 0).astype(np.int64)

    def cost(faces: NDArray[np.floating], units: IndexArray) -> NDArray[np.floating]:
        """Of choices with so many faces (…, classes) from so many units (…, classes) held out."""
        share = (faces - wanted) / total
        bare = (units == 0).sum(axis=-1)
        short = np.maximum(spare - (there.sum(axis=0) - units), 0).sum(axis=-1)
        return (share**2).sum(axis=-1) + 10 * bare + 100 * short

    held = np.zeros(len(counts), bool)
    best = float(cost(counts[held].sum(axis=0), there[held].sum(axis=0)))
    while True:
        turned = np.where(held, -1, 1)[:, None]  # each unit added, or taken away again
        costs = cost(counts[held].sum(axis=0) + turned * counts, there[held].sum(axis=0) + turned * there)
        i = int(np.argmin(costs))
        if costs[i] >= best - 1e-9:
            break
        held[i], best = not held[i], float(costs[i])
    if len(counts) <= _FEW:
        choices = np.arange(2 ** len(counts))[:, None] >> np.arange(len(counts)) & 1
        costs = cost(choices @ counts, choices @ there)
        if costs.min() < best - 1e-9:
            return np.flatnonzero(choices[int(np.argmin(costs))])
    return np.flatnonzero(held)
