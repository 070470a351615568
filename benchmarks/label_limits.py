"""How much of DAiSEE's labels anything could tell that knows a face but not the moment's rater.

    python benchmarks/label_limits.py DATA:daisee

For each state (engagement at level 2, the others at level 1), over all people and over the official test split alone: the
share of the labels' variance that lies between people; the correlation of a person's clips with the next one
(10 s later), once people's means are taken off, which is near 0 where labels do not follow anything that lasts; and the
AUC of somebody who knows each person's share of yes from one half of the clips, asked about the other half.
"""

from __future__ import annotations

import argparse

import numpy as np

from engagement.types import FloatArray
from training.datasets.registry import prepared
from training.measuring.metrics import auc
from training.samples.table import SampleTable


def limits(yes: FloatArray, people: np.ndarray) -> tuple[float, float, float]:
    """Share of variance between people, correlation with the next clip, AUC of people's shares in other clips.

    Args:
        yes: (n,) 0 or 1, the clips of a person in their order.
        people: (n,) whose clip it is.
    """
    own = {person: np.flatnonzero(people == person) for person in np.unique(people)}
    own = {person: rows for person, rows in own.items() if len(rows) > 3}
    rows = np.concatenate(list(own.values()))
    mean, known = np.zeros(len(yes)), np.zeros(len(yes))
    for mine in own.values():
        mean[mine] = yes[mine].mean()
        even, odd = mine[::2], mine[1::2]
        known[even], known[odd] = yes[odd].mean(), yes[even].mean()
    pairs = [(mine[:-1], mine[1:]) for mine in own.values()]
    now, later = (np.concatenate(side) for side in zip(*pairs, strict=True))
    rest = yes - mean
    return (
        float(mean[rows].var() / yes[rows].var()),
        float(np.corrcoef(rest[now], rest[later])[0, 1]),
        auc(known[rows], yes[rows] > 0.5),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="FOLDER:daisee")
    table = prepared(parser.parse_args().data, None, False, print)
    print("| state | people | variance between people | next clip | AUC of knowing each person's share |")
    print("|---|---|---|---|---|")
    for part, title in ((table, "all"), (table.part("test"), "test")):
        order = np.argsort(part.sample_id, kind="stable")
        shown(part.rows(order), title)


def shown(table: SampleTable, title: str) -> None:
    """Print a row per state."""
    for state, name in enumerate(table.labels.classes):
        share, following, known = limits(table.target[:, state], table.group)
        count = len(np.unique(table.group))
        print(f"| {name} | {title}, {count} | {share:.3f} | {following:.3f} | {known:.3f} |")


if __name__ == "__main__":
    main()
