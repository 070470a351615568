"""What Lightning's callbacks forget when a run is gone on with, remembered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.lightning import EarlyStopping, ModelCheckpoint, pl


class Patience(EarlyStopping):
    """Early stopping that stays stopped: a run that had stopped and is started again trains no further epoch."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        if self.wait_count >= self.patience:
            trainer.should_stop = True


class Checkpoint(ModelCheckpoint):
    """Keeps the best epoch also where the run's folder was moved or copied since.

    Lightning forgets the best score when the folder has another path, so that any later epoch would take the best
    one's place.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        here = {
            key: self._here(value)
            for key, value in state_dict.items()
            if key in ("best_model_path", "kth_best_model_path", "last_model_path")
        }
        best = {self._here(path): score for path, score in state_dict.get("best_k_models", {}).items()}
        super().load_state_dict({**state_dict, **here, "best_k_models": best, "dirpath": self.dirpath})

    def _here(self, path: str) -> str:
        return str(Path(str(self.dirpath)) / Path(path).name) if path else path
