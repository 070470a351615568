"""``train personal`` and ``train extension``."""

from __future__ import annotations

from pathlib import Path

import click

from training.cli import options

_unfreeze_option = click.option(
    "--unfreeze",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Also train this many of the backbone's last stages; heads of the base that read them are then left out.",
)
_sided_option = click.option(
    "--sided",
    is_flag=True,
    help="For classes that a mirror image swaps, such as looking left and right: no face is mirrored, nor in analyze.",
)
_detect_option = click.option(
    "--detect",
    is_flag=True,
    help="The pictures are photographs: find the largest face in each first, and leave out those without.",
)


@click.command(short_help="Adapt a model to your own class folders.")
@options.data_option
@options.base_option
@options.out_option
@_detect_option
@_unfreeze_option
@_sided_option
@click.option(
    "--equalize",
    is_flag=True,
    help="Even out light before the network sees a face, also in analyze; other heads are then left out.",
)
@click.option(
    "--distil",
    multiple=True,
    metavar="default|FILE",
    help="Imitate this model's probabilities of the same classes beside the labels. Repeatable.",
)
@options.test_option
@options.steps_option
@options.seed_option
@options.skip_option
def personal(
    data: str,
    base: str,
    out: Path,
    detect: bool,
    unfreeze: int,
    sided: bool,
    equalize: bool,
    distil: tuple[str, ...],
    test: bool,
    max_steps: int | None,
    seed: int | None,
    skip_bad: bool,
) -> None:
    """Adapt a model to your own class folders (see `engagement faces capture`).

    The classes may be some of the seven expressions or any others. Pictures of one source (video and
    time) are never divided between training and validation. Writes personal.safetensors.
    """
    from training.cli.tables import show
    from training.transfer import TransferRun, train_personal

    run = TransferRun(
        data, base, out, detect=detect, unfreeze=unfreeze, sided=sided, equalize=equalize, distil=distil, test=test,
        max_steps=max_steps or -1, seed=seed, skip_bad=skip_bad, command=options.command_line(),
    )  # fmt: skip
    for split, found in train_personal(run, options.say).items():
        show(split, found)


@click.command(short_help="Add new classes as a further head.")
@click.option(
    "--data",
    required=True,
    metavar="FOLDER|CSV",
    help="Class folders; a CSV with columns file, label; or one with file and columns of grades 0, 1, 2 …",
)
@options.base_option
@click.option("--name", required=True, help="Of the new head: small letters, digits and _.")
@options.out_option
@_detect_option
@_unfreeze_option
@_sided_option
@options.test_option
@options.steps_option
@options.seed_option
@options.skip_option
def extension(
    data: str,
    base: str,
    name: str,
    out: Path,
    detect: bool,
    unfreeze: int,
    sided: bool,
    test: bool,
    max_steps: int | None,
    seed: int | None,
    skip_bad: bool,
) -> None:
    """Add new classes as a further head; the base and its heads stay as they are.

    All heads share one pass over a face in `engagement analyze`. A grade of 0-3, say, becomes three columns: how
    surely it is at least 1, 2 and 3.
    """
    from training.cli.tables import show
    from training.transfer import TransferRun, train_extension

    run = TransferRun(
        data, base, out, detect=detect, unfreeze=unfreeze, sided=sided, test=test, max_steps=max_steps or -1, seed=seed,
        skip_bad=skip_bad, command=options.command_line(),
    )  # fmt: skip
    for split, found in train_extension(run, name, options.say).items():
        show(f"{name}, {split}", found)
