"""``train matrix``."""

from __future__ import annotations

from pathlib import Path

import click

from training.cli import options


@click.command(short_help="Train backbones x data sets, and an ablation of augmentation.")
@click.option(
    "--data",
    required=True,
    multiple=True,
    metavar="REF",
    help="A data set (see `train base`), one column each; repeatable. The first one is for the ablation.",
)
@options.out_option
@click.option("--recipe", default="finetune", show_default=True, metavar="NAME|FILE", help="Of all cells.")
@click.option(
    "--backbones",
    default="resnet18,vgg16,efficientnet_b0,mobilenet_v2",
    show_default=True,
    help="Rows of the table, comma-separated; '' for no table.",
)
@click.option(
    "--augmentations",
    default="none,crp,crp_color,crp_cutout,mix,faces",
    show_default=True,
    help="Rows of the ablation, comma-separated; '' for no ablation.",
)
@click.option(
    "--ablation-backbone", default="efficientnet_b0", show_default=True, help="Backbone of the ablation."
)
@click.option(
    "--init",
    "inits",
    multiple=True,
    metavar="[BACKBONE=]FILE|NAME|hub|''",
    help="Initial weights of one backbone, or of all; repeatable. By default the recipe's.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Instead of the recipe's.")
@click.option("--size", type=click.IntRange(min=32), help="Pixels of a chip, instead of the recipe's.")
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change one key of the recipe; repeatable."
)
@options.test_option
@options.limit_option
@options.steps_option
@options.recipe_seed_option
@options.skip_option
@click.option("--accelerator", default="auto", show_default=True, help="cpu, gpu, mps or auto.")
def matrix(
    data: tuple[str, ...],
    out: Path,
    recipe: str,
    backbones: str,
    augmentations: str,
    ablation_backbone: str,
    inits: tuple[str, ...],
    epochs: int | None,
    size: int | None,
    changes: tuple[str, ...],
    test: bool,
    limit: int | None,
    max_steps: int | None,
    seed: int | None,
    skip_bad: bool,
    accelerator: str,
) -> None:
    """Train backbones x data sets and an ablation of the augmentation; print and save the tables.

    Given again, finished cells are kept and a killed one goes on. Writes table.md, table.csv and
    table.json, and a run with its report per cell. --limit, --epochs and --size fit it to a machine; the
    tables say so.
    """
    from training.fitting.trainer import Limits
    from training.matrix import MatrixRun, train_matrix
    from training.recipes.recipe import parse_overrides

    given = {"epochs": epochs, "size": size, "seed": seed}
    overrides = {**parse_overrides(changes), **{k: v for k, v in given.items() if v is not None}}
    starts = dict(_start(text) for text in inits)
    # One process: of several, the leading one alone has a cell's figures for the table.
    limits = Limits(max_steps=max_steps or -1, devices=1, accelerator=accelerator)
    run = MatrixRun(
        data,
        out,
        recipe,
        backbones=_names(backbones),
        augmentations=_names(augmentations),
        ablation_backbone=ablation_backbone,
        init=starts,
        overrides=overrides,
        limits=limits,
        limit=limit,
        test=test,
        skip_bad=skip_bad,
        command=options.command_line(),
    )
    click.echo(train_matrix(run, options.say), nl=False)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _start(text: str) -> tuple[str, str]:
    """Backbone and weights; ``*`` where none is named."""
    name, separator, value = text.partition("=")
    return (name, value) if separator else ("*", text)
