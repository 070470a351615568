"""The door to Lightning. Its metrics library imports torchvision, so ours comes first (see compat)."""

from engagement.compat import load_torchvision

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
from pytorch_lightning.utilities import rank_zero_only  # noqa: E402

__all__ = [
    "Callback",
    "EMAWeightAveraging",
    "EarlyStopping",
    "LearningRateMonitor",
    "MisconfigurationException",
    "ModelCheckpoint",
    "TensorBoardLogger",
    "pl",
    "rank_zero_only",
]
