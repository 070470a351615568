"""Sessions composed of single-person clips: who is who and where is known exactly.

A session is a list of samples, each a list of placements: which person, which picture of their clip, where
on the canvas. `render` draws it as a video; `benchmarks/sessions_streams.py` composes detections from it
without drawing. `benchmarks/sessions_scenarios.py` says what happens in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from engagement.types import ByteArray
from engagement.video import open_video
from engagement.video.sampling import select

BACKGROUND = 30  # grey level of an empty canvas
#: Tile sizes by the number of columns of a gallery on a canvas of 1280 x 720.
TILES = {1: (640, 360), 2: (640, 360), 3: (426, 240), 4: (320, 180)}
CANVAS = (1280, 720)


@dataclass(frozen=True, slots=True)
class Placement:
    """One person's tile in one sample.

    Attributes:
        person: index into the session's people.
        x, y: corner of the tile on the canvas, pixels; may lie outside.
        tile_wh: its size.
        condition: how it is lit, coded or framed: plain, dim, compressed or cropped.
    """

    person: int
    x: int
    y: int
    tile_wh: tuple[int, int]
    condition: str = "plain"


@dataclass(frozen=True, slots=True)
class Session:
    """A composed recording.

    Attributes:
        name: of the scenario.
        people: how many there are; a placement counts them from 0.
        samples: one list of placements per sample, drawn in order, so later ones cover earlier ones.
        canvas_wh: pixels.
        rate: samples per second; the drawn video has this frame rate.
        start: (people,) picture of their clip with which each begins.
    """

    name: str
    people: int
    samples: list[list[Placement]]
    canvas_wh: tuple[int, int] = CANVAS
    rate: int = 5
    start: tuple[int, ...] = field(default=())

    def picture_of(self, person: int, sample: int) -> int:
        """Picture of the person's clip at a sample: it runs on while they are hidden."""
        return sample + (self.start[person] if self.start else 0)


def there_and_back(number: int, length: int) -> int:
    """Index of the picture when a clip of ``length`` is played forwards and backwards for ever."""
    if length < 2:
        return 0
    at = number % (2 * length - 2)
    return at if at < length else 2 * length - 2 - at


def clip_pictures(
    path: Path, tile_wh: tuple[int, int], rate: int, condition: str = "plain"
) -> list[ByteArray]:
    """A clip's pictures at ``rate`` per second, fitted to a tile, in a condition."""
    with open_video(path) as reader:
        pictures = [
            fit(frame.rgb, tile_wh, condition == "cropped") for frame in select(reader.tickets(), rate)
        ]
    if condition == "dim":
        return [_dim(p) for p in pictures]
    if condition == "compressed":
        return _compressed(pictures, rate)
    return pictures


def fit(rgb: ByteArray, tile_wh: tuple[int, int], filled: bool = False) -> ByteArray:
    """A picture scaled to fit a tile, the rest of the tile grey; or to fill it, what does not fit cut off."""
    width, height = tile_wh
    scale = (max if filled else min)(width / rgb.shape[1], height / rgb.shape[0])
    size = (max(int(rgb.shape[1] * scale), 1), max(int(rgb.shape[0] * scale), 1))
    scaled = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    return compose(
        [(Placement(0, (width - size[0]) // 2, (height - size[1]) // 2, tile_wh), scaled)], tile_wh
    )


def _dim(rgb: ByteArray) -> ByteArray:
    """Evening: half the light, and what there is comes from a warm lamp."""
    lit = rgb.astype(np.float32) * np.array([0.62, 0.5, 0.36], np.float32) + 6
    return np.clip(lit, 0, 255).astype(np.uint8)


def _compressed(pictures: list[ByteArray], rate: int) -> list[ByteArray]:
    """Through H.264 at a rate factor where blocks show."""
    height, width = pictures[0].shape[:2]
    coder = av.CodecContext.create("libx264", "w")
    coder.width, coder.height, coder.pix_fmt = width, height, "yuv420p"  # type: ignore[attr-defined]
    coder.time_base, coder.options = Fraction(1, rate), {"crf": "38", "preset": "veryfast", "bf": "0"}
    decoder = av.CodecContext.create("h264", "r")
    packets = []
    for i, rgb in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame.pts = i
        packets += coder.encode(frame)  # type: ignore[attr-defined]
    packets += coder.encode(None)  # type: ignore[attr-defined]
    out = [f.to_ndarray(format="rgb24") for p in packets for f in decoder.decode(p)]  # type: ignore[attr-defined]
    return out + [f.to_ndarray(format="rgb24") for f in decoder.decode(None)]  # type: ignore[attr-defined]


def compose(pictures: Sequence[tuple[Placement, ByteArray]], canvas_wh: tuple[int, int]) -> ByteArray:
    """Tiles pasted on an empty canvas in order."""
    width, height = canvas_wh
    canvas = np.full((height, width, 3), BACKGROUND, np.uint8)
    for at, rgb in pictures:
        x1, y1 = max(at.x, 0), max(at.y, 0)
        x2, y2 = min(at.x + rgb.shape[1], width), min(at.y + rgb.shape[0], height)
        if x2 > x1 and y2 > y1:
            canvas[y1:y2, x1:x2] = rgb[y1 - at.y : y2 - at.y, x1 - at.x : x2 - at.x]
    return canvas


def render(session: Session, clips: Sequence[Path], out: Path, crf: int = 20) -> Path:
    """Draw a session as H.264.

    Args:
        clips: one per person.
        crf: rate factor of x264; 20 is good, 38 shows blocks.
    """
    drawn: dict[tuple[int, tuple[int, int], str], list[ByteArray]] = {}
    with av.open(str(out), "w") as container:
        options = {"crf": str(crf), "preset": "veryfast"}
        stream = container.add_stream("libx264", rate=session.rate, options=options)
        stream.width, stream.height = session.canvas_wh
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, session.rate)
        for sample, placements in enumerate(session.samples):
            tiles = []
            for at in placements:
                key = (at.person, at.tile_wh, at.condition)
                if key not in drawn:
                    drawn[key] = clip_pictures(clips[at.person], at.tile_wh, session.rate, at.condition)
                number = session.picture_of(at.person, sample)
                tiles.append((at, drawn[key][there_and_back(number, len(drawn[key]))]))
            frame = av.VideoFrame.from_ndarray(compose(tiles, session.canvas_wh), format="rgb24")
            frame.pts = sample
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return out
