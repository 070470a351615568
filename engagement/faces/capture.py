"""Collecting faces from labelled videos: class folders and a manifest that training understands.

Each picture shows more than a chip does, so that training cuts (and shifts and turns) the same chip
again; the manifest says where in it the face box lies.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engagement.errors import ConfigError, OutputError
from engagement.faces.chips import cut_chips
from engagement.faces.detector import FaceDetector
from engagement.faces.pose import head_pose
from engagement.faces.quality import QualityConfig, assess
from engagement.types import ChipSpec, FaceDetections, FloatArray, Frame, IndexArray

COLUMNS: tuple[str, ...] = (
    "file",
    "source",
    "time_s",
    "x1",
    "y1",
    "x2",
    "y2",
    "roll_deg",
    "detection_score",
    "quality",
    "label",
    "group",
    "box_x1",
    "box_y1",
    "box_x2",
    "box_y2",
)

#: Side of a saved picture in units of the longer box side: room for training's shifts, turns and sizes.
MARGIN = 1.6

_INNER = ChipSpec(96, 0.9, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True, slots=True)
class CaptureConfig:
    """Options of ``engagement faces capture``.

    Attributes:
        label: class of every face, the folder's name.
        size: pixels of a saved picture's side.
        all_faces: every face of a frame instead of the largest.
        min_face_px: longer side of the smallest face that is saved, source pixels.
        min_score: the detector's confidence from which something counts as a face, 0-1: what is saved
            teaches, so a printed face or a fist must not slip in.
        min_quality: 0-1, see ``faces.quality``.
        block_s: seconds of one source that count as one group, which training never divides.
    """

    label: str
    size: int = 224
    all_faces: bool = False
    min_face_px: int = 40
    min_score: float = 0.95
    min_quality: float = QualityConfig().min_quality
    block_s: float = 2.0

    def __post_init__(self) -> None:
        if not self.label or self.label != Path(self.label).name or self.label.startswith("."):
            raise ConfigError(
                f"--label '{self.label}' cannot name a folder",
                "Give a plain word, for example --label happy.",
            )
        for name, value, low, high in (
            ("--size", self.size, 64, 1024),
            ("--min-face", self.min_face_px, 12, 1000),
            ("--min-score", self.min_score, 0, 1),
            ("--min-quality", self.min_quality, 0, 1),
            ("--block", self.block_s, 0.1, 3600),
        ):
            if not low <= value <= high:
                raise ConfigError(f"{name} {value} is not within {low}-{high}")

    @property
    def spec(self) -> ChipSpec:
        """Geometry of a saved picture; the normalisation is not used."""
        return ChipSpec(self.size, MARGIN, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class FaceCapture:
    """Writes the faces of labelled videos below a folder; state: the manifest and the counts.

    Args:
        folder: class folders and ``manifest.csv``; faces that an earlier call wrote stay.
        detector: finds the faces.
    """

    def __init__(self, folder: Path, config: CaptureConfig, detector: FaceDetector) -> None:
        self.folder, self.config, self.detector = folder, config, detector
        #: What happened: frames, written, and the reasons why faces or frames gave nothing.
        self.counts: Counter[str] = Counter()
        self._rows = {row["file"]: row for row in _read(folder / "manifest.csv")}

    def add(self, source: str, frames: Iterable[Frame]) -> int:
        """Save the faces of one video's frames.

        Args:
            source: name of the video, part of the files' names and of the groups.
            frames: those to look at.

        Returns:
            how many pictures were written.
        """
        before = self.counts["written"]
        for frame in frames:
            self.counts["frames"] += 1
            faces = self.detector.detect(frame.rgb, frame.index, frame.time_s)
            sure = faces.score >= self.config.min_score
            self.counts[f"detections scored below {self.config.min_score:g}"] += int((~sure).sum())
            faces = faces.take(sure)
            if not len(faces):
                self.counts["frames without a face"] += 1
                continue
            size = faces.boxes_xyxy[:, 2:] - faces.boxes_xyxy[:, :2]
            order = np.argsort(-size.prod(axis=1), kind="stable")
            self._save(source, frame, faces.take(order if self.config.all_faces else order[:1]))
        self._write()
        return self.counts["written"] - before

    def _save(self, source: str, frame: Frame, faces: FaceDetections) -> None:
        import cv2

        pose = head_pose(faces.landmarks_xy)
        pictures = cut_chips(frame.rgb, faces.boxes_xyxy, pose[:, 2], self.config.spec)
        # Quality is judged on the part that a chip shows.
        inner = cut_chips(frame.rgb, faces.boxes_xyxy, pose[:, 2], _INNER)
        quality = assess(inner, faces.boxes_xyxy, pose, frame.rgb.shape[:2])
        for i in self._usable(faces, quality):
            name = f"{_plain(source)}_{frame.index:06d}_{i}.png"
            path = self.folder / self.config.label / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not cv2.imwrite(str(path), cv2.cvtColor(pictures[i], cv2.COLOR_RGB2BGR)):
                raise OutputError(f"{path} cannot be written", "Is there space, and may you write there?")
            file = f"{self.config.label}/{name}"
            box = faces.boxes_xyxy[i]
            values = [source, round(frame.time_s, 3), *(round(float(v), 2) for v in box)]
            values += [
                round(float(pose[i, 2]), 2),
                round(float(faces.score[i]), 4),
                round(float(quality[i]), 4),
            ]
            values += [self.config.label, f"{source}#{int(frame.time_s // self.config.block_s)}"]
            values += [round(float(v), 5) for v in inner_box(box)]
            self._rows[file] = dict(zip(COLUMNS, [file, *map(str, values)], strict=True))
            self.counts["written"] += 1

    def _usable(self, faces: FaceDetections, quality: FloatArray) -> IndexArray:
        size = (faces.boxes_xyxy[:, 2:] - faces.boxes_xyxy[:, :2]).max(axis=1)
        small = size < self.config.min_face_px
        poor = ~small & (quality < self.config.min_quality)
        self.counts[f"faces below {self.config.min_face_px} px"] += int(small.sum())
        self.counts["faces blurred, dark, turned away or cut off"] += int(poor.sum())
        return np.flatnonzero(~small & ~poor)

    def _write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "manifest.csv"
        temporary = path.with_suffix(".part")
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self._rows[name] for name in sorted(self._rows))
        temporary.replace(path)


def inner_box(box_xyxy: FloatArray) -> FloatArray:
    """Where the face box lies in a saved picture: (4,) corners in fractions of its side.

    The picture is centred on the box and turned until the face is upright, so the box keeps its sides.
    """
    size = np.maximum(box_xyxy[2:] - box_xyxy[:2], 1.0)
    half = size / (2 * MARGIN * size.max())
    return np.concatenate([0.5 - half, 0.5 + half]).astype(np.float32)


def _plain(source: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in source)


def _read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise OutputError(f"{path} is not a manifest of this program", "Choose another folder with -o.")
        return list(reader)
