"""``engagement analyze``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engagement.errors import ConfigError, WeightsError
from engagement.given import GivenPath, is_empty

if TYPE_CHECKING:
    from engagement.batch.status import VideoStatus
    from engagement.calibration.store import Calibration
    from engagement.config import AnalysisConfig
    from engagement.corrections.file import Video
    from engagement.video.discover import FoundVideo


#: Options of two names.
_CALLED_TOO = {"--checkpoint": "--weights"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the options of the command say; None where the user leaves the choice to the stage or the input."""

    sample_rate: float | None
    min_face: int | None
    detector: str | None
    detector_weights: str | None
    scan_every: float | None
    min_quality: float | None
    temporal: str | None
    temporal_weights: str | None
    window: float | None
    margin: float | None
    identity: str | None
    identity_weights: str | None
    checkpoint: str | None
    mirror: bool | None
    backend: str | None
    device: str
    thumbnails: bool
    min_presence: str | None
    calibration: Path | None
    workers: str | None
    scheduler: str | None
    split: str | None
    resume: bool
    quiet: bool
    debug: bool


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("-o", "--output", required=True, help="Folder for the results.")
@click.option("--sample-rate", type=float, help="Frames analysed per second of video.  [default: 5]")
@click.option("--min-face", type=int, help="Smallest face searched for, pixels of the video.  [default: 24]")
@click.option("--detector", type=str, help="mtcnn, yunet or one plugged in (see doctor).  [default: mtcnn]")
@click.option("--detector-weights", type=str, help="The detector's model file; yunet needs one.")
@click.option(
    "--scan-every",
    type=float,
    help="Seconds between searches of the whole picture; known faces are followed in between.  [default: 0.6]",
)
@click.option(
    "--min-quality", type=float, help="Crops below this (0-1) are left out of claims.  [default: 0.3]"
)
@click.option("--temporal", type=str, help="Smoothing: none, box, hmm, lstm or cnn3d.  [default: hmm]")
@click.option("--temporal-weights", type=str, help="Weights of lstm or cnn3d instead of the shipped ones.")
@click.option(
    "--window", type=float, help="Width of the box, seconds; implies the box.  [default: 3; states 5]"
)
@click.option(
    "--margin",
    type=float,
    help="Lead below which a state is 'uncertain'; twice that for states near chance.  [default: 0.1]",
)
@click.option("--identity", type=str, help="Who is who by auto, appearance, facenet or off.  [default: auto]")
@click.option("--identity-weights", type=str, help="facenet-pytorch's weights, for --identity facenet.")
@click.option(
    "--checkpoint",
    "--weights",
    type=str,
    help="Weights to score faces with: default, open, or a file.  [default: default]",
)
@click.option(
    "--mirror/--no-mirror",
    default=None,
    help="Score each face and its mirror image: steadier, and people are known again more surely.  [default: mirror]",
)
@click.option("--backend", type=str, help="Video reader: auto, pyav, decord or opencv.  [default: auto]")
@click.option(
    "--device", type=str, default="auto", show_default=True, help="auto, cuda, mps, openvino or cpu."
)
@click.option("--glob", "globs", multiple=True, help="Other files to take from folders, such as '*.vob'.")
@click.option(
    "--thumbnails/--no-thumbnails",
    default=True,
    help="Pictures of faces in the pages.  [default: thumbnails]",
)
@click.option(
    "--min-presence",
    metavar="SECONDS|PERCENT",
    help="Leave people seen for less out of pages and class curves: 10s, 5%.  [default: show everyone]",
)
@click.option(
    "--calibration",
    type=GivenPath(path_type=Path),
    metavar="FILE|FOLDER",
    help="Personal calibration that `engagement calibrate` wrote, for the same people.  [default: that of the "
    "earlier result, if any]",
)
@click.option("--workers", help="Processes that analyse at once: a number, or auto.  [default: 1]")
@click.option(
    "--scheduler", help="Let a Dask cluster do it: tcp://HOST:PORT of its scheduler (docs/scale.md)."
)
@click.option(
    "--split", metavar="MINUTES|auto", help="Analyse long videos in ranges, in parallel.  [default: whole]"
)
@click.option(
    "--resume/--overwrite",
    default=True,
    help="Skip what is finished and unchanged, or analyse everything again.  [default: resume]",
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def analyze(inputs: tuple[str, ...], output: str, globs: tuple[str, ...], **given: Any) -> int:
    """Find, follow and read the faces in recorded sessions.

    INPUT: video files and folders (searched with their subfolders), or addresses that fsspec knows. Writes
    tables and offline pages into the output folder; nothing leaves the machine unless you name another. Exit
    status: 0 all good, 1 something failed, 2 wrong usage, 130 interrupted.
    """
    from engagement.batch.options import parse_crew
    from engagement.device import choose, require_known

    empty = [_typed(f"--{name.replace('_', '-')}") for name, value in given.items() if value == ""]
    empty += ["--output"] * (not output) + ["INPUT"] * (not all(inputs)) + ["--glob"] * (not all(globs))
    if empty:
        raise is_empty(empty[0])
    asked = _Asked(**given)
    crew = parse_crew(asked.workers, asked.scheduler)
    require_known(asked.device)
    config = _config(asked)
    if not crew.scheduler:  # its workers may have what is not here
        _require_weights(config)
        if asked.device != "auto":
            choose(asked.device)
    from engagement.batch.inputs import find_videos
    from engagement.batch.places import local_path

    output = local_path(output)
    videos, unreachable = find_videos(inputs, globs, output)
    known = _checked_names(output, videos)
    from engagement.batch.index import NotListed
    from engagement.batch.processes import interrupted_when_terminated
    from engagement.batch.runner import run_batch
    from engagement.batch.tasks import Setup
    from engagement.cli.console import ProgressReporter, say_statuses

    calibrations = _calibrations(asked.calibration, videos, config, output)
    setup = Setup(output, config, asked.device, not asked.resume, calibrations=calibrations, known=known)
    reporter = ProgressReporter(len(videos), asked.quiet)

    def on_error(trace: str) -> None:
        if asked.debug:
            click.echo(trace, err=True)

    try:
        with reporter, interrupted_when_terminated():
            statuses = run_batch(videos, setup, reporter, crew, unreachable, on_error)
    except NotListed as error:
        say_statuses(reporter.console, list(error.statuses))
        raise
    say_statuses(reporter.console, statuses)
    _say_calibrated(statuses, output, asked.quiet)
    _say_where(statuses, output, asked.quiet)
    return 1 if any(s.status in ("failed", "partial") for s in statuses) else 0


def _config(asked: _Asked) -> AnalysisConfig:
    from engagement.batch.options import split_seconds
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

    backend = asked.backend or "auto"
    if backend not in ("auto", *BACKENDS):
        raise ConfigError(
            f"--backend '{backend}' is unknown", f"Choose auto ({AUTO_BACKEND}), {', '.join(BACKENDS)}."
        )
    if asked.split and backend not in ("auto", AUTO_BACKEND):
        raise ConfigError(
            f"--split {asked.split} cannot be used with --backend {backend}",
            f"Leave one of the two out: only {AUTO_BACKEND} can begin in the middle of a video.",
        )
    if asked.detector is not None:
        check_name(asked.detector)
    temporal = asked.temporal
    if asked.window is not None:
        temporal = temporal or "box"
        if temporal != "box":
            raise ConfigError(
                f"--window {asked.window:g} cannot be used with --temporal {temporal}",
                "Leave it out: only the box has a width that can be chosen.",
            )
    return resolve(
        {
            "sampling": (SamplingConfig, {"rate_hz": asked.sample_rate}),
            "search": (SearchConfig, {"scan_every_s": asked.scan_every}),
            "detector": (
                DetectorConfig,
                {"name": asked.detector, "weights": _absolute(asked.detector_weights)},
            ),
            "detection": (MtcnnConfig, {"min_face_px": asked.min_face}),
            "quality": (QualityConfig, {"min_quality": asked.min_quality}),
            "smoothing": (
                SmoothingConfig,
                {
                    "method": temporal,
                    "weights": _absolute(asked.temporal_weights),
                    "window_s": asked.window,
                    "state_window_s": asked.window,
                },
            ),
            "episodes": (EpisodesConfig, {"state_margin": asked.margin}),
            "persons": (
                PersonsConfig,
                {"identity": asked.identity, "identity_weights": _absolute(asked.identity_weights)},
            ),
            "classifier": (
                ClassifierConfig,
                {"checkpoint": _absolute(asked.checkpoint), "mirror": asked.mirror},
            ),
        },
        backend=backend,
        thumbnails=asked.thumbnails,
        split_s=split_seconds(asked.split),
        presence=parse_presence(asked.min_presence) if asked.min_presence else None,
    )


def _require_weights(config: AnalysisConfig) -> None:
    """Look at the weights that are named, before an output folder is made and libraries are loaded.

    Raises:
        ConfigError: they are not there, damaged or of another kind.
    """
    from engagement.tracking.facenet import weights_file
    from engagement.weights.store import require_kind

    smoothing = config.smoothing
    for option, reference, kinds in (
        (_typed("--checkpoint"), config.classifier.checkpoint, ("face_state", "ensemble")),
        ("--temporal-weights", smoothing.weights, (smoothing.method,)),
    ):
        try:
            if reference:
                require_kind(reference, kinds)
        except WeightsError as error:
            raise ConfigError(f"{option}: {error.message}", error.hint) from error
    try:
        if config.persons.identity == "facenet":
            weights_file(config.persons.identity_weights)
    except WeightsError as error:  # it names the option
        raise ConfigError(error.message, error.hint) from error


def _typed(option: str) -> str:
    """What an option was called on the command line."""
    words = {word.partition("=")[0] for word in sys.argv}
    return _CALLED_TOO[option] if _CALLED_TOO.get(option) in words else option


def _absolute(file: str | None) -> str | None:
    """A file where it lies, for workers that begin elsewhere; shipped names and what is missing as given."""
    named = file and Path(file).suffix and Path(file).is_file()
    return str(Path(str(file)).absolute()) if named else file


def _checked_names(output: str, videos: list[FoundVideo]) -> tuple[Video, ...]:
    """All that the names file may speak of. A mistake in it is said before hours of work, not after.

    Raises:
        ConfigError: lines are not understood, or do not say which video they mean.
    """
    from engagement.batch.places import open_place
    from engagement.corrections.file import Video
    from engagement.corrections.names import check_names, known_videos

    place = open_place(output)
    place.fetch_run(())
    known = known_videos(place.root, [Video(v.relative.as_posix(), v.path.name) for v in videos])
    for note in check_names(place.root, known):
        click.echo(note, err=True)
    return tuple(known)


def _calibrations(
    path: Path | None, videos: list[FoundVideo], config: AnalysisConfig, output: str
) -> dict[str, Calibration]:
    """What --calibration says, checked before anything is analysed."""
    if path is None:
        return {}
    from engagement.batch.places import is_url
    from engagement.calibration.find import find_calibrations, require_nothing_lost, require_weights
    from engagement.calibration.store import FILE
    from engagement.corrections.calibrated import stored

    found = find_calibrations(path, {v.relative.as_posix(): v.path.name for v in videos})
    require_weights(list(found.values()), config.classifier.checkpoint)
    for relative, calibration in found.items():
        if not is_url(output):
            folder = Path(output) / relative
            require_nothing_lost(calibration, stored(folder), folder / FILE)
    return found


def _say_calibrated(statuses: list[VideoStatus], output: str, quiet: bool) -> None:
    from engagement.batch.places import is_url
    from engagement.corrections.calibrated import described
    from engagement.results import read_summary
    from engagement.timelines.session_summary import NOTHING

    for status in statuses:
        if status.status != "failed" and not is_url(output) and not quiet:
            for line in described(read_summary(Path(output) / status.output) or NOTHING):
                click.echo(f"{status.output}: {line}", err=True)


def _say_where(statuses: list[VideoStatus], output: str, quiet: bool) -> None:
    if any(s.status != "failed" for s in statuses) and not quiet:
        click.echo(f"Report: {output.rstrip('/')}/index.html", err=False)
