"""``train temporal``."""

from __future__ import annotations

from pathlib import Path

import click

from training.cli import options


@click.command()
@click.option("--model", "kind", required=True, type=click.Choice(["lstm", "cnn3d"]), help="Which smoother.")
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the Parquet files of RAF-DB, DAiSEE and WACV-2016.",
)
@click.option(
    "--videos",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of clips named webcam_*, of one person each, whose faces give sequences.",
)
@click.option(
    "--frame-weights", default="default", show_default=True, metavar="default|FILE", help="Per-frame model."
)
@options.out_option
@options.steps_option
@options.seed_option
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Pictures per split (of WACV-2016 the first ones of each person) and clips, for trials.",
)
def temporal(
    kind: str,
    data: Path,
    videos: Path,
    frame_weights: str,
    out: Path,
    max_steps: int | None,
    seed: int | None,
    limit: int | None,
) -> None:
    """Train a model that smooths scores over time."""
    from training.temporal.train import TemporalRun, train_temporal

    seed = 1 if seed is None else seed
    train_temporal(
        TemporalRun(
            kind=kind,
            frame_weights=frame_weights,
            data=data,
            videos=videos,
            out=out,
            max_steps=max_steps or -1,
            seed=seed,
            limit=limit,
        ),
        options.say,
    )
