"""Heads between sightings: where somebody was whose face could not be found.

A face that is bowed, turned away or blurred for a moment is found by no detector, but its owner is still
there. From the sighting before and the one after, the head is followed by its picture alone, for a short
time. What is followed has a place and nothing else: no score, no quality, no part in who is who.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engagement.followed import FOLLOWED, TAKEN
from engagement.geometry import iou_matrix
from engagement.tracking.median_flow import follow_box
from engagement.types import ByteArray, FloatArray, Frame, IndexArray

#: Pictures kept to follow somebody back who was found late: bounds memory at high sample rates.
_MOST_PICTURES = 12
#: Larger pictures are halved: a head of a few pixels less is followed as well, in a quarter of the memory.
_LARGEST = 1920
#: A picture in which nobody can be followed, such as a blurred one, is passed over for so long.
_BLUR_S = 0.4
#: Least correlation of a head from picture to picture: one that turns keeps it, a chair that was left does not. A
#: blur or somebody before the lens looks like a cut, with everybody in place after it; then it must be clearer.
_ALIKE, _ALIKE_AFTER_CUT = 0.5, 0.8
_SLACK_S = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    """A grey picture with the faces that were found in it.

    Attributes:
        shot: how many cuts lie before it.
        halved: how many source pixels are one of its pixels.
        boxes: (n, 4) in source pixels. tracks: (n,).
    """

    sample: int
    time_s: float
    shot: int
    grey: ByteArray
    halved: int
    boxes: FloatArray
    tracks: IndexArray

    @classmethod
    def of(cls, sample: int, shot: int, frame: Frame, boxes: FloatArray, tracks: IndexArray) -> _Picture:
        grey = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY)
        halved = 1
        while max(grey.shape) > _LARGEST:
            grey = cv2.resize(grey, (grey.shape[1] // 2, grey.shape[0] // 2), interpolation=cv2.INTER_AREA)
            halved *= 2
        return cls(sample, frame.time_s, shot, np.asarray(grey, np.uint8), halved, boxes, tracks)


@dataclass(slots=True, eq=False)
class _Head:
    """Somebody who is being followed: where it was last, and when its face was found."""

    track: int
    picture: _Picture
    box: FloatArray
    seen_s: float
    done: bool = False


class FaceFollower:
    """Follows the heads of one video, both ways in time. Frames come in order of time.

    Args:
        follow_s: longest time from a sighting, seconds; 0 follows nobody.
    """

    def __init__(self, follow_s: float) -> None:
        self.follow_s = follow_s
        self._before: deque[_Picture] = deque(maxlen=_MOST_PICTURES)
        self._lost: dict[int, _Head] = {}
        self._shot = 0

    def cut(self) -> None:
        """A new shot begins, or what looks like one."""
        self._shot += 1

    def take(self, sample: int, frame: Frame, boxes: FloatArray, tracks: IndexArray) -> NDArray[np.void]:
        """The next frame, with the faces that were found.

        Args:
            boxes: (n, 4). tracks: (n,) whose they are.

        Returns:
            rows of FOLLOWED, owned by tracks, of this sample and earlier ones.
        """
        if not self.follow_s:
            return np.zeros(0, FOLLOWED)
        now = _Picture.of(sample, self._shot, frame, boxes, tracks)
        rows: list[tuple[int, int, float, FloatArray]] = []
        seen = set(tracks.tolist())
        last = self._before[-1] if self._before else now
        there = dict(zip(last.tracks.tolist(), last.boxes, strict=True)) if last is not now else {}
        for track, box in there.items():
            if track not in seen:
                self._lost[track] = _Head(track, last, box, last.time_s)
        self._lost = {track: head for track, head in self._lost.items() if track not in seen}
        for head in self._lost.values():
            self._step(head, now, rows)
        self._lost = {track: head for track, head in self._lost.items() if not head.done}
        for track, box in zip(tracks.tolist(), boxes, strict=True):
            if track not in there:
                self._back(_Head(track, now, box, now.time_s), rows)
        self._before.append(now)
        return np.array(rows, FOLLOWED)

    def _back(self, head: _Head, rows: list[tuple[int, int, float, FloatArray]]) -> None:
        for picture in reversed(self._before):
            if head.track in picture.tracks:
                return
            self._step(head, picture, rows)
            if head.done:
                return

    def _step(self, head: _Head, to: _Picture, rows: list[tuple[int, int, float, FloatArray]]) -> None:
        away_s = abs(to.time_s - head.seen_s)
        if away_s > self.follow_s + _SLACK_S:
            head.done = True
            return
        alike = _ALIKE if head.picture.shot == to.shot else _ALIKE_AFTER_CUT
        box = follow_box(head.picture.grey, to.grey, head.box / np.float32(to.halved), alike)
        if box is None:
            head.done = abs(to.time_s - head.picture.time_s) > _BLUR_S + _SLACK_S
            return
        head.picture, head.box = to, box * to.halved
        rows.append((to.sample, head.track, away_s, head.box))
        # Whether that face is a person's or a scrap that will be nobody's is not known yet: see settle.
        head.done = bool(len(to.boxes)) and iou_matrix(head.box[None], to.boxes).max() > TAKEN
