"""Faces whose picture does not change: a photograph in place of a camera, a poster, a tile or a video that hangs.

Such a face is found and scored like any other for as long as it is there, and its scores say nothing of anybody. Of
somebody alive, however still, the head moves by a hundredth of its size within seconds, and the eyes blink. In the sample
clips, coarse copies of them included, no face stayed the same for more than 2 s; stills of them, encoded anew, stay so
(``benchmarks/frozen.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engagement.geometry import iou_matrix
from engagement.types import ByteArray, FloatArray, IndexArray, TimeArray

#: The face is compared as grey cells, so many a side; less than this many pixels have nothing to compare.
_CELLS, _SMALLEST_PX = 24, 8
#: In standard deviations of the face's own grey levels: by how much its cells may differ on average, and the two in a
#: hundred that differ most, as those of an eye that shuts do. Keyframes of usual quality change a still by up to half of that.
_ON_AVERAGE, _MOST, _FEW = 0.11, 0.45, 0.02
#: Flat faces have no contrast to measure by: grey levels.
_FLAT = 4.0
#: A face elsewhere than where its picture was taken is not compared with it.
_SAME_PLACE = 0.5
#: A picture must stay for this long, ten times as long as any face in the sample clips did; for less where a track never
#: shows another, as of a photograph on a slide. And it must be looked at so often.
LEAST_S, WHOLE_TRACK_S = 20.0, 8.0
_LEAST_SAMPLES = 10
#: Coarse keyframes change a still more than eyes that shut do, every ten seconds or so. Pictures that follow each other
#: count together if each stays for this long: between them nobody has moved even once.
_HELD_S = 4.0
#: A track not seen for so many frames is forgotten.
_FORGOTTEN = 50


@dataclass(slots=True, eq=False)
class _Reference:
    """What a track's face looked like, and where: box (4,), cells (_CELLS, _CELLS) or None, frame last seen in."""

    box: FloatArray
    cells: FloatArray | None
    seen: int


class FrozenFaces:
    """Tells frame by frame which tracks still show the picture that they showed before. Keeps one small picture per track."""

    def __init__(self) -> None:
        self._references: dict[int, _Reference] = {}
        self._frame = 0

    def take(self, rgb: ByteArray, boxes: FloatArray, tracks: IndexArray) -> NDArray[np.bool_]:
        """The tracked faces of the next frame.

        Args:
            rgb: uint8 (height, width, 3). boxes: (n, 4) corners in pixels. tracks: (n,).

        Returns:
            (n,): whether the place where the track's picture was taken looks as it did. Where not, and at first, the
            picture is taken anew.
        """
        self._frame += 1
        same = np.zeros(len(tracks), bool)
        for i, track in enumerate(tracks.tolist()):
            known = self._references.get(track)
            if known is not None:
                near = iou_matrix(known.box[None], boxes[i : i + 1])[0, 0] > _SAME_PLACE
                same[i] = near and _alike(known.cells, _cells(rgb, known.box))
            if known is not None and same[i]:
                known.seen = self._frame
            else:
                box = boxes[i].copy()
                self._references[track] = _Reference(box, _cells(rgb, box), self._frame)
        for track in [t for t, r in self._references.items() if self._frame - r.seen > _FORGOTTEN]:
            del self._references[track]
        return same


def _cells(rgb: ByteArray, box: FloatArray) -> FloatArray | None:
    """Grey levels of a place around their mean, float32 (_CELLS, _CELLS); None where too little of it lies within the
    picture."""
    height, width = rgb.shape[:2]
    x1, y1, x2, y2 = np.clip(np.rint(box), 0, [width, height, width, height]).astype(int).tolist()
    if min(x2 - x1, y2 - y1) < _SMALLEST_PX:
        return None
    grey = cv2.cvtColor(np.ascontiguousarray(rgb[y1:y2, x1:x2]), cv2.COLOR_RGB2GRAY)
    cells = cv2.resize(grey, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA).astype(np.float32)
    return cells - cells.mean()


def _alike(before: FloatArray | None, now: FloatArray | None) -> bool:
    """Whether two pictures of a place differ by no more than encoding makes them; brightness as a whole aside."""
    if before is None or now is None:
        return False
    difference = np.abs(now - before) / max(float(before.std()), _FLAT)
    return bool(difference.mean() <= _ON_AVERAGE and np.quantile(difference, 1 - _FEW) <= _MOST)


def lasting(time_s: TimeArray, track: IndexArray, same: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Faces in stretches of one picture that last.

    Args:
        time_s, track, same: (n,) in order of time: when, whose, and what :meth:`FrozenFaces.take` said.

    Returns:
        (n,): whether the face lies in a stretch of 20 s or more, and of ten samples, in which its track shows one picture,
            or several for 4 s or more each; of 8 s where that is the whole track.
    """
    out = np.zeros(len(same), bool)
    if not len(same):
        return out
    order = np.argsort(track, kind="stable")
    begins = np.diff(track[order], prepend=-1) != 0
    first = np.flatnonzero(begins | ~same[order])
    held = _lengths(first, time_s[order]) >= _HELD_S
    # Of pictures that are held, the first, and each that follows one that is not; others are by themselves.
    first = first[begins[first] | ~held | ~np.append(False, held[:-1])]
    count = np.diff(first, append=len(order))
    whole = begins[first] & np.append(begins[first[1:]], True)
    long = _lengths(first, time_s[order]) >= np.where(whole, WHOLE_TRACK_S, LEAST_S)
    out[order] = np.repeat(long & (count >= _LEAST_SAMPLES), count)
    return out


def _lengths(first: IndexArray, time_s: TimeArray) -> TimeArray:
    """Seconds from the first to the last of each stretch of samples, told by the places of the first ones."""
    last = np.append(first[1:], len(time_s)) - 1
    return time_s[last] - time_s[first]
