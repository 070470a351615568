"""Figures on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engagement.wording import count
from training.figure_text import UNKNOWN, figure_text, interval_text


def wide_console() -> Console:
    """The terminal; in a file nothing has to fit a window."""
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, 140)
    return console


def show(title: str, found: Mapping[str, Any]) -> None:
    """Print the figures of one head on one split."""
    console = wide_console()
    per_class = found.get("per_class")
    if per_class is None:
        table = Table(title=Text(f"{title} ({count(found['n'], 'face')})"), title_justify="left")
        for column in ("state", "AUC", "balanced accuracy", "ECE", "balanced ECE", "share"):
            table.add_column(column, justify="left" if column == "state" else "right", overflow="fold")
        for name, row in found.items():
            if isinstance(row, Mapping):
                spans = row.get("intervals", {})
                keys = ("auc", "balanced_accuracy", "ece", "ece_balanced")
                cells = [span(row.get(key), spans.get(key)) for key in keys]
                table.add_row(Text(name), *cells, span(row["positive_share"]))
        console.print(table)
        _beware(console, found)
        return
    table = Table(title=Text(f"{title} ({count(found['n'], 'face')})"), title_justify="left")
    for column in ("class", "precision", "recall", "F1", "faces"):
        table.add_column(column, justify="left" if column == "class" else "right", overflow="fold")
    for name, row in per_class.items():
        table.add_row(Text(name), *(span(row[k]) for k in ("precision", "recall", "f1")), str(row["support"]))
    console.print(table)
    spans = found.get("intervals", {})
    for key in ("accuracy", "mean_class_accuracy", "macro_f1", "weighted_f1", "ece"):
        console.print(f"{key.replace('_', ' '):>20}: {span(found[key], spans.get(key))}", highlight=False)
    _beware(console, found)


def _beware(console: Console, found: Mapping[str, Any]) -> None:
    for why in found.get("beware", ()):
        console.print(Text(f"beware: {why}"))


def span(value: float | None, interval: Sequence[float | None] | None = None) -> str:
    """A figure with its interval, which may be unknown."""
    text, ends = figure_text(value), interval_text(interval)
    return f"{text} ({ends})" if ends and text != UNKNOWN else text
