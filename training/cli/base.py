"""``train base`` and ``train states``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from training.cli import options

#: Keys of engagement.classification.backbones.BACKBONES, which would import torch here.
BACKBONE_NAMES = (
    *("efficientnet_b0", "efficientnet_b0_grey", "mobilenet_v2", "resnet18", "vgg16"),
    *("lenet", "cnn_bn", "cnn_dropblock"),
)


@click.command()
@options.several_data_option
@click.option(
    "--recipe",
    required=True,
    metavar="NAME|FILE",
    help="Shipped recipe (rafdb, fer2013, finetune …) or a TOML file.",
)
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change one key of the recipe; repeatable."
)
@click.option(
    "--backbone",
    type=click.Choice(BACKBONE_NAMES),
    help="Instead of the recipe's.",
)
@click.option(
    "--init",
    metavar="FILE|NAME|hub|''",
    help="Initial weights: a file, shipped ones (default, open), torchvision's ('hub'), or none ('').",
)
@options.out_option
@options.test_option
@options.steps_option
@options.limit_option
@options.recipe_seed_option
@click.option(
    "--resume/--no-resume", default=True, show_default=True, help="Go on with a run found in the folder."
)
@options.skip_option
@options.lightning_options
@click.option(
    "--tensorboard", is_flag=True, help="Also write log/tensorboard (wants engagement[tensorboard])."
)
@options.gallery_option
def base(
    data: tuple[str, ...],
    recipe: str,
    changes: tuple[str, ...],
    backbone: str | None,
    init: str | None,
    out: Path,
    test: bool,
    max_steps: int | None,
    limit: int | None,
    seed: int | None,
    resume: bool,
    skip_bad: bool,
    devices: str,
    num_nodes: int,
    strategy: str,
    accelerator: str,
    loaders: int | None,
    tensorboard: bool,
    gallery: bool,
) -> None:
    """Train an expression model.

    Eight combinations are known to work: efficientnet_b0, mobilenet_v2, resnet18 or vgg16 on RAF-DB or
    FER2013; the small networks for 48 px have recipes of their own. Writes model.safetensors, metrics.json,
    model_card.md, report.html, checkpoints and log into the folder.
    """
    from training.base import BaseRun, train_base
    from training.cli.tables import show
    from training.fitting.trainer import Limits
    from training.recipes.recipe import parse_overrides

    given = {"backbone": backbone, "init": init, "seed": seed}
    overrides = parse_overrides(changes) | {k: v for k, v in given.items() if v is not None}
    count = int(devices) if devices.isdigit() else devices
    limits = Limits(
        max_steps=max_steps or -1,
        devices=count,
        strategy=strategy,
        num_nodes=num_nodes,
        accelerator=accelerator,
        tensorboard=tensorboard,
        loaders=loaders,
    )
    run = BaseRun(
        data,
        recipe,
        out,
        overrides=overrides,
        limits=limits,
        limit=limit,
        test=test,
        skip_bad=skip_bad,
        resume=resume,
        command=options.command_line(),
        gallery=gallery,
    )
    for split, found in train_base(run, options.say).items():
        show(f"expression, {split}", found)


@click.command()
@options.data_option
@options.base_option
@options.out_option
@options.test_option
@options.limit_option
@options.seed_option
@options.skip_option
@click.option(
    "--views", type=click.IntRange(min=1), help="Augmented versions of each face to learn from.  [default: 3]"
)
@click.option(
    "--hidden", type=click.IntRange(min=0), help="Hidden units of the head; 0 for a linear one.  [default: 0]"
)
@click.option(
    "--weight-decay",
    type=click.FloatRange(min=0, min_open=True),
    help="Strength of the regularisation.  [default: 0.3]",
)
@click.option(
    "--stages",
    callback=options.whole_numbers,
    metavar="N,N",
    help="Stages of the backbone that the head reads, such as 5,6.  [default: what suits the backbone]",
)
@click.option(
    "--grid",
    type=click.IntRange(1, 4),
    help="They are averaged over each of N x N parts of the face.  [default: 3]",
)
@click.option(
    "--fit",
    type=click.Choice(["train", "train,val"]),
    help="Splits to learn from; train alone for what smoothers are trained on.  [default: train,val]",
)
@click.option(
    "--more",
    metavar="REF",
    help="Faces labelled with engagement alone, such as FOLDER:wacv2016, to learn from as well.",
)
@click.option("--leave-out", metavar="PERSON,PERSON", help="People of --more who are in --data as well.")
def states(
    data: str,
    base: str,
    out: Path,
    test: bool,
    limit: int | None,
    seed: int | None,
    skip_bad: bool,
    views: int | None,
    hidden: int | None,
    weight_decay: float | None,
    stages: tuple[int, ...] | None,
    grid: int | None,
    fit: str | None,
    more: str | None,
    leave_out: str | None,
) -> None:
    """Add boredom, engagement and confusion to a base model (DAiSEE).

    The base stays as it is; a small head is fitted on its features, subjects are never divided.
    """
    from training.cli.tables import show
    from training.states import StatesRun, train_states

    given: dict[str, Any] = {"views": views, "hidden": hidden, "weight_decay": weight_decay}
    given |= {"stages": stages, "grid": grid, "more": more, "seed": seed}
    given["fit_splits"] = tuple(fit.split(",")) if fit else None
    if leave_out and not more:
        raise click.UsageError("--leave-out names people of --more, which is not given.")
    given["leave_out"] = tuple(name.strip() for name in leave_out.split(",")) if leave_out else None
    settings = {key: value for key, value in given.items() if value is not None}
    run = StatesRun(
        data, base, out, limit=limit, test=test, skip_bad=skip_bad, command=options.command_line(), **settings
    )
    for split, found in train_states(run, options.say).items():
        show(f"states, {split}", found)
