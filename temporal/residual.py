"""What the two smoothing networks share: a bounded correction of the box-smoothed logits.

The correction of every logit stays within +- bound. A network that has learned nothing (its last
layer starts at zero) therefore gives the box-smoothed scores, and one that has gone astray cannot
turn over a score that the window is sure of: two logits further apart than twice the bound keep
their order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from temporal.base import SCORE_COUNT, FloatArray, ScoreRun, to_logits

Config = TypeVar("Config")


class BoundedHead(nn.Module):
    """Last layer: features to a correction of each logit within +- bound; starts at zero.

    Args:
        width: features. bound: logits, above 0.
    """

    def __init__(self, width: int, bound: float) -> None:
        super().__init__()
        self.linear = nn.Linear(width, SCORE_COUNT)
        self.bound = bound
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(…, width) to (…, 10)."""
        return self.bound * torch.tanh(self.linear(x) / self.bound)


def observed_logits(run: ScoreRun, base: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Logits of the samples and of the smoothed scores, float32 (T, 10) each, finite everywhere.

    Invalid samples show the smoothed logits instead of their own; rows that are NaN in ``base`` show 0.
    """
    smooth = np.nan_to_num(to_logits(base), nan=0.0)
    own = to_logits(np.where(run.valid[:, None], run.prob, 0.5))
    return np.where(run.valid[:, None], own, smooth).astype(np.float32), smooth


def read_config(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """A configuration from the record of a weight file.

    Raises:
        ValueError: keys are missing or unknown.
    """
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if set(values) != known:
        wrong = ", ".join(sorted(set(values) ^ known))
        raise ValueError(f"the weights' record does not describe this network: {wrong}")
    return kind(**values)


def load_tensors(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Fill a network strictly.

    Raises:
        ValueError: tensors are missing, left over, or of another shape.
    """
    state = dict(tensors)
    # Counters of BatchNorm are not stored; inference does not read them.
    state.update({k: v for k, v in network.state_dict().items() if k.endswith("num_batches_tracked")})
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"the weights do not fit the network ({error})") from error
