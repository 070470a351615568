"""What a large collection of recordings costs: cores, hours, storage, money. And how workers scale here.

    python benchmarks/scale.py hours [--hours 10000] [--speed 2.0] [--people 20] …
    python benchmarks/scale.py workers VIDEO [--copies 4] [--counts 1 2] [--json FILE]

``hours`` is arithmetic over measured figures (docs/scale.md says where each comes from). ``workers`` copies a
video, analyses the copies with each number of workers in a fresh process and output folder, and prints wall time,
the ratio, and bytes of results per person-hour. Loading of models is counted: a user waits for it, too.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Collection:
    """Recordings and what is known of analysing them.

    Attributes:
        hours: of video.
        speed: seconds of video per second of one worker.
        cores_per_worker: cores that a worker of that speed occupied.
        people: mean number of people in the picture.
        video_mb_s: megabytes of video per second; bytes_per_person_hour: of tables and pages.
        efficiency: share of the ideal speed that is left with many workers.
        price_core_hour, price_gb_month: what is paid for computing and storage.
    """

    hours: float
    speed: float
    cores_per_worker: float
    people: float
    video_mb_s: float
    bytes_per_person_hour: float
    efficiency: float
    price_core_hour: float
    price_gb_month: float


def cost(c: Collection, cores: int) -> dict[str, float]:
    """Figures of one collection on so many cores.

    Returns:
        core_hours; wall_hours on ``cores``; read_gb of video and read_mb_s while it runs; results_gb; dollars of
        computing and dollars a month of keeping the results.
    """
    core_hours = c.hours / c.speed * c.cores_per_worker / c.efficiency
    wall = core_hours / cores
    video_gb = c.hours * 3600 * c.video_mb_s / 1000
    results_gb = c.hours * c.people * c.bytes_per_person_hour / 1e9
    return {
        "core_hours": core_hours,
        "wall_hours": wall,
        "read_gb": video_gb,
        "read_mb_s": video_gb * 1000 / (wall * 3600),
        "results_gb": results_gb,
        "computing_dollars": core_hours * c.price_core_hour,
        "results_dollars_month": results_gb * c.price_gb_month,
    }


def print_hours(options: argparse.Namespace) -> None:
    known = {name: getattr(options, name) for name in Collection.__dataclass_fields__}
    collection = Collection(**known)
    print(" ".join(f"{name}={value:g}" for name, value in known.items()))
    print("| cores | wall hours | days | core hours | computing, $ | video read | reading | results |")
    print("|---|---|---|---|---|---|---|---|")
    for cores in options.cores:
        f = cost(collection, cores)
        print(
            f"| {cores} | {f['wall_hours']:,.0f} | {f['wall_hours'] / 24:,.1f} | {f['core_hours']:,.0f} "
            f"| {f['computing_dollars']:,.0f} | {f['read_gb'] / 1000:,.1f} TB | {f['read_mb_s']:,.0f} MB/s "
            f"| {f['results_gb']:,.0f} GB |"
        )
    print(f"keeping the results: $ {cost(collection, 1)['results_dollars_month']:,.2f} a month")


def measure(video: Path, copies: int, count: int, extra: list[str]) -> dict[str, Any]:
    """One run over copies of a video."""
    with tempfile.TemporaryDirectory() as place:
        folder, out = Path(place, "in"), Path(place, "out")
        folder.mkdir()
        for i in range(copies):
            shutil.copy(video, folder / f"{i}{video.suffix}")
        started = time.perf_counter()
        command = ["analyze", folder, "-o", out, "--workers", count, "-q", *extra]
        subprocess.run([sys.executable, "-m", "engagement", *map(str, command)], check=True)
        took = time.perf_counter() - started
        videos = json.loads((out / "run.json").read_text(encoding="utf-8"))["videos"]
        size = sum(p.stat().st_size for v in videos for p in (out / v["output"]).rglob("*") if p.is_file())
        visible = [json.loads((out / v["output"] / "summary.json").read_text("utf-8")) for v in videos]
    length = sum(v["duration_s"] for v in videos)
    person_hours = (
        sum(v["duration_s"] * s["mean_visible"] for v, s in zip(videos, visible, strict=True)) / 3600
    )
    return {
        "workers": count,
        "seconds": took,
        "video_seconds": length,
        "times_real_time": length / took,
        "bytes_per_person_hour": size / person_hours if person_hours else math.nan,
    }


def print_workers(options: argparse.Namespace) -> None:
    rows = [measure(options.video, options.copies, n, options.extra) for n in options.counts]
    print("| workers | seconds | times real time | against the first | result bytes per person-hour |")
    print("|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['workers']} | {row['seconds']:.1f} | {row['times_real_time']:.2f} "
            f"| {rows[0]['seconds'] / row['seconds']:.2f} | {row['bytes_per_person_hour']:,.0f} |"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    hours = commands.add_parser("hours")
    hours.add_argument("--hours", type=float, default=10_000)
    hours.add_argument("--speed", type=float, default=2.0)
    hours.add_argument("--cores-per-worker", type=float, default=2.0)
    hours.add_argument("--people", type=float, default=20)
    hours.add_argument("--video-mb-s", type=float, default=0.6)
    hours.add_argument("--bytes-per-person-hour", type=float, default=8e6)
    hours.add_argument("--efficiency", type=float, default=0.9)
    hours.add_argument("--price-core-hour", type=float, default=0.04)
    hours.add_argument("--price-gb-month", type=float, default=0.02)
    hours.add_argument("--cores", type=int, nargs="+", default=[2, 64, 256, 1024])
    hours.set_defaults(do=print_hours)
    workers = commands.add_parser("workers")
    workers.add_argument("video", type=Path)
    workers.add_argument("--copies", type=int, default=4)
    workers.add_argument("--counts", type=int, nargs="+", default=[1, 2])
    workers.add_argument("--json", type=Path)
    workers.add_argument("extra", nargs="*", help="further options of analyze, after --")
    workers.set_defaults(do=print_workers)
    options = parser.parse_args()
    options.do(options)


if __name__ == "__main__":
    main()
