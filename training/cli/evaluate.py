"""``engagement evaluate``."""

from __future__ import annotations

from pathlib import Path

import click

from engagement.given import GivenPath
from training.cli import options


@click.command()
@click.argument("data")
@options.checkpoint_option
@click.option(
    "--json",
    "json_file",
    type=GivenPath(dir_okay=False, path_type=Path),
    callback=options.can_be_written,
    help="Write the figures here.",
)
@click.option(
    "--split",
    type=click.Choice(["test", "val", "train", "all"]),
    default="test",
    show_default=True,
    help="Which part of the data. A set without splits is taken whole; val of one that has none is what the "
    "checkpoint's own training held out.",
)
@click.option("--head", help="Which head; by default the one that knows the data's classes.")
@click.option(
    "--detect", is_flag=True, help="The pictures are photographs: find the largest face in each first."
)
@options.min_face_option
@options.mirror_option
@click.option(
    "--report",
    type=GivenPath(file_okay=False, path_type=Path),
    callback=options.can_hold_results,
    help="Write a page (report.html) and figures into this folder.",
)
@options.gallery_option
@options.limit_option
@options.skip_option
def evaluate(
    data: str,
    checkpoint: str,
    json_file: Path | None,
    split: str,
    head: str | None,
    detect: bool,
    min_face: int,
    mirror: bool,
    report: Path | None,
    gallery: bool,
    limit: int | None,
    skip_bad: bool,
) -> None:
    """Measure a model on labelled faces.

    DATA is a folder of class folders, a CSV (file, label; or file and grades), an official layout, or FOLDER:SET
    (docs/datasets.md). Prints accuracy, mean class accuracy, F1, calibration error (or AUC for states) with 95 % intervals.
    """
    from training.cli.tables import show
    from training.evaluate import EvaluateRun, run_evaluation

    run = EvaluateRun(
        data,
        checkpoint,
        split=split,
        head=head,
        detect=detect,
        min_face_px=min_face,
        limit=limit,
        skip_bad=skip_bad,
        report=report,
        gallery=gallery,
        mirror=mirror,
    )
    found = run_evaluation(run, options.say)
    show(f"{found['checkpoint']}, head {found['head']}, {found['split']}", found)
    if report is not None:
        options.say(f"written: {report / 'report.html'}")
    if json_file is not None:
        from engagement.drafts import write
        from training.figure_text import to_json

        write(json_file, to_json(found))
