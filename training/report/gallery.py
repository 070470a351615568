"""Pictures of misclassified faces, for a page: only where the user asked for them."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from engagement.types import ByteArray, ChipSpec
from training.measuring.outcome import Outcome
from training.samples.chip_dataset import ChipDataset

#: Chips larger than this are shrunk, and smaller ones shown as they are, pixels.
_SIDE = 96
#: Misclassified faces of each true class that are shown, the surest mistakes first.
PER_CLASS = 12


def misclassified(
    outcome: Outcome, chip: ChipSpec, per_class: int = PER_CLASS
) -> dict[str, list[dict[str, Any]]]:
    """The surest mistakes of each class.

    Args:
        outcome: of exclusive classes.
        chip: how faces are cut.
        per_class: how many.

    Returns:
        true class -> pictures (``src`` a data URI, ``name``, ``said``, ``prob``, ``truth_prob``).
    """
    classes = outcome.table.labels.classes
    truth, guess = outcome.table.target.argmax(axis=1), outcome.prob.argmax(axis=1)
    faces = ChipDataset(outcome.table, chip)
    out: dict[str, list[dict[str, Any]]] = {}
    for k, name in enumerate(classes):
        rows = np.flatnonzero((truth == k) & (guess != k))
        rows = rows[np.argsort(-outcome.prob[rows].max(axis=1), kind="stable")][:per_class]
        if len(rows):
            out[name] = [
                {
                    "src": picture(faces.chip(int(row))),
                    "name": str(outcome.table.sample_id[row]),
                    "said": classes[guess[row]],
                    "prob": float(outcome.prob[row, guess[row]]),
                    "truth_prob": float(outcome.prob[row, k]),
                }
                for row in rows
            ]
    return out


def picture(rgb: ByteArray, side: int = _SIDE) -> str:
    """A picture as a data URI of a JPEG, shrunk to ``side`` where it is larger."""
    import cv2

    if rgb.shape[0] > side:
        rgb = np.asarray(cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    jpeg = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode("ascii")
