"""Weight files of small untrained networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from engagement.classification.network import FaceStateNet, HeadSpec, NetworkSpec
from engagement.faces.chips import normalize_chips
from engagement.labels import EXPRESSIONS, LEARNER_STATES, LabelSet
from engagement.types import ChipSpec
from tests.training.made_up_faces import HALF, made_up_face
from training.delivery import write_network


def write_model(
    path: Path,
    backbone: str = "cnn_bn",
    size: int = 48,
    seed: int = 0,
    labels: LabelSet = EXPRESSIONS,
    *,
    states: bool = False,
    identity: int = 0,
    mirror: bool = False,
    **origin: Any,
) -> Path:
    """A network whose BatchNorm has seen made-up faces and noise, with an expression head (and a state head).

    Both are what an export is compared on. Pixels unlike all that its statistics come from would grow from layer to
    layer in an untrained network, and float32's last bits, which differ between processors, with them.
    """
    torch.manual_seed(seed)
    heads = {"expression": HeadSpec(labels), **({"state": HeadSpec(LEARNER_STATES)} if states else {})}
    network = FaceStateNet(NetworkSpec(backbone, heads, identity, mirror)).train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
            module.momentum = None
    chip = ChipSpec(size, 0.9, HALF, HALF)
    faces = np.stack([made_up_face(kind, i, size) for kind in range(7) for i in range(3)])
    noise = np.random.default_rng(seed).integers(0, 256, faces.shape, np.uint8)
    faces = np.concatenate([faces, noise])
    with torch.no_grad():
        network(torch.from_numpy(normalize_chips(faces, chip)))
        network.heads["expression"][-1].weight.mul_(3)  # untrained logits lie near 0
    calibration: dict[str, Any] = {"expression": {"temperature": 1.2 + seed / 10}}
    if states:
        calibration["state"] = {"scale": [1.0, 2.0, 0.5], "bias": [0.1, 0.0, -0.2]}
    write_network(
        path, network.eval(), chip, calibration, {}, {"data": "made up", **origin}, f"made up {seed}"
    )
    return path
