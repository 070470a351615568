"""Faces of successive frames to tracks: two-stage assignment over predicted positions and appearance.

The two stages follow ByteTrack (Zhang et al. 2022): confident detections first, then weak ones, which
may continue a track but never begin one. Prediction is a Kalman filter with constant velocity over the
true time between frames. At a few frames per second a face may move by more than its own size, so
position alone does not decide: the face feature and the colours around the head count as well.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from engagement.errors import ConfigError
from engagement.geometry import centres, iou_matrix
from engagement.runs import LONGEST_STEPS
from engagement.tracking.appearance import colour_roots, colours_alike
from engagement.tracking.assignment import assign
from engagement.tracking.replacement import Stillness, replaced
from engagement.types import FaceDetections, FloatArray, IndexArray

#: Somebody else is in a track's place when a good crop is unlike it in face (cosine) AND in colours. Either
#: alone happens to one person who walks past a changing background, turns, or blurs: a rule fitted on people
#: who sit before a webcam broke 36 tracks of the annotated recordings into 80 (benchmarks/recall.py), so that
#: rule (replacement.py) is asked only of tracks that have been still.
_OTHER_FACE, _OTHER_COLOURS, _TRUSTED = 0.4, 0.9, 0.5
#: A face this alike is the same one further away than it was expected, by so many of its sides.
_SAME_FACE, _LONGEST_STRIDE = 0.55, 3.0
#: Steps between samples from which the usual one is told.
_STEPS = 9


@dataclass(frozen=True, slots=True)
class TrackingConfig:
    """Options of the tracker.

    Attributes:
        new_score: detector score from which a face begins a track; weaker ones only continue one.
        max_lost_s: a track that is not seen for longer ends, unless samples lie that far apart; persons join what
            belongs together.
        follow_s: a head whose face is not found is followed by its picture for so long before and after a
            sighting (``tracking.following``); 0 follows nobody.
    """

    new_score: float = 0.7
    max_lost_s: float = 1.0
    follow_s: float = 2.0

    def __post_init__(self) -> None:
        if not 0.5 <= self.new_score < 1:
            raise ConfigError(
                f"tracking.new_score {self.new_score} is not within 0.5-1",
                "Leave it out for the default, 0.7.",
            )
        if not 0 < self.max_lost_s <= 30:
            raise ConfigError(
                f"tracking.max_lost_s {self.max_lost_s} is not within 0-30 s",
                "Leave it out for the default, 1.",
            )
        # Stretches of a split video are read with a lead-in and a tail that must hold it (video.sampling).
        if not 0 <= self.follow_s <= 3:
            raise ConfigError(
                f"tracking.follow_s {self.follow_s} is not within 0-3 s",
                "Leave it out for the default, 2; 0 follows nobody.",
            )


@dataclass(frozen=True, slots=True, eq=False)
class FaceLook:
    """What n faces of one frame look like, for telling people apart; in memory only.

    Attributes:
        identity: float32 (n, d), unit length.
        colours: float32 (n, b), of hair and clothing around the head, see ``tracking.appearance``.
        quality: float32 (n,), 0-1.
    """

    identity: FloatArray
    colours: FloatArray
    quality: FloatArray


class _Track:
    """State of one track: centre and log side, with velocities; appearance as running means."""

    def __init__(self, track_id: int, time_s: float, box: FloatArray, look: FaceLook, row: int) -> None:
        self.track_id = track_id
        self.time_s = self.seen_s = time_s
        self.side = float(max(box[2] - box[0], box[3] - box[1]))
        self.state = np.concatenate([_measure(box), np.zeros(3)])
        self.spread = np.diag([0.05, 0.05, 0.02, 1.0, 1.0, 0.2])
        self.identity, self.colours = look.identity[row].copy(), look.colours[row].copy()
        self.last, self.last_colours, self.last_centre = self.identity, self.colours, self.state[:2]
        self.stillness = Stillness()
        self.size = box[2:4] - box[:2]

    def predict(self, time_s: float) -> None:
        """Move on to a time; uncertainty grows with every second."""
        step = time_s - self.time_s
        self.time_s = time_s
        move = np.eye(6)
        # Faces stop as readily as they start: the velocity fades with a time constant of half a second.
        fade = float(np.exp(-2 * step))
        move[:3, 3:] = np.eye(3) * (1 - fade) / 2
        move[3:, 3:] = np.eye(3) * fade
        self.state = move @ self.state
        self.spread = move @ self.spread @ move.T + np.diag([0.05, 0.05, 0.01, 1.0, 1.0, 0.1]) * step

    def update(self, time_s: float, box: FloatArray, look: FaceLook, row: int) -> None:
        """Correct by a detection."""
        size = max(box[2] - box[0], box[3] - box[1])
        centre = (box[:2] + box[2:4]) / 2
        shift = float(np.linalg.norm(centre - self.last_centre)) / self.side
        alike = _overlap(self.last_colours[None], look.colours[row, None]).item()
        self.stillness.take(shift, alike)
        noise = np.diag([0.004, 0.004, 0.004])
        gain = self.spread[:, :3] @ np.linalg.inv(self.spread[:3, :3] + noise)
        scaled = _measure(box) - self.state[:3]
        scaled[:2] /= self.side
        correction = gain @ scaled
        correction[[0, 1, 3, 4]] *= self.side
        self.state = self.state + correction
        self.spread = self.spread - gain @ self.spread[:3]
        self.side, self.seen_s, self.size = float(size), time_s, box[2:4] - box[:2]
        weight = 0.3 * float(look.quality[row]) + 0.02
        mixed = (1 - weight) * self.identity + weight * look.identity[row]
        self.identity = mixed / max(float(np.linalg.norm(mixed)), 1e-9)
        self.colours = 0.8 * self.colours + 0.2 * look.colours[row]
        self.last, self.last_colours = look.identity[row].copy(), look.colours[row].copy()
        self.last_centre = centre

    def box(self) -> FloatArray:
        """Where the face is expected."""
        grown = self.size * np.exp(self.state[2]) / max(float(self.size.max()), 1e-6)
        return np.concatenate([self.state[:2] - grown / 2, self.state[:2] + grown / 2]).astype(np.float32)

    def reach(self) -> float:
        """Standard deviation of the expected position, in face sides."""
        return float(np.sqrt(self.spread[0, 0]))


class FaceTracker:
    """Tracks of one video. Ids count from 0 within this object.

    Args:
        config: thresholds.
    """

    def __init__(self, config: TrackingConfig | None = None) -> None:
        self.config = config or TrackingConfig()
        self._tracks: list[_Track] = []
        self._next_id = 0
        self._last_s = -np.inf
        self._steps_s: deque[float] = deque(maxlen=_STEPS)

    def cut(self) -> None:
        """A new shot begins: all tracks end."""
        self._tracks.clear()

    def update(self, faces: FaceDetections, look: FaceLook) -> IndexArray:
        """Assign the faces of the next frame.

        Args:
            faces: n detections; frames come in order of time.
            look: what they look like, row by row.

        Returns:
            int64 (n,) track ids; -1 for a weak detection that continues nothing.
        """
        alive = self._still_alive(faces.time_s)
        for track in alive:
            track.predict(faces.time_s)
        ids = np.full(len(faces), -1, np.int64)
        strong = faces.score >= self.config.new_score
        free = list(range(len(alive)))
        for rows in (np.flatnonzero(strong), np.flatnonzero(~strong)):
            if not len(rows) or not free:
                continue
            cost = self._cost([alive[i] for i in free], faces.boxes_xyxy[rows], look, rows)
            for a, b in assign(cost):
                row = int(rows[b])
                track = alive[free[a]]
                track.update(faces.time_s, faces.boxes_xyxy[row], look, row)
                ids[row] = track.track_id
            taken = {int(i) for i in ids[ids >= 0]}
            free = [i for i in free if alive[i].track_id not in taken]
        for row in np.flatnonzero(strong & (ids < 0)):
            alive.append(_Track(self._next_id, faces.time_s, faces.boxes_xyxy[row], look, int(row)))
            ids[row] = self._next_id
            self._next_id += 1
        self._tracks = alive
        return ids

    def _still_alive(self, time_s: float) -> list[_Track]:
        """Tracks seen a short while ago; where samples lie far apart, those that the sample before showed."""
        step_s, last_s = time_s - self._last_s, self._last_s
        usual_s = float(np.median(self._steps_s)) if self._steps_s else step_s
        unbroken = step_s <= LONGEST_STEPS * usual_s
        self._last_s = time_s
        if np.isfinite(step_s):
            self._steps_s.append(step_s)
        return [
            t
            for t in self._tracks
            if time_s - t.seen_s <= self.config.max_lost_s or (unbroken and t.seen_s >= last_s)
        ]

    def _cost(self, tracks: list[_Track], boxes: FloatArray, look: FaceLook, rows: IndexArray) -> FloatArray:
        """(tracks, rows): 0 certain to 1 doubtful; infinite where it cannot be the same face."""
        expected = np.stack([t.box() for t in tracks])
        overlap = iou_matrix(expected, boxes)
        side = np.array([t.side for t in tracks])[:, None]
        centre = np.linalg.norm(centres(expected)[:, None] - centres(boxes)[None], axis=2) / side
        reach = np.array([t.reach() for t in tracks])[:, None]
        new_side = (boxes[:, 2:4] - boxes[:, :2]).max(axis=1)[None]
        growth = np.abs(np.log(np.maximum(new_side, 1) / np.maximum(side, 1)))
        far = centre / (0.35 + 1.5 * reach)
        alike = np.stack([t.identity for t in tracks]) @ look.identity[rows].T
        other_colours = 1 - _overlap(np.stack([t.colours for t in tracks]), look.colours[rows])
        position = 0.5 * (1 - overlap) + 0.5 * np.minimum(far, 1)
        cost = 0.6 * position + 0.25 * np.clip(1 - alike, 0, 1) + 0.15 * other_colours
        other = self._somebody_else(tracks, alike, boxes, look, rows)
        # Far away, or of another size: not the same face, unless it looks the same: somebody walks by.
        walks = (alike > _SAME_FACE) & (growth < 0.3) & (centre < _LONGEST_STRIDE)
        impossible = ((far > 1.6) & (overlap < 0.1) & ~walks) | (growth > 0.7) | other
        return np.where(impossible, np.inf, cost).astype(np.float32)

    def _somebody_else(
        self, tracks: list[_Track], alike: FloatArray, boxes: FloatArray, look: FaceLook, rows: IndexArray
    ) -> np.ndarray:
        """(tracks, rows): whether somebody else is here now.

        Tiles of a call change places between two samples, and so do people where a cut was not noticed. A
        track broken by mistake is mended when tracks are joined; one that runs on with somebody else is not.
        """
        # A head that turns is unlike its own past but like the sample before.
        face = np.maximum(alike, np.stack([t.last for t in tracks]) @ look.identity[rows].T)
        colours = _overlap(np.stack([t.last_colours for t in tracks]), look.colours[rows])
        trusted = (look.quality[rows] >= _TRUSTED)[None]
        other = (face < _OTHER_FACE) & (colours < _OTHER_COLOURS) & trusted
        shift = np.stack([t.last_centre for t in tracks])[:, None] - centres(boxes)[None]
        shift = np.linalg.norm(shift, axis=2) / np.array([t.side for t in tracks])[:, None]
        still = np.array([t.stillness.steady for t in tracks])
        return other | replaced(still, face, colours, shift.astype(np.float32), look.quality[rows])


def _overlap(a: FloatArray, b: FloatArray) -> FloatArray:
    """How alike colours (n, b) and (m, b) are, 0-1; what is not seen is taken to be the same."""
    return colours_alike(colour_roots(a), colour_roots(b)).astype(np.float32)


def _measure(box: FloatArray) -> FloatArray:
    side = max(float(box[2] - box[0]), float(box[3] - box[1]), 1.0)
    return np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, np.log(side)], np.float32)
