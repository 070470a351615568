"""What our trainings have Lightning do besides: figures of each epoch, checkpoints, an early end that lasts."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any, Literal

from engagement.drafts import drafted
from training import Say
from training.fitting.lightning import Callback, EarlyStopping, ModelCheckpoint, pl
from training.samples.sampling import EpochSampler


class History(Callback):
    """Figures of a run as it goes, a row per epoch: said, kept in the checkpoint, written to a CSV file.

    Lightning's CSVLogger starts its file anew when a run is resumed; these rows travel in the checkpoint,
    so the file of a resumed run is that of an uninterrupted one.

    Args:
        file: the CSV file.
        say: takes one line per epoch.
        counted: what the line counts.
    """

    def __init__(self, file: Path, say: Say, counted: Literal["epoch", "step"] = "epoch") -> None:
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


class Epochs(Callback):
    """Tells order and augmentation which epoch it is, also where Lightning wraps the sampler."""

    def __init__(self, sampler: EpochSampler) -> None:
        self.sampler = sampler

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.sampler.set_epoch(trainer.current_epoch)


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


def checkpoints(folder: Path) -> tuple[Checkpoint, Checkpoint]:
    """Keep ``best.ckpt``, of the best epoch by ``val_score``, and ``last.ckpt``, from which a killed run goes on."""
    best = Checkpoint(folder, "best", monitor="val_score", mode="max", enable_version_counter=False)
    # save_last would follow the best epochs only; a resumed run needs every one.
    return best, Checkpoint(folder, "last", enable_version_counter=False)
