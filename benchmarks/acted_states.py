"""Learner-state scores on acted states that no head has learned from: does a phone in the hand look less engaged?

    python benchmarks/acted_states.py ../shared/data [--checkpoint default --checkpoint FILE …]

The four people of `student_states_demo` act in front of a webcam. For each of them the AUC of a score between two kinds of
frames, then the mean over people. Faces are found and framed by the project's own detector. Four people who act are no
classroom: this shows gross errors, not how good a score is.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from engagement.labels import LEARNER_STATES
from training.datasets.registry import load
from training.measuring.metrics import auc
from training.measuring.opened import open_network
from training.measuring.prediction import predict
from training.samples.table import SampleTable
from training.states_evaluation.face_geometry import found_faces

#: Score, frames where it should be higher, frames where it should be lower.
PAIRS = (
    ("engagement", ("neutralface",), ("phone",)),
    ("engagement", ("neutralface",), ("yawning",)),
    ("engagement", ("neutralface", "tilt", "raisehand"), ("phone", "yawning", "drinking")),
    ("boredom", ("yawning",), ("neutralface",)),
    ("confusion", ("frowning",), ("neutralface",)),
)
#: Where the face is in a frame of the set, roughly: frames show 2.6 face sizes.
_MIDDLE = (0.3, 0.3, 0.7, 0.7)


def faces(folder: str) -> SampleTable:
    """Frames in which a face is found."""
    table = load(f"{folder}:student_states_demo")
    table = replace(table, box=np.tile(np.array([_MIDDLE], np.float32), (len(table), 1)))
    with tempfile.TemporaryDirectory() as scratch:
        found = found_faces(table, Path(scratch))
    table = replace(table, box=found.box, roll_deg=found.pose_deg[:, 2])
    return table.rows(np.flatnonzero(found.found))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="folder of the data sets")
    parser.add_argument("--checkpoint", action="append", help="networks with a state head [default: default]")
    options = parser.parse_args()
    table = faces(options.data)
    kind = np.array(table.labels.classes)[table.target.argmax(axis=1)]
    print(f"{len(table)} frames of {len(set(table.group.tolist()))} people; mean AUC over people\n")
    names = [f"{score}: {', '.join(more)} over {', '.join(less)}" for score, more, less in PAIRS]
    print(f"| | {' | '.join(names)} |\n|---{'|---' * len(names)}|")
    for reference in options.checkpoint or ["default"]:
        opened = open_network(reference)
        logits = predict(opened.network, table, opened.chip)["state"]
        shown = []
        for score, more, less in PAIRS:
            own = logits[:, LEARNER_STATES.index(score)]
            each = []
            for person in np.unique(table.group):
                rows = (table.group == person) & np.isin(kind, more + less)
                each.append(auc(own[rows], np.isin(kind[rows], more)))
            shown.append(f"{np.mean(each):.3f} ({min(each):.2f}–{max(each):.2f})")
        print(f"| {reference} | {' | '.join(shown)} |")


if __name__ == "__main__":
    main()
