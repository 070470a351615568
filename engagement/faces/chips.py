"""Face chips: the one place that cuts and normalises faces, for training and for inference.

A chip is an upright square around the face box: side = longer box side x margin, centred on the
box, turned by the face's roll so that the eyes are level, padded by repeating the frame's edge
instead of clamping, and with one scale for x and y (a circle stays a circle).
"""

from __future__ import annotations

import numpy as np

from engagement.types import ByteArray, ChipSpec, FloatArray


def chip_matrix(box_xyxy: FloatArray, roll_deg: float, spec: ChipSpec) -> FloatArray:
    """The 2x3 similarity that maps source pixels to chip pixels.

    Pixel coordinates name pixel corners: the picture's top left corner is (0, 0) and the centre of
    the first pixel (0.5, 0.5).

    Args:
        box_xyxy: (4,) corners in source pixels.
        roll_deg: clockwise tilt of the face in the image, undone in the chip.
    """
    x1, y1, x2, y2 = (float(v) for v in box_xyxy)
    side = max(x2 - x1, y2 - y1, 1.0) * spec.margin
    scale = spec.size / side
    angle = np.deg2rad(roll_deg)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
    half = spec.size / 2
    return np.array(
        [[cos, sin, half - cos * cx - sin * cy], [-sin, cos, half + sin * cx - cos * cy]], np.float32
    )


def cut_chips(rgb: ByteArray, boxes_xyxy: FloatArray, roll_deg: FloatArray, spec: ChipSpec) -> ByteArray:
    """Cut n faces out of one picture.

    Args:
        rgb: uint8 (height, width, 3).
        boxes_xyxy: (n, 4) corners in pixels of ``rgb``; may leave the picture.
        roll_deg: (n,) clockwise tilt to undo.

    Returns:
        uint8 (n, size, size, 3).
    """
    import cv2

    chips = np.empty((len(boxes_xyxy), spec.size, spec.size, 3), np.uint8)
    for i, (box, roll) in enumerate(zip(boxes_xyxy, roll_deg, strict=True)):
        matrix = chip_matrix(box, float(roll), spec)
        scale = float(np.hypot(matrix[0, 0], matrix[0, 1]))
        source, matrix = _shrunk(rgb, matrix, scale, box, spec)
        # OpenCV's coordinates name pixel centres; ours name corners.
        matrix[:, 2] += 0.5 * (matrix[:, 0] + matrix[:, 1]) - 0.5
        chips[i] = cv2.warpAffine(
            source,
            matrix,
            (spec.size, spec.size),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return chips


def _shrunk(
    rgb: ByteArray, matrix: FloatArray, scale: float, box: FloatArray, spec: ChipSpec
) -> tuple[ByteArray, FloatArray]:
    """For large faces: the neighbourhood reduced by area averaging, so that the warp does not alias.

    Bilinear sampling sees only four source pixels; below half scale it would skip most of them.
    """
    if scale > 0.5:
        return rgb, matrix
    import cv2

    reach = spec.size / scale * 0.75  # half diagonal of the turned square, and a little
    height, width = rgb.shape[:2]
    cx, cy = float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2
    x1, x2 = (int(np.clip(v, 0, width)) for v in (cx - reach, cx + reach + 1))
    y1, y2 = (int(np.clip(v, 0, height)) for v in (cy - reach, cy + reach + 1))
    if x2 - x1 < 2 or y2 - y1 < 2:
        return rgb, matrix
    factor = int(1 / scale)
    small_w, small_h = max(1, (x2 - x1) // factor), max(1, (y2 - y1) // factor)
    small = cv2.resize(rgb[y1:y2, x1:x2], (small_w, small_h), interpolation=cv2.INTER_AREA)
    # small -> source: x = x_small * sx + x1, so the matrix is composed with that map.
    sx, sy = (x2 - x1) / small_w, (y2 - y1) / small_h
    linear = matrix[:, :2] * np.array([sx, sy], np.float32)
    shift = matrix[:, 2] + matrix[:, :2] @ np.array([x1, y1], np.float32)
    return np.asarray(small, np.uint8), np.column_stack([linear, shift]).astype(np.float32)


def normalize_chips(chips: ByteArray, spec: ChipSpec) -> FloatArray:
    """Chips as network input.

    Args:
        chips: uint8 (n, size, size, 3).

    Returns:
        float32 (n, 3, size, size), standardised with the spec's mean and std.
    """
    if spec.equalize and len(chips):
        chips = np.stack([_equalized(chip) for chip in chips])
    scaled = chips.astype(np.float32) / np.float32(255)
    normal = (scaled - np.asarray(spec.mean, np.float32)) / np.asarray(spec.std, np.float32)
    return np.ascontiguousarray(normal.transpose(0, 3, 1, 2))


def plain_chips(values: FloatArray, spec: ChipSpec) -> ByteArray:
    """Network input as chips again, rounded to 8 bits: undoes :func:`normalize_chips`, but for evened light.

    Args:
        values: float32 (n, 3, size, size); mixtures of faces are legal.

    Returns:
        uint8 (n, size, size, 3).
    """
    scaled = values.transpose(0, 2, 3, 1) * np.asarray(spec.std, np.float32) + np.asarray(
        spec.mean, np.float32
    )
    return np.clip(np.rint(scaled * 255), 0, 255).astype(np.uint8)


def resized_chips(chips: ByteArray, size: int) -> ByteArray:
    """Chips of another side: uint8 (n, size, size, 3)."""
    import cv2

    if chips.shape[1] == size:
        return chips
    how = cv2.INTER_AREA if size < chips.shape[1] else cv2.INTER_LINEAR
    resized = [cv2.resize(chip, (size, size), interpolation=how) for chip in chips]
    return np.asarray(resized, np.uint8).reshape(len(chips), size, size, 3)


def _equalized(chip: ByteArray) -> ByteArray:
    """The chip with its lightness evened out in parts (CLAHE; Zuiderveld 1994): side light and dim rooms differ less."""
    import cv2

    lab = cv2.cvtColor(chip, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(4, 4)).apply(lab[..., 0])
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)
