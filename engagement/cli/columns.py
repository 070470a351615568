"""``engagement columns``: the documentation of the tables, from the place that defines them."""

from __future__ import annotations

import click


@click.command()
@click.argument("table", required=False, type=click.Choice(["timeline", "persons", "events", "samples"]))
@click.option("--markdown", is_flag=True, help="As a Markdown document.")
def columns(table: str | None, markdown: bool) -> None:
    """Explain every column of the tables: type, unit, meaning."""
    from engagement.timelines.columns import EVENTS, PERSONS, SAMPLES, TIMELINE

    tables = {"timeline": TIMELINE, "persons": PERSONS, "events": EVENTS, "samples": SAMPLES}
    for name, listed in tables.items():
        if table not in (None, name):
            continue
        if markdown:
            click.echo(f"## {name}\n\n| column | type | unit | meaning |\n|---|---|---|---|")
            for c in listed:
                empty = "; empty where unknown" if c.nullable else ""
                click.echo(f"| `{c.name}` | {c.dtype} | {c.unit} | {c.meaning}{empty} |")
            click.echo()
        else:
            click.echo(f"{name}:")
            for c in listed:
                click.echo(f"  {c.name:22}{c.dtype:7}{c.unit:17}{c.meaning}")
