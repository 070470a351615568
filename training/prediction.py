"""Outputs of a network for a table of faces, as inference would compute them."""

from __future__ import annotations

import numpy as np
import torch

from engagement.classification.network import FaceStateNet
from engagement.types import ChipSpec, FloatArray
from training.chip_dataset import ChipDataset
from training.samples import SampleTable


@torch.inference_mode()
def predict(
    network: FaceStateNet, table: SampleTable, spec: ChipSpec, batch: int = 128
) -> dict[str, FloatArray]:
    """Logits of every head and ``features`` for every row, without augmentation; float32 (n, …)."""
    dataset = ChipDataset(table, spec)
    network = network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    parts: dict[str, list[FloatArray]] = {}
    for start in range(0, len(dataset), batch):
        chips = torch.stack([dataset[i][0] for i in range(start, min(start + batch, len(dataset)))])
        out = network(chips.contiguous(memory_format=torch.channels_last))
        for name, value in {**out.logits, "features": out.features}.items():
            parts.setdefault(name, []).append(value.numpy())
    return {name: np.concatenate(values) for name, values in parts.items()}
