"""What passes between stages: small frozen dataclasses around arrays. Depends on numpy alone.

Conventions: images are RGB, uint8, upright (displayed orientation); coordinates are source pixels
of that orientation, x to the right, y down; times are float64 seconds of presentation time counted
from the first frame of the video stream; probabilities are 0-1.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Floats = NDArray[np.float64]  # within computations; what is kept is a FloatArray
TimeArray = NDArray[np.float64]
ByteArray = NDArray[np.uint8]
IndexArray = NDArray[np.int64]


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise ValueError(message)


#: MTCNN's first network sees this many pixels: no smaller face can be found.
SMALLEST_PX = 12


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Facts about a video stream, from its container.

    Attributes:
        path: the file.
        width, height: pixels of the displayed orientation (rotation applied).
        rotation_deg: clockwise rotation that was applied for display, before mirroring: 0, 90, 180 or 270.
        duration_s: what the container declares, None when it does not.
        codec: name of the video codec.
        backend: which reader decodes it.
        pixel_aspect: width of a displayed pixel over its height; pictures are given as they are stored. 1 where the
            container, or the reader, does not say.
        unread: further streams of moving pictures in the file, which are not read, by FFmpeg's index; empty where the reader
            does not say.
    """

    path: Path
    width: int
    height: int
    rotation_deg: int
    duration_s: float | None
    codec: str
    backend: str
    pixel_aspect: float = 1.0
    unread: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """A stretch of a video that is analysed by itself.

    Attributes:
        start_s, end_s: seconds from the first frame; the end does not belong to it, None is the video's end.
    """

    start_s: float
    end_s: float | None

    def __post_init__(self) -> None:
        _require(self.start_s >= 0, f"a span starts at {self.start_s} s")
        _require(self.end_s is None or self.end_s > self.start_s, f"a span ends at {self.end_s} s")


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded frame.

    Attributes:
        index: position in the stream, counted from 0 over every decoded frame.
        time_s: presentation time in seconds from the first frame.
        rgb: uint8 (height, width, 3), displayed orientation.
    """

    index: int
    time_s: float
    rgb: ByteArray

    def __post_init__(self) -> None:
        _require(self.rgb.ndim == 3 and self.rgb.shape[2] == 3, f"rgb has shape {self.rgb.shape}")
        _require(self.rgb.dtype == np.uint8, f"rgb has dtype {self.rgb.dtype}")

    def __repr__(self) -> str:
        return f"Frame(index={self.index}, time_s={self.time_s:.3f}, rgb={self.rgb.shape})"


@dataclass(frozen=True, slots=True, eq=False)
class FaceDetections:
    """Faces of one frame; zero rows are legal.

    Attributes:
        frame_index, time_s: which frame.
        boxes_xyxy: float32 (n, 4), corners in source pixels; may leave the frame.
        score: float32 (n,), the detector's confidence 0-1.
        landmarks_xy: float32 (n, 5, 2): the eye that is left in the image, the right eye, nose tip,
            left and right corner of the mouth.
    """

    frame_index: int
    time_s: float
    boxes_xyxy: FloatArray
    score: FloatArray
    landmarks_xy: FloatArray

    def __post_init__(self) -> None:
        n = len(self.score)
        _require(self.boxes_xyxy.shape == (n, 4), f"boxes {self.boxes_xyxy.shape} for {n} scores")
        _require(self.landmarks_xy.shape == (n, 5, 2), f"landmarks {self.landmarks_xy.shape} for {n} scores")

    def __len__(self) -> int:
        return len(self.score)

    def __repr__(self) -> str:
        return f"FaceDetections(frame_index={self.frame_index}, n={len(self)})"

    def take(self, rows: NDArray[np.bool_] | IndexArray) -> FaceDetections:
        """The given rows (indices or mask), in that order."""
        return FaceDetections(
            self.frame_index, self.time_s, self.boxes_xyxy[rows], self.score[rows], self.landmarks_xy[rows]
        )

    def by_size(self) -> IndexArray:
        """Rows, the face with the largest box first; of equal ones the surer."""
        size = self.boxes_xyxy[:, 2:] - self.boxes_xyxy[:, :2]
        return np.argsort(-size.prod(axis=1), kind="stable")

    @classmethod
    def none(cls, frame_index: int, time_s: float) -> FaceDetections:
        """A frame without a face."""
        return cls(
            frame_index,
            time_s,
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            np.zeros((0, 5, 2), np.float32),
        )


@dataclass(frozen=True, slots=True)
class ChipSpec:
    """Geometry and normalisation of a face chip; it travels with the weights.

    Attributes:
        size: pixels of the square chip's side.
        margin: chip side in units of the longer side of the face box.
        mean, std: per RGB channel, of values 0-1.
        equalize: whether light is evened out first.
    """

    size: int
    margin: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    equalize: bool = False

    def to_dict(self) -> dict[str, object]:
        plain = {"size": self.size, "margin": self.margin, "mean": list(self.mean), "std": list(self.std)}
        return {**plain, "equalize": True} if self.equalize else plain

    @classmethod
    def from_dict(cls, data: dict[str, object]) -> ChipSpec:
        mean, std = data["mean"], data["std"]
        assert isinstance(mean, list | tuple) and isinstance(std, list | tuple)
        return cls(
            int(str(data["size"])),
            float(str(data["margin"])),
            (float(mean[0]), float(mean[1]), float(mean[2])),
            (float(std[0]), float(std[1]), float(std[2])),
            bool(data.get("equalize", False)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class FaceScores:
    """What the classifier says of n faces, before smoothing.

    Attributes:
        expression_prob: float32 (n, 7), sums to 1 along the last axis; order of EXPRESSIONS.
        state_prob: float32 (n, 3), each 0-1 under a balanced prior; order of LEARNER_STATES.
        identity: float32 (n, d), unit length; compare by cosine. In memory only.
        extra: further heads of the checkpoint, name -> (n, classes).
    """

    expression_prob: FloatArray
    state_prob: FloatArray
    identity: FloatArray
    extra: dict[str, FloatArray]

    def __repr__(self) -> str:
        return f"FaceScores(n={len(self.expression_prob)})"

    def take(self, rows: IndexArray) -> FaceScores:
        """The given rows, in that order."""
        extra = {name: prob[rows] for name, prob in self.extra.items()}
        return FaceScores(self.expression_prob[rows], self.state_prob[rows], self.identity[rows], extra)
