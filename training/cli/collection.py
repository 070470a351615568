"""``engagement faces review``, ``split`` and ``augment``: what happens to captured faces before training."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from engagement.given import GivenPath
from engagement.wording import count
from training.cli import options

if TYPE_CHECKING:
    from training.collection.split import Division

_folder = click.argument("folder", type=GivenPath(file_okay=False, path_type=Path))


@click.command()
@_folder
@click.option(
    "--apply",
    "answer",
    type=GivenPath(dir_okay=False, path_type=Path),
    metavar="REVIEW.JSON",
    help="Put into effect what was decided on the page.",
)
@click.option("--add", multiple=True, metavar="LABEL", help="A further class to choose from. Repeatable.")
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
def review(folder: Path, answer: Path | None, add: tuple[str, ...], show: bool) -> None:
    """Look through captured faces: fix labels, drop bad ones.

    Writes FOLDER/review.html, a page for the browser that needs no network and no server; it saves
    review.json, which --apply reads. Dropped faces go to FOLDER/.dropped, and nothing is deleted.
    """
    from training.collection.review import ANSWER, apply_review, write_review

    if answer is not None:
        if add or show:
            raise click.UsageError("--apply changes the folder; --add and --open belong to the page.")
        counts = apply_review(folder, answer, options.say)
        options.say(
            f"{count(counts['relabelled'], 'face')} relabelled, {counts['dropped']} dropped"
            + (f", {counts['done before']} done before" if counts["done before"] else "")
        )
        return
    page = write_review(folder, add, options.say)
    options.say(f"written: {page}")
    command = shlex.join(["engagement", "faces", "review", str(folder), "--apply", ANSWER])
    options.say(
        f"Open it in a browser, save {ANSWER} there, then (with the path where the browser put it): {command}"
    )
    if show:
        click.launch(page.resolve().as_uri())


@click.command()
@_folder
@click.option(
    "--by",
    type=click.Choice(["video", "time", "person"]),
    default="video",
    show_default=True,
    help="What is never divided: whole videos, people, or blocks of time (the end of each video then checks).",
)
@click.option("--val", type=float, default=0.2, show_default=True, help="Share that validates.")
@click.option("--test", type=float, default=0.0, show_default=True, help="Share that tests; 0 for none.")
def split(folder: Path, by: Literal["video", "time", "person"], val: float, test: float) -> None:
    """Decide which faces train and which check, before any copies are made.

    Writes the column 'split' of FOLDER/manifest.csv, which training follows. Frames of one video look
    alike, so that faces are never divided one by one. The same faces always get the same split.
    """
    from training.collection.split import SplitOptions, split_faces

    _show(split_faces(folder, SplitOptions(by, val, test), options.say), by)


def _show(found: Division, by: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    word = {"video": "videos", "time": "blocks", "person": "people"}[by]
    table = Table()
    table.add_column("class")
    for part in found.counts:
        table.add_column(f"{part}: faces", justify="right")
        table.add_column(word, justify="right")
    for name in found.counts["train"]:
        cells = [(str(found.counts[part][name]), str(found.units[part][name])) for part in found.counts]
        table.add_row(Text(name), *(cell for pair in cells for cell in pair))
    console = Console()
    console.print(table)
    for part, n in found.near.items():
        total = sum(found.counts[part].values())
        text = f"With a near copy in train: {n} of {total} {part} faces."
        if n > total / 10:
            remedy = (
                "Are they of one recording?"
                if by == "video"
                else "Split by video, or capture with a larger --every."
            )
            text += f" Figures on them flatter. {remedy}"
        console.print(text, highlight=False, soft_wrap=True)
    for part in found.near:
        lacking = [name for name, n in found.counts[part].items() if not n]
        if lacking:
            console.print(
                f"{part} has no face of {', '.join(lacking)}: figures are about the others.", markup=False
            )


@click.command()
@_folder
@click.option(
    "-o",
    "--out",
    type=GivenPath(file_okay=False, path_type=Path),
    help="Folder to write.  [default: FOLDER_augmented]",
)
@click.option("-n", "--copies", type=int, default=4, show_default=True, help="Copies of each training face.")
@click.option("--flip", type=float, default=0.5, show_default=True, help="Probability of mirroring.")
@click.option("--rotation", type=float, default=10.0, show_default=True, help="Largest turn, degrees.")
@click.option(
    "--light", type=float, default=0.25, show_default=True, help="Largest change of brightness and contrast."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the draws.")
def augment(
    folder: Path, out: Path | None, copies: int, flip: float, rotation: float, light: float, seed: int
) -> None:
    """Write FOLDER's faces with varied copies of those that train.

    Training varies faces anew in every epoch by itself, so this is for other programs and for looking.
    Split first: faces that check get no copies.
    """
    from training.collection.augment import CopyOptions, augment_faces

    whole = folder.resolve()  # "." has no name
    out = out or whole.with_name(f"{whole.name}_augmented")
    chosen = CopyOptions(copies, flip, rotation, light, seed)
    written = augment_faces(folder, out, chosen, options.say)
    options.say(
        f"{count(written['originals'], 'face')} and {count(written['copies'], 'copy', 'copies')} written to {out}"
    )
