"""The command: ``python -m training.states_evaluation``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from engagement.errors import ConfigError, EngagementError
from training.cli import options


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the Parquet files of DAiSEE and WACV-2016.",
)
@options.base_option
@options.out_option
@click.option(
    "--videos",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of webcam_* clips: also compare both framings on real video faces.",
)
@click.option(
    "--head",
    default="stage5_grid,stage6_grid",
    show_default=True,
    metavar="BLOCK,...",
    help="Inputs of the head in question, as they are called in the table of --inputs.",
)
@click.option(
    "--strength",
    type=click.FloatRange(min=0, min_open=True),
    default=0.3,
    show_default=True,
    help="Of its regularisation, in units of an input's mean variance.",
)
@click.option(
    "--views",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="It learns from the faces as they are and one less augmented versions.",
)
@click.option(
    "--inputs", is_flag=True, help="Also compare inputs, on the people of train and validation alone."
)
@click.option(
    "--leave-out", default="", metavar="PERSON,PERSON", help="People of WACV-2016 who are in DAiSEE as well."
)
@options.test_option
@click.option("--limit", type=click.IntRange(min=1), help="Faces per split, drawn at random: for trials.")
@click.option(
    "--draws", type=click.IntRange(min=10), default=1000, show_default=True, help="Of the bootstrap."
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(
    data: Path,
    base: str,
    out: Path,
    videos: Path | None,
    head: str,
    strength: float,
    views: int,
    inputs: bool,
    leave_out: str,
    test: bool,
    limit: int | None,
    draws: int,
    debug: bool,
) -> None:
    """Measure heads for apparent learner states on people that they were not fitted to.

    Five folds over all people of DAiSEE, baselines over the same folds, WACV-2016, and how far scores move
    with the framing of the face. Writes states.json and states.md; inputs are kept in features/ by the
    weights' sha256.
    """
    try:
        from training.states_evaluation.run import StatesEvaluation, evaluate_states

        blocks = tuple(block.strip() for block in head.split(",") if block.strip())
        known = tuple(name.strip() for name in leave_out.split(",") if name.strip())
        run = StatesEvaluation(
            data,
            base,
            out,
            videos=videos,
            head=blocks,
            strength=strength,
            views=views,
            test=test,
            inputs=inputs,
            leave_out=known,
            limit=limit,
            draws=draws,
        )
        evaluate_states(run, click.echo)
        click.echo(f"{out / 'states.md'} written")
    except EngagementError as error:
        if debug:
            raise
        click.echo(f"error: {error}", err=True)
        sys.exit(2 if isinstance(error, ConfigError) else 1)


if __name__ == "__main__":
    main()
