"""``engagement export``."""

from __future__ import annotations

from pathlib import Path

import click

from engagement.given import GivenPath
from training.cli import options


@click.command()
@click.argument("checkpoint", metavar="CHECKPOINT")
@click.option(
    "--onnx", is_flag=True, required=True, expose_value=False, help="The format; there is one so far."
)
@click.option(
    "-o",
    "--out",
    required=True,
    type=GivenPath(dir_okay=False, path_type=Path),
    help="The file to write (.onnx); what was compared goes beside it as .onnx.json.",
)
@click.option("--int8", is_flag=True, help="8-bit weights and activations; needs --data.")
@click.option("--data", default="", metavar="REF", help="Real faces to compare on (see `train base`).")
@click.option(
    "--tolerance",
    type=float,
    default=1e-4,
    show_default=True,
    help="Largest difference from torch's outputs.",
)
@click.option(
    "--min-agreement",
    type=float,
    default=0.95,
    show_default=True,
    help="Share of the faces whose first class 8 bits must leave as it is.",
)
@options.limit_option
@options.skip_option
def export(
    checkpoint: str,
    out: Path,
    int8: bool,
    data: str,
    tolerance: float,
    min_agreement: float,
    limit: int | None,
    skip_bad: bool,
) -> None:
    """Write a model as ONNX and compare it with the original.

    CHECKPOINT is `default`, a shipped name or a file, also of an ensemble. Chips go in as bytes and calibrated
    probabilities come out. A file that does something else than the original is not written.
    """
    from training.export.run import ExportRun, run_export

    run = ExportRun(
        checkpoint,
        out,
        int8=int8,
        data=data,
        tolerance=tolerance,
        min_agreement=min_agreement,
        limit=limit,
        skip_bad=skip_bad,
    )
    found = run_export(run, options.say)
    for faces, values in found["largest_difference"].items():
        told = ", ".join(f"{name} {value:.1e}" for name, value in values.items())
        click.echo(f"largest difference from torch on {faces}: {told} (allowed: {tolerance:g})")
    if int8:
        told = ", ".join(f"{name} {value:.1%}" for name, value in found["agreement"].items())
        click.echo(f"8 bits agree with the original on {found['faces_compared']} faces: {told}")
        if "accuracy" in found:
            accuracy = found["accuracy"]
            click.echo(f"accuracy on them: {accuracy['float']:.3f} before, {accuracy['int8']:.3f} in 8 bits")
        click.echo(f"size: {found['float_bytes'] / 2**20:.1f} MiB before, {found['bytes'] / 2**20:.1f} MiB")
