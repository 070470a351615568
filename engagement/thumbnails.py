"""A few pictures of each track for the pages: upright, frontal, sharp, spread over time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from engagement.faces.chips import cut_chips
from engagement.types import ByteArray, ChipSpec, FloatArray

#: A little wider than the classifier's crop: hair and shoulders help a reader to recognise somebody.
_SPEC = ChipSpec(112, 1.5, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
_PER_PERSON = 4
#: Of each track the best of so many stretches is held, which are this long at first.
_HELD, _APART_S = 8, 2.0


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A square JPEG picture of a face at a time."""

    time_s: float
    jpeg: bytes
    merit: float


@dataclass(slots=True, eq=False)
class _Held:
    """Pictures of a track: the best one of each ``apart_s`` seconds, in order of time."""

    apart_s: float = _APART_S
    by_time: dict[int, Thumbnail] = field(default_factory=dict)

    def put(self, picture: Thumbnail) -> None:
        """Hold a picture; where there are too many, stretches become twice as long and the better of two stays."""
        place = int(picture.time_s // self.apart_s)
        there = self.by_time.get(place)
        if there is None or picture.merit > there.merit:
            self.by_time[place] = picture
        if len(self.by_time) > _HELD:
            self.widen(2 * self.apart_s)

    def widen(self, apart_s: float) -> None:
        """Hold the best of each so many seconds."""
        held, self.apart_s, self.by_time = sorted(self.by_time.items()), apart_s, {}
        for _, picture in held:
            self.put(picture)


class ThumbnailKeeper:
    """Keeps a handful of small JPEGs per track, in memory, from all over its time."""

    def __init__(self) -> None:
        self._held: dict[int, _Held] = {}

    def offer(
        self, track: int, time_s: float, rgb: ByteArray, box: FloatArray, quality: float, pose: FloatArray
    ) -> None:
        """Keep this sight if it is better than what there is of its time."""
        merit = quality - (abs(float(pose[0])) + abs(float(pose[1]))) / 200
        held = self._held.setdefault(track, _Held())
        there = held.by_time.get(int(time_s // held.apart_s))
        # A slightly better picture is not worth encoding again.
        if there is None or merit > there.merit + 0.05:
            held.put(Thumbnail(time_s, encode(rgb, box), merit))

    def adopt(self, track: int, other: ThumbnailKeeper, others_track: int) -> None:
        """Take over the pictures that another keeper has of a track."""
        theirs = other._held.get(others_track, _Held())
        ours = self._held.setdefault(track, _Held())
        ours.widen(max(ours.apart_s, theirs.apart_s))
        for _, picture in sorted(theirs.by_time.items()):
            ours.put(picture)

    def divide(self, track: int, time_s: float, new_track: int) -> None:
        """From a time on, a track's pictures are another track's."""
        held = self._held.get(track, _Held())
        later = self._held.setdefault(new_track, _Held(held.apart_s))
        for place, picture in sorted(held.by_time.items()):
            if picture.time_s >= time_s:
                del held.by_time[place]
                later.put(picture)

    def of(self, tracks: list[int]) -> list[Thumbnail]:
        """The best of each quarter of the time in which a person's tracks have pictures, in order of time."""
        there = [p for track in tracks for p in self._held.get(track, _Held()).by_time.values()]
        if not there:
            return []
        begin, end = min(p.time_s for p in there), max(p.time_s for p in there)
        best: dict[int, Thumbnail] = {}
        for picture in sorted(there, key=lambda p: (-p.merit, p.time_s)):
            share = (picture.time_s - begin) / (end - begin) if end > begin else 0.0
            best.setdefault(min(int(share * _PER_PERSON), _PER_PERSON - 1), picture)
        return sorted(best.values(), key=lambda p: p.time_s)


def encode(rgb: ByteArray, box: FloatArray, spec: ChipSpec = _SPEC) -> bytes:
    """A square JPEG around a face; ``box`` (4,) in pixels of ``rgb``."""
    import cv2

    chip = cut_chips(rgb, box[None], np.zeros(1, np.float32), spec)[0]
    quality = [cv2.IMWRITE_JPEG_QUALITY, 80]
    return cv2.imencode(".jpg", cv2.cvtColor(chip, cv2.COLOR_RGB2BGR), quality)[1].tobytes()
