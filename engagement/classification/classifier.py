"""From pictures and boxes to scores: crops, one forward pass per network, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from scipy.special import expit, softmax
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from engagement.classification.ensemble import KIND, averaged, members_of
from engagement.classification.network import FaceStateNet, NetworkSpec
from engagement.classification.options import ClassifierConfig
from engagement.device import is_cpu
from engagement.errors import EngagementError, WeightsError
from engagement.faces.chips import normalize_chips
from engagement.inference import Run, runner
from engagement.labels import EXPRESSIONS, LEARNER_STATES, LabelSet
from engagement.types import ByteArray, ChipSpec, FaceScores, FloatArray
from engagement.weights import DEFAULT_WEIGHTS
from engagement.weights.store import LoadedWeights, load_weights
from engagement.wording import count

#: Chips per forward pass. On a CPU twice as many are two percent faster, but OpenVINO keeps kernels for each number
#: that it meets. Not an option: the last bits of a score depend on it (libraries sum in another order for another
#: number of pictures).
_CHUNK, _CHUNK_GPU = 8, 256

#: What a record of another form makes its readers raise.
_UNREADABLE = (KeyError, IndexError, TypeError, ValueError, AttributeError, AssertionError, EngagementError)
_WRITE_AGAIN = "Use a file that `engagement train` or `engagement ensemble` wrote, as it wrote it."


@dataclass(frozen=True, slots=True, eq=False)
class _Network:
    """A network that runs: chips to the logits of its heads, in their order, then the identity feature if it has one."""

    weights: LoadedWeights
    spec: NetworkSpec
    chip: ChipSpec
    share: float
    run: Run


@dataclass(frozen=True, slots=True, eq=False)
class _Loaded:
    """A weight file: one network, or the members of an ensemble, which have the same heads."""

    weights: LoadedWeights
    networks: list[_Network]

    @property
    def heads(self) -> dict[str, LabelSet]:
        return {name: head.labels for name, head in self.networks[0].spec.heads.items()}

    @property
    def identity_dim(self) -> int:
        return self.networks[0].spec.identity_dim


def build_network(weights: LoadedWeights) -> FaceStateNet:
    """The network of a weight file, in evaluation mode.

    Raises:
        WeightsError: the record describes no network of ours, or the tensors do not fit the one that it describes.
    """
    try:
        network = FaceStateNet(NetworkSpec.from_dict(weights.record.network))
    except _UNREADABLE as error:
        raise WeightsError(
            f"{weights.name}: its record describes no network ({_culprit(error)})", _WRITE_AGAIN
        ) from error
    wanted = {k: v.shape for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    given = {k: v.shape for k, v in weights.tensors.items()}
    wrong = sorted(k for k in wanted.keys() | given.keys() if wanted.get(k) != given.get(k))
    if wrong:
        one = wrong[0]
        raise WeightsError(
            f"{weights.name}: the recorded network does not fit {count(len(wrong), 'tensor')}, for example '{one}', which is "
            f"{_shape(given.get(one))} in the file and {_shape(wanted.get(one))} in the network",
            _WRITE_AGAIN,
        )
    network.load_state_dict(dict(weights.tensors), strict=False)
    return network.eval()


def chip_of(weights: LoadedWeights) -> ChipSpec:
    """The face chips that the network of a weight file looks at.

    Raises:
        WeightsError: the record does not describe them.
    """
    try:
        return ChipSpec.from_dict(dict(weights.record.chip))
    except _UNREADABLE as error:
        raise WeightsError(
            f"{weights.name}: its record describes no face chips ({_culprit(error)})", _WRITE_AGAIN
        ) from error


def _culprit(error: Exception) -> str:
    """What a record lacks, or is wrong in it."""
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    return error.message if isinstance(error, EngagementError) else str(error) or "of another form"


def _shape(shape: Sequence[int] | None) -> str:
    return "absent" if shape is None else "x".join(map(str, shape)) or "one number"


def _fused(network: FaceStateNet) -> FaceStateNet:
    """The network, faster: a BatchNorm is folded into the convolution before it where a Sequential holds both."""
    for parent in network.modules():
        if not isinstance(parent, nn.Sequential):
            continue
        for i, (first, second) in enumerate(pairwise(list(parent))):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                parent[i], parent[i + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
    return network


def scaled(logits: FloatArray, labels: LabelSet, calibration: Mapping[str, Any]) -> FloatArray:
    """Logits with the temperature (exclusive labels), or scale and bias (independent ones), that training found.

    Args:
        logits: (n, classes).

    Returns:
        float32 (n, classes).
    """
    if labels.kind == "exclusive":
        return (logits / float(calibration.get("temperature", 1.0))).astype(np.float32)
    scale = np.asarray(calibration.get("scale", np.ones(len(labels))), np.float32)
    bias = np.asarray(calibration.get("bias", np.zeros(len(labels))), np.float32)
    return (logits * scale + bias).astype(np.float32)


def calibrate(logits: FloatArray, labels: LabelSet, calibration: Mapping[str, Any]) -> FloatArray:
    """Probabilities from logits (n, classes), with what training found (see :func:`scaled`).

    Returns:
        float32 (n, classes): softmax for exclusive labels, sigmoid each for independent ones.
    """
    known = scaled(logits, labels, calibration)
    return (softmax(known, axis=1) if labels.kind == "exclusive" else expit(known)).astype(np.float32)


class FaceClassifier:
    """Scores faces. Stateless after construction.

    Args:
        config: which weights.
        device: where the networks run (see ``engagement.device``).

    Raises:
        WeightsError: a file is damaged, or one of its two documented heads has classes that are none of ours.
    """

    def __init__(self, config: ClassifierConfig | None = None, device: str = "cpu") -> None:
        self.config = config or ClassifierConfig()
        self.device = device
        main = self._load(self.config.checkpoint)
        _check_documented(self.config.checkpoint, main.heads)
        self._loaded = [main]
        lacking = {"expression", "state"} - set(main.heads)
        if lacking or not main.identity_dim:
            self._loaded.append(self._load(DEFAULT_WEIGHTS))
        #: Heads beyond the two documented ones: name -> labels.
        self.extra_heads = {k: v for k, v in main.heads.items() if k not in ("expression", "state")}

    def _load(self, reference: str) -> _Loaded:
        weights = load_weights(reference, ("face_state", KIND))
        networks = []
        for member in members_of(weights):
            network = _fused(build_network(member.weights))
            if self.config.mirror:
                network.look_twice()
            chip = chip_of(member.weights)
            example = np.zeros((2, 3, chip.size, chip.size), np.float32)
            run = runner(_OfChips(network), example, (0,), self.device)
            networks.append(_Network(member.weights, network.spec, chip, member.share, run))
        return _Loaded(weights, networks)

    @property
    def weights(self) -> list[LoadedWeights]:
        """The weight files in use, the requested one first."""
        return [loaded.weights for loaded in self._loaded]

    @property
    def extra_columns(self) -> tuple[str, ...]:
        """``head_class`` for every class of the further heads, in the order of the scores."""
        return tuple(f"{name}_{c}" for name, labels in self.extra_heads.items() for c in labels.classes)

    @property
    def chip_specs(self) -> list[ChipSpec]:
        """Chip geometry of each network in use; :meth:`score` wants chips for each."""
        return [network.chip for loaded in self._loaded for network in loaded.networks]

    @property
    def expression_classes(self) -> tuple[str, ...]:
        """The expressions that the model can name; the others get probability 0."""
        for loaded in self._loaded:
            if "expression" in loaded.heads:
                return loaded.heads["expression"].classes
        raise WeightsError("no network has an expression head")

    def score(self, chips: list[ByteArray]) -> FaceScores:
        """Scores of n faces.

        Args:
            chips: for each of :attr:`chip_specs`, uint8 (n, S, S, 3) cut by that spec.
        """
        if len(chips) != len(self.chip_specs):
            raise ValueError(f"{len(chips)} sets of chips for {len(self.chip_specs)} networks")
        n, given = len(chips[0]), iter(chips)
        head_prob: dict[str, tuple[LabelSet, FloatArray]] = {}
        identity = np.zeros((n, 0), np.float32)
        for loaded in self._loaded:
            answers = [self._answers(network, next(given)) for network in loaded.networks]
            shares = [network.share for network in loaded.networks]
            for name, labels in loaded.heads.items():
                if name not in head_prob:
                    calibration = loaded.weights.record.calibration.get(name, {})
                    sharpen = float(calibration.get("temperature", 1.0)) if len(answers) > 1 else 1.0
                    prob = averaged([prob[name] for prob, _ in answers], shares, sharpen)
                    head_prob[name] = (labels, prob)
            if not identity.shape[1]:
                identity = answers[0][1]
        expression = _in_order(*head_prob["expression"], EXPRESSIONS)
        state = _in_order(*head_prob["state"], LEARNER_STATES)
        extra = {name: head_prob[name][1] for name in self.extra_heads}
        return FaceScores(expression, state, identity, extra)

    def _answers(self, loaded: _Network, chips: ByteArray) -> tuple[dict[str, FloatArray], FloatArray]:
        """Calibrated probabilities of each head, and the identity feature."""
        logits, identity = self._forward(loaded, chips)
        calibration = loaded.weights.record.calibration
        heads = loaded.spec.heads
        prob = {
            name: calibrate(values, heads[name].labels, dict(calibration.get(name, {})))
            for name, values in logits.items()
        }
        return prob, identity

    def _forward(self, loaded: _Network, chips: ByteArray) -> tuple[dict[str, FloatArray], FloatArray]:
        heads, dim = loaded.spec.heads, loaded.spec.identity_dim
        widths = [*(len(head.labels) for head in heads.values()), dim]
        parts = [[np.zeros((0, width), np.float32)] for width in widths]
        size = _CHUNK if is_cpu(self.device) else _CHUNK_GPU
        for start in range(0, len(chips), size):
            out = loaded.run(normalize_chips(chips[start : start + size], loaded.chip))
            for part, values in zip(parts, out, strict=False):  # the feature may be missing
                part.append(values)
        *logits, identity = (np.concatenate(part) for part in parts)
        return dict(zip(heads, logits, strict=True)), identity


def _check_documented(checkpoint: str, heads: Mapping[str, LabelSet]) -> None:
    """Raise WeightsError where a documented head has classes, or is of a kind, that its columns are not made for."""
    for name, ours in (("expression", EXPRESSIONS), ("state", LEARNER_STATES)):
        if name not in heads:
            continue
        foreign = [c for c in heads[name].classes if c not in ours.classes]
        kind = heads[name].kind
        if not foreign and kind == ours.kind:
            continue
        what = f"classes that are none of ours: {', '.join(foreign)}" if foreign else f"{kind} classes"
        raise WeightsError(
            f"{checkpoint}: its head '{name}' has {what}",
            f"The head '{name}' is for {ours.kind} classes out of {', '.join(ours.classes)}; "
            "`engagement train extension` adds others under a name of their own.",
        )


class _OfChips(nn.Module):
    """The network's outputs in a row: logits of each head, and the identity feature if it has one."""

    def __init__(self, network: FaceStateNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, chips: Tensor) -> tuple[Tensor, ...]:
        out = self.network(chips.contiguous(memory_format=torch.channels_last))
        return (*out.logits.values(), *([out.identity] if self.network.spec.identity_dim else []))


def _in_order(labels: LabelSet, prob: FloatArray, wanted: LabelSet) -> FloatArray:
    """Columns of ``prob`` in the order of ``wanted``; classes the model does not know are 0."""
    out = np.zeros((len(prob), len(wanted)), np.float32)
    for i, name in enumerate(labels.classes):
        out[:, wanted.index(name)] = prob[:, i]
    return out
