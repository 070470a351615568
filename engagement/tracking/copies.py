"""Faces that a frame shows twice: large while somebody speaks, and small in a strip of all.

Somebody who is shown twice is the same picture at every moment, but for size and encoding. Two people are not, however
alike they look: they move by themselves.
"""

from __future__ import annotations

import cv2
import numpy as np

from engagement.types import ByteArray, FloatArray

#: Cosine of face features from which two faces of a picture are compared: less speaks against one person anyway.
_COMPARED = 0.42
#: The middle of one face, as grey cells, is looked for in the surroundings of the other: boxes of the same face at two sizes
#: differ a little in place and size. Cells a side; sides of the two squares, in sides of the box.
_CELLS, _AROUND = 24, 32
_MIDDLE, _SCALES = 0.9, (1.2, 1.1, 1.3)
#: Correlation from which they are one picture, and least ratio of their sizes: people in equal tiles are never compared.
#: Chosen between copies in calls with a strip and two look-alikes who were recorded in one room (docs/results.md).
_ALIKE, _LARGER = 0.9, 1.5
#: Below this at the first size, no other size is tried.
_HOPELESS = 0.7
#: Smaller faces have nothing to compare, pixels.
_SMALLEST_PX = 16.0


def same_pictures(rgb: ByteArray, boxes: FloatArray, identity: FloatArray) -> list[tuple[int, int]]:
    """Pairs of faces of one frame, the smaller one first, that are the same picture or its mirror image.

    Args:
        rgb: uint8 (height, width, 3). boxes: (n, 4) corners in pixels. identity: (n, d), unit length.
    """
    side = (boxes[:, 2:4] - boxes[:, :2]).max(axis=1, initial=0.0)
    alike = identity @ identity.T > _COMPARED
    small, large = np.nonzero(
        alike & (side[:, None] >= _SMALLEST_PX) & (side[:, None] * _LARGER <= side[None])
    )
    pairs = zip(small.tolist(), large.tolist(), strict=True)
    return [(i, j) for i, j in pairs if _correlation(rgb, boxes[i], boxes[j]) > _ALIKE]


def _correlation(rgb: ByteArray, small: FloatArray, large: FloatArray) -> float:
    """Highest correlation of one face with the other or its mirror image, a little moved and scaled, -1 to 1."""
    middle = _grey(rgb, small, _MIDDLE, _CELLS)
    best = -1.0
    for scale in _SCALES:
        around = _grey(rgb, large, scale, _AROUND)
        for face in (middle, middle[:, ::-1]):
            found = cv2.matchTemplate(around, np.ascontiguousarray(face), cv2.TM_CCOEFF_NORMED)
            best = max(best, float(found.max()))
        if best < _HOPELESS:
            break
    return best


def _grey(rgb: ByteArray, box: FloatArray, share: float, cells: int) -> ByteArray:
    """A square around a box, so many of its sides wide, as grey cells (cells, cells); the picture's edge goes on beyond it."""
    height, width = rgb.shape[:2]
    centre, half = (box[:2] + box[2:4]) / 2, float((box[2:4] - box[:2]).max()) * share / 2
    columns, rows = (
        np.clip(np.arange(round(float(middle) - half), round(float(middle) + half)), 0, length - 1)
        for middle, length in zip(centre, (width, height), strict=True)
    )
    inside = np.ascontiguousarray(rgb[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    grey = np.asarray(cv2.cvtColor(inside, cv2.COLOR_RGB2GRAY))
    square = grey[(rows - rows[0])[:, None], columns - columns[0]]
    return np.asarray(cv2.resize(square, (cells, cells), interpolation=cv2.INTER_AREA), np.uint8)
