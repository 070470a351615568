"""``engagement report``: pages again from saved tables, without any model."""

from __future__ import annotations

from pathlib import Path

import click

from engagement.errors import DataError


@click.command()
@click.argument("output", type=click.Path(path_type=Path, exists=True, file_okay=False))
def report(output: Path) -> None:
    """Write the pages of OUTPUT (a folder that `engagement analyze` wrote) again from its tables.

    Pictures of faces are not kept in the tables, so pages written again have none.
    """
    from engagement.reports.render import render_index, render_session, write_assets

    folders = sorted(path.parent for path in output.rglob("summary.json"))
    if not folders:
        raise DataError(f"{output} holds no results", "Give the folder that `engagement analyze -o` wrote.")
    write_assets(output)
    for folder in folders:
        render_session(folder, output, {})
    if (output / "run.json").is_file():
        render_index(output)
    click.echo(f"{len(folders)} sessions written again: {output / 'index.html'}")
