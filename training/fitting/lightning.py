"""The door to Lightning. Its metrics library imports torchvision, so ours comes first (see compat)."""

import errno
import io
import signal
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from engagement.compat import load_torchvision
from engagement.drafts import drafted
from engagement.errors import OutputError
from training import Say

load_torchvision()

import pytorch_lightning as pl  # noqa: E402
from lightning_fabric.utilities.exceptions import MisconfigurationException  # noqa: E402
from pytorch_lightning.callbacks import (  # noqa: E402
    Callback,
    EarlyStopping,
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
)
from pytorch_lightning.loggers import TensorBoardLogger  # noqa: E402
from pytorch_lightning.plugins import TorchCheckpointIO  # noqa: E402
from pytorch_lightning.utilities import rank_zero_only  # noqa: E402

__all__ = [
    "Callback",
    "EMAWeightAveraging",
    "EarlyStopping",
    "LearningRateMonitor",
    "MisconfigurationException",
    "ModelCheckpoint",
    "TensorBoardLogger",
    "WholeCheckpoints",
    "fit_module",
    "pl",
    "rank_zero_only",
]


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are there whole or not at all; an earlier one stays until then.

    Lightning drafts them in the folder for temporary files. From another disk they are copied, which ends half-way where
    space does.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        with drafted(Path(path)) as draft:
            draft.write_bytes(buffer.getbuffer())


def fit_module(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    batches: DataLoader,
    held_out: DataLoader,
    last: Path | None,
    *,
    folder: Path,
    resume: bool,
    say: Say,
) -> None:
    """Train.

    Lightning's ``fit`` would end the process with status 1, without a word, when somebody presses Ctrl-C.

    Args:
        batches, held_out: faces to learn from, and to measure after each epoch.
        last: checkpoint to go on from.
        folder: where ``last.ckpt`` is written.
        resume: whether the same command goes on from that.
        say: is told what the same command will do.

    Raises:
        KeyboardInterrupt: somebody pressed Ctrl-C.
        OutputError: there is no space for a checkpoint.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        with warnings.catch_warnings():
            # About things that are meant: a folder that holds the run to go on with, no worker processes.
            warnings.simplefilter("ignore")
            trainer.fit(module, batches, held_out, ckpt_path=last, weights_only=False)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        # It names the draft.
        raise OutputError(
            f"{folder} cannot be written ({error.strerror})",
            f"Make space there; {_what_follows(folder, resume)}.",
        ) from error
    except SystemExit as ended:
        if not isinstance(ended.__context__, KeyboardInterrupt):  # told to end otherwise, as by SIGTERM
            raise
        signal.signal(
            signal.SIGINT, before or signal.default_int_handler
        )  # which Lightning has told to be ignored
        say(_what_follows(folder, resume))
        raise KeyboardInterrupt from ended


def _what_follows(folder: Path, resume: bool) -> str:
    goes_on = resume and (folder / "last.ckpt").is_file()
    return f"the same command {'goes on after the last whole epoch' if goes_on else 'begins anew'}"
