"""A weight file opened for training or measuring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engagement.classification.classifier import build_network
from engagement.classification.network import FaceStateNet, HeadSpec, NetworkSpec
from engagement.classification.options import DEFAULT_WEIGHTS
from engagement.errors import ConfigError, WeightsError
from engagement.types import ChipSpec
from engagement.weights.store import WeightRecord, load_weights


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A FaceStateNet and what its file says about it.

    Attributes:
        name, sha256: of the file.
        network: in evaluation mode.
        chip: geometry and normalisation it was trained with.
        record: calibration, metrics, licence, origin.
    """

    name: str
    sha256: str
    network: FaceStateNet
    chip: ChipSpec
    record: WeightRecord

    def head(self, name: str) -> HeadSpec:
        """A head by name; ConfigError names those there are."""
        heads = self.network.spec.heads
        if name not in heads:
            raise ConfigError(f"{self.name} has no head '{name}'", f"It has: {', '.join(heads)}")
        return heads[name]


def open_network(reference: str) -> Opened:
    """A network by shipped name, ``default`` or file.

    Raises:
        WeightsError: missing, damaged, or no network for faces.
    """
    loaded = load_weights(DEFAULT_WEIGHTS if reference == "default" else reference, "face_state")
    return Opened(
        loaded.name,
        loaded.sha256,
        build_network(loaded),
        ChipSpec.from_dict(dict(loaded.record.chip)),
        loaded.record,
    )


def with_head(base: Opened, name: str, head: HeadSpec, dropout: float = 0.2) -> FaceStateNet:
    """A copy of the base's network with one head added or replaced; the other parts keep their weights."""
    spec = base.network.spec
    network = FaceStateNet(NetworkSpec(spec.backbone, {**spec.heads, name: head}, spec.identity_dim), dropout)
    state = {k: v for k, v in base.network.state_dict().items() if not k.startswith(f"heads.{name}.")}
    unknown = network.load_state_dict(state, strict=False).unexpected_keys
    if unknown:
        raise WeightsError(f"{base.name}: tensor '{unknown[0]}' has no place in the new network")
    return network.eval()


def only_head(network: FaceStateNet, name: str, keep_identity: bool) -> FaceStateNet:
    """A copy of a network with one of its heads, and its identity feature where asked."""
    spec = network.spec
    dim = spec.identity_dim if keep_identity else 0
    small = FaceStateNet(NetworkSpec(spec.backbone, {name: spec.heads[name]}, dim))
    own = small.state_dict()
    small.load_state_dict({k: v for k, v in network.state_dict().items() if k in own})
    return small.eval()


def kept(entries: Mapping[str, Any], head: str) -> dict[str, Any]:
    """What a record says of the other heads (calibration, metrics)."""
    return {name: value for name, value in entries.items() if name != head}
