"""``train identity``."""

from __future__ import annotations

from pathlib import Path

import click

from training.cli import options


@click.command(short_help="Teach a base model the feature by which people are followed.")
@click.option(
    "--teacher",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Face embedding network.",
)
@click.option("--data", required=True, multiple=True, metavar="REF", help="Faces without names; repeatable.")
@options.base_option
@options.out_option
@options.seed_option
@options.limit_option
@options.skip_option
def identity(
    teacher: Path,
    data: tuple[str, ...],
    base: str,
    out: Path,
    seed: int | None,
    limit: int | None,
    skip_bad: bool,
) -> None:
    """Teach a base model the feature by which people are followed through a video.

    Other heads stay as they are. Writes model.safetensors and model_card.md.
    """
    from training.datasets.registry import prepared
    from training.identity import IdentityOptions, train_identity

    tables = [prepared(reference, limit, skip_bad, options.say) for reference in data]
    chosen = IdentityOptions(seed=1 if seed is None else seed)
    _, figures = train_identity(teacher, tables, base, out, chosen, options.say)
    for name, value in figures.items():
        options.say(f"{name}: {value:.4f}")
