"""Measuring a model on a data set, as ``engagement analyze`` would use it: same chips, same calibration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engagement.classification.classifier import calibrate
from engagement.errors import ConfigError, DataError
from engagement.labels import SYNONYMS, LabelSet
from engagement.types import FloatArray
from training.datasets.registry import prepared
from training.metrics import (
    auc,
    balanced_accuracy,
    balanced_ece,
    bootstrap,
    exclusive_figures,
    independent_figures,
)
from training.opened import Opened, open_network
from training.run import predict
from training.samples import SampleTable

Say = Callable[[str], None]

#: Resamplings behind each interval.
DRAWS = 1000


def aligned(table: SampleTable, labels: LabelSet) -> SampleTable:
    """The table with its targets in the order of a model's labels; names are matched through SYNONYMS.

    Raises:
        DataError: the set has classes that the model lacks, or is of the other kind.
    """
    if table.labels.kind != labels.kind:
        raise DataError(
            f"data set '{table.name}' has {table.labels.kind} labels ('{table.labels.name}'), the model's head "
            f"'{labels.name}' has {labels.kind} ones"
        )
    known = {SYNONYMS.get(c, c): i for i, c in enumerate(labels.classes)}
    names = [SYNONYMS.get(c.lower(), c) for c in table.labels.classes]
    lacking = [name for name in names if name not in known]
    if lacking:
        raise DataError(
            f"data set '{table.name}' has classes that the model does not know: {', '.join(lacking)}",
            f"The model knows: {', '.join(labels.classes)}. Choose a model trained for them, or another --head.",
        )
    missing = 0.0 if labels.kind == "exclusive" else np.nan
    target = np.full((len(table), len(labels)), missing, np.float32)
    for column, name in enumerate(names):
        target[:, known[name]] = table.target[:, column]
    return replace(table, labels=labels, target=target)


def figures(
    prob: FloatArray, target: FloatArray, groups: NDArray[np.str_], labels: LabelSet, draws: int = 0
) -> dict[str, Any]:
    """Figures of probabilities against the truth.

    Args:
        prob: (n, classes), 0-1.
        target: (n, classes), as in SampleTable.
        groups: (n,) what intervals resample as a whole (people).
        labels: of the columns.
        draws: of the bootstrap; 0 for no intervals.

    Returns:
        those of :func:`training.metrics.exclusive_figures`, or per state of ``independent_figures``; with
        ``intervals`` (95 %) of the main ones, and ``labels``.
    """
    if labels.kind == "exclusive":
        truth = target.argmax(axis=1)
        out: dict[str, Any] = exclusive_figures(prob, truth, labels)
        if draws:

            def part(key: str, rows: NDArray[np.int64]) -> float:
                value = exclusive_figures(prob[rows], truth[rows], labels)[key]
                assert isinstance(value, float)
                return value

            out["intervals"] = {
                key: list(bootstrap(lambda rows, key=key: part(key, rows), groups, draws))
                for key in ("accuracy", "mean_class_accuracy", "macro_f1")
            }
    else:
        out = independent_figures(prob, target, labels)
        for i, name in enumerate(labels.classes if draws else ()):
            known = np.isfinite(target[:, i])
            score, yes = prob[known, i], target[known, i] > 0.5
            out[name]["intervals"] = {
                key: list(
                    bootstrap(lambda rows, f=f, s=score, y=yes: f(s[rows], y[rows]), groups[known], draws)
                )
                for key, f in (
                    ("auc", auc),
                    ("balanced_accuracy", balanced_accuracy),
                    ("ece_balanced", balanced_ece),
                )
            }
    out["labels"] = list(labels.classes)
    return out


def measure(model: Opened, head: str, table: SampleTable, draws: int = 0) -> dict[str, Any]:
    """Figures of one head on a table, with the calibration that its file carries."""
    labels = model.head(head).labels
    table = aligned(table, labels)
    logits = predict(model.network, table, model.chip)[head]
    prob = calibrate(logits, labels, dict(model.record.calibration.get(head, {})))
    return figures(prob, table.target, table.group, labels, draws)


def head_for(model: Opened, table: SampleTable) -> str:
    """The head whose classes contain those of the table.

    Raises:
        DataError: none does.
    """
    heads = model.network.spec.heads
    named = {"expression": "expression", "learner_state": "state"}.get(table.labels.name, "")
    if named in heads:
        return named
    wanted = {SYNONYMS.get(c.lower(), c) for c in table.labels.classes}
    for name, head in heads.items():
        if (
            wanted <= {SYNONYMS.get(c, c) for c in head.labels.classes}
            and head.labels.kind == table.labels.kind
        ):
            return name
    have = "; ".join(f"{name}: {', '.join(head.labels.classes)}" for name, head in heads.items())
    raise DataError(
        f"{model.name} has no head for the classes of '{table.name}' ({', '.join(sorted(wanted))})",
        f"It has {have}",
    )


def chosen_split(table: SampleTable, split: str) -> SampleTable:
    """``train``, ``val``, ``test`` or ``all`` of a table; a set without splits is taken whole for ``test``."""
    if split not in ("train", "val", "test", "all"):
        raise ConfigError(f"--split '{split}' is none of train, val, test, all")
    if split == "all" or (split == "test" and set(table.split.tolist()) == {"train"}):
        return table
    return table.part(split)


def with_detected_faces(table: SampleTable, min_face_px: int = 24, say: Say = lambda _: None) -> SampleTable:
    """Boxes and roll of the largest face of each picture; pictures without a face are left out and said.

    Raises:
        DataError: no picture has a face.
    """
    from engagement.faces.mtcnn import MtcnnDetector
    from engagement.faces.options import MtcnnConfig
    from engagement.faces.pose import head_pose
    from training.samples import read_rgb

    detector = MtcnnDetector(MtcnnConfig(min_face_px=min_face_px))
    boxes, rolls = np.zeros((len(table), 4), np.float32), np.zeros(len(table), np.float32)
    found = np.zeros(len(table), bool)
    for row, source in enumerate(table.images):
        rgb = read_rgb(source)
        faces = detector.detect(rgb)
        if not len(faces):
            continue
        found[row] = True
        height, width = rgb.shape[:2]
        size = faces.boxes_xyxy[:, 2:] - faces.boxes_xyxy[:, :2]
        largest = int(size.prod(axis=1).argmax())
        boxes[row] = faces.boxes_xyxy[largest] / np.array([width, height, width, height], np.float32)
        rolls[row] = head_pose(faces.landmarks_xy[[largest]])[0, 2]
    if not found.any():
        raise DataError(
            f"data set '{table.name}': no face was found in any of {len(table)} pictures",
            "Leave out --detect if the pictures are cropped faces.",
        )
    if not found.all():
        say(f"{int((~found).sum())} of {len(table)} pictures without a face, left out")
    return replace(table, box=boxes, roll_deg=rolls).rows(found)


@dataclass(frozen=True, slots=True)
class EvaluateRun:
    """What ``engagement evaluate`` was asked to do; attributes are its options."""

    data: str
    checkpoint: str = "default"
    split: str = "test"
    head: str | None = None
    detect: bool = False
    min_face_px: int = 24
    limit: int | None = None
    skip_bad: bool = False


def run_evaluation(run: EvaluateRun, say: Say = lambda _: None) -> dict[str, Any]:
    """Figures of :func:`figures` with intervals, and what was measured: data, split, checkpoint, head.

    Raises:
        DataError, ConfigError, WeightsError: naming the culprit.
    """
    model = open_network(run.checkpoint)
    table = chosen_split(prepared(run.data, run.limit, run.skip_bad, say), run.split)
    head = run.head or head_for(model, table)
    table = aligned(table, model.head(head).labels)
    pictures = len(table)
    if run.detect:
        table = with_detected_faces(table, run.min_face_px, say)
    return {
        "data": table.name,
        "split": run.split,
        "checkpoint": model.name,
        "sha256": model.sha256,
        "head": head,
        "pictures": pictures,
        "without_face": pictures - len(table),
        **measure(model, head, table, DRAWS),
    }
