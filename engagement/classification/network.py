"""FaceStateNet: one convolutional backbone, several heads, one forward pass.

A plain ``nn.Module``: training wraps it in Lightning, inference loads it from safetensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        stages: indices of the backbone's stages whose outputs, averaged over places, the head reads side by side;
            none for the last alone, which is made for the labels that the backbone was trained for.
    """

    labels: LabelSet
    hidden: int = 0
    stages: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, object]:
        plain = {"labels": self.labels.to_dict(), "hidden": self.hidden}
        return {**plain, "stages": list(self.stages)} if self.stages else plain

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> HeadSpec:
        labels = data["labels"]
        assert isinstance(labels, Mapping)
        stages = data.get("stages", [])
        assert isinstance(stages, list | tuple)
        return cls(LabelSet.from_dict(labels), int(str(data["hidden"])), tuple(int(i) for i in stages))


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


@dataclass(frozen=True, slots=True, eq=False)
class Trunk:
    """What the backbone says of n chips.

    Attributes:
        features: (n, d) output of the last stage, pooled over places.
        taps: (n, t) what the identity head reads; t is 0 without one.
        stages: index of a stage that was asked for -> (n, its channels), pooled over places.
    """

    features: Tensor
    taps: Tensor
    stages: Mapping[int, Tensor]

    def read(self, stages: Sequence[int]) -> Tensor:
        """(n, width) what a head of these stages reads."""
        return torch.cat([self.stages[i] for i in stages], dim=1) if stages else self.features


#: Channels of each stage, for backbones whose stages can be read.
_CHANNELS: Mapping[str, tuple[int, ...]] = {"efficientnet_b0": (32, 16, 24, 40, 80, 112, 192, 320, 1280)}
#: Stages that the identity head taps.
_IDENTITY_STAGES = (3, 5)


class FaceStateNet(nn.Module):
    """Backbone plus heads.

    Args:
        spec: which backbone and heads.
        dropout: before each head, in training.

    Raises:
        ConfigError: unknown backbone, or a head that reads stages of one whose stages cannot be read.
    """

    def __init__(self, spec: NetworkSpec, dropout: float = 0.2) -> None:
        super().__init__()
        if spec.backbone not in BACKBONES:
            raise ConfigError(f"unknown backbone '{spec.backbone}'", f"Choose one of: {', '.join(BACKBONES)}")
        self.spec = spec
        made = BACKBONES[spec.backbone]
        self.backbone, self.width, self.size, self.grey = made.build(), made.width, made.size, made.grey
        self.heads = nn.ModuleDict(
            {name: _head(self.width_of(head.stages), head, dropout) for name, head in spec.heads.items()}
        )
        self.taps = {i: self.width_of([i]) for i in _IDENTITY_STAGES} if spec.identity_dim else {}
        self._stages = {i for head in spec.heads.values() for i in head.stages}
        self.identity = (
            _identity_head(sum(self.taps.values()) * _IDENTITY_GRID**2, spec) if self.taps else None
        )

    def width_of(self, stages: Sequence[int]) -> int:
        """How many numbers a head of these stages reads.

        Raises:
            ConfigError: the backbone has no such stage that can be read.
        """
        channels = _CHANNELS.get(self.spec.backbone, ())
        if not all(0 <= i < len(channels) for i in stages):
            raise ConfigError(
                f"backbone '{self.spec.backbone}' has no stages {list(stages)} that a head can read",
                f"Stages 0-8 of {', '.join(_CHANNELS)} can be read.",
            )
        return sum(channels[i] for i in stages) if stages else self.width

    def trunk(self, chips: Tensor, stages: Sequence[int] = ()) -> Trunk:
        """The backbone alone.

        Args:
            chips: as in :meth:`forward`. stages: to read beside those that heads read.
        """
        if self.size and chips.shape[-1] != self.size:
            raise ConfigError(
                f"backbone '{self.spec.backbone}' takes chips of {self.size} px, not of {chips.shape[-1]}",
                f"Set size = {self.size} in the recipe.",
            )
        tapped: list[Tensor] = []
        read: dict[int, Tensor] = {}
        x = to_grey(chips) if self.grey else chips
        for index, stage in enumerate(self.backbone):
            x = stage(x)
            if index in self.taps:
                grid = _pooled(x, _IDENTITY_GRID)
                # Unit length per tap, so that neither drowns the other.
                tapped.append(nn.functional.normalize(grid.flatten(1), dim=1))
            if index in self._stages or index in stages:
                read[index] = x.mean(dim=(2, 3))
        features = x.mean(dim=(2, 3)) if x.ndim == 4 else x
        return Trunk(features, torch.cat(tapped, 1) if tapped else features.new_zeros(len(x), 0), read)

    def forward(self, chips: Tensor) -> NetworkOutput:
        """
        Args:
            chips: float32 (n, 3, size, size), normalised.
        """
        out = self.trunk(chips)
        logits = {name: head(out.read(self.spec.heads[name].stages)) for name, head in self.heads.items()}
        identity = out.features.new_zeros(len(chips), 0)
        if self.identity is not None:
            identity = nn.functional.normalize(self.identity(out.taps), dim=1)
        return NetworkOutput(out.features, logits, identity)


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
