"""YuNet (Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector") through OpenCV.

Its model file is not shipped: ``face_detection_yunet_2023mar.onnx`` (MIT licence) is part of the OpenCV Zoo,
https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet. It is the tested example of a
detector that is plugged in (``engagement.faces.plugins``).
"""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from engagement.compat import quiet_opencv
from engagement.errors import WeightsError
from engagement.faces.near import look_near
from engagement.geometry import suppress
from engagement.types import ByteArray, FaceDetections, FloatArray

#: Least score of a face, and overlap (IoU) from which two are one.
_SCORE, _OVERLAP = 0.6, 0.3
#: The network knows faces up to about 300 px: a reduced picture with this shorter side shows it the larger ones.
_LARGE_PX, _REDUCED_PX = 200, 320
#: Columns of what OpenCV returns: box as x, y, width, height; five points; score.
_COLUMNS = 15


class YunetDetector:
    """Detects faces with boxes, scores and five landmarks; on the CPU.

    Args:
        weights: the model file.
        min_face_px: faces of less height are left out, source pixels.

    Raises:
        WeightsError: the file is missing or no model that OpenCV can read.
    """

    name = "yunet"

    def __init__(self, weights: Path, min_face_px: int = 24) -> None:
        import cv2

        self.min_face_px = min_face_px
        # An analysis scans and follows in different threads; OpenCV's object keeps the size of its last picture.
        self._turn = threading.Lock()
        if not weights.is_file():
            raise WeightsError(f"{weights} is no file", "Give YuNet's model file with --detector-weights.")
        try:
            with quiet_opencv():
                self._net = cv2.FaceDetectorYN.create(str(weights), "", (320, 320), _SCORE, _OVERLAP)
                # Only a first picture shows whether the file is a detector of this kind.
                self._faces(np.zeros((32, 32, 3), np.uint8))
        except cv2.error as error:
            raise WeightsError(
                f"{weights} cannot be read as YuNet's model",
                "Take face_detection_yunet_2023mar.onnx of the OpenCV Zoo.",
            ) from error

    def detect(self, rgb: ByteArray, frame_index: int = 0, time_s: float = 0.0) -> FaceDetections:
        faces = self._faces(rgb)
        height, width = rgb.shape[:2]
        if min(height, width) > 1.25 * _REDUCED_PX:
            faces = np.concatenate([faces, self._large(rgb)])
            faces = faces[suppress(_corners(faces), faces[:, 14], _OVERLAP)]
        faces = faces[faces[:, 3] >= self.min_face_px]
        return _detections(faces, frame_index, time_s)

    def refine(
        self, rgb: ByteArray, boxes_xyxy: FloatArray, frame_index: int = 0, time_s: float = 0.0
    ) -> FaceDetections:
        return look_near(
            lambda window: _detections(self._faces(window)), rgb, boxes_xyxy, frame_index, time_s
        )

    def _faces(self, rgb: ByteArray) -> FloatArray:
        """(n, 15) as OpenCV gives them, best first."""
        import cv2

        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        with self._turn:
            self._net.setInputSize((rgb.shape[1], rgb.shape[0]))
            found = self._net.detect(bgr)[1]
        faces = np.zeros((0, _COLUMNS), np.float32) if found is None else np.asarray(found, np.float32)
        return faces[np.argsort(-faces[:, 14], kind="stable")]

    def _large(self, rgb: ByteArray) -> FloatArray:
        import cv2

        scale = _REDUCED_PX / min(rgb.shape[:2])
        size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
        faces = self._faces(np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8))
        faces[:, 0:14:2] *= rgb.shape[1] / size[0]
        faces[:, 1:14:2] *= rgb.shape[0] / size[1]
        return faces[faces[:, 2:4].max(axis=1) >= _LARGE_PX]


def _corners(faces: FloatArray) -> FloatArray:
    return np.concatenate([faces[:, :2], faces[:, :2] + faces[:, 2:4]], axis=1)


def _detections(faces: FloatArray, frame_index: int = 0, time_s: float = 0.0) -> FaceDetections:
    """OpenCV's right eye is the person's, the one on the image's left: our order already."""
    points = faces[:, 4:14].reshape(-1, 5, 2)
    score = np.clip(faces[:, 14], 0, 1)
    return FaceDetections(frame_index, time_s, _corners(faces), score, points)
