"""A gallery of single-person clips, so that who is who is known: tile by tile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.sessions_composed import Placement, Session, render

TILE_WH = (480, 360)


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
    rows = -(-len(clips) // columns)

    def at(time_s: float) -> list[Placement]:
        spans = {tile: hidden.get(tile, (0.0, 0.0)) for tile in range(len(clips))}
        return [
            Placement(tile, tile % columns * TILE_WH[0], tile // columns * TILE_WH[1], TILE_WH)
            for tile, (start, end) in spans.items()
            if not start <= time_s < end
        ]

    samples = [at(i / rate) for i in range(int(seconds * rate))]
    canvas = (TILE_WH[0] * columns, TILE_WH[1] * rows)
    return render(Session("grid", len(clips), samples, canvas, rate), clips, out)


def tile_of(x1: float, y1: float, x2: float, y2: float, columns: int = 2) -> int:
    """Number of the tile that the centre of a box lies in."""
    return int((y1 + y2) / 2 // TILE_WH[1]) * columns + int((x1 + x2) / 2 // TILE_WH[0])
