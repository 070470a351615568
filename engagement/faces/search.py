"""Faces of a recording, frame by frame: the whole picture now and then, known faces in between.

A full scan costs as much as looking again at a hundred known faces. So the picture is scanned about
every 0.6 s; in the samples between, every known face is looked for where it should be. A face that a
scan finds anew is followed backwards through the samples since the scan before, so that nobody is seen
later than with a scan of every sample (but in the last two before a cut or the end); one that vanished is
looked for where it was last, more finely than a scan does. This needs the future, as a recording has it:
up to one scan interval of frames waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from engagement.faces.detector import FaceDetector
from engagement.faces.options import SearchConfig
from engagement.geometry import centres, iou_matrix
from engagement.types import FaceDetections, FloatArray, Frame, IndexArray
from engagement.video.cuts import CutDetector

#: Frames that may wait for the next scan: bounds memory at high sample rates.
_MOST_WAITING = 8
#: Least score of a face found just where it was expected, and of one found elsewhere near by.
_IN_PLACE_SCORE, _NEAR_BY_SCORE = 0.5, 0.85
#: Largest distance in sides, and largest ratio of sizes, between a face and itself a sample later: where
#: it was expected, and then, among what is left, in a walk past the camera.
_REACHES = ((0.8, 1.7), (2.5, 1.35))
#: Known faces that are remembered; beyond, the one unseen for longest is forgotten.
_MOST_KNOWN = 128


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One sampled frame, with the faces of a scan if it was due.

    Attributes:
        faces: None when the picture was not scanned.
        new_shot: a cut lies before this frame.
    """

    frame: Frame
    faces: FaceDetections | None
    new_shot: bool


@dataclass(slots=True, eq=False)
class Sighting:
    """One sampled frame with its faces.

    Attributes:
        new_shot: a cut lies before this frame.
    """

    frame: Frame
    faces: FaceDetections
    new_shot: bool


@dataclass(slots=True, eq=False)
class _Known:
    """A face seen before: its box, its centre's velocity in pixels per second, when it was seen."""

    box: FloatArray
    velocity: FloatArray
    seen_s: float

    def at(self, time_s: float) -> FloatArray:
        """Where it is expected; motion fades, since people stop as readily as they start."""
        step = time_s - self.seen_s
        shift = self.velocity * float(np.sign(step)) * min(abs(step), 0.5) * 0.7
        return (self.box + np.tile(shift, 2)).astype(np.float32)


