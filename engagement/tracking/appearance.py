"""Colours of hair and clothing: evidence for who is who that survives a turned head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engagement.types import ByteArray, FloatArray

_HUES, _SATURATIONS, _GREYS = 12, 3, 6
_BINS = _HUES * _SATURATIONS + _GREYS
#: Regions relative to the face box, in its longer sides: x1, y1, x2, y2 from the box's centre.
_REGIONS = {"hair": (-0.6, -1.05, 0.6, -0.4), "chest": (-1.0, 0.75, 1.0, 1.9)}
_SIDE = 32  # a region is reduced to this before counting
#: Less of the regions in common than this says nothing.
_LEAST_SEEN = 0.05

#: Length of a face's colour description.
COLOUR_BINS = _BINS * len(_REGIONS)


def head_colours(rgb: ByteArray, boxes_xyxy: FloatArray) -> FloatArray:
    """Colour histograms of hair and chest.

    Args:
        rgb: uint8 (height, width, 3). boxes_xyxy: (n, 4).

    Returns:
        float32 (n, COLOUR_BINS), one region after the other. A region's part sums to half of the share of it that lies in
        the picture: what is not seen is no colour.
    """
    out = np.empty((len(boxes_xyxy), COLOUR_BINS), np.float32)
    for i, box in enumerate(boxes_xyxy):
        parts = [_histogram(*_region(rgb, box, place)) for place in _REGIONS.values()]
        out[i] = np.concatenate(parts) / len(parts)
    return out


def colour_roots(colours: NDArray[np.floating]) -> NDArray[np.floating]:
    """What :func:`colours_alike` compares.

    Args:
        colours: (n, bins) of :func:`head_colours`, or means of them.

    Returns:
        (n, bins + regions): roots of all bins, then of how much of each region was seen.
    """
    n, bins = colours.shape
    seen = colours.reshape(n, len(_REGIONS), bins // len(_REGIONS)).sum(axis=2)
    return np.sqrt(np.concatenate([colours, seen], axis=1))


def colours_alike(
    a: NDArray[np.floating], b: NDArray[np.floating], unknown: float = 1.0
) -> NDArray[np.floating]:
    """Bhattacharyya coefficients of the regions that both show, 0-1.

    Args:
        a, b: (n, k) and (m, k) of :func:`colour_roots`.
        unknown: what is said of two that show no region in common.

    Returns:
        (n, m).
    """
    bins = a.shape[1] - len(_REGIONS)
    alike, seen = a[:, :bins] @ b[:, :bins].T, a[:, bins:] @ b[:, bins:].T
    return np.where(seen > _LEAST_SEEN, alike / np.maximum(seen, _LEAST_SEEN), unknown)


def _region(
    rgb: ByteArray, box: FloatArray, place: tuple[float, float, float, float]
) -> tuple[ByteArray, float]:
    """What of a region lies in the picture, and which share of it that is."""
    side = max(float(box[2] - box[0]), float(box[3] - box[1]), 1.0)
    cx, cy = float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2
    x1, x2 = (int(cx + place[k] * side) for k in (0, 2))
    y1, y2 = (int(cy + place[k] * side) for k in (1, 3))
    inside = rgb[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)]
    return inside, inside.shape[0] * inside.shape[1] / max((x2 - x1) * (y2 - y1), 1)


def _histogram(region: ByteArray, share: float) -> FloatArray:
    """Histogram that sums to ``share``."""
    import cv2

    if region.shape[0] < 2 or region.shape[1] < 2:
        return np.zeros(_BINS, np.float32)
    small = cv2.resize(region, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV).reshape(-1, 3).astype(int)
    hue, saturation, value = hsv[:, 0] * _HUES // 180, hsv[:, 1], hsv[:, 2]
    coloured = (saturation > 40) & (value > 30)
    level = np.minimum((saturation - 40) * _SATURATIONS // 216, _SATURATIONS - 1)
    # Hue means nothing where there is little colour or light: those pixels count by brightness.
    bins = np.where(coloured, hue * _SATURATIONS + level, _HUES * _SATURATIONS + value * _GREYS // 256)
    counts = np.bincount(bins, minlength=_BINS).astype(np.float32)
    return counts * (share / counts.sum())
