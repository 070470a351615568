"""Compares the video backends: speed as ratios within one run, and correctness of times.

    python benchmarks/decode.py VIDEO... [--json FILE] [--repeat 3]

Two patterns are timed on each video, each in rounds that take the backends in turn, so that a load on
the machine meets all alike; the median round counts:

    sequential   the whole video, 5 frames a second converted to RGB (an analysis)
    random       12 frames at scattered times from a freshly opened file (thumbnails)

Correctness is the greatest error of any time, and the count of wrong pictures, on a clip with a variable
frame rate that the program makes and whose truth it therefore knows.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from engagement.errors import BackendUnavailable, VideoError
from engagement.video import AUTO_BACKEND, BACKENDS, open_video
from engagement.video.sampling import select

RATE_HZ = 5.0
THUMBNAILS = 12
DISTRIBUTIONS = {"pyav": "av", "decord": "decord", "opencv": "opencv-python-headless"}


def sequential(path: Path, backend: str) -> int:
    """Frames got by an analysis of the whole video."""
    with open_video(path, backend) as reader:
        return sum(1 for _ in select(reader.tickets(), RATE_HZ))


def scattered(path: Path, backend: str) -> int:
    """Frames got at scattered times, the file just opened."""
    with open_video(path) as reader:
        duration_s = reader.info.duration_s or 1.0
    times = [duration_s * (k + 0.5) / THUMBNAILS for k in range(THUMBNAILS)]
    random.Random(1).shuffle(times)
    with open_video(path, backend) as reader:
        return len([reader.frame_at(time_s) for time_s in times])


def measure(
    path: Path, backends: list[str], repeat: int, pattern: Callable[[Path, str], int]
) -> dict[str, dict[str, float]]:
    """Seconds (median of the rounds) and the ratio to the fastest, for each backend that reads the file."""
    spent: dict[str, list[float]] = {backend: [] for backend in backends}
    for turn in range(repeat + 1):
        for backend in backends:
            started = time.perf_counter()
            try:
                pattern(path, backend)
            except VideoError as error:
                print(f"  {backend}: {error}", file=sys.stderr)
                continue
            if turn:  # the first round loads libraries and fills the file cache
                spent[backend].append(time.perf_counter() - started)
    medians = {backend: statistics.median(values) for backend, values in spent.items() if values}
    fastest = min(medians.values())
    return {
        b: {"seconds": round(s, 4), "times_the_fastest": round(s / fastest, 2)} for b, s in medians.items()
    }


def correctness(backends: list[str]) -> dict[str, dict[str, float]]:
    """Greatest time error and wrong pictures on clips with a variable rate, read both ways."""
    from tests import media

    result: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        clips = [media.uneven_mp4(Path(folder)), media.uneven_mkv(Path(folder)), media.late_mkv(Path(folder))]
        for backend in backends:
            worst, wrong, guessed = 0.0, 0, 0.0
            for clip in clips:
                with open_video(clip.path, backend) as reader:
                    frames = [ticket.frame() for ticket in reader.tickets()]
                    frames += [reader.frame_at(time_s) for time_s in clip.times_s[::5]]
                mean_step = clip.times_s[-1] / (len(clip.times_s) - 1)
                for frame in frames:
                    worst = max(worst, abs(frame.time_s - clip.times_s[frame.index]))
                    wrong += media.read_code(frame.rgb) != clip.codes[frame.index]
                    guessed = max(guessed, abs(frame.index * mean_step - clip.times_s[frame.index]))
            result[backend] = {
                "max_time_error_s": round(worst, 7),
                "wrong_pictures": wrong,
                "max_error_of_index_over_rate_s": round(guessed, 3),
            }
    return result


def installed() -> list[str]:
    """Backends whose library loads here."""
    found = []
    for backend in BACKENDS:
        try:
            open_video("/nowhere.mp4", backend)
        except BackendUnavailable as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        except VideoError:
            pass
        found.append(backend)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--repeat", type=int, default=3, help="rounds counted (default 3)")
    options = parser.parse_args()
    backends = installed()
    figures: dict[str, object] = {
        "versions": {backend: version(DISTRIBUTIONS[backend]) for backend in backends},
        "python": platform.python_version(),
        "auto": AUTO_BACKEND,
    }
    for path in options.videos:
        rows: dict[str, object] = {}
        for name, pattern in (("sequential", sequential), ("random", scattered)):
            rows[name] = table = measure(path, backends, options.repeat, pattern)
            print(f"\n{path.name}, {name}")
            for backend, row in table.items():
                print(f"  {backend:8s} {row['times_the_fastest']:6.2f} x   {row['seconds']:8.3f} s")
        figures[path.name] = rows
    figures["variable_rate"] = errors = correctness(backends)
    print("\nvariable frame rate, all frames in turn and every fifth at random")
    for backend, row in errors.items():
        print(f"  {backend:8s} " + "   ".join(f"{key} {value}" for key, value in row.items()))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