class FaceFinder:
    """Finds the faces of successive frames. One object for one video.

    :meth:`scan` and :meth:`find` are two stages that share nothing, so that each may have its own thread.

    Args:
        detector: scans pictures and looks again at known places.
        config: how often to scan, how long to look for who vanished.
    """

    def __init__(self, detector: FaceDetector, config: SearchConfig | None = None) -> None:
        self.detector = detector
        self.config = config or SearchConfig()
        self._known: list[_Known] = []
        self._last_s = -np.inf

    def scan(self, frames: Iterable[Frame]) -> Iterator[Scan]:
        """Every frame, those scanned that are due: the first of a shot, and one every interval.

        Args:
            frames: in order of time.
        """
        cuts = CutDetector()
        scanned, since = -1, 0
        for frame in frames:
            cut = cuts.is_cut(frame.rgb)
            # By the clock, not by the scan before: a stretch read by itself is scanned where the whole is.
            interval = int((frame.time_s + 1e-6) / max(self.config.scan_every_s, 1e-3))
            due = cut or since >= _MOST_WAITING or interval != scanned
            faces = self.detector.detect(frame.rgb, frame.index, frame.time_s) if due else None
            scanned, since = (interval, 1) if due else (scanned, since + 1)
            yield Scan(frame, faces, cut)

    def find(self, scans: Iterable[Scan]) -> Iterator[Sighting]:
        """Every frame with its faces, in order. Pictures are held for at most one scan interval."""
        waiting: list[Sighting] = []
        for scan in scans:
            if scan.new_shot:
                self._known.clear()
            if scan.faces is None:
                seen = self._look(scan.frame, self._expected(scan.frame, within_s=True))
                sighting = Sighting(scan.frame, seen, False)
                self._update(sighting)
                waiting.append(sighting)
                continue
            sighting = Sighting(scan.frame, self._completed(scan.frame, scan.faces), scan.new_shot)
            late = self._update(sighting)
            if not scan.new_shot:
                self._backwards(waiting, sighting, late)
            yield from waiting
            waiting = [sighting]
        yield from waiting

    def _completed(self, frame: Frame, faces: FaceDetections) -> FaceDetections:
        """The faces of a scan, after a closer look where a known face was not found."""
        missed = self._expected(frame, within_s=False)
        if len(missed) and len(faces):
            missed = missed[iou_matrix(missed, faces.boxes_xyxy).max(axis=1) < 0.2]
        return _together(faces, self._look(frame, missed))

    def _expected(self, frame: Frame, within_s: bool) -> FloatArray:
        """Where known faces should be, (n, 4)."""
        limit = self.config.keep_looking_s if within_s else self.config.remember_s
        boxes = [
            k.at(frame.time_s)
            for k in self._known
            # Whom the sample before showed is looked for however far apart samples lie.
            if frame.time_s - k.seen_s <= limit or k.seen_s >= self._last_s
        ]
        return np.stack(boxes) if boxes else np.zeros((0, 4), np.float32)

    def _look(self, frame: Frame, boxes: FloatArray) -> FaceDetections:
        if not len(boxes):
            return FaceDetections.none(frame.index, frame.time_s)
        found = self.detector.refine(frame.rgb, boxes, frame.index, frame.time_s)
        in_place = iou_matrix(found.boxes_xyxy, boxes).max(axis=1) >= 0.5
        return found.take(found.score >= np.where(in_place, _IN_PLACE_SCORE, _NEAR_BY_SCORE))

    def _update(self, sighting: Sighting) -> IndexArray:
        """Move the known faces on; returns the rows of faces that the sample before did not show."""
        frame, faces = sighting.frame, sighting.faces
        expected = (
            np.stack([k.at(frame.time_s) for k in self._known])
            if self._known
            else np.zeros((0, 4), np.float32)
        )
        late: list[int] = []
        kept: list[_Known] = []
        matches = _match(expected, faces.boxes_xyxy)
        last_s, self._last_s = self._last_s, frame.time_s
        for known, row in zip(self._known, matches.tolist(), strict=True):
            if row < 0:
                if frame.time_s - known.seen_s <= self.config.remember_s:
                    kept.append(known)
                continue
            if known.seen_s < last_s:
                late.append(row)
            box = faces.boxes_xyxy[row]
            step = max(frame.time_s - known.seen_s, 1e-6)
            velocity = (centres(box) - centres(known.box)) / step
            kept.append(_Known(box, ((known.velocity + velocity) / 2).astype(np.float32), frame.time_s))
        for row in sorted(set(range(len(faces))) - set(matches.tolist())):
            late.append(row)
            kept.append(_Known(faces.boxes_xyxy[row], np.zeros(2, np.float32), frame.time_s))
        kept.sort(key=lambda k: -k.seen_s)
        self._known = kept[:_MOST_KNOWN]
        return np.asarray(sorted(late), np.int64)

    def _backwards(self, waiting: list[Sighting], found: Sighting, rows: IndexArray) -> None:
        """Follow faces that a scan found back through the frames that wait."""
        following = [
            _Known(found.faces.boxes_xyxy[row], np.zeros(2, np.float32), found.frame.time_s) for row in rows
        ]
        for sighting in reversed(waiting):
            if not following:
                return
            frame, there = sighting.frame, sighting.faces.boxes_xyxy
            expected = np.stack([k.at(frame.time_s) for k in following])
            faces = self._look(frame, expected)
            if len(faces) and len(there):
                faces = faces.take(iou_matrix(faces.boxes_xyxy, there).max(axis=1) < 0.3)
            further: list[_Known] = []
            for known, row in zip(following, _match(expected, faces.boxes_xyxy).tolist(), strict=True):
                if row >= 0:
                    box = faces.boxes_xyxy[row]
                    step = max(known.seen_s - frame.time_s, 1e-6)
                    velocity = ((centres(known.box) - centres(box)) / step).astype(np.float32)
                    further.append(_Known(box, velocity, frame.time_s))
            sighting.faces = _together(sighting.faces, faces)
            following = further
            if sighting.new_shot:
                return


def _match(expected: FloatArray, found: FloatArray) -> IndexArray:
    """Row of ``found`` (n, 4) that each of ``expected`` (k, 4) is, -1 for none; the nearest pairs first."""
    out = np.full(len(expected), -1, np.int64)
    if not len(expected) or not len(found):
        return out
    side = (expected[:, 2:] - expected[:, :2]).max(axis=1)[:, None]
    other = (found[:, 2:] - found[:, :2]).max(axis=1)[None]
    distance = np.linalg.norm(centres(expected)[:, None] - centres(found)[None], axis=2) / np.maximum(side, 1)
    ratio = np.maximum(side, other) / np.maximum(np.minimum(side, other), 1)
    for farthest, largest in _REACHES:
        near = np.where((distance <= farthest) & (ratio <= largest), distance, np.inf)
        while np.isfinite(near).any():
            i, j = np.unravel_index(int(np.argmin(near)), near.shape)
            out[i] = j
            near[i, :] = near[:, j] = distance[i, :] = distance[:, j] = np.inf
    return out


def _together(faces: FaceDetections, more: FaceDetections) -> FaceDetections:
    """Both, without those of ``more`` that ``faces`` has already."""
    if len(more) and len(faces):
        more = more.take(iou_matrix(more.boxes_xyxy, faces.boxes_xyxy).max(axis=1) < 0.3)
    if not len(more):
        return faces
    return FaceDetections(
        faces.frame_index,
        faces.time_s,
        np.concatenate([faces.boxes_xyxy, more.boxes_xyxy]),
        np.concatenate([faces.score, more.score]),
        np.concatenate([faces.landmarks_xy, more.landmarks_xy]),
    )
