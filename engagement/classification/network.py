"""FaceStateNet: one convolutional backbone, several heads, one forward pass.

A plain ``nn.Module``: training wraps it in Lightning, inference loads it from safetensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from engagement.classification.backbones import BACKBONES, to_grey
from engagement.errors import ConfigError
from engagement.labels import LabelSet

#: Side of the pooled grid that the identity head sees: where on the face a texture is, is identity.
_IDENTITY_GRID = 4

#: A stage of the backbone, and the side of the grid that its output is averaged over.
Read = tuple[int, int]


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """A classifier on the backbone's features.

    Attributes:
        labels: classes in output order; softmax for exclusive ones, sigmoid for independent ones.
        hidden: units of one hidden layer; 0 for a linear head.
        stages: indices of the backbone's stages that the head reads side by side; none for the last alone, which
            is made for the labels that the backbone was trained for.
        grid: those stages' outputs are averaged over each of grid x grid parts of the face; 1: over all of it.
        sided: a mirror image would be of another class (looking left, a hand on one side), so it never speaks here.
    """

    labels: LabelSet
    hidden: int = 0
    stages: tuple[int, ...] = ()
    grid: int = 1
    sided: bool = False

    @property
    def once(self) -> bool:
        """Whether the head takes one look at a face, whatever the others do (see ``NetworkSpec.mirror``)."""
        return bool(self.stages) or self.sided

    @property
    def reads(self) -> tuple[Read, ...]:
        """What the head reads of the trunk."""
        return tuple((stage, self.grid) for stage in self.stages)

    def to_dict(self) -> dict[str, object]:
        return {
            "labels": self.labels.to_dict(),
            "hidden": self.hidden,
            **({"stages": list(self.stages), "grid": self.grid} if self.stages else {}),
            **({"sided": True} if self.sided else {}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> HeadSpec:
        labels = data["labels"]
        assert isinstance(labels, Mapping)
        stages = data.get("stages", [])
        assert isinstance(stages, list | tuple)
        return cls(
            LabelSet.from_dict(labels),
            int(str(data["hidden"])),
            tuple(int(i) for i in stages),
            int(str(data.get("grid", 1))),
            bool(data.get("sided", False)),
        )


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """What is needed to build a FaceStateNet; travels with the weights.

    Attributes:
        backbone: a key of ``backbones.BACKBONES``.
        heads: name -> head. The names ``expression`` and ``state`` fill the documented columns.
        identity_dim: length of the identity feature, 0 for none.
        mirror: in evaluation, look at each chip and at its mirror image and average what the heads say: steadier,
            for twice the backbone's time. Not for sided heads, and not for those that read inner stages: they are
            fitted to one look, and the mean of two is calmer than their calibration expects.
    """

    backbone: str
    heads: Mapping[str, HeadSpec]
    identity_dim: int = 0
    mirror: bool = False

    def to_dict(self) -> dict[str, object]:
        return {
            "backbone": self.backbone,
            "heads": {name: head.to_dict() for name, head in self.heads.items()},
            "identity_dim": self.identity_dim,
            **({"mirror": True} if self.mirror else {}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> NetworkSpec:
        heads = data["heads"]
        assert isinstance(heads, Mapping)
        return cls(
            str(data["backbone"]),
            {str(name): HeadSpec.from_dict(head) for name, head in heads.items()},
            int(str(data["identity_dim"])),
            bool(data.get("mirror", False)),
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
        parts: stage and grid that were asked for -> (n, its channels * grid * grid).
    """

    features: Tensor
    taps: Tensor
    parts: Mapping[Read, Tensor]

    def read(self, reads: Sequence[Read]) -> Tensor:
        """(n, width) what a head reads: those parts side by side, the features where there are none."""
        return torch.cat([self.parts[read] for read in reads], dim=1) if reads else self.features


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
            {name: _head(self.width_of(head.reads), head, dropout) for name, head in spec.heads.items()}
        )
        self.taps = tuple((i, _IDENTITY_GRID) for i in _IDENTITY_STAGES) if spec.identity_dim else ()
        self.identity = _identity_head(self.width_of(self.taps), spec) if self.taps else None
        self._reads = {*self.taps, *(read for head in spec.heads.values() for read in head.reads)}

    def width_of(self, reads: Sequence[Read]) -> int:
        """How many numbers a head reads.

        Raises:
            ConfigError: the backbone has no such stage that can be read.
        """
        channels, stages = _CHANNELS.get(self.spec.backbone, ()), [stage for stage, _ in reads]
        if not all(0 <= stage < len(channels) for stage in stages):
            raise ConfigError(
                f"backbone '{self.spec.backbone}' has no stages {stages} that a head can read",
                f"Stages 0-8 of {', '.join(_CHANNELS)} can be read.",
            )
        return sum(channels[stage] * grid**2 for stage, grid in reads) if reads else self.width

    def look_twice(self) -> None:
        """From now on average faces and their mirror images in evaluation (see ``NetworkSpec.mirror``)."""
        self.spec = replace(self.spec, mirror=True)

    def trunk(self, chips: Tensor, reads: Sequence[Read] = ()) -> Trunk:
        """The backbone alone.

        Args:
            chips: as in :meth:`forward`. reads: to read beside what the heads read.
        """
        if self.size and chips.shape[-1] != self.size:
            raise ConfigError(
                f"backbone '{self.spec.backbone}' takes chips of {self.size} px, not of {chips.shape[-1]}",
                f"Set size = {self.size} in the recipe.",
            )
        grids: dict[int, list[int]] = {}
        for stage, grid in self._reads.union(reads):
            grids.setdefault(stage, []).append(grid)
        parts: dict[Read, Tensor] = {}
        x = to_grey(chips) if self.grey else chips
        for index, layers in enumerate(self.backbone):
            x = layers(x)
            for grid in grids.get(index, ()):
                parts[index, grid] = _pooled(x, grid).flatten(1)
        features = x.mean(dim=(2, 3)) if x.ndim == 4 else x
        # Unit length per tap, so that neither drowns the other.
        taps = [nn.functional.normalize(parts[tap], dim=1) for tap in self.taps]
        return Trunk(features, torch.cat(taps, 1) if taps else features.new_zeros(len(features), 0), parts)

    def forward(self, chips: Tensor) -> NetworkOutput:
        """
        Args:
            chips: float32 (n, 3, size, size), normalised.
        """
        if self.training or not self.spec.mirror:
            return self._once(chips)
        both = self._once(torch.cat([chips, chips.flip(3)]))
        logits = {
            name: values.unflatten(0, (2, -1))[0] if self.spec.heads[name].once else unmirrored(values)
            for name, values in both.logits.items()
        }
        identity = nn.functional.normalize(unmirrored(both.identity), dim=1)
        return NetworkOutput(unmirrored(both.features), logits, identity)

    def _once(self, chips: Tensor) -> NetworkOutput:
        out = self.trunk(chips)
        logits = {name: head(out.read(self.spec.heads[name].reads)) for name, head in self.heads.items()}
        identity = out.features.new_zeros(len(chips), 0)
        if self.identity is not None:
            identity = nn.functional.normalize(self.identity(out.taps), dim=1)
        return NetworkOutput(out.features, logits, identity)


def unmirrored(x: Tensor) -> Tensor:
    """Outputs of n pictures and then of their mirror images, averaged: maps (2n, c, h, w) turned back, or (2n, d)."""
    own, other = x.unflatten(0, (2, -1))
    return (own + (other.flip(3) if x.ndim == 4 else other)) / 2


def _pooled(x: Tensor, side: int) -> Tensor:
    """(n, c, h, w) averaged over a grid of ``side`` x ``side`` parts, which overlap where h or w is no multiple."""
    if side == 1:
        return x.mean(dim=(2, 3), keepdim=True)
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
