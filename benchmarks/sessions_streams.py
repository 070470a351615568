"""Detections of composed sessions without drawing them: clips are described once, boxes are moved.

Every clip is detected and described at every tile size and condition it is needed in, and kept as .npz in a
folder outside the project (numbers and thumbnails of a quarter of the size, for colours and scene cuts).
Composing a session of minutes then takes seconds, so that tracking and joining can be compared quickly.
What this leaves out: coding of the whole picture, and the detector's second look where a face vanished;
`benchmarks/sessions.py --render` measures both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from benchmarks.sessions_composed import Placement, Session, clip_pictures, compose, there_and_back
from engagement.classification.classifier import FaceClassifier
from engagement.faces.chips import cut_chips
from engagement.faces.mtcnn import MtcnnDetector
from engagement.faces.pose import head_pose
from engagement.faces.quality import assess
from engagement.tracking.appearance import head_colours
from engagement.tracking.persons import PersonsConfig, TrackSummary
from engagement.tracking.splitting import find_persons
from engagement.tracking.tracker import FaceLook, FaceTracker, TrackingConfig
from engagement.types import ByteArray, FaceDetections, FloatArray, IndexArray
from engagement.video.cuts import CutDetector

_SHRINK = 4  # thumbnails have a quarter of a tile's size: head_colours reduces regions as much anyway
_RATE = 5


def look_at(
    rgb: ByteArray, detector: MtcnnDetector, classifier: FaceClassifier, index: int = 0, time_s: float = 0.0
) -> tuple[FaceDetections, FaceLook]:
    """Detections of a picture and what they look like, as the pipeline computes them."""
    faces = detector.detect(rgb, index, time_s)
    pose = head_pose(faces.landmarks_xy)
    chips = [cut_chips(rgb, faces.boxes_xyxy, pose[:, 2], spec) for spec in classifier.chip_specs]
    quality = assess(chips[0], faces.boxes_xyxy, pose, (rgb.shape[0], rgb.shape[1]))
    identity = classifier.score(chips).identity
    return faces, FaceLook(identity, head_colours(rgb, faces.boxes_xyxy), quality)


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """A clip's detections at one tile size.

    Attributes:
        picture: (n,) which picture each detection is of. box (n, 4), score, quality (n,), identity (n, d).
        thumbs: uint8 (pictures, h, w, 3).
    """

    picture: IndexArray
    box: FloatArray
    score: FloatArray
    quality: FloatArray
    identity: FloatArray
    thumbs: ByteArray

    def rows(self, picture: int) -> tuple[IndexArray, int]:
        """Detections of a picture, and the one that is the clip's person (-1: none).

        The only false faces in these clips are prints on clothes: the person is the topmost.
        """
        rows = np.flatnonzero(self.picture == picture)
        return rows, int(rows[np.argmin(self.box[rows, 1])]) if len(rows) else -1


class Library:
    """Descriptions of clips, from the cache where it has them.

    Args:
        clips: one per person.
        cache: folder for .npz files; descriptions depend on the weights, whose hash is in the name.
    """

    def __init__(self, clips: Sequence[Path], cache: Path) -> None:
        self.clips, self.cache = list(clips), cache
        self._classifier, self._detector = FaceClassifier(), MtcnnDetector()
        self._weights = self._classifier.weights[0].sha256[:8]
        self._known: dict[tuple[str, tuple[int, int], str], Described] = {}

    def of(self, clip: Path, at: Placement) -> Described:
        """The clip in the tile and condition of a placement."""
        key = (clip.name, at.tile_wh, at.condition)
        if key not in self._known:
            name = f"{clip.stem}-{at.tile_wh[0]}x{at.tile_wh[1]}-{at.condition}-{self._weights}.npz"
            path = self.cache / name
            if not path.exists():
                self._describe(clip, at, path)
            with np.load(path) as stored:
                self._known[key] = Described(**{f.name: stored[f.name] for f in fields(Described)})
        return self._known[key]

    def _describe(self, clip: Path, at: Placement, path: Path) -> None:
        import cv2

        columns: dict[str, list] = {k: [] for k in ("picture", "box", "score", "quality", "identity")}
        thumbs = []
        size = (at.tile_wh[0] // _SHRINK, at.tile_wh[1] // _SHRINK)
        for number, rgb in enumerate(clip_pictures(clip, at.tile_wh, _RATE, at.condition)):
            faces, look = look_at(rgb, self._detector, self._classifier)
            thumbs.append(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
            columns["picture"] += [number] * len(faces)
            columns["box"] += list(faces.boxes_xyxy)
            columns["score"] += list(faces.score)
            columns["quality"] += list(look.quality)
            columns["identity"] += list(look.identity)
        self.cache.mkdir(parents=True, exist_ok=True)
        arrays = {"thumbs": np.stack(thumbs), **{k: np.asarray(v) for k, v in columns.items()}}
        np.savez(path, allow_pickle=False, **arrays)


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """One sample of a stream: faces, their looks, who they truly are (-1: no face), whether a cut was seen."""

    faces: FaceDetections
    look: FaceLook
    true: IndexArray
    cut: bool


def stream(session: Session, people: Sequence[Path], library: Library) -> list[Sight]:
    """The detections of a session, sample by sample."""
    cuts = CutDetector()
    return [
        _sight(session, sample, placements, people, library, cuts)
        for sample, placements in enumerate(session.samples)
    ]


def _sight(
    session: Session,
    sample: int,
    placements: list[Placement],
    people: Sequence[Path],
    library: Library,
    cuts: CutDetector,
) -> Sight:
    time_s = sample / session.rate
    boxes, score, quality, identity, true, tiles = [], [], [], [], [], []
    for order, at in enumerate(placements):
        known = library.of(people[at.person], at)
        number = there_and_back(session.picture_of(at.person, sample), len(known.thumbs))
        small = Placement(at.person, at.x // _SHRINK, at.y // _SHRINK, at.tile_wh)
        tiles.append((small, known.thumbs[number]))
        rows, own = known.rows(number)
        for row in rows.tolist():
            box = known.box[row] + np.array([at.x, at.y, at.x, at.y], np.float32)
            if not _covered(box, placements[order + 1 :]):
                boxes.append(box)
                score.append(known.score[row])
                quality.append(known.quality[row])
                identity.append(known.identity[row])
                true.append(at.person if row == own else -1)
    canvas = compose(tiles, (session.canvas_wh[0] // _SHRINK, session.canvas_wh[1] // _SHRINK))
    n = len(boxes)
    corners = np.array(boxes, np.float32).reshape(n, 4)
    look = FaceLook(
        np.stack(identity) if n else np.zeros((0, 0), np.float32),
        head_colours(canvas, (corners / _SHRINK).astype(np.float32)),
        np.array(quality, np.float32),
    )
    points = np.zeros((n, 5, 2), np.float32)
    faces = FaceDetections(sample, time_s, corners, np.array(score, np.float32), points)
    return Sight(faces, look, np.array(true, np.int64), cuts.is_cut(canvas))


def _covered(box: FloatArray, later: Iterable[Placement]) -> bool:
    """Whether tiles drawn later hide a third or more of a face."""
    area = float((box[2] - box[0]) * (box[3] - box[1]))
    for at in later:
        width = min(box[2], at.x + at.tile_wh[0]) - max(box[0], at.x)
        height = min(box[3], at.y + at.tile_wh[1]) - max(box[1], at.y)
        if width > 0 and height > 0 and width * height > area / 3:
            return True
    return False


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """Detections of a stream with what was found out about them; rows are faces that a track took.

    Attributes:
        sample, true, track, person: (n,); person -1 for nobody.
        box: (n, 4).
    """

    sample: IndexArray
    true: IndexArray
    track: IndexArray
    person: IndexArray
    box: FloatArray


def follow(
    sights: Sequence[Sight],
    tracking: TrackingConfig | None = None,
    persons: PersonsConfig | None = None,
    evidence: Sequence[str] | None = None,
) -> Followed:
    """Tracker and joining over a stream, as the pipeline runs them; evidence: see `find_persons`."""
    tracker, summaries = FaceTracker(tracking), {}
    shot = 0
    rows: list[tuple[int, int, int, FloatArray]] = []
    for sample, sight in enumerate(sights):
        if sight.cut:
            tracker.cut()
            shot += 1
        tracks = tracker.update(sight.faces, sight.look)
        for row, track in enumerate(tracks.tolist()):
            true, box = int(sight.true[row]), sight.faces.boxes_xyxy[row]
            if track < 0:
                continue
            summary = summaries.setdefault(track, TrackSummary(track, shot))
            summary.add(
                sample,
                box,
                float(sight.faces.score[row]),
                float(sight.look.quality[row]),
                sight.look.identity[row],
                sight.look.colours[row],
            )
            rows.append((sample, true, track, box))
    found = find_persons(list(summaries.values()), persons or PersonsConfig(), evidence)
    sample, true, track = (np.array([r[k] for r in rows], np.int64) for k in range(3))
    who = np.array([found.person[t] for t in found.relabel(track, sample).tolist()], np.int64)
    boxes = np.array([r[3] for r in rows], np.float32).reshape(-1, 4)
    return Followed(sample, true, track, who, boxes)
