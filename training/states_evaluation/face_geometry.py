"""Where the project's own detector finds the face in a data set's crop: for head pose and for `analyze`'s framing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engagement.faces.pose import head_pose
from engagement.types import FloatArray
from training import Say
from training.cache import cached_float16, key_of
from training.samples.chip_dataset import pixel_box
from training.samples.table import SampleTable, read_rgb


@dataclass(frozen=True, slots=True, eq=False)
class FoundFaces:
    """One face per picture, as the detector finds it.

    Attributes:
        box: float32 (n, 4) in fractions of the picture's width and height, as in SampleTable.
        pose_deg: float32 (n, 3) yaw, pitch, roll; zeros where nothing was found.
        found: bool (n,).
    """

    box: FloatArray
    pose_deg: FloatArray
    found: NDArray[np.bool_]


def found_faces(table: SampleTable, folder: Path, say: Say = lambda _: None) -> FoundFaces:
    """Look in every picture, padded by repeating its edge, where the data set says the face is.

    Faces that are not found keep the data set's box. Kept in ``folder``.
    """

    def look() -> dict[str, FloatArray]:
        import cv2

        from engagement.faces.mtcnn import MtcnnDetector
        from engagement.faces.options import MtcnnConfig

        detector = MtcnnDetector(MtcnnConfig(min_face_px=20))
        box, pose = table.box.astype(np.float32).copy(), np.zeros((len(table), 3), np.float32)
        found = np.zeros(len(table), np.float32)
        for i in range(len(table)):
            rgb = read_rgb(table.images[i])
            height, width = rgb.shape[:2]
            pad = max(height, width) // 2
            padded = cv2.copyMakeBorder(rgb, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
            faces = detector.refine(np.asarray(padded, np.uint8), pixel_box(table.box[i], rgb)[None] + pad)
            if len(faces.score):
                best = int(np.argmax(faces.score))
                size = np.array([width, height, width, height], np.float32)
                box[i], found[i] = (faces.boxes_xyxy[best] - pad) / size, 1
                pose[i] = head_pose(faces.landmarks_xy[best][None])[0]
            if i and i % 1000 == 0:
                say(f"{table.name}: looked for landmarks in {i} of {len(table)} pictures")
        return {"box": box, "pose": pose, "found": found}

    held = cached_float16(folder / f"{table.name}_faces_{key_of(table)}.npz", look)
    return FoundFaces(held["box"], held["pose"], held["found"] > 0.5)


def pose_block(faces: FoundFaces) -> FloatArray:
    """Yaw, pitch, roll, their sizes and whether no face was found; float32 (n, 7)."""
    return np.column_stack([faces.pose_deg, np.abs(faces.pose_deg), ~faces.found]).astype(np.float32)
