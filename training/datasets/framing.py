"""How a data set's pictures frame the face: the box MTCNN would give, in fractions of the picture.

Cropped sets come in their own framings; a chip must show the same part of the face in training as
in ``analyze``. The numbers are medians of facenet-pytorch's MTCNN over some hundreds of training
pictures padded by edge repetition: ``python -m training.datasets.framing DATA`` prints them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from engagement.types import FloatArray

#: Data set -> x1, y1, x2, y2 in fractions of width and height.
FRAMINGS: Mapping[str, tuple[float, float, float, float]] = {
    "rafdb": (-0.02, -0.15, 0.97, 1.06),
    "fer2013": (0.11, 0.00, 0.89, 1.04),
    "fer2013_clean": (0.11, 0.00, 0.89, 1.04),
    "ferplus": (0.11, 0.00, 0.89, 1.04),
    "daisee": (0.01, 0.01, 1.03, 1.00),
    "wacv2016": (0.06, 0.02, 0.87, 1.01),
    # Crops of unknown origin: a face box as high as the picture and as wide as faces are.
    "folder": (0.11, 0.00, 0.89, 1.00),
}


def boxes_for(name: str, n: int) -> FloatArray:
    """(n, 4) equal boxes; sets without an entry count as ``folder``."""
    return np.tile(np.asarray(FRAMINGS.get(name, FRAMINGS["folder"]), np.float32), (n, 1))


def framed(name: str, given: Sequence[FloatArray | None]) -> tuple[FloatArray, tuple[str, ...]]:
    """Boxes of n pictures of which some may have their own, and what to say where only some have.

    Args:
        name: of the set, for those without.
        given: n boxes (4,) in fractions of the picture, or None.

    Returns:
        float32 (n, 4), and a sentence or none.
    """
    box = boxes_for(name, len(given))
    for i, own in enumerate(given):
        if own is not None:
            box[i] = own
    without = sum(own is None for own in given)
    if not 0 < without < len(given):
        return box, ()
    return box, (f"{without} of {len(given)} pictures have no box: their whole picture is taken as the face",)


def measure(data: str, n: int = 300) -> FloatArray:
    """Median MTCNN box over n training pictures of a data set, in fractions; float32 (4,)."""
    import cv2

    from engagement.faces.mtcnn import MtcnnConfig, MtcnnDetector
    from training.datasets.registry import load
    from training.samples import read_rgb

    detector = MtcnnDetector(MtcnnConfig(min_face_px=20))
    boxes: list[FloatArray] = []
    table = load(data).part("train")
    for i in np.random.default_rng(0).permutation(len(table))[:n]:
        rgb = read_rgb(table.images[i])
        height, width = rgb.shape[:2]
        pad = max(height, width) // 2
        padded = cv2.copyMakeBorder(rgb, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
        found = detector.detect(np.asarray(padded, np.uint8))
        if len(found.score):
            area = np.prod(found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2], axis=1)
            box = found.boxes_xyxy[int(np.argmax(area))] - pad
            boxes.append(box / np.array([width, height, width, height], np.float32))
    return np.median(np.stack(boxes), axis=0).astype(np.float32)


if __name__ == "__main__":
    import sys

    print(measure(sys.argv[1]).round(3))  # noqa: T201
