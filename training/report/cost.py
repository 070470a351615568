"""What a model costs: parameters, operations per face, faces per second."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from engagement.types import ChipSpec
from engagement.wording import count
from training.measuring.opened import Model

#: The classifier's batch on a CPU (see engagement.classification.classifier).
BATCH = 8
#: How long throughput is measured, seconds.
_MEASURED_S = 0.5

CONVENTION = "a multiplication and an addition count as two operations; convolutions and matrices only"


def gflops(network: nn.Module, chip: ChipSpec) -> float:
    """10⁹ floating-point operations for one face, as torch's FlopCounterMode counts them (:data:`CONVENTION`).

    Figures of papers often count a multiplication with its addition once ("MACs"): half of this.
    """
    faces = torch.zeros(1, 3, chip.size, chip.size, device=next(network.parameters()).device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(faces)
    return counter.get_total_flops() / 1e9


def cost(model: Model) -> dict[str, Any]:
    """Parameters, GFLOPs and GMACs per face (exact), and measured faces per second of an opened model.

    An ensemble costs the sum of its members.

    Returns:
        ``parameters``, ``gflops``, ``gmacs``, ``convention``; ``faces_per_s`` with ``measured_on`` and
        ``batch``: forward passes alone, float32, without reading or cutting pictures.
    """
    members = model.networks
    operations = sum(gflops(member.network, member.chip) for member in members)
    seconds = sum(_seconds_per_face(member.network, member.chip) for member in members)
    return {
        "parameters": sum(p.numel() for member in members for p in member.network.parameters()),
        "gflops": operations,
        "gmacs": operations / 2,
        "convention": CONVENTION,
        "faces_per_s": 1 / seconds,
        "batch": BATCH,
        "measured_on": f"{_processor()}, {count(torch.get_num_threads(), 'thread')}, torch {torch.__version__}, float32",
    }


def efficiency(found: Mapping[str, Any], operations: float) -> float:
    """Accuracy per GFLOP."""
    return float(found["accuracy"]) / operations


@torch.inference_mode()
def _seconds_per_face(network: nn.Module, chip: ChipSpec) -> float:
    faces = torch.zeros(BATCH, 3, chip.size, chip.size).contiguous(memory_format=torch.channels_last)
    network = network.eval()
    network(faces)  # the first pass chooses algorithms
    passes, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < _MEASURED_S or not passes:
        network(faces)
        passes += 1
    return passed / (passes * BATCH)


def _processor() -> str:
    """Name of the processor, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # a file of Linux alone
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
