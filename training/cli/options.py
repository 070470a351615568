"""Options that several training commands share. Click alone; nothing heavy is imported here."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from engagement.given import GivenPath

F = TypeVar("F", bound=Callable[..., Any])


def can_hold_results(_: click.Context, option: click.Parameter, value: Path | None) -> Path | None:
    """Of a folder that is to be written into: said before the work, not after it; a click callback."""
    if value is not None:
        _require_folder(option, value, value)
    return value


def can_be_written(_: click.Context, option: click.Parameter, value: Path | None) -> Path | None:
    """The same of a file."""
    if value is not None:
        _require_folder(option, value, value.parent)
    return value


def _require_folder(option: click.Parameter, value: Path, folder: Path) -> None:
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        why = "is no folder" if not there.is_dir() else "cannot be written"
        raise click.BadParameter(f"'{value}': {there} {why}", param=option)


data_option = click.option(
    "--data",
    required=True,
    metavar="REF",
    help="Folder of class folders, a data set's official folder or CSV, or FOLDER:SET (SET: rafdb, fer2013, "
    "fer2013_clean, ferplus, affectnet7, affectnet8, daisee, wacv2016; see docs/datasets.md).",
)
several_data_option = click.option(
    "--data",
    required=True,
    multiple=True,
    metavar="REF",
    help="Folder of class folders, a data set's official folder or CSV, or FOLDER:SET (SET: rafdb, fer2013, "
    "fer2013_clean, ferplus, affectnet7, affectnet8; see docs/datasets.md). Repeatable: the first one validates "
    "and tests, the others only train.",
)
out_option = click.option(
    "-o",
    "--out",
    required=True,
    type=GivenPath(file_okay=False, path_type=Path),
    callback=can_hold_results,
    help="Folder for the results.",
)
base_option = click.option(
    "--base", default="default", show_default=True, metavar="default|FILE", help="Weights to start from."
)
checkpoint_option = click.option(
    "--checkpoint",
    "--weights",
    default="default",
    show_default=True,
    metavar="default|open|FILE",
    help="The model: a shipped one, or a weight file.",
)
min_face_option = click.option(
    "--min-face",
    type=click.IntRange(12, 1000),
    default=24,
    show_default=True,
    help="Smallest face that is looked for, pixels.",
)
limit_option = click.option(
    "--limit", type=click.IntRange(min=1), help="Pictures per split, drawn at random: for trials."
)
steps_option = click.option(
    "--max-steps", type=click.IntRange(min=1), help="Stop after this many optimiser steps: for trials."
)
_SEED = "Of weights, order and augmentation."
seed_option = click.option("--seed", type=click.IntRange(min=0), help=f"{_SEED}  [default: 1]")
recipe_seed_option = click.option(
    "--seed", type=click.IntRange(min=0), help=f"{_SEED}  [default: the recipe's]"
)
mirror_option = click.option(
    "--mirror/--no-mirror",
    default=True,
    show_default=True,
    help="Average what is said of each face and of its mirror image, as `analyze` does.",
)
skip_option = click.option(
    "--skip-bad", is_flag=True, help="List and leave out damaged files instead of stopping."
)
gallery_option = click.option(
    "--gallery",
    is_flag=True,
    help="Show misclassified faces on the page: pictures of people, which are otherwise left out.",
)
test_option = click.option(
    "--test", is_flag=True, help="Also measure the test split. Do it once, when nothing is left to choose."
)


def lightning_options(command: F) -> F:
    """--devices, --num-nodes, --strategy, --accelerator: handed to Lightning as they are; and --loaders."""
    for option in (
        click.option(
            "--loaders",
            type=click.IntRange(min=0),
            help="Processes that read and vary faces for each one that trains.  [default: 0 on a CPU, up to 8 beside a GPU]",
        ),
        click.option("--accelerator", default="auto", show_default=True, help="cpu, gpu, mps or auto."),
        click.option("--strategy", default="auto", show_default=True, help="Lightning's, for example ddp."),
        click.option(
            "--num-nodes", type=click.IntRange(min=1), default=1, show_default=True, help="Machines."
        ),
        click.option(
            "--devices", default="auto", show_default=True, help="How many devices, or which ones (0,1)."
        ),
    ):
        command = option(command)
    return command


def command_line() -> str:
    """The command as typed, with folders cut off: a record must not tell where a user keeps things.

    What a value belongs to stays: ``--data=elsewhere/faces`` becomes ``--data=faces``.
    """

    def cut(text: str) -> str:
        return re.sub(r"^((?:--)?[\w-]+=)?.*[/\\](?=.)", r"\1", text.rstrip("/\\"))

    # The one value that names several files.
    words = [
        ",".join(map(cut, word.split(","))) if word.startswith("distil=") else cut(word)
        for word in sys.argv[1:]
    ]
    return shlex.join(["engagement", *words])


def say(text: str) -> None:
    """Progress, on standard error: standard output is for results."""
    click.echo(text, err=True)


def whole_numbers(_: click.Context, option: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """``5,6`` as numbers; a click callback."""
    if value is None:
        return None
    parts = [part.strip() for part in value.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise click.BadParameter(
            f"'{value}' is no list of whole numbers; write for example 5,6", param=option
        )
    return tuple(int(part) for part in parts)
