"""Who may stand in two data sets: people of either whose faces look alike to the identity teacher.

    python benchmarks/same_people.py ../shared/data:daisee ../shared/data:wacv2016 --teacher ../shared/weights/face_reid_0095.safetensors

Of every person up to 24 faces are embedded; people are compared by the cosine of their mean embeddings. For scale, the
same between halves of one person's faces, and between different people of one set. Look at the pairs it lists, and
leave out whom you would not tell apart (`engagement train states --leave-out`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from engagement.types import FloatArray
from training.datasets.registry import load
from training.fitting.teacher import Teacher, embed_table, load_teacher
from training.samples.table import SampleTable

_FACES = 24


def people(teacher: Teacher, table: SampleTable) -> tuple[list[str], FloatArray, FloatArray]:
    """Names, and two mean embeddings of each person (n, 256), from different faces; people of one face are left out."""
    rng = np.random.default_rng(0)
    names: list[str] = []
    halves: list[list[FloatArray]] = [[], []]
    for name in np.unique(table.group).tolist():
        rows = rng.permutation(np.flatnonzero(table.group == name))[:_FACES]
        if len(rows) < 2:
            continue
        found = embed_table(teacher, table.rows(rows))
        names.append(str(name))
        for half, part in zip(halves, (found[::2], found[1::2]), strict=True):
            mean = part.mean(axis=0)
            half.append(mean / np.linalg.norm(mean))
    return names, np.stack(halves[0]), np.stack(halves[1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs=2, help="references of two data sets that know their people")
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--least", type=float, default=0.55, help="list pairs from this cosine on")
    options = parser.parse_args()
    teacher = load_teacher(options.teacher)
    sets = []
    for reference in options.data:
        names, one, other = people(teacher, load(reference))
        apart = (one @ one.T)[np.triu_indices(len(names), 1)]
        same = (one * other).sum(axis=1)
        print(
            f"{reference}: {len(names)} people; one person {np.percentile(same, 5):.2f} (5th percentile) to "
            f"{np.median(same):.2f} (median), two people {np.median(apart):.2f} (median), "
            f"{np.percentile(apart, 99):.2f} (99th percentile), {apart.max():.2f} (most)"
        )
        sets.append((names, one))
    (first, a), (second, b) = sets
    alike = a @ b.T
    print(f"\n| {options.data[0]} | {options.data[1]} | cosine |\n|---|---|---|")
    for i, j in np.argwhere(alike >= options.least)[np.argsort(-alike[alike >= options.least])].tolist():
        print(f"| {first[i]} | {second[j]} | {alike[i, j]:.2f} |")


if __name__ == "__main__":
    main()
