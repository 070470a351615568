"""Speed against the number of faces: the same analysis of a 1080p picture with 1, 4, 9, 16 and 30 people.

    python benchmarks/crowd.py CLIP... [--faces 1,4,9,16,30] [--seconds 20] [--memory 60,600] [--json FILE]

Each session is a grid of single-person clips, drawn as H.264 at 25 frames a second (clips are used again when
there are more tiles than clips). Prints samples per second end to end, without loading models or writing pages.
With --memory, the peak memory of a process that analyses sessions of these lengths (nine faces), each in a
process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from looped import loop
from sessions_composed import Placement, Session, render

CANVAS = (1920, 1080)
RATE = 25


def grid(people: int, seconds: float) -> Session:
    """``people`` tiles of equal size that fill the canvas."""
    columns = next(c for c in range(1, people + 1) if c * c >= people)
    rows = -(-people // columns)
    tile = (CANVAS[0] // columns, CANVAS[1] // rows)
    seats = [Placement(i, i % columns * tile[0], i // columns * tile[1], tile) for i in range(people)]
    samples = [seats] * round(seconds * RATE)
    return Session("grid", people, samples, CANVAS, RATE, tuple(range(people)))


def draw(clips: Sequence[Path], people: int, seconds: float, out: Path) -> Path:
    """The session with that many people as a video; a short one is drawn and looped."""
    drawn = min(seconds, 20.0)
    own = [clips[i % len(clips)] for i in range(people)]
    short = render(grid(people, drawn), own, out.with_suffix(".drawn.mp4"))
    return loop(short, out, seconds) if seconds > drawn else short


def benchmark(video: Path) -> dict[str, Any]:
    """Figures of ``engagement benchmark`` in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "figures.json"
        command = [sys.executable, "-m", "engagement", "benchmark", str(video), "--json", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.loads(out.read_text(encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--faces", default="1,4,9,16,30")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--memory", default="", help="lengths in seconds, such as 60,600")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    lengths = [(int(n), options.seconds) for n in options.faces.split(",") if n]
    lengths += [(9, float(s)) for s in options.memory.split(",") if s]
    print("| people | video, s | faces per sample | samples/s | times real time | peak memory, MiB |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for people, seconds in lengths:
            video = draw(options.clips, people, seconds, Path(folder) / f"{people}_{seconds:g}.mp4")
            found = benchmark(video)
            rows.append({"people": people, **found})
            print(
                f"| {people} | {found['video_s']:.0f} | {found['faces_per_sample']:.1f} "
                f"| {found['samples_per_s']:.1f} | {found['times_real_time']:.1f} "
                f"| {found['peak_memory_mib']:.0f} |",
                flush=True,
            )
            video.unlink()
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
