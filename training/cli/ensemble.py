"""``engagement ensemble``."""

from __future__ import annotations

from pathlib import Path

import click

from engagement.given import GivenPath
from training.cli import options


@click.command()
@click.argument("checkpoints", nargs=-1, required=True, metavar="CHECKPOINT...")
@click.option(
    "-o",
    "--out",
    required=True,
    type=GivenPath(dir_okay=False, path_type=Path),
    help="The weight file to write (.safetensors); a card comes beside it.",
)
@click.option("--weights", metavar="A,B,…", help="Shares of the members, in proportion. Default: equal ones.")
@click.option(
    "--fit", default="", metavar="REF", help="Fit shares and temperature on the validation split of this set."
)
@click.option("--head", default="expression", show_default=True, help="The head whose answers are averaged.")
@options.limit_option
@options.skip_option
def ensemble(
    checkpoints: tuple[str, ...],
    out: Path,
    weights: str | None,
    fit: str,
    head: str,
    limit: int | None,
    skip_bad: bool,
) -> None:
    """Join several models into one file that averages their calibrated probabilities.

    Members may have different backbones and chip sizes. `evaluate`, `export` and `analyze` take the file as
    a --checkpoint. The test split is never fitted on.
    """
    shares = None if weights is None else _numbers(weights)
    from training.ensemble import EnsembleRun, make_ensemble

    run = EnsembleRun(
        checkpoints,
        out,
        shares=shares,
        fit=fit,
        head=head,
        limit=limit,
        skip_bad=skip_bad,
        command=options.command_line(),
    )
    found = make_ensemble(run, options.say)
    for member in found["members"]:
        alone = f", alone {member['accuracy']:.3f} of the validation split" if "accuracy" in member else ""
        click.echo(f"{member['share']:.3f}  {member['name']}{alone}")
    if "val" in found:
        from training.cli.tables import show

        click.echo(f"temperature of the mean: {found['temperature']:.3f}")
        show(f"ensemble, head {head}, val", found["val"])


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(
            f"'{text}' is no list of numbers; write for example 0.5,0.3,0.2", param_hint="--weights"
        ) from None
