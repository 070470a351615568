"""Scores of who-is-who: IDF1, HOTA (TrackEval), error of the count of people, B-cubed precision and recall."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from engagement.geometry import iou_matrix
from engagement.tracking.assignment import assign
from engagement.types import FloatArray, IndexArray

_OVERLAP = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Faces with names, one row each: sample (n,), name (n,) from 0, box (n, 4)."""

    sample: IndexArray
    name: IndexArray
    box: FloatArray


@dataclass(frozen=True, slots=True)
class Scores:
    """
    Attributes:
        idf1: Ristani et al. 2016. hota: Luiten et al. 2021, mean over localisation thresholds.
        found, people: persons reported, persons there are.
        bcubed_precision, bcubed_recall: Bagga & Baldwin 1998, over all true faces; one that nobody was
            named for is a cluster of its own.
    """

    idf1: float
    hota: float
    found: int
    people: int
    bcubed_precision: float
    bcubed_recall: float

    @property
    def count_error(self) -> int:
        return abs(self.found - self.people)


def score(true: Rows, found: Rows, samples: int) -> Scores:
    """Compare names found with true names.

    Args:
        true, found: rows in any order; persons that are "nobody" are left out by the caller.
        samples: number of samples of the session.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # it tells of optional data sets it cannot read
        from trackeval.metrics import HOTA, Identity  # pyright: ignore[reportMissingImports]
    true_names, true_index = np.unique(true.name, return_inverse=True)
    found_names, found_index = np.unique(found.name, return_inverse=True)
    data: dict[str, Any] = {
        "num_timesteps": samples,
        "num_gt_ids": len(true_names),
        "num_tracker_ids": len(found_names),
        "num_gt_dets": len(true.name),
        "num_tracker_dets": len(found.name),
        "gt_ids": [],
        "tracker_ids": [],
        "similarity_scores": [],
    }
    label = np.full(len(true.name), -1)
    for sample in range(samples):
        t, f = np.flatnonzero(true.sample == sample), np.flatnonzero(found.sample == sample)
        overlap = iou_matrix(true.box[t], found.box[f])
        data["gt_ids"].append(true_index[t])
        data["tracker_ids"].append(found_index[f])
        data["similarity_scores"].append(overlap.astype(float))
        for a, b in assign(np.where(overlap >= _OVERLAP, 1 - overlap, np.inf).astype(np.float32)):
            label[t[a]] = found_index[f[b]]
    if not len(found_names) or not len(true_names):
        return Scores(0.0, 0.0, len(found_names), len(true_names), 0.0, 0.0)
    precision, recall = bcubed(true_index, label)
    hota = float(np.mean(HOTA().eval_sequence(data)["HOTA"]))
    # The metric prints its configuration when it is made.
    with contextlib.redirect_stdout(io.StringIO()):
        identity = Identity()
    idf1 = float(identity.eval_sequence(data)["IDF1"])
    return Scores(idf1, hota, len(found_names), len(true_names), precision, recall)


def bcubed(true: IndexArray, label: IndexArray) -> tuple[float, float]:
    """B-cubed precision and recall of a clustering.

    Args:
        true: (n,) true name of each item. label: (n,) cluster of each, -1 for a cluster of its own.
    """
    alone = label < 0
    own = np.where(alone, np.arange(len(label)) + label.max(initial=0) + 1, label)
    _, cluster = np.unique(own, return_inverse=True)
    _, name = np.unique(true, return_inverse=True)
    table = np.zeros((name.max() + 1, cluster.max() + 1))
    np.add.at(table, (name, cluster), 1)
    both = table[name, cluster]
    return float((both / table.sum(axis=0)[cluster]).mean()), float((both / table.sum(axis=1)[name]).mean())
