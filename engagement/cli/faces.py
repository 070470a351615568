"""``engagement faces``: collecting faces to train on."""

from __future__ import annotations

from pathlib import Path

import click

from engagement.cli.lazy_group import LazyGroup
from engagement.given import GivenPath
from engagement.wording import count

#: Command -> (module:attribute, help). What comes after capturing belongs to training.
COMMANDS = {
    "capture": ("engagement.cli.faces:capture", "Save the faces of labelled videos as pictures."),
    "review": ("training.cli.collection:review", "Look through captured faces; fix labels, drop bad ones."),
    "split": ("training.cli.collection:split", "Decide which sources train and which check, never by frame."),
    "augment": ("training.cli.collection:augment", "Write varied copies of the training faces."),
}


@click.group(cls=LazyGroup, commands_table=COMMANDS)
def faces() -> None:
    """Collect faces from labelled videos: capture, review, split, perhaps augment (docs/own-faces.md)."""


@click.command()
@click.argument("videos", nargs=-1, required=True, type=GivenPath(path_type=Path))
@click.option("--label", help="Class of every face in these videos, for example happy.")
@click.option("--person", default="", help="Who it is, for splitting by person later: any word.")
@click.option(
    "-o",
    "--out",
    default="personal_faces",
    show_default=True,
    type=GivenPath(file_okay=False, path_type=Path),
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
    label: str | None,
    person: str,
    out: Path,
    every: int,
    all_faces: bool,
    size: int,
    min_face: int,
    min_score: float,
    min_quality: float,
    block: float,
) -> None:
    """Save the faces of labelled VIDEOS as pictures for `train personal` and `train extension`.

    VIDEOS are files that all show --label; or folders with a subfolder (or a file name such as happy_1.mp4)
    for each label; or a CSV with the columns video, start, end, label and perhaps person. Writes
    OUT/LABEL/*.png and OUT/manifest.csv. Ask the people in the videos first.
    """
    from engagement.batch.processes import interrupted_when_terminated
    from engagement.collection import capture as run
    from engagement.collection import recordings
    from engagement.errors import DataError
    from engagement.faces.capture import CaptureConfig, FaceCapture
    from engagement.faces.mtcnn import MtcnnDetector
    from engagement.faces.options import MtcnnConfig

    def say(text: str) -> None:
        click.echo(text, err=True)

    config = CaptureConfig(size, all_faces, min_face, min_score, min_quality, block)
    wanted = recordings(videos, label, person)
    # Faces somewhat smaller than what is saved are found too, so that the report can say so.
    detector = MtcnnDetector(MtcnnConfig(min_face_px=max(12, int(min_face * 0.75))))
    work = FaceCapture(out, config, detector)
    with interrupted_when_terminated():
        failed = run(wanted, every, work, say)
    skipped = {reason: n for reason, n in work.counts.items() if n and reason not in ("written", "frames")}
    say(f"looked at {count(work.counts['frames'], 'frame')}")
    for reason, n in sorted(skipped.items(), key=lambda item: -item[1]):
        say(f"skipped: {n} {reason}")
    for name, n in sorted(work.written.items()):
        say(f"{count(n, 'face')} of '{name}' written to {out / name}")
    if work.twice:
        say(f"faces that lie there with another label too: {len(work.twice)}. Remove the wrong ones")
    if failed:
        raise DataError(f"{len(failed)} of {len(wanted)} videos could not be used", "See the lines above.")
    if not work.counts["written"]:
        raise DataError(
            f"no face was saved from {', '.join(dict.fromkeys(r.path.name for r in wanted))}",
            "Try a smaller --min-face, a lower --min-score or --min-quality, or a smaller --every.",
        )
