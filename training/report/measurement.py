"""The page and the figures of ``engagement evaluate --report``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engagement.wording import count
from training.figure_text import to_json
from training.measuring.opened import Model
from training.measuring.outcome import Outcome
from training.report.cost import cost, efficiency
from training.report.page import write_report


def write_measurement(
    folder: Path, model: Model, outcome: Outcome, found: Mapping[str, Any], gallery: bool
) -> Path:
    """Write ``report.html``, ``metrics.json`` and ``cost.json`` into a folder.

    Args:
        folder: is made where it lacks.
        found: of :func:`training.evaluate.run_evaluation`.
        gallery: show misclassified faces: pictures of people on a disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    spent = cost(model)
    if "accuracy" in found:
        spent["accuracy_per_gflop"] = efficiency(found, spent["gflops"])
    (folder / "metrics.json").write_text(to_json(found), encoding="utf-8")
    (folder / "cost.json").write_text(to_json(spent), encoding="utf-8")
    title = f"{found['data']}, {found['split']}"
    figures = {k: v for k, v in found.items() if k not in ("pictures", "without_face", "left_out")}
    without = found["without_face"]
    notes = [f"Left out for want of a face: {without} of {found['pictures']} pictures."] if without else []
    if left_out := found.get("left_out"):
        classes = ", ".join(f"{name} ({count(n, 'picture')})" for name, n in left_out.items())
        notes.append(f"Left out, because the model has no such class: {classes}.")
    if not model.head(found["head"]).once and any(member.network.spec.mirror for member in model.networks):
        notes.append("Each face is looked at twice, itself and its mirror image: cost is of both looks.")
    if gallery and "accuracy" not in found:
        notes.append("No faces are shown: states are no classes that a face could be taken for.")
    recipe = model.record.origin.get("recipe")
    return write_report(
        folder / "report.html",
        model,
        found["head"],
        {title: figures},
        spent,
        outcomes={title: outcome} if gallery and "accuracy" in found else None,
        recipe=recipe if isinstance(recipe, Mapping) else None,
        notes=notes,
    )
