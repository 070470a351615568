"""Which rows a step sees: an order per epoch, shared out among processes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch.distributed
from torch.utils.data import Sampler

from engagement.errors import DataError
from engagement.types import FloatArray, IndexArray
from training.samples.chip_dataset import ChipDataset


def own_rank() -> int:
    """This process among those that train together; 0 for one alone."""
    there = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_rank() if there else 0


class EpochSampler(Sampler[int]):
    """A random order that depends on (seed, epoch) alone, so that a resumed run goes on as it would have.

    Of ``processes`` that train together each takes every so-manieth row of the one order: their batches
    taken together are those that one process with as many times the batch size would see. Rows that do
    not go round are left out of the epoch.

    Args:
        dataset: its epoch is set along.
        seed: of the order.
        processes: that share the rows.
        balanced: draw rows so that every class is as frequent as the others (rows of rare classes then
            repeat within an epoch, others are missing) instead of each once.
    """

    def __init__(self, dataset: ChipDataset, seed: int, processes: int = 1, balanced: bool = False) -> None:
        self.dataset, self.seed, self.processes, self.epoch = dataset, seed, processes, 0
        self.chance = balanced_chance(dataset.table.target) if balanced else None

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = self.dataset.epoch = epoch

    def __len__(self) -> int:
        return len(self.dataset) // self.processes

    def order(self) -> IndexArray:
        """All rows of this epoch in the order of all processes."""
        rng, n = np.random.default_rng((self.seed, self.epoch)), len(self.dataset)
        return rng.permutation(n) if self.chance is None else rng.choice(n, n, p=self.chance)

    def __iter__(self) -> Iterator[int]:
        return iter(self.order()[own_rank() :: self.processes][: len(self)].tolist())


class ShareSampler(Sampler[int]):
    """Every row once, shared out among processes: for validation."""

    def __init__(self, n: int, processes: int = 1) -> None:
        self.n, self.processes = n, processes

    def _own(self) -> range:
        return range(own_rank(), self.n, self.processes)

    def __len__(self) -> int:
        return len(self._own())

    def __iter__(self) -> Iterator[int]:
        return iter(self._own())


def balanced_chance(target: FloatArray) -> FloatArray:
    """Chance of each row such that every class is drawn as often as the others.

    Args:
        target: (n, classes), rows sum to 1; votes count in parts.

    Raises:
        DataError: the labels are independent states.
    """
    if not np.allclose(target.sum(axis=1), 1, atol=1e-3):
        raise DataError("sampling 'balanced' wants one class per picture, not independent states")
    per_class = target.sum(axis=0, dtype=np.float64)
    chance = target @ np.divide(1.0, per_class, out=np.zeros_like(per_class), where=per_class > 0)
    return chance / chance.sum()
