"""One page about a model: how good, how sure, how costly, how it was trained. It needs nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engagement.reports.page import write_page
from training.figure_text import figure_text, interval_text
from training.measuring.opened import Model, Opened
from training.measuring.outcome import MAIN, PER_CLASS, Outcome
from training.report import drawing
from training.report.cards import data_names
from training.report.cost import efficiency
from training.report.gallery import misclassified

_WORDS = {
    "accuracy": "accuracy",
    "mean_class_accuracy": "mean class accuracy",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "ece": "calibration error (ECE)",
}


def write_report(
    path: Path,
    model: Model,
    head: str,
    measured: Mapping[str, Mapping[str, Any]],
    cost: Mapping[str, Any],
    *,
    outcomes: Mapping[str, Outcome] | None = None,
    history: Sequence[Mapping[str, float]] = (),
    recipe: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> Path:
    """Write ``report.html``.

    Args:
        path: of the page.
        model, head: what was measured.
        measured: title of a part (split) -> figures of :func:`training.measuring.outcome.figures` with intervals.
        cost: of :func:`training.report.cost.cost`.
        outcomes: part -> what was said; then misclassified faces are shown. None shows no picture.
        history: rows of the run's log.
        recipe: resolved, key -> value.
        notes: lines about what was measured.
    """
    chip = model.networks[0].chip
    parts = [
        _part(title, found, cost["gflops"], (outcomes or {}).get(title), chip)
        for title, found in measured.items()
    ]
    return write_page(
        path,
        "model.html",
        name=model.name,
        what=_what(model),
        sha256=model.sha256,
        head=head,
        labels=model.head(head).labels,
        parts=parts,
        cost=cost,
        curves=drawing.learning_curves(history),
        recipe=recipe or {},
        notes=notes,
        pictures=bool(outcomes),
        licence=model.record.licence,
        origin=model.record.origin,
        data=data_names(model.record.origin),
        members=_members(model),
    )


def _part(
    title: str, found: Mapping[str, Any], gflops: float, outcome: Outcome | None, chip: Any
) -> dict[str, Any]:
    if "per_class" not in found:
        states = {k: v for k, v in found.items() if isinstance(v, Mapping)}
        return {
            "title": title,
            "n": found["n"],
            "beware": found.get("beware", ()),
            "states": [
                {
                    "name": name,
                    "cells": [
                        number(row.get(key), row.get("intervals", {}).get(key))
                        for key in ("auc", "balanced_accuracy", "ece", "ece_balanced", "positive_share")
                    ],
                    "diagram": drawing.diagram(row.get("reliability", ())),
                }
                for name, row in states.items()
            ],
        }
    spans = found.get("intervals", {})
    mistakes = misclassified(outcome, chip) if outcome is not None else {}
    return {
        "title": title,
        "n": found["n"],
        "beware": found.get("beware", ()),
        "figures": [(_WORDS[key], number(found[key], spans.get(key))) for key in MAIN],
        "efficiency": efficiency(found, gflops),
        "classes": [
            {
                "name": name,
                "cells": [number(row[key], row.get("intervals", {}).get(key)) for key in PER_CLASS],
                "support": row["support"],
                "recall": row["recall"],
                "span": _known(row.get("intervals", {}).get("recall")),
            }
            for name, row in found["per_class"].items()
        ],
        "names": found["labels"],
        "confusion": drawing.confusion(found),
        "diagram": drawing.diagram(found.get("reliability", ())),
        "mistakes": mistakes,
        "wrong": found["n"] - sum(row[i] for i, row in enumerate(found["confusion"])),
    }


def number(value: float | None, span: Sequence[float | None] | None = None) -> dict[str, str]:
    """A figure as text, and its interval as text; an en dash where there is none."""
    return {"value": figure_text(value), "span": interval_text(span)}


def _known(interval: Sequence[float | None] | None) -> Sequence[float | None] | None:
    """Both ends, or nothing where one is unknown."""
    return interval if interval_text(interval) else None


def _what(model: Model) -> str:
    if isinstance(model, Opened):
        return f"{model.network.spec.backbone} on chips of {model.chip.size} px"
    return f"An ensemble of {len(model.members)} networks"


def _members(model: Model) -> list[dict[str, Any]]:
    if isinstance(model, Opened):
        return []
    return [
        {
            "name": member.name.removeprefix(f"{model.name}/"),
            "share": share,
            "backbone": member.network.spec.backbone,
            "size": member.chip.size,
        }
        for member, share in model.members
    ]
