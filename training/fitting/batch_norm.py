"""BatchNorm's statistics: taken anew on other faces before stages are frozen with them, or kept as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from engagement.classification.network import FaceStateNet
from training.samples.chip_dataset import ChipDataset

#: Faces that the statistics are taken from, at most, and per forward pass.
_FACES, _BATCH = 3072, 64


@torch.inference_mode()
def renew_statistics(network: FaceStateNet, dataset: ChipDataset, seed: int) -> None:
    """Replace the running means and variances by those over training faces (Li et al. 2016, "Revisiting Batch
    Normalization For Practical Domain Adaptation"). Weights stay.

    Args:
        dataset: varied as in training. seed: of which faces are looked at.
    """
    network.eval()
    usual = {module: module.momentum for module in network.modules() if isinstance(module, _BatchNorm)}
    for module in usual:
        module.train()
        module.reset_running_stats()
        module.momentum = None  # a plain mean over the batches
    rows = np.random.default_rng(seed).permutation(len(dataset))[:_FACES]
    if len(rows) > _BATCH:  # each batch has the same say, so a short last one would weigh more than its faces
        rows = rows[: len(rows) // _BATCH * _BATCH]
    for start in range(0, len(rows), _BATCH):
        chips = torch.stack([dataset[int(row)][0] for row in rows[start : start + _BATCH]])
        if len(chips) > 1:  # BatchNorm cannot normalise one face by itself
            network(chips.contiguous(memory_format=torch.channels_last))
    for module, momentum in usual.items():
        module.momentum = momentum


@contextmanager
def statistics_kept(network: nn.Module) -> Iterator[None]:
    """BatchNorm normalises by the batch but does not count it: SAM's second pass is at weights nobody uses."""
    found = [m for m in network.modules() if isinstance(m, _BatchNorm)]
    momenta = [m.momentum for m in found]
    for module in found:
        module.momentum = 0.0
    try:
        yield
    finally:
        for module, momentum in zip(found, momenta, strict=True):
            module.momentum = momentum
