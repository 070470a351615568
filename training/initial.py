"""Initial weights of a backbone: a local file, torchvision's hub, or none."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import torch

from engagement.classification.network import FaceStateNet
from engagement.compat import load_torchvision
from engagement.errors import WeightsError

_HUB = {
    "efficientnet_b0": "EfficientNet_B0_Weights",
    "mobilenet_v2": "MobileNet_V2_Weights",
    "resnet18": "ResNet18_Weights",
    "vgg16": "VGG16_Weights",
}


def initialise(network: FaceStateNet, init: str) -> str:
    """Fill the backbone (and heads that fit) and say from where.

    Args:
        init: empty (random), ``hub``, or a safetensors file: torchvision's names
            (``features.0.0.weight``) or a FaceStateNet's own (``backbone.…``, heads included).

    Returns:
        a description for the model card.

    Raises:
        WeightsError: the hub cannot be reached, or a file lacks backbone tensors.
    """
    if not init:
        return "random"
    if init == "hub":
        return _from_hub(network)
    path = Path(init)
    if not path.is_file():
        raise WeightsError(f"initial weights '{init}' not found", "Give a file, 'hub', or leave it empty.")
    from safetensors.torch import load_file

    state = {key: value.float() for key, value in load_file(path).items()}
    own = network.state_dict()
    renamed = {_own_name(key): value for key, value in state.items()}
    fitting = {k: v for k, v in renamed.items() if k in own and own[k].shape == v.shape}
    lacking = [
        k for k in own if k.startswith("backbone.") and k not in fitting and not k.endswith("num_batches_tracked")
    ]
    if lacking:
        raise WeightsError(
            f"{path} does not fit the backbone '{network.spec.backbone}': {len(lacking)} tensors are missing, "
            f"first '{lacking[0]}'"
        )
    network.load_state_dict(fitting, strict=False)
    return path.name


def _own_name(key: str) -> str:
    return "backbone." + key.removeprefix("features.") if key.startswith("features.") else key


def _from_hub(network: FaceStateNet) -> str:
    weights = getattr(load_torchvision().models, _HUB[network.spec.backbone]).DEFAULT
    try:
        state = weights.get_state_dict(progress=False)
    except (URLError, OSError) as error:
        raise WeightsError(
            f"torchvision's weights for '{network.spec.backbone}' cannot be downloaded ({error})",
            "Give a local file with --init FILE, or --init '' to start from random weights.",
        ) from error
    features = {_own_name(k): v for k, v in state.items()}
    if network.spec.backbone == "resnet18":
        features = {"backbone." + k: v for k, v in state.items() if not k.startswith("fc.")}
    with torch.no_grad():
        network.load_state_dict({k: v for k, v in features.items() if k.startswith("backbone.")}, strict=False)
    return f"torchvision {weights}"
