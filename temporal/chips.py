"""Small grey faces for the network that looks at motion. The same call in training and in use."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from temporal.base import ByteArray, FloatArray

#: ITU-R BT.601 luma, as OpenCV's RGB to grey.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@functools.lru_cache(maxsize=8)
def _averaging(source: int, target: int) -> FloatArray:
    """(target, source) weights of exact area averaging along one side; rows sum to 1."""
    edges = np.arange(target + 1) * (source / target)
    cells = np.arange(source)
    overlap = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    return (np.clip(overlap, 0, None) * (target / source)).astype(np.float32)


def grey_chips(rgb: NDArray[np.uint8], px: int) -> ByteArray:
    """Reduce face chips to small grey ones by area averaging.

    Args:
        rgb: uint8 (n, S, S, 3), as the face network sees them before normalisation.
        px: side of the result, at most S.

    Returns:
        uint8 (n, px, px).
    """
    size = rgb.shape[1]
    if rgb.ndim != 4 or rgb.shape[2] != size or not 1 <= px <= size:
        raise ValueError(f"cannot reduce chips of shape {rgb.shape} to {px} px")
    weights = _averaging(size, px)
    out = np.empty((len(rgb), px, px), np.uint8)
    for i, chip in enumerate(rgb):
        out[i] = np.rint(weights @ (chip.astype(np.float32) @ _LUMA) @ weights.T).astype(np.uint8)
    return out
