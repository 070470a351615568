"""``engagement explain``."""

from __future__ import annotations

from pathlib import Path

import click

from training.cli import options


@click.command()
@click.argument(
    "inputs",
    nargs=-1,
    required=True,
    metavar="IMAGE_OR_VIDEO...",
    type=click.Path(exists=True, path_type=Path),
)
@options.checkpoint_option
@options.out_option
@click.option("--head", help="Which head; by default `expression`.")
@click.option("--cropped", is_flag=True, help="The pictures are faces already: look for none.")
@options.min_face_option
@click.option(
    "--every", type=float, default=2.0, show_default=True, help="Seconds between the pictures of a video."
)
@click.option(
    "--max-faces",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Explain at most this many.",
)
@click.option(
    "--stage",
    type=click.IntRange(min=0),
    help="Stage of the backbone whose map is shown; by default the last that is 6 x 6 or finer.",
)
@options.mirror_option
@options.skip_option
def explain(
    inputs: tuple[Path, ...],
    checkpoint: str,
    out: Path,
    head: str | None,
    cropped: bool,
    min_face: int,
    every: float,
    max_faces: int,
    stage: int | None,
    mirror: bool,
    skip_bad: bool,
) -> None:
    """Show where in a face a model looked for the class that it answers (Grad-CAM).

    Writes explain.html, an overlay for each face, a sheet for each class and faces.csv. All of these show
    people: keep them as you keep the pictures themselves.
    """
    from training.explain.run import ExplainRun
    from training.explain.run import explain as work

    run = ExplainRun(
        inputs,
        out,
        checkpoint=checkpoint,
        head=head,
        stage=stage,
        cropped=cropped,
        min_face_px=min_face,
        every_s=every,
        max_faces=max_faces,
        mirror=mirror,
        skip_bad=skip_bad,
    )
    for name, count in work(run, options.say).items():
        click.echo(f"{count:5d}  {name}")
