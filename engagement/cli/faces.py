"""``engagement faces``: collecting faces to train on."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def faces() -> None:
    """Collect faces from labelled videos."""


@faces.command()
@click.argument("videos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--label", required=True, help="Class of every face in these videos, for example happy.")
@click.option(
    "-o",
    "--out",
    default="personal_faces",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of class folders; further calls with other labels add to it.",
)
@click.option(
    "--every", type=click.IntRange(min=1), default=5, show_default=True, help="Use every Nth decoded frame."
)
@click.option("--all", "all_faces", is_flag=True, help="Save every face of a frame, not only the largest.")
@click.option(
    "--size", type=click.IntRange(64, 1024), default=224, show_default=True, help="Side of a picture, px."
)
@click.option(
    "--min-face", type=click.IntRange(12, 1000), default=40, show_default=True, help="Skip smaller faces, px."
)
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    default=0.95,
    show_default=True,
    help="Skip doubtful detections.",
)
@click.option(
    "--min-quality", type=click.FloatRange(0, 1), default=0.3, show_default=True, help="Skip worse faces."
)
@click.option(
    "--block",
    type=click.FloatRange(0.1, 3600),
    default=2.0,
    show_default=True,
    help="Seconds of a video that training never divides between learning and checking.",
)
def capture(
    videos: tuple[Path, ...],
    label: str,
    out: Path,
    every: int,
    all_faces: bool,
    size: int,
    min_face: int,
    min_score: float,
    min_quality: float,
    block: float,
) -> None:
    """Save the faces of VIDEOS, which all show one expression, as pictures for `train personal`.

    Writes OUT/LABEL/*.png and OUT/manifest.csv. Ask the people in the videos first.
    """
    from engagement.errors import DataError, EngagementError
    from engagement.faces.capture import CaptureConfig, FaceCapture
    from engagement.faces.mtcnn import MtcnnDetector
    from engagement.faces.options import MtcnnConfig
    from engagement.video import open_video

    config = CaptureConfig(label, size, all_faces, min_face, min_score, min_quality, block)
    # Faces somewhat smaller than what is saved are found too, so that the report can say so.
    detector = MtcnnDetector(MtcnnConfig(min_face_px=max(12, int(min_face * 0.75))))
    work = FaceCapture(out, config, detector)
    names = [path.name for path in videos]
    failed: list[str] = []
    for path in videos:
        try:
            with open_video(path) as reader:
                frames = (ticket.frame() for ticket in reader.tickets() if ticket.index % every == 0)
                # Videos of the same name in several folders are several sources.
                source = path.name if names.count(path.name) == 1 else f"{path.parent.name}/{path.name}"
                written = work.add(source, frames)
        except EngagementError as error:
            failed.append(str(error))
            click.echo(f"error: {error}", err=True)
            continue
        click.echo(f"{path.name}: {written} faces", err=True)
    for reason, count in work.counts.items():
        if count and reason != "written":
            click.echo(f"{count} {reason}", err=True)
    click.echo(f"{work.counts['written']} faces of '{label}' written to {out / label}", err=True)
    if failed:
        raise DataError(f"{len(failed)} of {len(videos)} videos could not be used", "See the lines above.")
    if not work.counts["written"]:
        raise DataError(
            f"no face was saved from {', '.join(p.name for p in videos)}",
            "Try a smaller --min-face, a lower --min-quality or a smaller --every.",
        )
