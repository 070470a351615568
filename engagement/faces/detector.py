"""What a face detector is to the rest of the pipeline."""

from __future__ import annotations

from typing import Protocol

from engagement.types import ByteArray, FaceDetections, FloatArray


class FaceDetector(Protocol):
    """Finds faces in single pictures; keeps no state between calls, and may be called from two threads at once."""

    name: str

    def detect(self, rgb: ByteArray, frame_index: int = 0, time_s: float = 0.0) -> FaceDetections:
        """All faces of a picture, best first.

        Args:
            rgb: uint8 (height, width, 3).
        """
        ...

    def refine(
        self, rgb: ByteArray, boxes_xyxy: FloatArray, frame_index: int = 0, time_s: float = 0.0
    ) -> FaceDetections:
        """Look only where faces are expected.

        Args:
            boxes_xyxy: (n, 4) guesses in source pixels.

        Returns:
            the faces that are really there, at most n, overlapping ones removed.
        """
        ...
