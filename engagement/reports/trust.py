"""What was measured of the models, and how far the pages ask to be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engagement.labels import WEAK_AUC
from engagement.reports.theme import STATES, listed
from engagement.timelines.session_summary import number


@dataclass(frozen=True, slots=True)
class Trust:
    """What was measured of the models: figures for the folded part, and a note that always shows."""

    figures: Sequence[tuple[str, str, str]]
    weak: Sequence[tuple[str, float]]
    unmeasured: Sequence[str]

    @property
    def note(self) -> str:
        """Which states are barely better than chance, or were never measured; empty when none."""
        parts = []
        if self.weak:
            named = listed([f"apparent {name} (AUC {value:.2f})" for name, value in self.weak])
            parts.append(
                f"Barely better than chance on unseen people: {named}. An AUC of 0.5 is a coin toss, 1 is never wrong."
            )
        if self.unmeasured:
            named = listed([f"apparent {name}" for name in self.unmeasured])
            them = "it" if len(self.unmeasured) == 1 else "each"
            parts.append(f"Not measured on unseen people: {named}. Treat {them} as a guess.")
        return " ".join(parts)


_MEANINGS = {
    "mean_class_accuracy": "share of a class's pictures that is found, averaged over the classes",
    "accuracy": "share of pictures named correctly",
    "auc": "chance of picking, of two pictures, the one that was labelled with the state; 0.5 is a coin toss",
    "recall": "share of a class's pictures that is found, averaged over the classes",
    "macro_f1": "precision and recall together, averaged over the classes",
    "ece": "how far stated probabilities are off on average",
}


def trust(models: Mapping[str, Any]) -> Trust:
    """Measured figures of the models in use, from ``models`` of a summary."""
    figures: list[tuple[str, str, str]] = []
    measured: dict[str, float] = {}
    for model, record in models.items():
        metrics = record.get("metrics") if isinstance(record, Mapping) else None
        for key, value in (metrics or {}).items():
            found = number(value)
            if found is None:
                continue
            meaning = next((text for part, text in _MEANINGS.items() if part in key.lower()), "")
            shown = f"{found:.2f}" if abs(found) < 10 else f"{found:.4g}"
            figures.append((f"{model}: {key.replace('_', ' ')}", shown, meaning))
            for state in STATES:
                if key.lower() in (f"daisee_{state}_auc", f"daisee_test_{state}_auc"):
                    measured[state] = found
    weak = [(name, measured[name]) for name in STATES if measured.get(name, 1.0) < WEAK_AUC]
    return Trust(figures, weak, [name for name in STATES if name not in measured])
