"""Outputs of a network for a table of faces, as inference would compute them."""

from __future__ import annotations

import numpy as np
import torch

from engagement.classification.network import FaceStateNet
from engagement.device import for_torch
from engagement.inference import channels_last
from engagement.types import ChipSpec, FloatArray
from training.samples.chip_dataset import ChipDataset
from training.samples.loading import fitting_loaders, measuring_batches
from training.samples.table import SampleTable


@torch.inference_mode()
def predict(network: FaceStateNet, table: SampleTable, spec: ChipSpec) -> dict[str, FloatArray]:
    """Logits of every head and ``features`` for every row, without augmentation; float32 (n, …).

    On a GPU where there is one; the network is back on the processor afterwards.
    """
    device, parts = torch.device(for_torch()), dict[str, list[FloatArray]]()
    network = channels_last(network.eval().to(device))
    try:
        for chips, _, _ in measuring_batches(ChipDataset(table, spec), loaders=fitting_loaders(device)):
            out = network(chips.to(device, memory_format=torch.channels_last))
            for name, value in {**out.logits, "features": out.features}.items():
                parts.setdefault(name, []).append(value.cpu().numpy())
    finally:
        network.cpu()
    return {name: np.concatenate(values) for name, values in parts.items()}
