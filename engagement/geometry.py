"""Boxes: overlap and suppression. Boxes are (n, 4) corners x1, y1, x2, y2 in pixels."""

from __future__ import annotations

import numpy as np

from engagement.types import FloatArray, IndexArray

#: Boxes of two results at the same time that overlap (IoU) by this much are of the same face.
SAME_FACE = 0.4

_BLOCK = 256  # boxes that are held against all others at once: bounds memory


def _overlap(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    inter = np.ones((len(a), len(b)), np.float32)
    for low, high in ((0, 2), (1, 3)):
        side = np.minimum(a[:, None, high], b[None, :, high]) - np.maximum(a[:, None, low], b[None, :, low])
        inter *= np.maximum(side, 0)
    return inter, _area(a), _area(b)


def _area(boxes: FloatArray) -> FloatArray:
    side = np.maximum(boxes[:, 2:4] - boxes[:, :2], 0)
    return side[:, 0] * side[:, 1]


def centres(boxes: FloatArray) -> FloatArray:
    """Middle of one box (4,) or of each of (n, 4): (2,) or (n, 2)."""
    return ((boxes[..., :2] + boxes[..., 2:4]) / 2).astype(np.float32)


def iou_matrix(a: FloatArray, b: FloatArray) -> FloatArray:
    """Intersection over union of each pair; (len(a), len(b)), 0-1."""
    inter, area_a, area_b = _overlap(a, b)
    union = area_a[:, None] + area_b[None] - inter
    return (inter / np.maximum(union, 1e-9)).astype(np.float32)


def suppress(boxes: FloatArray, score: FloatArray, threshold: float, of_smaller: bool = False) -> IndexArray:
    """Greedy non-maximum suppression.

    Args:
        threshold: a box overlapping a better one by more is dropped.
        of_smaller: measure overlap as share of the smaller box instead of the union.

    Returns:
        int64 indices of the kept boxes, best score first; ties in the order given.
    """
    order = np.argsort(-score, kind="stable")
    ranked = boxes[order]
    keep: list[int] = []
    alive = np.ones(len(order), bool)
    for start in range(0, len(order), _BLOCK):
        rows = start + np.flatnonzero(alive[start : start + _BLOCK])
        inter, area, others = _overlap(ranked[rows], ranked[start:])
        whole = np.minimum(area[:, None], others) if of_smaller else area[:, None] + others - inter
        drops = inter / np.maximum(whole, 1e-9) > threshold
        for i, row in enumerate(rows.tolist()):
            if alive[row]:
                keep.append(int(order[row]))
                alive[row + 1 :] &= ~drops[i, row + 1 - start :]
    return np.asarray(keep, np.int64)
