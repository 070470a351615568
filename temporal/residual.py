"""What the two smoothing networks share: a bounded correction of the box-smoothed logits.

The correction of every logit stays within +- bound. A network that has learned nothing (its last
layer starts at zero) therefore gives the box-smoothed scores, and one that has gone astray cannot
turn over a score that the window is sure of: two logits further apart than twice the bound keep
their order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from temporal.base import SCORE_COUNT, FloatArray, ScoreRun, from_logits, to_logits
from temporal.box import BoxSmoother

Config = TypeVar("Config")

#: Windows or clips that go through a network together; bounds memory.
BATCH = 64


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


class CorrectedBox(ABC):
    """A smoother whose network corrects the logits of the box.

    Args:
        network: in evaluation mode after this.
        box_s, state_box_s: windows of the box that is corrected (expressions, states), seconds.
        reach_s: the network's own part of ``context_s``.
        device: where it runs.
    """

    def __init__(
        self,
        network: nn.Module,
        box_s: float,
        state_box_s: float,
        reach_s: float,
        device: str | torch.device,
    ) -> None:
        self.device = torch.device(device)
        self.network = network.eval().to(self.device)
        self.box = BoxSmoother(box_s, state_box_s)
        self.context_s = reach_s + self.box.context_s

    @torch.inference_mode()
    def smooth(self, run: ScoreRun) -> FloatArray:
        """See :meth:`temporal.base.TemporalSmoother.smooth`."""
        base = self.box.smooth(run)
        if not run.valid.any():
            return base
        _, smooth = observed_logits(run, base)
        out = from_logits(smooth + self.correction(run, base))
        out[np.isnan(base).any(axis=1)] = np.nan
        return out

    @abstractmethod
    def correction(self, run: ScoreRun, base: FloatArray) -> NDArray[np.floating]:
        """What is added to the logits.

        Args:
            run: with a valid sample. base: (T, 10), its box-smoothed scores.

        Returns:
            (T, 10), finite.
        """


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
