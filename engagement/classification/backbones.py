"""Backbones by name: the convolutional part of a network, from a normalised chip to features.

Four come from torchvision. The others are small networks for 48 px faces, as FER2013's are; theirs are
the layouts of well-known student and competition projects, written as one Sequential of stages so that
freezing, unfreezing and heads work on them as on the large ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from engagement.compat import load_torchvision

#: Rec. 601 luma, as OpenCV and Pillow make grey pictures.
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True)
class Backbone:
    """How to build a backbone, and what it takes and gives.

    Attributes:
        build: makes the stages. The output of the last one is (n, width, h, w), averaged over its places,
            or (n, width).
        width: length of the feature vector.
        size: the one chip size that it takes (its first dense layer counts places); 0 for any.
        grey: sees luma alone: chips (n, 3, …) become (n, 1, …) in :func:`to_grey` before the first stage.
        hub: name of torchvision's weights for it; empty for none.
    """

    build: Callable[[], nn.Sequential]
    width: int
    size: int = 0
    grey: bool = False
    hub: str = ""


def to_grey(chips: Tensor) -> Tensor:
    """Luma of normalised chips: (n, 3, h, w) to (n, 1, h, w).

    Where the three channels were normalised alike, this is the luma of the picture, normalised.
    """
    return (chips * chips.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def _efficientnet_b0() -> nn.Sequential:
    return load_torchvision().models.efficientnet_b0(weights=None).features


def _efficientnet_b0_grey() -> nn.Sequential:
    stages = _efficientnet_b0()
    stem = stages[0]
    assert isinstance(stem, nn.Sequential)
    first = nn.Conv2d(1, 32, 3, stride=2, padding=1, bias=False)
    nn.init.kaiming_normal_(first.weight, mode="fan_out")  # as torchvision starts its convolutions
    stem[0] = first
    return stages


def _mobilenet_v2() -> nn.Sequential:
    return load_torchvision().models.mobilenet_v2(weights=None).features


def _resnet18() -> nn.Sequential:
    net = load_torchvision().models.resnet18(weights=None)
    features = nn.Sequential()
    for name, module in net.named_children():
        if name not in ("avgpool", "fc"):
            features.add_module(name, module)
    return features


def _vgg16() -> nn.Sequential:
    return load_torchvision().models.vgg16(weights=None).features


def _lenet() -> nn.Sequential:
    """Three convolutions 32-64-128 with pooling, then 512 dense units (after LeCun et al. 1998).

    Its dropout of 0.5 is the one before the head (recipe key ``dropout``).
    """
    blocks = [
        nn.Sequential(nn.Conv2d(inside, outside, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        for inside, outside in ((1, 32), (32, 64), (64, 128))
    ]
    return nn.Sequential(*blocks, nn.Sequential(nn.Flatten(), nn.Linear(128 * 6 * 6, 512), nn.ReLU()))


def _cnn_bn() -> nn.Sequential:
    """Four batch-normalised convolutions 32-64-128-256, then 256 and 128 dense units; dropout 0.25."""
    blocks = [
        nn.Sequential(
            nn.Conv2d(inside, outside, 3, padding=1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.25),
        )
        for inside, outside in ((1, 32), (32, 64), (64, 128), (128, 256))
    ]
    dense = nn.Sequential(
        nn.Flatten(),
        nn.Linear(256 * 3 * 3, 256, bias=False),
        nn.BatchNorm1d(256),
        nn.ReLU(),
        nn.Dropout(0.25),
        nn.Linear(256, 128, bias=False),
        nn.BatchNorm1d(128),
        nn.ReLU(),
    )
    return nn.Sequential(*blocks, dense)


def _cnn_dropblock() -> nn.Sequential:
    """Pairs of plain convolutions 32-64-128-256 in colour, all batch-normalised, the middle stages with
    DropBlock (Ghiasi et al. 2018): neighbouring activations go together, as dropout of single ones does
    little where neighbours say the same. Averaged over places, so it takes chips of any size.
    """
    drop_block = load_torchvision().ops.DropBlock2d

    def block(inside: int, outside: int, dropped: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for i in (inside, outside):
            layers += [nn.Conv2d(i, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()]
        if dropped:
            layers.append(drop_block(0.1, dropped))
        return nn.Sequential(*layers, nn.MaxPool2d(2))

    # Blocks of about a quarter of the map's side: 5 of 24, 3 of 12; the last map is too small to drop from.
    return nn.Sequential(block(3, 32, 0), block(32, 64, 5), block(64, 128, 3), block(128, 256, 0))


BACKBONES: Mapping[str, Backbone] = {
    "efficientnet_b0": Backbone(_efficientnet_b0, 1280, hub="EfficientNet_B0_Weights"),
    "efficientnet_b0_grey": Backbone(_efficientnet_b0_grey, 1280, grey=True, hub="EfficientNet_B0_Weights"),
    "mobilenet_v2": Backbone(_mobilenet_v2, 1280, hub="MobileNet_V2_Weights"),
    "resnet18": Backbone(_resnet18, 512, hub="ResNet18_Weights"),
    "vgg16": Backbone(_vgg16, 512, hub="VGG16_Weights"),
    "lenet": Backbone(_lenet, 512, size=48, grey=True),
    "cnn_bn": Backbone(_cnn_bn, 128, size=48, grey=True),
    "cnn_dropblock": Backbone(_cnn_dropblock, 256),
}
