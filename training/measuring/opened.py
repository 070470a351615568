"""A weight file opened for training or measuring."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engagement.classification.classifier import build_network, calibrate, chip_of, scaled
from engagement.classification.ensemble import averaged, members_of
from engagement.classification.network import FaceStateNet, HeadSpec, NetworkSpec
from engagement.errors import ConfigError, WeightsError
from engagement.types import ChipSpec, FloatArray
from engagement.weights.store import LoadedWeights, WeightRecord, load_weights
from training.measuring.prediction import predict
from training.samples.table import SampleTable


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

    @property
    def members(self) -> tuple[tuple[Opened, float], ...]:
        """Networks and their shares of the answer: itself alone."""
        return ((self, 1.0),)

    @property
    def networks(self) -> tuple[Opened, ...]:
        """Those that answer."""
        return (self,)

    @property
    def heads(self) -> Mapping[str, HeadSpec]:
        """Heads by name."""
        return self.network.spec.heads

    def head(self, name: str) -> HeadSpec:
        """A head by name; ConfigError names those there are."""
        return _head(self, name)

    def look_twice(self) -> None:
        """From now on average faces and their mirror images."""
        self.network.look_twice()

    def probabilities(self, head: str, table: SampleTable) -> FloatArray:
        """Calibrated probabilities of one head; float32 (n, classes) in the head's order."""
        return self.calibrated(head, predict(self.network, table, self.chip)[head])

    def calibrated(self, head: str, logits: FloatArray) -> FloatArray:
        """Probabilities of one head from its logits; float32 (n, classes)."""
        return calibrate(logits, self.head(head).labels, self.record.calibration.get(head, {}))

    def scaled(self, head: str, logits: FloatArray) -> FloatArray:
        """Calibrated logits of one head; float32 (n, classes)."""
        return scaled(logits, self.head(head).labels, self.record.calibration.get(head, {}))

    def together(self, head: str, parts: Sequence[FloatArray]) -> FloatArray:
        """The answer of the network itself: of one part."""
        return parts[0]


@dataclass(frozen=True, slots=True, eq=False)
class OpenedEnsemble:
    """Networks whose calibrated probabilities are averaged, each with its own chips.

    Attributes:
        name, sha256, record: of the ensemble's file.
        members: networks and their shares, which sum to 1.
    """

    name: str
    sha256: str
    record: WeightRecord
    members: tuple[tuple[Opened, float], ...]

    @property
    def networks(self) -> tuple[Opened, ...]:
        """Those of the members."""
        return tuple(member for member, _ in self.members)

    @property
    def heads(self) -> Mapping[str, HeadSpec]:
        """Heads by name: those of the members, which are alike."""
        return self.members[0][0].heads

    def head(self, name: str) -> HeadSpec:
        """A head by name; ConfigError names those there are."""
        return _head(self, name)

    def look_twice(self) -> None:
        """From now on average faces and their mirror images."""
        for member in self.networks:
            member.look_twice()

    def probabilities(self, head: str, table: SampleTable) -> FloatArray:
        """Averaged, calibrated probabilities of one head; float32 (n, classes)."""
        self.head(head)
        return self.together(head, [member.probabilities(head, table) for member, _ in self.members])

    def together(self, head: str, parts: Sequence[FloatArray]) -> FloatArray:
        """Calibrated probabilities of the members, in their order, as one; float32 (n, classes)."""
        temperature = float(self.record.calibration.get(head, {}).get("temperature", 1.0))
        return averaged(parts, [share for _, share in self.members], temperature)


Model = Opened | OpenedEnsemble


def _head(model: Model, name: str) -> HeadSpec:
    if name not in model.heads:
        raise ConfigError(
            f"{model.name} has no head '{name}'", f"--head takes one that it has: {', '.join(model.heads)}"
        )
    return model.heads[name]


def open_network(reference: str) -> Opened:
    """A network by shipped name, ``default`` or file.

    Raises:
        WeightsError: missing, damaged, or no network for faces.
    """
    return _opened(load_weights(reference, "face_state"))


def open_model(reference: str) -> Model:
    """:func:`open_network`, or an ensemble."""
    loaded = load_weights(reference, ("face_state", "ensemble"))
    if loaded.record.kind == "face_state":
        return _opened(loaded)
    members = tuple((_opened(member.weights), member.share) for member in members_of(loaded))
    return OpenedEnsemble(loaded.name, loaded.sha256, loaded.record, members)


def _opened(loaded: LoadedWeights) -> Opened:
    return Opened(loaded.name, loaded.sha256, build_network(loaded), chip_of(loaded), loaded.record)


def with_head(base: Opened, name: str, head: HeadSpec, dropout: float = 0.2) -> FaceStateNet:
    """A copy of the base's network with one head added or replaced; the other parts keep their weights."""
    spec = base.network.spec
    network = FaceStateNet(replace(spec, heads={**spec.heads, name: head}), dropout)
    state = {k: v for k, v in base.network.state_dict().items() if not k.startswith(f"heads.{name}.")}
    unknown = network.load_state_dict(state, strict=False).unexpected_keys
    if unknown:
        raise WeightsError(f"{base.name}: tensor '{unknown[0]}' has no place in the new network")
    return network.eval()


def with_heads(network: FaceStateNet, names: Collection[str], keep_identity: bool) -> FaceStateNet:
    """A copy of a network with some of its heads, and its identity feature where asked."""
    spec = network.spec
    dim = spec.identity_dim if keep_identity else 0
    heads = {name: head for name, head in spec.heads.items() if name in names}
    small = FaceStateNet(replace(spec, heads=heads, identity_dim=dim))
    own = small.state_dict()
    small.load_state_dict({k: v for k, v in network.state_dict().items() if k in own})
    return small.eval()


def resting(network: FaceStateNet, frozen: int) -> tuple[list[str], bool]:
    """Which heads, and whether the identity feature, go on saying the same while later stages learn.

    Args:
        frozen: how many of the backbone's first stages stay as they are.
    """
    last = len(list(network.backbone)) - 1
    names = [name for name, head in network.spec.heads.items() if max(head.stages, default=last) < frozen]
    return names, bool(network.taps) and max(stage for stage, _ in network.taps) < frozen


def kept(entries: Mapping[str, Any], spec: NetworkSpec, but: str) -> dict[str, Any]:
    """What a record says (calibration, metrics) of a network's heads but one, and of its identity feature."""
    return {
        name: value
        for name, value in entries.items()
        if name != but and (name in spec.heads or (spec.identity_dim and name.startswith("identity")))
    }
