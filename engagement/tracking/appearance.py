"""Colours of hair and clothing: evidence for who is who that survives a turned head."""

from __future__ import annotations

import numpy as np

from engagement.types import ByteArray, FloatArray

_HUES, _SATURATIONS, _GREYS = 12, 3, 6
_BINS = _HUES * _SATURATIONS + _GREYS
#: Regions relative to the face box, in its longer sides: x1, y1, x2, y2 from the box's centre.
_REGIONS = {"hair": (-0.6, -1.05, 0.6, -0.4), "chest": (-1.0, 0.75, 1.0, 1.9)}
_SIDE = 32  # a region is reduced to this before counting

#: Length of a face's colour description.
COLOUR_BINS = _BINS * len(_REGIONS)


def head_colours(rgb: ByteArray, boxes_xyxy: FloatArray) -> FloatArray:
    """Colour histograms of hair and chest.

    Args:
        rgb: uint8 (height, width, 3). boxes_xyxy: (n, 4).

    Returns:
        float32 (n, COLOUR_BINS), rows sum to 1; a region outside the frame counts as uniform.
    """
    out = np.empty((len(boxes_xyxy), COLOUR_BINS), np.float32)
    for i, box in enumerate(boxes_xyxy):
        parts = [_histogram(_region(rgb, box, place)) for place in _REGIONS.values()]
        out[i] = np.concatenate(parts) / len(parts)
    return out


def _region(rgb: ByteArray, box: FloatArray, place: tuple[float, float, float, float]) -> ByteArray:
    height, width = rgb.shape[:2]
    side = max(float(box[2] - box[0]), float(box[3] - box[1]), 1.0)
    cx, cy = float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2
    x1, x2 = (int(np.clip(cx + place[k] * side, 0, width)) for k in (0, 2))
    y1, y2 = (int(np.clip(cy + place[k] * side, 0, height)) for k in (1, 3))
    return rgb[y1:y2, x1:x2]


def _histogram(region: ByteArray) -> FloatArray:
    import cv2

    if region.shape[0] < 2 or region.shape[1] < 2:
        return np.full(_BINS, 1 / _BINS, np.float32)
    small = cv2.resize(region, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV).reshape(-1, 3).astype(int)
    hue, saturation, value = hsv[:, 0] * _HUES // 180, hsv[:, 1], hsv[:, 2]
    coloured = (saturation > 40) & (value > 30)
    level = np.minimum((saturation - 40) * _SATURATIONS // 216, _SATURATIONS - 1)
    # Hue means nothing where there is little colour or light: those pixels count by brightness.
    bins = np.where(coloured, hue * _SATURATIONS + level, _HUES * _SATURATIONS + value * _GREYS // 256)
    counts = np.bincount(bins, minlength=_BINS).astype(np.float32)
    return counts / counts.sum()
