"""What is exported: from face chips as bytes to calibrated probabilities, in one graph."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engagement.faces.chips import normalize_chips
from engagement.types import ByteArray, ChipSpec, FloatArray
from training.measuring.opened import Model

#: Old enough for every runtime of the last years; QDQ with weights per channel needs 13.
OPSET = 17


def chip_inputs(model: Model) -> dict[str, ChipSpec]:
    """Name of each input -> how its chips are cut. Members that see the same chips share an input."""
    specs = list(dict.fromkeys(member.chip for member in model.networks))
    if len(specs) == 1:
        return {"chips": specs[0]}
    return {f"chips_{i}_{spec.size}px": spec for i, spec in enumerate(specs)}


class ExportNet(nn.Module):
    """uint8 chips (n, S, S, 3) per input -> probabilities (n, classes) per head, and the identity feature.

    Normalisation, calibration and the mean over members are part of it, so that whoever runs the file
    need not know them.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        specs = list(chip_inputs(model).values())
        members = model.networks
        self.networks = nn.ModuleList([member.network for member in members])
        self.shares = [share for _, share in model.members]
        self.inputs = [specs.index(member.chip) for member in members]
        self.specs = specs
        self.labels = {name: head.labels for name, head in model.heads.items()}
        self.calibrations = [dict(member.record.calibration) for member in members]
        self.common = dict(model.record.calibration) if len(members) > 1 else {}
        self.with_identity = len(members) == 1 and bool(members[0].network.spec.identity_dim)

    @property
    def outputs(self) -> list[str]:
        """Names of what :meth:`forward` gives."""
        return [*self.labels, *(["identity"] if self.with_identity else [])]

    def forward(self, *chips: Tensor) -> tuple[Tensor, ...]:
        means: dict[str, Tensor] = {}
        identity: list[Tensor] = []
        for network, share, place, calibration in zip(
            self.networks, self.shares, self.inputs, self.calibrations, strict=True
        ):
            spec = self.specs[place]
            mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (spec.mean, spec.std))
            out = network((chips[place].permute(0, 3, 1, 2).float() / 255 - mean) / std)
            for name in self.labels:
                prob = self._calibrated(name, out.logits[name], dict(calibration.get(name, {}))) * share
                means[name] = means[name] + prob if name in means else prob
            identity = [out.identity]
        for name, prob in means.items():
            temperature = float(self.common.get(name, {}).get("temperature", 1.0))
            if temperature != 1:
                sharper = prob.clamp_min(1e-12) ** (1 / temperature)
                means[name] = sharper / sharper.sum(dim=1, keepdim=True)
        return (*means.values(), *(identity if self.with_identity else []))

    def _calibrated(self, name: str, logits: Tensor, calibration: dict[str, float | list[float]]) -> Tensor:
        if self.labels[name].kind == "exclusive":
            return torch.softmax(logits / float(calibration.get("temperature", 1.0)), dim=1)  # type: ignore[arg-type]
        count = len(self.labels[name])
        scale = torch.tensor(calibration.get("scale", [1.0] * count), dtype=torch.float32)
        bias = torch.tensor(calibration.get("bias", [0.0] * count), dtype=torch.float32)
        return torch.sigmoid(logits * scale + bias)


def write_graph(path: Path, model: Model) -> list[str]:
    """Export a model; the number of faces stays open.

    Returns:
        names of the outputs.
    """
    net = ExportNet(model).eval()
    inputs = chip_inputs(model)
    faces = tuple(torch.zeros(2, spec.size, spec.size, 3, dtype=torch.uint8) for spec in inputs.values())
    with warnings.catch_warnings():
        # The exporter that needs no further package calls itself old, and warns of every length that is read.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            faces,
            str(path),
            input_names=list(inputs),
            output_names=net.outputs,
            dynamic_axes={name: {0: "faces"} for name in [*inputs, *net.outputs]},
            opset_version=OPSET,
            dynamo=False,
        )
    return net.outputs


@torch.inference_mode()
def torch_outputs(model: Model, chips: Sequence[ByteArray]) -> dict[str, FloatArray]:
    """The same outputs the way the rest of the program computes them: what an export is compared with.

    Args:
        chips: for each of :func:`chip_inputs`, uint8 (n, S, S, 3).
    """
    specs = list(chip_inputs(model).values())
    parts: dict[str, list[FloatArray]] = {name: [] for name in model.heads}
    identity = np.zeros((len(chips[0]), 0), np.float32)
    for member in model.networks:
        faces = normalize_chips(chips[specs.index(member.chip)], member.chip)
        out = member.network(torch.from_numpy(faces))
        identity = out.identity.numpy()
        for name, own in parts.items():
            own.append(member.calibrated(name, out.logits[name].numpy()))
    found = {name: model.together(name, own) for name, own in parts.items()}
    return {**found, "identity": identity} if len(model.networks) == 1 and identity.shape[1] else found
