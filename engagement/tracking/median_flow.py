"""One step of following a patch of the picture: median flow.

Kalal, Mikolajczyk, Matas 2010, "Forward-Backward Error: Automatic Detection of Tracking Failures": points of
the patch are moved by optical flow (pyramidal Lucas-Kanade, by OpenCV) to the other picture and back again;
those that do not return are dropped, and the median of the others says how the patch moved. It knows when it
fails, which matters more here than how far it gets: nobody is looked at again to see whether it is right.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engagement.geometry import centres
from engagement.types import ByteArray, FloatArray

#: The patch is drawn this large, in the middle of a window three times as large; limits below are in its pixels.
_SIDE, _WINDOW = 40, 120
#: Places of the points, in sides from the middle of the box.
_GRID = np.stack(np.meshgrid(*[np.linspace(-0.4, 0.4, 7)] * 2), axis=-1).reshape(-1, 2)
#: A point that returns further away is lost; so many must be left, of 49; and they must agree.
_RETURNS, _FEWEST, _DISAGREE = 1.0, 10, 3.0
#: Points nearer together than this say nothing of the patch's size.
_APART = 8.0
_FLOW = {
    "winSize": (11, 11),
    "maxLevel": 3,
    "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03),
}


def follow_box(before: ByteArray, after: ByteArray, box: FloatArray, alike: float) -> FloatArray | None:
    """Where a box of one picture is in another a moment away, earlier or later.

    Args:
        before, after: uint8 (height, width), grey, of the same size (readers see to it).
        box: (4,) corners in pixels of ``before``.
        alike: least correlation of the patch before and after, -1 to 1.

    Returns:
        float32 (4,) in ``after``; None where that cannot be told.
    """
    side = float((box[2:] - box[:2]).max())
    middle = centres(box)
    height, width = before.shape
    if side < 1 or not (0 <= middle[0] < width and 0 <= middle[1] < height):
        return None
    scale = side / _SIDE
    first, second = _window(before, middle, scale), _window(after, middle, scale)
    start = (_WINDOW / 2 + _GRID * (box[2:] - box[:2]) / scale).astype(np.float32)[:, None]
    there, found, _ = cv2.calcOpticalFlowPyrLK(first, second, start, None, **_FLOW)  # type: ignore[call-overload]
    back, returned, _ = cv2.calcOpticalFlowPyrLK(second, first, there, None, **_FLOW)  # type: ignore[call-overload]
    kept = (found[:, 0] == 1) & (returned[:, 0] == 1)
    kept &= np.linalg.norm(back - start, axis=2)[:, 0] <= _RETURNS
    if kept.sum() < _FEWEST:
        return None
    start, there = start[kept, 0], there[kept, 0]
    shift = np.median(there - start, axis=0)
    if np.median(np.linalg.norm(there - start - shift, axis=1)) > _DISAGREE:
        return None
    if _correlation(first, second, shift) < alike:
        return None
    moved = middle + shift * scale
    half = (box[2:] - box[:2]) / 2 * _growth(start, there)
    inside = (moved >= 0).all() and moved[0] < width and moved[1] < height
    return np.concatenate([moved - half, moved + half]).astype(np.float32) if inside else None


def _window(picture: ByteArray, middle: FloatArray, scale: float) -> ByteArray:
    """The surroundings of a point, ``scale`` source pixels to one; beyond the edge the edge goes on."""
    reach = _WINDOW * scale / 2
    x, y = (int(np.floor(v)) for v in middle - reach)
    shrink = max(int(scale), 1)  # first by a whole number, over whole areas: fine detail would alias
    size = shrink * (int(np.ceil(2 * reach / shrink)) + 1)
    height, width = picture.shape
    part = picture[max(y, 0) : y + size, max(x, 0) : x + size]
    part = cv2.copyMakeBorder(
        part,
        max(-y, 0),
        max(y + size - height, 0),
        max(-x, 0),
        max(x + size - width, 0),
        cv2.BORDER_REPLICATE,
    )
    if shrink > 1:
        part = cv2.resize(part, (size // shrink, size // shrink), interpolation=cv2.INTER_AREA)
    # The middle of the window is where the point is; pixel i of a shrunk part lies at shrink * (i + 0.5) - 0.5.
    step, corner = scale / shrink, (middle - (x, y) - reach + 0.5) / shrink - 0.5
    where = np.array([[step, 0, corner[0]], [0, step, corner[1]]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(part, where, (_WINDOW, _WINDOW), flags=flags, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )


def _growth(start: FloatArray, there: FloatArray) -> float:
    """How much larger the patch became: median over pairs of points, at most a tenth either way."""
    i, j = np.triu_indices(len(start), 1)
    before = np.linalg.norm(start[i] - start[j], axis=1)
    after = np.linalg.norm(there[i] - there[j], axis=1)
    far = before > _APART
    return float(np.clip(np.median(after[far] / before[far]), 0.9, 1.1)) if far.any() else 1.0


def _correlation(first: ByteArray, second: ByteArray, shift: NDArray[np.floating]) -> float:
    """Of the patch and its place in the other window, -1 to 1; 0 for one without any contrast."""
    middle = np.array([_WINDOW, _WINDOW], np.float64) / 2
    one = cv2.getRectSubPix(first, (_SIDE, _SIDE), tuple(middle))
    other = cv2.getRectSubPix(second, (_SIDE, _SIDE), tuple(middle + shift))
    return float(cv2.matchTemplate(other, one, cv2.TM_CCOEFF_NORMED)[0, 0])
