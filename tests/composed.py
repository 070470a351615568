"""Sessions composed of single-person clips, so that who is who is known: tile by tile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

TILE_WH = (480, 360)


def tile_frames(path: Path, count: int, rate: int) -> list[np.ndarray]:
    """``count`` pictures of a clip at ``rate`` per second, played forwards and backwards, fitted to a tile."""
    pictures: list[np.ndarray] = []
    with av.open(str(path)) as container:
        next_s = 0.0
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= next_s:
                pictures.append(_fit(frame.to_ndarray(format="rgb24")))
                next_s += 1 / rate
    there_and_back = pictures + pictures[-2:0:-1]
    return [there_and_back[i % len(there_and_back)] for i in range(count)]


def _fit(rgb: np.ndarray) -> np.ndarray:
    width, height = TILE_WH
    scale = min(width / rgb.shape[1], height / rgb.shape[0])
    small = cv2.resize(
        rgb, (int(rgb.shape[1] * scale), int(rgb.shape[0] * scale)), interpolation=cv2.INTER_AREA
    )
    tile = np.full((height, width, 3), 30, np.uint8)
    y, x = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
    tile[y : y + small.shape[0], x : x + small.shape[1]] = small
    return tile


def write_grid(
    out: Path,
    clips: Sequence[Path],
    seconds: float,
    columns: int = 2,
    rate: int = 10,
    hidden: Mapping[int, tuple[float, float]] | None = None,
) -> Path:
    """A gallery of clips.

    Args:
        hidden: tile -> (start, end) in seconds when it shows nothing.
    """
    hidden = hidden or {}
    count = int(seconds * rate)
    tiles = [tile_frames(clip, count, rate) for clip in clips]
    rows = -(-len(clips) // columns)
    width, height = TILE_WH
    with av.open(str(out), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width * columns, height * rows, "yuv420p"
        stream.time_base = Fraction(1, rate)
        for i in range(count):
            canvas = np.full((height * rows, width * columns, 3), 30, np.uint8)
            for tile, pictures in enumerate(tiles):
                start, end = hidden.get(tile, (0.0, 0.0))
                if not start <= i / rate < end:
                    y, x = tile // columns * height, tile % columns * width
                    canvas[y : y + height, x : x + width] = pictures[i]
            frame = av.VideoFrame.from_ndarray(canvas, format="rgb24")
            frame.pts = i
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return out


def tile_of(x1: float, y1: float, x2: float, y2: float, columns: int = 2) -> int:
    """Number of the tile that the centre of a box lies in."""
    return int((y1 + y2) / 2 // TILE_WH[1]) * columns + int((x1 + x2) / 2 // TILE_WH[0])
