"""``engagement analyze``."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engagement.errors import ConfigError

if TYPE_CHECKING:
    from engagement.batch.runner import VideoStatus
    from engagement.config import AnalysisConfig


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT...")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for the results."
)
@click.option("--sample-rate", type=float, help="Frames analysed per second of video.  [default: 5]")
@click.option("--min-face", type=int, help="Smallest face searched for, pixels of the video.  [default: 24]")
@click.option("--detector", type=str, help="mtcnn, yunet or one plugged in (see doctor).  [default: mtcnn]")
@click.option("--detector-weights", type=str, help="The detector's model file; yunet needs one.")
@click.option(
    "--scan-every",
    type=float,
    help="Seconds between searches of the whole picture; known faces are followed in between.  [default: 1]",
)
@click.option(
    "--min-quality", type=float, help="Crops below this (0-1) are left out of claims.  [default: 0.3]"
)
@click.option("--temporal", type=str, help="Smoothing: none, box, lstm or cnn3d.  [default: box]")
@click.option("--temporal-weights", type=str, help="Weights of lstm or cnn3d instead of the shipped ones.")
@click.option("--window", type=float, help="Width of the box, seconds.  [default: 3; states 5]")
@click.option("--margin", type=float, help="Lead below which a state is 'uncertain'.  [default: 0.1]")
@click.option("--identity", type=str, help="auto joins tracks to persons, off does not.  [default: auto]")
@click.option("--checkpoint", type=str, help="Weights to score faces with: shipped name or file.")
@click.option("--backend", type=str, help="Video reader: auto, pyav, decord or opencv.  [default: auto]")
@click.option("--device", type=str, default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--glob", "globs", multiple=True, help="Other files to take from folders, such as '*.ts'.")
@click.option(
    "--thumbnails/--no-thumbnails", default=True, help="Pictures of faces in the pages.  [default: on]"
)
@click.option(
    "--min-presence",
    metavar="SECONDS|PERCENT",
    help="Leave people seen for less out of pages and class curves: 10s, 5%.  [default: show everyone]",
)
@click.option("--overwrite", is_flag=True, help="Analyse again what is finished already.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def analyze(inputs: tuple[Path, ...], output: Path, globs: tuple[str, ...], **given: Any) -> int:
    """Find, follow and read the faces in recorded sessions.

    INPUT: video files and folders (searched with their subfolders). Writes tables and offline pages into
    the output folder; nothing leaves the machine. Exit status: 0 all good, 1 something failed, 2 wrong
    usage, 130 interrupted.
    """
    config = _config(given)
    from engagement.batch.results import writable

    writable(output)
    videos, unreachable = _find(inputs, globs, output)
    from engagement.batch.runner import run_batch
    from engagement.cli.console import ProgressReporter, print_statuses

    reporter = ProgressReporter(len(videos), given["quiet"])
    on_error = traceback.print_exception if given["debug"] else lambda _: None
    with reporter:
        statuses = run_batch(
            videos,
            output,
            config,
            device=given["device"],
            overwrite=given["overwrite"],
            reporter=reporter,
            unreachable=unreachable,
            on_error=on_error,
        )
    print_statuses(reporter.console, statuses)
    _say_where(statuses, output, given["quiet"])
    return 1 if any(s.status in ("failed", "partial") for s in statuses) else 0


def _config(given: dict[str, Any]) -> AnalysisConfig:
    from engagement.classification.options import ClassifierConfig
    from engagement.config import resolve
    from engagement.faces.options import DetectorConfig, MtcnnConfig, SearchConfig
    from engagement.faces.plugins import check_name
    from engagement.faces.quality import QualityConfig
    from engagement.smoothing import SmoothingConfig
    from engagement.timelines.episodes import EpisodesConfig
    from engagement.timelines.presence import parse_presence
    from engagement.tracking.persons import PersonsConfig
    from engagement.video import AUTO_BACKEND, BACKENDS
    from engagement.video.sampling import SamplingConfig

    backend = given["backend"] or "auto"
    if backend not in ("auto", *BACKENDS):
        raise ConfigError(
            f"--backend '{backend}' is unknown", f"Choose auto ({AUTO_BACKEND}), {', '.join(BACKENDS)}."
        )
    if given["detector"] is not None:
        check_name(given["detector"])
    return resolve(
        {
            "sampling": (SamplingConfig, {"rate_hz": given["sample_rate"]}),
            "search": (SearchConfig, {"scan_every_s": given["scan_every"]}),
            "detector": (DetectorConfig, {"name": given["detector"], "weights": given["detector_weights"]}),
            "detection": (MtcnnConfig, {"min_face_px": given["min_face"]}),
            "quality": (QualityConfig, {"min_quality": given["min_quality"]}),
            "smoothing": (
                SmoothingConfig,
                {
                    "method": given["temporal"],
                    "weights": given["temporal_weights"],
                    "window_s": given["window"],
                    "state_window_s": given["window"],
                },
            ),
            "episodes": (EpisodesConfig, {"state_margin": given["margin"]}),
            "persons": (PersonsConfig, {"identity": given["identity"]}),
            "classifier": (ClassifierConfig, {"checkpoint": given["checkpoint"]}),
        },
        backend=backend,
        thumbnails=given["thumbnails"],
        presence=parse_presence(given["min_presence"]) if given["min_presence"] else None,
    )


def _find(inputs: tuple[Path, ...], globs: tuple[str, ...], output: Path) -> tuple[Any, list[VideoStatus]]:
    """Videos that are there, and a failed status for each input that is not.

    A run of nothing but missing inputs is wrong usage; otherwise the others are analysed.
    """
    from engagement.batch.runner import VideoStatus
    from engagement.video.discover import discover

    there = [path for path in inputs if path.exists() or path.is_symlink()]
    if not there:
        names = ", ".join(str(path) for path in inputs)
        raise ConfigError(f"{names} does not exist", "Check the path of the video or folder.")
    missing = [path for path in inputs if path not in there]
    failed = [VideoStatus(str(p), "", "failed", "does not exist", "Check the path.") for p in missing]
    return discover(there, globs, exclude=output), failed


def _say_where(statuses: list[VideoStatus], output: Path, quiet: bool) -> None:
    if any(s.status != "failed" for s in statuses) and not quiet:
        click.echo(f"Report: {output / 'index.html'}", err=False)
    if quiet:
        for status in statuses:
            if status.status in ("failed", "partial"):
                click.echo(
                    f"{status.input}: {status.status}: {status.reason}. {status.hint}".strip(), err=True
                )
