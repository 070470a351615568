"""``engagement benchmark``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engagement.drafts import write
from engagement.given import GivenPath
from engagement.wording import count

if TYPE_CHECKING:
    from engagement.pipeline import Analyzer


@click.command()
@click.argument("video", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--sample-rate", type=float, help="Frames analysed per second of video.  [default: 5]")
@click.option("--min-face", type=int, help="Smallest face searched for, pixels of the video.  [default: 24]")
@click.option(
    "--scan-every", type=float, help="Seconds between searches of the whole picture.  [default: 0.6]"
)
@click.option(
    "--device", type=str, default="auto", show_default=True, help="auto, cuda, mps, openvino or cpu."
)
@click.option(
    "--json",
    "json_file",
    type=GivenPath(dir_okay=False, path_type=Path),
    help="Write the figures here, too.",
)
def benchmark(
    video: Path,
    sample_rate: float | None,
    min_face: int | None,
    scan_every: float | None,
    device: str,
    json_file: Path | None,
) -> int:
    """Say how long the analysis of VIDEO takes on this machine, and where the time goes.

    Exit status 1 when not all of it could be read.

    Nothing is written but the figures. Loading the models is not counted.
    """
    from engagement.config import resolve
    from engagement.faces.options import MtcnnConfig, SearchConfig
    from engagement.pipeline import Analyzer
    from engagement.video.sampling import SamplingConfig

    config = resolve(
        {
            "sampling": (SamplingConfig, {"rate_hz": sample_rate}),
            "detection": (MtcnnConfig, {"min_face_px": min_face}),
            "search": (SearchConfig, {"scan_every_s": scan_every}),
        },
        thumbnails=False,
    )
    found = measure(Analyzer(config, device), video)
    _show(found)
    if json_file is not None:
        write(json_file, json.dumps(found, indent=1) + "\n")
    if not found["complete"]:
        click.echo(f"not all of {video} could be read: {found['reason']}", err=True)
    return 0 if found["complete"] else 1


def measure(analyzer: Analyzer, video: Path) -> dict[str, Any]:
    """Analyse a video and account for the time.

    Returns:
        ``video_s``, ``elapsed_s``, ``cpu_s``, ``times_real_time``, ``samples``, ``faces``, ``persons``,
        ``faces_per_sample``, ``samples_per_s``, ``stages_s`` (work by stage; stages overlap in time) and
        ``peak_memory_mib`` of the process, None where the system does not tell, ``complete`` and ``reason``: whether
        all of the video could be read, and what could not.
    """
    import time

    started, worked = time.perf_counter(), time.process_time()
    result = analyzer.analyze_video(video)
    elapsed, cpu = time.perf_counter() - started, time.process_time() - worked
    samples, faces = len(result.sample_time_s), len(result.records)
    length = samples * result.step_s
    return {
        "video": video.name,
        "device": analyzer.device,
        "video_s": length,
        "elapsed_s": elapsed,
        "cpu_s": cpu,
        "times_real_time": length / elapsed,
        "samples": samples,
        "samples_per_s": samples / elapsed,
        "faces": faces,
        "faces_per_sample": faces / max(samples, 1),
        "persons": int(result.person.max(initial=-1)) + 1,
        "stages_s": dict(result.seconds),
        "peak_memory_mib": _peak_memory_mib(),
        "complete": result.outcome.complete,
        "reason": result.outcome.reason,
    }


def _peak_memory_mib() -> float | None:
    # Linux; unlike getrusage it does not count the process that started us. Some sandboxes leave the line out.
    status = Path("/proc/self/status")
    if status.is_file():
        lines = status.read_text(encoding="utf-8", errors="replace").splitlines()
        return next((int(line.split()[1]) / 2**10 for line in lines if line.startswith("VmHWM")), None)
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS: bytes


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f"{found['video']} on {found['device']}"))  # a name may look like markup
    table.add_column("stage")
    table.add_column("seconds", justify="right")
    table.add_column("per second of video", justify="right")
    for stage, seconds in found["stages_s"].items():
        table.add_row(stage, f"{seconds:.2f}", f"{seconds / found['video_s']:.3f}")
    table.add_section()
    table.add_row(
        "all, stages side by side",
        f"{found['elapsed_s']:.2f}",
        f"{found['elapsed_s'] / found['video_s']:.3f}",
    )
    console = Console()
    console.print(table)
    console.print(
        f"{found['times_real_time']:.1f} times real time: {found['video_s']:.0f} s of video, "
        f"{count(found['samples'], 'sample')}, {found['faces_per_sample']:.1f} faces each, {count(found['persons'], 'person')}; "
        f"{found['cpu_s']:.1f} s of processor time."
    )
    if found["peak_memory_mib"] is not None:
        console.print(f"Peak memory of the process: {found['peak_memory_mib']:.0f} MiB.")
