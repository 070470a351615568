"""Is a face crop good enough to say anything about? 0 is useless, 1 is good; the worst fault decides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engagement.errors import ConfigError
from engagement.types import ByteArray, FloatArray

#: Fault -> (value where a crop is useless, value where that fault no longer matters).
_LIMITS = {
    "size_px": (14.0, 32.0),  # longer side of the box, source pixels
    "sharpness": (0.015, 0.08),  # see sharpness()
    "contrast": (4.0, 10.0),  # standard deviation of grey levels
    "yaw_deg": (75.0, 35.0),
    "pitch_deg": (55.0, 25.0),
    "inside": (0.55, 0.85),  # share of the box that lies in the picture
}
#: Faults by name, in the order of `factors`.
FAULTS = tuple(_LIMITS)
_SIDE = 48  # sharpness is measured at one size, so that it does not depend on the chip's


@dataclass(frozen=True, slots=True)
class QualityConfig:
    """Options of the quality rule.

    Attributes:
        min_quality: below it a sample is shown as low quality and left out of every claim.
    """

    min_quality: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.min_quality <= 1:
            raise ConfigError(f"--min-quality {self.min_quality} is not within 0-1", "0 keeps every sample.")


def sharpness(chips: ByteArray) -> FloatArray:
    """Fine detail relative to contrast: variance of the Laplacian over variance, at 48 px; (n,), from 0."""
    import cv2

    out = np.zeros(len(chips), np.float32)
    for i, chip in enumerate(chips):
        grey = cv2.resize(
            cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA
        )
        values = grey.astype(np.float32)
        # The constant keeps sensor noise on a flat crop from passing for detail.
        out[i] = cv2.Laplacian(values, cv2.CV_32F).var() / (values.var() + 30.0)
    return out


def assess(
    chips: ByteArray, boxes_xyxy: FloatArray, pose_deg: FloatArray, frame_hw: tuple[int, int]
) -> FloatArray:
    """Usability of n crops of one picture.

    Args:
        chips: uint8 (n, S, S, 3). boxes_xyxy: (n, 4). pose_deg: (n, 3) yaw, pitch, roll.
        frame_hw: height and width of the picture.

    Returns:
        float32 (n,), 0-1.
    """
    return factors(chips, boxes_xyxy, pose_deg, frame_hw).min(axis=0)


def factors(
    chips: ByteArray, boxes_xyxy: FloatArray, pose_deg: FloatArray, frame_hw: tuple[int, int]
) -> FloatArray:
    """What :func:`assess` takes the least of: float32 (faults, n), 0-1, rows in the order of FAULTS."""
    if not len(chips):
        return np.zeros((len(_LIMITS), 0), np.float32)
    size = boxes_xyxy[:, 2:4] - boxes_xyxy[:, :2]
    low = np.maximum(boxes_xyxy[:, :2], 0)
    high = np.minimum(boxes_xyxy[:, 2:4], np.array([frame_hw[1], frame_hw[0]], np.float32))
    inside = np.clip(high - low, 0, None).prod(axis=1) / np.maximum(size.prod(axis=1), 1e-6)
    values = {
        "size_px": size.max(axis=1),
        "sharpness": sharpness(chips),
        "contrast": chips.mean(axis=3).reshape(len(chips), -1).std(axis=1),
        "yaw_deg": np.abs(pose_deg[:, 0]),
        "pitch_deg": np.abs(pose_deg[:, 1]),
        "inside": inside,
    }
    return np.stack(
        [
            np.clip((values[name] - useless) / (fine - useless), 0, 1)
            for name, (useless, fine) in _LIMITS.items()
        ]
    ).astype(np.float32)
