"""A few pictures of each track for the pages: upright, frontal, sharp, spread over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engagement.faces.chips import cut_chips
from engagement.types import ByteArray, ChipSpec, FloatArray

#: A little wider than the classifier's crop: hair and shoulders help a reader to recognise somebody.
_SPEC = ChipSpec(112, 1.5, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
_PER_TRACK = 4
_APART_S = 2.0


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A square JPEG picture of a face at a time."""

    time_s: float
    jpeg: bytes
    merit: float


class ThumbnailKeeper:
    """Keeps at most a handful of small JPEGs per track, in memory."""

    def __init__(self) -> None:
        self._kept: dict[int, list[Thumbnail]] = {}

    def offer(
        self, track: int, time_s: float, rgb: ByteArray, box: FloatArray, quality: float, pose: FloatArray
    ) -> None:
        """Keep this sight if it is better than what there is, or adds another time."""
        merit = quality - (abs(float(pose[0])) + abs(float(pose[1]))) / 200
        kept = self._kept.setdefault(track, [])
        near = [t for t in kept if abs(t.time_s - time_s) < _APART_S]
        # A slightly better picture is not worth encoding again.
        if any(t.merit + 0.05 >= merit for t in near):
            return
        others = [t for t in kept if t not in near]
        if len(others) >= _PER_TRACK and min(t.merit for t in others) + 0.05 >= merit:
            return
        picture = Thumbnail(time_s, encode(rgb, box), merit)
        self._kept[track] = sorted([*others, picture], key=lambda t: -t.merit)[:_PER_TRACK]

    def adopt(self, track: int, other: ThumbnailKeeper, others_track: int) -> None:
        """Take over the pictures that another keeper has of a track; the best few stay."""
        kept = [*self._kept.get(track, []), *other._kept.get(others_track, [])]
        if kept:
            self._kept[track] = sorted(kept, key=lambda t: -t.merit)[:_PER_TRACK]

    def divide(self, track: int, time_s: float, new_track: int) -> None:
        """From a time on, a track's pictures are another track's."""
        kept = self._kept.get(track, [])
        self._kept[track] = [t for t in kept if t.time_s < time_s]
        self._kept[new_track] = [*self._kept.get(new_track, []), *(t for t in kept if t.time_s >= time_s)]

    def of(self, tracks: list[int]) -> list[Thumbnail]:
        """The best few of a person's tracks, in order of time."""
        best = sorted((t for track in tracks for t in self._kept.get(track, [])), key=lambda t: -t.merit)
        return sorted(best[:_PER_TRACK], key=lambda t: t.time_s)


def encode(rgb: ByteArray, box: FloatArray, spec: ChipSpec = _SPEC) -> bytes:
    """A square JPEG around a face; ``box`` (4,) in pixels of ``rgb``."""
    import cv2

    chip = cut_chips(rgb, box[None], np.zeros(1, np.float32), spec)[0]
    quality = [cv2.IMWRITE_JPEG_QUALITY, 80]
    return cv2.imencode(".jpg", cv2.cvtColor(chip, cv2.COLOR_RGB2BGR), quality)[1].tobytes()
