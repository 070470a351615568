"""FaceStateNet: one convolutional backbone, several heads, one forward pass.

A plain ``nn.Module``: training wraps it in Lightning, inference loads it from safetensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engagement.classification.backbones import BACKBONES, to_grey
from engagement.errors import ConfigError
from engagement.labels import LabelSet

#: Side of the pooled grid that the identity head sees: where on the face a texture is, is identity.
_IDENTITY_GRID = 4


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """A classifier on the backbone's features.

    Attributes:
        labels: classes in output order; softmax for exclusive ones, sigmoid for independent ones.
        hidden: units of one hidden layer; 0 for a linear head.
    """

    labels: LabelSet
    hidden: int = 0

    def to_dict(self) -> dict[str, object]:
        return {"labels": self.labels.to_dict(), "hidden": self.hidden}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> HeadSpec:
        labels = data["labels"]
        assert isinstance(labels, Mapping)
        return cls(LabelSet.from_dict(labels), int(str(data["hidden"])))


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """What is needed to build a FaceStateNet; travels with the weights.

    Attributes:
        backbone: a key of ``backbones.BACKBONES``.
        heads: name -> head. The names ``expression`` and ``state`` fill the documented columns.
        identity_dim: length of the identity feature, 0 for none.
    """

    backbone: str
    heads: Mapping[str, HeadSpec]
    identity_dim: int = 0

    def to_dict(self) -> dict[str, object]:
        return {
            "backbone": self.backbone,
            "heads": {name: head.to_dict() for name, head in self.heads.items()},
            "identity_dim": self.identity_dim,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> NetworkSpec:
        heads = data["heads"]
        assert isinstance(heads, Mapping)
        return cls(
            str(data["backbone"]),
            {str(name): HeadSpec.from_dict(head) for name, head in heads.items()},
            int(str(data["identity_dim"])),
        )


@dataclass(frozen=True, slots=True, eq=False)
class NetworkOutput:
    """Outputs for n chips.

    Attributes:
        features: (n, d) backbone features, pooled over places.
        logits: head name -> (n, classes), uncalibrated.
        identity: (n, identity_dim), unit length; (n, 0) without an identity head.
    """

    features: Tensor
    logits: dict[str, Tensor]
    identity: Tensor


#: Where the identity head taps the backbone: (index of the stage, its channels).
_IDENTITY_TAPS: Mapping[str, tuple[tuple[int, int], ...]] = {"efficientnet_b0": ((3, 40), (5, 112))}


class FaceStateNet(nn.Module):
    """Backbone plus heads.

    Args:
        spec: which backbone and heads.
        dropout: before each head, in training.

    Raises:
        ConfigError: unknown backbone, or an identity head on one that has no taps for it.
    """

    def __init__(self, spec: NetworkSpec, dropout: float = 0.2) -> None:
        super().__init__()
        if spec.backbone not in BACKBONES:
            raise ConfigError(f"unknown backbone '{spec.backbone}'", f"Choose one of: {', '.join(BACKBONES)}")
        if spec.identity_dim and spec.backbone not in _IDENTITY_TAPS:
            raise ConfigError(f"backbone '{spec.backbone}' has no identity head", "Use efficientnet_b0.")
        self.spec = spec
        made = BACKBONES[spec.backbone]
        width = made.width
        self.backbone, self.width, self.size, self.grey = made.build(), width, made.size, made.grey
        self.heads = nn.ModuleDict({name: _head(width, head, dropout) for name, head in spec.heads.items()})
        self.taps = dict(_IDENTITY_TAPS.get(spec.backbone, ())) if spec.identity_dim else {}
        self.identity = (
            _identity_head(sum(self.taps.values()) * _IDENTITY_GRID**2, spec) if self.taps else None
        )

    def trunk(self, chips: Tensor) -> tuple[Tensor, Tensor]:
        """Features (n, d), and the pooled taps (n, t) that the identity head reads; t may be 0."""
        if self.size and chips.shape[-1] != self.size:
            raise ConfigError(
                f"backbone '{self.spec.backbone}' takes chips of {self.size} px, not of {chips.shape[-1]}",
                f"Set size = {self.size} in the recipe.",
            )
        tapped: list[Tensor] = []
        x = to_grey(chips) if self.grey else chips
        for index, stage in enumerate(self.backbone):
            x = stage(x)
            if index in self.taps:
                grid = _pooled(x, _IDENTITY_GRID)
                # Unit length per tap, so that neither drowns the other.
                tapped.append(nn.functional.normalize(grid.flatten(1), dim=1))
        features = x.mean(dim=(2, 3)) if x.ndim == 4 else x
        return features, torch.cat(tapped, 1) if tapped else features.new_zeros(len(x), 0)

    def forward(self, chips: Tensor) -> NetworkOutput:
        """
        Args:
            chips: float32 (n, 3, size, size), normalised.
        """
        features, taps = self.trunk(chips)
        logits = {name: head(features) for name, head in self.heads.items()}
        identity = features.new_zeros(len(features), 0)
        if self.identity is not None:
            identity = nn.functional.normalize(self.identity(taps), dim=1)
        return NetworkOutput(features, logits, identity)


def _pooled(x: Tensor, side: int) -> Tensor:
    """(n, c, h, w) averaged over a grid of ``side`` x ``side`` parts, which overlap where h or w is no multiple."""
    if not torch.onnx.is_in_onnx_export():
        return nn.functional.adaptive_avg_pool2d(x, side)
    # ONNX has no such pooling; two constant matrices give the same numbers.
    rows, columns = (_parts(int(size), side) for size in x.shape[2:])
    return rows @ x @ columns.T


def _parts(size: int, side: int) -> Tensor:
    """(side, size): row i averages the places that adaptive pooling takes for part i."""
    out = torch.zeros(side, size)
    for i in range(side):
        first, last = i * size // side, -(-(i + 1) * size // side)
        out[i, first:last] = 1 / (last - first)
    return out


def _identity_head(width: int, spec: NetworkSpec) -> nn.Module:
    return nn.Sequential(
        nn.BatchNorm1d(width),
        nn.Linear(width, 512),
        nn.SiLU(),
        nn.Dropout(0.1),
        nn.Linear(512, spec.identity_dim),
    )


def _head(width: int, spec: HeadSpec, dropout: float) -> nn.Module:
    if not spec.hidden:
        return nn.Sequential(nn.Dropout(dropout), nn.Linear(width, len(spec.labels)))
    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(width, spec.hidden),
        nn.SiLU(),
        nn.Dropout(dropout),
        nn.Linear(spec.hidden, len(spec.labels)),
    )
