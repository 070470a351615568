"""Looking again near known faces with a detector that only knows whole pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engagement.geometry import suppress
from engagement.types import ByteArray, FaceDetections, FloatArray

#: Window around an expected face in its sides, and how many pixels the face gets in it: a face is found best at
#: middle size, so small ones are enlarged and large ones reduced.
_WINDOW, _FACE_PX = 3.0, 80.0
#: A face counts as the expected one up to this distance (in its sides) and this ratio of sizes.
_REACH, _RATIO = 1.0, 2.0


def look_near(
    detect: Callable[[ByteArray], FaceDetections],
    rgb: ByteArray,
    boxes_xyxy: FloatArray,
    frame_index: int = 0,
    time_s: float = 0.0,
) -> FaceDetections:
    """A ``refine`` for detectors that have none of their own: detect in a window around each guess.

    Args:
        detect: finds faces in a picture of any size.
        boxes_xyxy: (n, 4) guesses in source pixels.

    Returns:
        the best face near each guess, overlapping ones removed, best first.
    """
    import cv2

    found: list[FaceDetections] = []
    height, width = rgb.shape[:2]
    for box in np.asarray(boxes_xyxy, np.float32).reshape(-1, 4):
        side = float((box[2:] - box[:2]).max())
        centre = (box[:2] + box[2:]) / 2
        low = np.maximum(np.floor(centre - side * _WINDOW / 2), 0).astype(int)
        high = np.minimum(np.ceil(centre + side * _WINDOW / 2), (width, height)).astype(int)
        if side < 1 or (high - low < 2).any():
            continue
        window = rgb[low[1] : high[1], low[0] : high[0]]
        scale = _FACE_PX / side
        size = (max(round(window.shape[1] * scale), 1), max(round(window.shape[0] * scale), 1))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        faces = detect(np.asarray(cv2.resize(window, size, interpolation=how), np.uint8))
        back = np.array(window.shape[1::-1], np.float32) / np.array(size, np.float32)
        boxes = (faces.boxes_xyxy * np.tile(back, 2) + np.tile(low, 2)).astype(np.float32)
        sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
        distance = np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - centre, axis=1)
        here = (distance <= _REACH * side) & (sides <= _RATIO * side) & (sides * _RATIO >= side)
        if here.any():
            # The nearest, not the best: a neighbour in the window has its own guess, if it is expected.
            row = np.array([int(np.argmin(np.where(here, distance, np.inf)))])
            points = (faces.landmarks_xy * back + low).astype(np.float32)
            found.append(FaceDetections(frame_index, time_s, boxes, faces.score, points).take(row))
    if not found:
        return FaceDetections.none(frame_index, time_s)
    together = FaceDetections(
        frame_index,
        time_s,
        np.concatenate([f.boxes_xyxy for f in found]),
        np.concatenate([f.score for f in found]),
        np.concatenate([f.landmarks_xy for f in found]),
    )
    return together.take(suppress(together.boxes_xyxy, together.score, 0.4))
