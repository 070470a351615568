"""Figures on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    exclusive, console = "per_class" in found, wide_console()
    table = Table(title=Text(f"{title} ({count(found['n'], 'face')})"), title_justify="left")
    states = ("state", "AUC", "balanced accuracy", "ECE", "balanced ECE", "share", "faces")
    for column in ("class", "precision", "recall", "F1", "faces") if exclusive else states:
        left = column in ("class", "state")
        table.add_column(column, justify="left" if left else "right", overflow="fold")
    for name, cells in (_classes if exclusive else _states)(found):
        table.add_row(Text(name), *cells)
    console.print(table)
    if exclusive:
        spans = found.get("intervals", {})
        for key in ("accuracy", "mean_class_accuracy", "macro_f1", "weighted_f1", "ece"):
            console.print(f"{key.replace('_', ' '):>20}: {span(found[key], spans.get(key))}", highlight=False)
    for why in found.get("beware", ()):
        console.print(Text(f"beware: {why}"))


def _classes(found: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    for name, row in found["per_class"].items():
        yield name, [*(span(row[key]) for key in ("precision", "recall", "f1")), str(row["support"])]


def _states(found: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    for name, row in found.items():
        if isinstance(row, Mapping):
            spans = row.get("intervals", {})
            keys = ("auc", "balanced_accuracy", "ece", "ece_balanced")
            counts = [span(row["positive_share"]), str(row["n"])]
            yield name, [*(span(row.get(key), spans.get(key)) for key in keys), *counts]


def span(value: float | None, interval: Sequence[float | None] | None = None) -> str:
    """A figure with its interval, which may be unknown."""
    text, ends = figure_text(value), interval_text(interval)
    return f"{text} ({ends})" if ends and text != UNKNOWN else text
