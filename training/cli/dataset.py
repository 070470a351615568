"""``engagement dataset``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from engagement.given import GivenPath
from engagement.wording import count
from training.cli import options


@click.group()
def dataset() -> None:
    """Look at data sets before training on them."""


@dataset.command(short_help="Count pictures, find copies, warn of leaks between splits.")
@click.argument("data", nargs=-1, required=True)
@click.option(
    "--html",
    type=GivenPath(dir_okay=False, path_type=Path),
    callback=options.can_be_written,
    help="Write a page with pictures here.",
)
@click.option(
    "--json",
    "json_file",
    type=GivenPath(dir_okay=False, path_type=Path),
    callback=options.can_be_written,
    help="Write all figures and the pictures concerned here.",
)
@click.option(
    "--detail",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.85,
    show_default=True,
    help="Correlation of the fine structure from which two pictures count as one photograph.",
)
@click.option(
    "--compare-splits",
    is_flag=True,
    help="Instead: measure one quick head under a split that leaks and one that does not, side by side.",
)
@options.limit_option
def inspect(
    data: tuple[str, ...],
    html: Path | None,
    json_file: Path | None,
    detail: float,
    compare_splits: bool,
    limit: int | None,
) -> None:
    """Count pictures, find copies, and warn of what leaks between the splits.

    DATA is a folder or FOLDER:SET as for `engagement train` (docs/datasets.md); several are looked at
    together. Damaged pictures are listed and not counted. Leakage is a warning: the exit status stays 0.
    --compare-splits takes a set with two splits (student_states_demo), two references to the same pictures,
    or a set whose pictures name their source or person.
    """
    if compare_splits:
        if html is not None:
            raise click.UsageError("--compare-splits writes no page: leave out --html.")
        _compare(data, json_file, detail, limit)
        return
    from training.inspection.run import inspect as run
    from training.inspection.similar import SimilarOptions

    _show(run(data, html, json_file, limit, SimilarOptions(detail=detail), options.say))
    for path in (html, json_file):
        if path is not None:
            options.say(f"written: {path}")


def _compare(data: tuple[str, ...], json_file: Path | None, detail: float, limit: int | None) -> None:
    from rich.table import Table

    from engagement.drafts import write
    from training.cli.tables import span, wide_console
    from training.figure_text import to_json
    from training.inspection.comparison import as_dict, compare_splits
    from training.inspection.similar import SimilarOptions

    found = compare_splits(data, limit, SimilarOptions(detail=detail), say=options.say)
    if json_file is not None:
        write(json_file, to_json(as_dict(found)))
    table = Table(title="One linear head on the same frozen features", title_justify="left")
    table.add_column("")
    for one in found:
        table.add_column(one.name, justify="right", overflow="fold")

    def share(n: int | None, of: int) -> str:
        return "unknown" if n is None else f"{n} ({100 * n / of:.1f} %)"

    rows = {
        "train / test pictures": [f"{one.train} / {one.test}" for one in found],
        "test pictures with a copy or near copy in train": [share(one.near, one.test) for one in found],
        "with a neighbouring frame in train": [share(one.beside, one.test) for one in found],
        "of a person or source in train": [share(one.known, one.test) for one in found],
        "accuracy (95 % interval)": [span(one.accuracy[0], one.accuracy[1:]) for one in found],
        "macro F1 (95 % interval)": [span(one.macro_f1[0], one.macro_f1[1:]) for one in found],
        "accuracy of the commonest class": [f"{one.majority:.3f}" for one in found],
    }
    for words, cells in rows.items():
        table.add_row(words, *cells)
    console = wide_console()
    console.print(table)
    first, last = found[0], found[-1]
    gap = first.accuracy[0] - last.accuracy[0]
    verdict = (
        f"flatters: {gap:.3f} of its accuracy are lost under {last.name}"
        if gap > 0
        else "does not flatter here"
    )
    console.print(
        f"{first.name} {verdict}. Intervals resample recordings, so they say nothing of people who are not in the test split.",
        highlight=False,
        soft_wrap=True,
    )


def _show(found: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for entry in found["sets"]:
        smallest, largest = ("×".join(map(str, entry[key])) for key in ("smallest", "largest"))
        sizes = f"all {smallest} px" if entry["different_sizes"] == 1 else f"{smallest} to {largest} px"
        groups = (
            f", {count(entry['groups'], 'person or source', 'persons or sources')}" if entry["groups"] else ""
        )
        title = f"{entry['name']}: {count(entry['pictures'], 'picture')}{groups}, {sizes}"
        console.print(title, highlight=False, markup=False, soft_wrap=True, style="bold")
        for note in entry["notes"]:
            console.print(note, highlight=False, markup=False, soft_wrap=True)
        table = Table()
        table.add_column("class")
        for split in entry["counts"]:
            table.add_column(split, justify="right")
        for name in next(iter(entry["counts"].values())):
            table.add_row(Text(name), *(str(counts[name]) for counts in entry["counts"].values()))
        table.add_section()
        table.add_row("all", *map(str, entry["totals"].values()))
        console.print(table)
    if found["leaks"]:
        table = Table(title="On both sides of a split", title_justify="left")
        for column in ("in train", "split", "pictures", "of", "share"):
            table.add_column(column, justify="left" if column == "in train" else "right")
        for leak in found["leaks"]:
            share = f"{100 * leak['share']:.1f} %"
            table.add_row(leak["kind"], leak["split"], str(leak["affected"]), str(leak["of"]), share)
        console.print(table)
    copies, differing = found["copies"], found["conflicts"]
    near = ", ".join(f"{n} in {split}" for split, n in copies["near_copies_within"].items()) or "none"
    console.print(
        f"Groups of exact copies: {copies['groups_of_exact_copies']} ({copies['groups_across_splits']} across splits). "
        f"Pictures with a near copy in their own split: {near}. Labelled differently: "
        f"{count(differing['groups_of_exact_copies'], 'group')} of exact copies, "
        f"{count(differing['pairs_of_near_copies'], 'pair')} of near ones.",
        highlight=False,
        soft_wrap=True,
    )
    for name in found["damaged"]:
        console.print(f"cannot be decoded: {name}", highlight=False, markup=False, soft_wrap=True)
    for warning in found["warnings"]:
        console.print(f"warning: {warning}", style="yellow", highlight=False, markup=False, soft_wrap=True)
    if not found["warnings"]:
        console.print("No warnings.")
