"""What a learner-state head may see of a face, as named blocks of numbers, computed once and kept in a folder.

Blocks of one forward pass of a network: ``features`` (what heads get), ``logits`` (expressions), and per stage
``stage<i>_mean``, ``stage<i>_std`` (over the places of its map) and ``stage<i>_grid`` (means of 3 x 3 parts).
Blocks without any network: ``hog`` and ``light`` of the chip, ``pose`` from landmarks (``face_geometry``).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engagement.classification.network import unmirrored
from engagement.errors import BackendUnavailable
from engagement.faces.quality import sharpness
from engagement.inference import channels_last
from engagement.types import ByteArray, ChipSpec, FloatArray
from training import Say
from training.cache import Blocks, cached_float16, key_of
from training.measuring.opened import Opened
from training.samples.augment import policy
from training.samples.chip_dataset import ChipDataset
from training.samples.table import SampleTable
from training.states_evaluation.face_geometry import found_faces, pose_block

#: Stages whose maps are pooled, counted from the last; how many of them also over a grid, the deepest left out.
_STAGES, _GRID, _GRID_SIDE = 6, 4, 3
_BATCH = 64
#: The chip that gradients and light are measured on: the framing of the shipped networks.
CHIP = ChipSpec(size=96, margin=0.9, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def network_blocks(
    base: Opened,
    table: SampleTable,
    folder: Path,
    view: int = 0,
    augmentation: str = "faces",
    say: Say = lambda _: None,
) -> Blocks:
    """Blocks of one forward pass over every face of a table; kept in ``folder`` by the weights' sha256.

    Args:
        view: 0 for the faces as they are; others are augmented, each number in another way.

    Returns:
        block -> float32 (n, d).
    """
    key = key_of(table, base.sha256, str(view), augmentation if view else "")
    return cached_float16(
        folder / f"{table.name}_{base.sha256[:12]}_{view}_{key}.npz",
        lambda: _forward(
            base, ChipDataset(table, base.chip, policy(augmentation) if view else None, 1), view, say
        ),
    )


@torch.inference_mode()
def _forward(base: Opened, dataset: ChipDataset, view: int, say: Say) -> dict[str, FloatArray]:
    network = channels_last(base.network.eval())
    dataset.epoch = view
    parts: dict[str, list[FloatArray]] = {}
    maps: list[Tensor] = []
    hooks = [stage.register_forward_hook(lambda *given: maps.append(given[-1])) for stage in network.backbone]
    try:
        for start in range(0, len(dataset), _BATCH):
            maps.clear()
            chips = torch.stack([dataset[i][0] for i in range(start, min(start + _BATCH, len(dataset)))])
            out = network(chips.contiguous(memory_format=torch.channels_last))
            found = {
                "features": out.features,
                **_pooled([unmirrored(x) for x in maps] if network.spec.mirror else maps),
            }
            if "expression" in out.logits:
                found["logits"] = out.logits["expression"]
            for name, value in found.items():
                parts.setdefault(name, []).append(value.numpy())
            if start and start // _BATCH % 20 == 0:
                say(f"{dataset.table.name}, view {view}: {start} of {len(dataset)} faces seen")
    finally:
        for hook in hooks:
            hook.remove()
    return {name: np.concatenate(values) for name, values in parts.items()}


def _pooled(maps: list[Tensor]) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    deep = [i for i, x in enumerate(maps) if x.ndim == 4][-_STAGES:]
    for i in deep:
        out[f"stage{i}_mean"], out[f"stage{i}_std"] = maps[i].mean(dim=(2, 3)), maps[i].std(dim=(2, 3))
    for i in deep[:_GRID]:
        out[f"stage{i}_grid"] = nn.functional.adaptive_avg_pool2d(maps[i], _GRID_SIDE).flatten(1)
    return out


def face_blocks(table: SampleTable, folder: Path, say: Say = lambda _: None) -> Blocks:
    """``hog``, ``light`` and ``pose`` of every face; kept in ``folder``."""

    def light_and_gradients() -> dict[str, FloatArray]:
        say(f"{table.name}: gradient histograms of {len(table)} faces")
        dataset = ChipDataset(table, CHIP)
        chips = [dataset.chip(i) for i in range(len(table))]
        return {
            "hog": np.stack([gradient_histogram(chip) for chip in chips]),
            "light": np.concatenate([light(np.stack(chips[i : i + 256])) for i in range(0, len(chips), 256)]),
        }

    found = cached_float16(folder / f"{table.name}_gradients_{key_of(table)}.npz", light_and_gradients)
    return {**found, "pose": pose_block(found_faces(table, folder, say))}


def gradient_histogram(chip: ByteArray) -> FloatArray:
    """Histograms of oriented gradients (Dalal & Triggs 2005) of a chip at 64 px: float32 (1764,).

    Raises:
        BackendUnavailable: scikit-image is not installed.
    """
    import cv2

    try:
        from skimage.feature import hog
    except ImportError as error:
        raise BackendUnavailable(
            f"gradient histograms need scikit-image ({error})", "pip install 'engagement[evaluation]'"
        ) from error
    grey = cv2.resize(cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY), (64, 64), interpolation=cv2.INTER_AREA)
    return hog(grey, orientations=9, pixels_per_cell=(8, 8), cells_per_block=(2, 2)).astype(np.float32)


def light(chips: ByteArray) -> FloatArray:
    """Sharpness, mean grey, contrast and how much brighter left and top are; float32 (n, 5)."""
    grey = chips.astype(np.float32).mean(axis=3) / 255
    half = grey.shape[1] // 2
    return np.stack(
        [
            sharpness(chips),
            grey.mean(axis=(1, 2)),
            grey.std(axis=(1, 2)),
            grey[:, :, :half].mean(axis=(1, 2)) - grey[:, :, half:].mean(axis=(1, 2)),
            grey[:, :half].mean(axis=(1, 2)) - grey[:, half:].mean(axis=(1, 2)),
        ],
        axis=1,
    ).astype(np.float32)
