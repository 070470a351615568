"""Options of the detector, apart from the networks so that reading them imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from engagement.errors import ConfigError
from engagement.types import SMALLEST_PX
from engagement.weights.store import short_digest


@dataclass(frozen=True, slots=True)
class MtcnnConfig:
    """Options of the detector.

    Attributes:
        min_face_px: smallest face that is searched for, source pixels.
        thresholds: least face probability after each of the three networks.
        factor: ratio between the sizes of the picture pyramid.
    """

    min_face_px: int = 24
    thresholds: tuple[float, float, float] = (0.7, 0.7, 0.7)
    factor: float = 0.709

    def __post_init__(self) -> None:
        if not SMALLEST_PX <= self.min_face_px <= 1000:
            raise ConfigError(
                f"--min-face {self.min_face_px} is not within {SMALLEST_PX}-1000 pixels",
                f"MTCNN sees nothing below {SMALLEST_PX} px; 24 suits the back rows of a 720p recording.",
            )


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """Which detector finds the faces.

    Attributes:
        name: ``mtcnn``, ``yunet``, or one that another package plugs in (see ``engagement.faces.plugins``).
        weights: path of its model file, None for a detector that brings its own.
        weights_sha256: first 16 digits of that file's hash, see ``short_digest``.
    """

    name: str = "mtcnn"
    weights: str | None = None
    weights_sha256: str | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.name == "mtcnn" and self.weights is not None:
            raise ConfigError(
                f"--detector-weights {self.weights} is given, but mtcnn brings its own",
                "Leave it out, or choose the --detector that it belongs to, for example yunet.",
            )
        if self.name == "yunet" and self.weights is None:
            raise ConfigError(
                "--detector yunet needs its model file",
                "Give it with --detector-weights; face_detection_yunet_2023mar.onnx is in the OpenCV Zoo.",
            )
        if self.weights is not None:
            object.__setattr__(self, "weights_sha256", short_digest("--detector-weights", self.weights))


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """How the faces of a recording are searched for (see ``engagement.faces.search``).

    Attributes:
        scan_every_s: seconds between scans of the whole picture; 0 scans every sample.
        keep_looking_s: a face that vanished is looked for in its place for so long, in every sample. Not long:
            one that comes back is met by the next scan and followed back to where it reappeared.
        remember_s: and for so long whenever the picture is scanned.
    """

    scan_every_s: float = 0.6
    keep_looking_s: float = 0.5
    remember_s: float = 30.0

    def __post_init__(self) -> None:
        if not 0 <= self.scan_every_s <= 10:
            raise ConfigError(
                f"--scan-every {self.scan_every_s} is not within 0-10 s",
                "0 scans every sample, which takes several times as long; the default is 0.6.",
            )
