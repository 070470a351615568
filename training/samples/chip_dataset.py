"""Samples as network input, through the same cutter and normaliser as inference."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from engagement.faces.chips import cut_chips, normalize_chips
from engagement.types import ByteArray, ChipSpec, FloatArray
from training.samples.augment import Augmentation
from training.samples.table import SampleTable, read_rgb


def pixel_box(box: FloatArray, rgb: ByteArray) -> FloatArray:
    """A box in fractions as pixels of its picture; float32 (4,)."""
    height, width = rgb.shape[:2]
    return (box * np.array([width, height, width, height], np.float32)).astype(np.float32)


class ChipDataset(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """(chip float32 (3, S, S), target float32 (classes,), row int64).

    Args:
        table: the samples.
        spec: chip geometry of the network.
        augmentation: None for evaluation: the chip is then exactly what inference cuts.
        seed: of the augmentation.
    """

    def __init__(
        self, table: SampleTable, spec: ChipSpec, augmentation: Augmentation | None = None, seed: int = 0
    ) -> None:
        self.table = table
        self.spec = spec
        self.augmentation = augmentation
        self.seed = seed
        self._epoch = torch.zeros((), dtype=torch.int64)

    @property
    def epoch(self) -> int:
        """Which the augmentation is of, counted from 0."""
        return int(self._epoch)

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch.fill_(epoch)

    def share_epoch(self) -> None:
        """From now on processes that prepare pictures, which outlive an epoch, are told of the next."""
        self._epoch.share_memory_()

    def __len__(self) -> int:
        return len(self.table)

    def chip(self, row: int) -> ByteArray:
        """uint8 (S, S, 3)."""
        rgb = read_rgb(self.table.images[row])
        box = pixel_box(self.table.box[row], rgb)
        roll = 0.0 if self.table.roll_deg is None else float(self.table.roll_deg[row])
        rng = np.random.default_rng((self.seed, self.epoch, row))
        if self.augmentation is not None:
            rgb = self.augmentation.crop_tight(rgb, box, rng)
            box, turn = self.augmentation.place(box, rng)
            roll += turn
        chip = cut_chips(rgb, box[None], np.array([roll], np.float32), self.spec)[0]
        return self.augmentation.vary(chip, rng) if self.augmentation is not None else chip

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor, Tensor]:
        normal = normalize_chips(self.chip(row)[None], self.spec)[0]
        return torch.from_numpy(normal), torch.from_numpy(self.table.target[row]), torch.tensor(row)
