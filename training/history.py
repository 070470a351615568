"""Figures of a run as it goes: said, kept in the checkpoint, written to a CSV file."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from engagement.drafts import drafted
from training.lightning import Callback, pl


class History(Callback):
    """One row per epoch.

    Lightning's CSVLogger starts its file anew when a run is resumed; these rows travel in the checkpoint,
    so the file of a resumed run is that of an uninterrupted one.

    Args:
        file: the CSV file.
        say: takes one line per epoch.
        counted: what the line counts.
    """

    def __init__(
        self, file: Path, say: Callable[[str], None], counted: Literal["epoch", "step"] = "epoch"
    ) -> None:
        self.file, self.say, self.counted = file, say, counted
        self.start = time.monotonic()
        self.rows: list[dict[str, float]] = []
        self._measured = False

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._measured = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        figures = {k: float(v) for k, v in sorted(trainer.callback_metrics.items())}
        if not self._measured:  # stopped within the epoch: what Lightning still holds is of the one before
            figures = {k: v for k, v in figures.items() if not k.startswith("val_")}
        self._measured = False
        row = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step, **figures}
        self.rows.append(row)
        if not trainer.is_global_zero:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        # Rows from before a run was resumed may have other figures: the learning rate goes with --tensorboard.
        names = list(dict.fromkeys(name for each in self.rows for name in each))
        with drafted(self.file) as draft, draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names, restval="")
            writer.writeheader()
            writer.writerows(self.rows)
        text = ", ".join(
            f"{k.removeprefix('val_')} {v:.4f}" for k, v in figures.items() if k.startswith("val_")
        )
        self.say(
            f"{self.counted} {row[self.counted]:g}: {text or 'not measured'} ({time.monotonic() - self.start:.0f} s)"
        )
