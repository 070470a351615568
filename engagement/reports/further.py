"""Parts of pages about heads that a checkpoint has beside the documented ones: classes of a user's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engagement.reports import figures
from engagement.reports.reading import Axis
from engagement.timelines.session_summary import SessionSummary, number, part
from engagement.wording import count

if TYPE_CHECKING:
    import pandas as pd


def of_class(summary: SessionSummary, length_s: float) -> list[dict[str, Any]]:
    """One part per head for the page of a session; none where the checkpoint has no further heads."""
    return [
        _part(name, head, figures.heads_figure(head["curves"], length_s))
        for name, head in summary.heads.items()
    ]


def of_person(summary: SessionSummary, table: pd.DataFrame, axis: Axis) -> list[dict[str, Any]]:
    """The same for the page of a person, whose rows of the timeline these are."""
    return [
        _part(name, head, figures.further_figure(table, name, head["classes"], axis))
        for name, head in summary.heads.items()
    ]


def _part(name: str, head: Mapping[str, Any], figure: str | None) -> dict[str, Any]:
    return {
        "name": name,
        "classes": head["classes"],
        "exclusive": head["kind"] == "exclusive",
        "note": _note(part(head, "measured")),
        "figure": figure,
    }


def _note(measured: Mapping[str, Any]) -> str:
    """How far the head can be trusted, in a sentence or two."""
    found = part(measured, "figures")
    if not found:
        return "How often they are right was not measured. Treat them as a guess."
    told = []
    for name, (value, low, high) in found.items():
        known = number(low) is not None and number(high) is not None
        told.append(f"{name} {value:.2f}" + (f" ({low:.2f}–{high:.2f})" if known else ""))
    where = "of its test split" if measured.get("split") == "test" else "held out from its training"
    beware = "".join(f" Beware: {why}." for why in measured.get("beware") or ())
    return f"Measured on {count(int(measured['n']), 'face')} {where}: {', '.join(told)}.{beware}"
