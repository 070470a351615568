"""Boxes: overlap and suppression. Boxes are (n, 4) corners x1, y1, x2, y2 in pixels."""

from __future__ import annotations

import numpy as np

from engagement.types import FloatArray, IndexArray


def _overlap(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:4], b[None, :, 2:4])
    inter = np.clip(high - low, 0, None).prod(axis=2)
    area_a = np.clip(a[:, 2:4] - a[:, :2], 0, None).prod(axis=1)
    area_b = np.clip(b[:, 2:4] - b[:, :2], 0, None).prod(axis=1)
    return inter, area_a, area_b


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
    keep: list[int] = []
    while len(order):
        best, rest = order[0], order[1:]
        keep.append(int(best))
        inter, area_best, area_rest = _overlap(boxes[best : best + 1], boxes[rest])
        whole = np.minimum(area_best[0], area_rest) if of_smaller else area_best[0] + area_rest - inter[0]
        order = rest[inter[0] / np.maximum(whole, 1e-9) <= threshold]
    return np.asarray(keep, np.int64)
