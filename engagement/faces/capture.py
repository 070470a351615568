"""Collecting faces from labelled videos: class folders and a manifest that training understands.

Each picture shows more than a chip does, so that training cuts (and shifts and turns) the same chip
again; the manifest says where in it the face box lies.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engagement.drafts import placed
from engagement.errors import ConfigError
from engagement.faces.chips import cut_chips
from engagement.faces.detector import FaceDetector
from engagement.faces.manifest import COLUMNS, DROPPED, checked_label, read_manifest, write_manifest
from engagement.faces.pose import head_pose
from engagement.faces.quality import FAULTS, QualityConfig, factors
from engagement.types import ByteArray, ChipSpec, FaceDetections, FloatArray, Frame, IndexArray

#: Side of a saved picture in units of the longer box side: room for training's shifts, turns and sizes.
MARGIN = 1.6

_INNER = ChipSpec(96, 0.9, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

#: Why a face was left out, by the fault that weighs most in its quality.
_REASONS = {
    "size_px": "faces too small to judge",
    "sharpness": "faces blurred",
    "contrast": "faces too dark, too bright or without contrast",
    "yaw_deg": "faces turned away",
    "pitch_deg": "faces looking far up or down",
    "inside": "faces cut off by the picture's edge",
}

#: Bytes that a video's name may have in those of its pictures, and to what it is shortened otherwise.
_LONGEST_NAME, _SHORTENED = 230, 150

#: Gives each face of a frame the number of its track, -1 for none.
Follow = Callable[[Frame, FaceDetections], IndexArray]


@dataclass(frozen=True, slots=True)
class CaptureConfig:
    """Options of ``engagement faces capture``.

    Attributes:
        size: pixels of a saved picture's side.
        all_faces: every face of a frame instead of the largest.
        min_face_px: longer side of the smallest face that is saved, source pixels.
        min_score: the detector's confidence from which something counts as a face, 0-1: what is saved
            teaches, so a printed face or a fist must not slip in.
        min_quality: 0-1, see ``faces.quality``.
        block_s: seconds of one source that count as one group, which training never divides.
    """

    size: int = 224
    all_faces: bool = False
    min_face_px: int = 40
    min_score: float = 0.95
    min_quality: float = QualityConfig().min_quality
    block_s: float = 2.0

    def __post_init__(self) -> None:
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


@dataclass(frozen=True, slots=True)
class Scene:
    """A stretch of a video in which everybody shows one class.

    Attributes:
        label: the class, the folder's name.
        start_s, end_s: seconds from the first frame; the end does not belong to it, None is the video's end.
        person: who it is, where known.
    """

    label: str
    start_s: float = 0.0
    end_s: float | None = None
    person: str = ""

    def __post_init__(self) -> None:
        checked_label(self.label)
        if self.start_s < 0 or (self.end_s is not None and self.end_s <= self.start_s):
            raise ConfigError(f"a stretch from {self.start_s:g} s to {self.end_s:g} s holds nothing")

    def holds(self, time_s: float) -> bool:
        """Whether a time lies in it."""
        return self.start_s <= time_s and (self.end_s is None or time_s < self.end_s)


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where the faces of a frame come from.

    Attributes:
        source, source_id: the video, see :meth:`FaceCapture.name_for`.
        group: ``source#block``, or ``source#stretch.block`` where there are several stretches.
        scene: the stretch.
    """

    source: str
    source_id: str
    group: str
    scene: Scene


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
        #: Pictures written that lie there with another label as well.
        self.twice: set[str] = set()
        #: Pictures written, by class.
        self.written: Counter[str] = Counter()
        self._rows = {row["file"]: row for row in read_manifest(folder)}
        #: Those that the video under way gave.
        self._fresh: dict[str, dict[str, str]] = {}
        #: Name of a picture -> labels that it was given before.
        self._labels: dict[str, set[str]] = {}
        for row in self._rows.values():
            self._labels.setdefault(Path(row["file"]).name, set()).add(row["label"])
        # What a review decided is not undone by capturing once more.
        dropped = read_manifest(folder / DROPPED, own=False)
        moved = [row for row in (*self._rows.values(), *dropped) if row.get("captured_label")]
        self._decided = {row["file"] for row in dropped}
        self._decided |= {f"{row['captured_label']}/{Path(row['file']).name}" for row in moved}

    def name_for(self, name: str, longer: str, source_id: str) -> str:
        """What a video is called here: ``name``, or more where another video of that name was captured before.

        Args:
            name, longer: the file's name, and the same with its folder.
            source_id: tells files of one name apart; empty when it is not known.
        """
        known = {row["source"]: row.get("source_id", "") for row in self._rows.values()}
        candidates = [name, longer, *(f"{longer} ({n})" for n in range(2, len(known) + 3))]
        # Names that read alike as parts of file names would write over each other's pictures.
        others = {_plain(source): source for source in known}

        def free(name: str) -> bool:
            if others.get(_plain(name), name) != name:
                return False
            return not source_id or known.get(name, source_id) in ("", source_id)

        return next(c for c in candidates if free(c))

    def add(
        self,
        source: str,
        scenes: Sequence[Scene],
        frames: Iterable[Frame],
        follow: Follow | None = None,
        source_id: str = "",
    ) -> int:
        """Save the faces of one video's frames.

        Args:
            source: name of the video, part of the files' names and of the groups.
            scenes: what is shown when; frames outside all of them are passed over.
            frames: those to look at, in order of time.
            follow: numbers the tracks; without it none are written.
            source_id: see :meth:`name_for`.

        Returns:
            how many pictures were written.
        """
        before = self.counts["written"]
        self._fresh = {}
        try:
            for frame in frames:
                number = _stretch(scenes, frame.time_s)
                if number is not None:
                    block = int(frame.time_s // self.config.block_s)
                    group = _group(source, scenes, number, block)
                    self._look(_Origin(source, source_id, group, scenes[number]), frame, follow)
        finally:  # also when interrupted: no picture without its row
            if self._rows:
                self._list(source, scenes)
        return self.counts["written"] - before

    def _list(self, source: str, scenes: Sequence[Scene]) -> None:
        """Bring the manifest up to date; where that fails, pictures that it does not know are taken away again."""
        fresh = {file: row for file, row in self._fresh.items() if (self.folder / file).is_file()}
        unknown = set(fresh)
        try:
            # Another capture may have written meanwhile, or somebody may have looked through the faces.
            there = {row["file"]: row for row in read_manifest(self.folder)}
            unknown -= there.keys()
            again = {file: row | _kept(there.get(file, {}), row) for file, row in fresh.items()}
            self._rows = there | again
            self._regroup(source, scenes)
            write_manifest(self.folder, self._rows.values())
        except BaseException:
            for file in unknown:
                (self.folder / file).unlink(missing_ok=True)
            raise

    def _regroup(self, source: str, scenes: Sequence[Scene]) -> None:
        """Bring faces that were captured before into the stretches and blocks of this call, which want another split.

        Those of two calls overlap: a split would put neighbouring pictures on both sides.
        """
        earlier: list[tuple[dict[str, str], float, str, str]] = []
        other = False
        for file, row in self._rows.items():
            found = re.fullmatch(rf"{re.escape(source)}#(\d+\.)?(\d+)", row["group"])
            try:
                time_s = float(row.get("time_s") or "")
            except ValueError:
                continue
            if found and row["source"] == source and file not in self._fresh:
                # Times are rounded in the manifest.
                near = [str(int((time_s + d) // self.config.block_s)) for d in (0.0, -0.001, 0.001)]
                other |= found[2] not in near
                earlier.append((row, time_s, found[1] or "", found[2]))
        for row, time_s, stretch, block in earlier:
            block = str(int(time_s // self.config.block_s)) if other else block
            number = _stretch(scenes, time_s)
            own = f"{source}#{stretch}{block}"
            group = own if number is None else _group(source, scenes, number, block)
            row |= {"group": group, "split": row.get("split", "") if row["group"] == group else ""}

    def _look(self, origin: _Origin, frame: Frame, follow: Follow | None) -> None:
        self.counts["frames"] += 1
        faces = self.detector.detect(frame.rgb, frame.index, frame.time_s)
        tracks = follow(frame, faces) if follow else np.full(len(faces), -1, np.int64)
        sure = faces.score >= self.config.min_score
        self.counts[f"detections scored below {self.config.min_score:g}"] += int((~sure).sum())
        faces, tracks = faces.take(sure), tracks[sure]
        if not len(faces):
            self.counts["frames without a face"] += 1
            return
        order = faces.by_size()[: None if self.config.all_faces else 1]
        self._save(origin, frame, faces.take(order), tracks[order])

    def _save(self, origin: _Origin, frame: Frame, faces: FaceDetections, tracks: IndexArray) -> None:
        source, scene = origin.source, origin.scene
        pose = head_pose(faces.landmarks_xy)
        pictures = cut_chips(frame.rgb, faces.boxes_xyxy, pose[:, 2], self.config.spec)
        # Quality is judged on the part that a chip shows.
        inner = cut_chips(frame.rgb, faces.boxes_xyxy, pose[:, 2], _INNER)
        faults = factors(inner, faces.boxes_xyxy, pose, frame.rgb.shape[:2])
        quality = faults.min(axis=0)
        for i in self._usable(faces, faults):
            name = f"{_plain(source)}_{frame.index:06d}_{i}.png"
            file = f"{scene.label}/{name}"
            if file in self._decided:
                self.counts["faces dropped or moved by an earlier review"] += 1
                continue
            labels = self._labels.setdefault(name, set())
            labels.add(scene.label)
            if len(labels) > 1:
                self.twice.add(file)
            box = faces.boxes_xyxy[i]
            numbers = dict(zip(("x1", "y1", "x2", "y2"), (round(float(v), 2) for v in box), strict=True))
            inside = zip(("box_x1", "box_y1", "box_x2", "box_y2"), inner_box(box), strict=True)
            row = {
                "file": file,
                "source": source,
                "source_id": origin.source_id,
                "person": scene.person,
                "time_s": round(frame.time_s, 3),
                "track": int(tracks[i]) if tracks[i] >= 0 else "",
                **numbers,
                "roll_deg": round(float(pose[i, 2]), 2),
                "detection_score": round(float(faces.score[i]), 4),
                "quality": round(float(quality[i]), 4),
                "label": scene.label,
                "group": origin.group,
                **{key: round(float(v), 5) for key, v in inside},
            }
            # First its row, then the picture: an interruption between them leaves a row, which is seen.
            self._rows[file] = self._fresh[file] = {key: str(value) for key, value in row.items()}
            _write_picture(self.folder / file, pictures[i])
            self.counts["written"] += 1
            self.written[scene.label] += 1

    def _usable(self, faces: FaceDetections, faults: FloatArray) -> IndexArray:
        size = (faces.boxes_xyxy[:, 2:] - faces.boxes_xyxy[:, :2]).max(axis=1)
        small = size < self.config.min_face_px
        poor = ~small & (faults.min(axis=0) < self.config.min_quality)
        self.counts[f"faces below {self.config.min_face_px} px"] += int(small.sum())
        for i in np.flatnonzero(poor):
            # Of equal faults the last: what is without contrast has no detail either, and is not blurred.
            worst = np.flatnonzero(faults[:, i] == faults[:, i].min())[-1]
            self.counts[_REASONS[FAULTS[int(worst)]]] += 1
        return np.flatnonzero(~small & ~poor)


def inner_box(box_xyxy: FloatArray) -> FloatArray:
    """Where the face box lies in a saved picture: (4,) corners in fractions of its side.

    The picture is centred on the box and turned until the face is upright, so the box keeps its sides.
    """
    size = np.maximum(box_xyxy[2:] - box_xyxy[:2], 1.0)
    half = size / (2 * MARGIN * size.max())
    return np.concatenate([0.5 - half, 0.5 + half]).astype(np.float32)


def _stretch(scenes: Sequence[Scene], time_s: float) -> int | None:
    """Number of the one that a moment belongs to."""
    return next((k for k, scene in enumerate(scenes) if scene.holds(time_s)), None)


def _group(source: str, scenes: Sequence[Scene], number: int, block: int | str) -> str:
    """What is never divided: a block ends where a stretch does, since the next may show somebody else."""
    return f"{source}#{f'{number}.' if len(scenes) > 1 else ''}{block}"


def _kept(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """What was decided about a face that is captured once more: its split, and who it is unless that is said now."""
    if before.get("source") != now["source"]:
        return {}
    kept = {name: value for name, value in before.items() if name not in COLUMNS}  # somebody's notes
    kept |= {"person": now["person"] or before.get("person", "")}
    return {**kept, "split": before.get("split", "")} if before["group"] == now["group"] else kept


def _write_picture(path: Path, rgb: ByteArray) -> None:
    import cv2

    done, data = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    with placed(path) as draft:  # not cv2.imwrite: it cannot write names beyond ASCII on every platform
        draft.write_bytes(data.tobytes() if done else b"")


def _plain(source: str) -> str:
    """A video's name as the beginning of a file's: the rest, and what file systems allow, leave it so many bytes."""
    plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in source)
    content = plain.encode()
    if len(content) <= _LONGEST_NAME:
        return plain
    # What it ends with tells parts of a series apart: it lives on in the digits.
    digits = hashlib.sha256(content).hexdigest()[:8]
    return f"{content[:_SHORTENED].decode(errors='ignore')}_{digits}"
