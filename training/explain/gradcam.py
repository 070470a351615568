"""Grad-CAM maps of faces (Selvaraju et al. 2017), computed by captum."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from engagement.classification.network import FaceStateNet, unmirrored
from engagement.errors import BackendUnavailable, ConfigError
from engagement.faces.chips import normalize_chips
from engagement.types import ByteArray, ChipSpec, FloatArray, IndexArray

#: Places along a side that a map must have to tell the eyes from the mouth.
_FINE_ENOUGH = 6
_BATCH = 16


def require_captum() -> None:
    """Raise BackendUnavailable where captum is not installed."""
    if not importlib.util.find_spec("captum"):
        raise BackendUnavailable(
            "explaining needs the package 'captum', which is not installed",
            "pip install 'engagement[explain]'",
        )


@torch.inference_mode()
def map_sides(network: FaceStateNet, chip: ChipSpec) -> list[int]:
    """Side of the map after each stage of the backbone; 0 after a dense one."""
    sides: list[int] = []
    hooks = [
        stage.register_forward_hook(
            lambda _, __, out: sides.append(int(out.shape[-1]) if out.ndim == 4 else 0)
        )
        for stage in network.backbone
    ]
    try:
        network(torch.zeros(1, 3, chip.size, chip.size))
    finally:
        for hook in hooks:
            hook.remove()
    return sides


def chosen_stage(
    network: FaceStateNet, chip: ChipSpec, stage: int | None = None, reads: Sequence[int] = ()
) -> int:
    """The stage to look at: the asked one, else the last whose map is 6 x 6 or finer, else the last map.

    Args:
        reads: stages that the head reads (see ``HeadSpec.stages``): what comes after them says nothing to it.

    Raises:
        ConfigError: the asked stage does not exist, has no map, or comes after what the head reads.
    """
    sides = map_sides(network, chip)
    maps = [i for i, side in enumerate(sides) if side > 1 and (not reads or i <= max(reads))]
    if stage is not None:
        if stage not in maps:
            known = ", ".join(f"{i} ({sides[i]} x {sides[i]})" for i in maps)
            what = " that this head reads" if reads else ""
            raise ConfigError(f"--stage {stage} is no stage with a map{what}", f"There are: {known}")
        return stage
    fine = [i for i in maps if sides[i] >= _FINE_ENOUGH]
    return (fine or maps)[-1]


def grad_cam(
    network: FaceStateNet, head: str, stage: int, chips: ByteArray, chip: ChipSpec, target: IndexArray
) -> FloatArray:
    """Where raising an activation would raise the target's logit.

    Args:
        chips: uint8 (n, S, S, 3).
        stage: index in the backbone (see :func:`chosen_stage`).
        target: (n,) class of each face.

    Returns:
        float32 (n, S, S), 0-1, the strongest place of each face 1; all 0 where nothing speaks for the class.
    """
    from captum.attr import LayerGradCam

    def logits(faces: torch.Tensor) -> torch.Tensor:
        return network(faces).logits[head]

    layer = network.backbone[stage]
    assert isinstance(layer, nn.Module)
    explainer = LayerGradCam(logits, layer)
    parts: list[torch.Tensor] = []
    for start in range(0, len(chips), _BATCH):
        own = slice(start, start + _BATCH)
        faces = torch.from_numpy(normalize_chips(chips[own], chip))
        found = explainer.attribute(faces, target=torch.from_numpy(target[own]), relu_attributions=True)
        assert isinstance(found, torch.Tensor)
        found = unmirrored(found) if network.spec.mirror else found
        parts.append(
            nn.functional.interpolate(
                found.detach(), (chip.size, chip.size), mode="bilinear", align_corners=False
            )[:, 0]
        )
    maps = torch.cat(parts).numpy()
    strongest = maps.max(axis=(1, 2), keepdims=True)
    return np.asarray(maps / np.where(strongest > 0, strongest, 1), np.float32)
