"""A small bidirectional LSTM over irregularly sampled scores (Hochreiter & Schmidhuber 1997).

It sees the samples' logits, the box-smoothed logits, the time since the previous sample and which
samples are valid, and corrects the box-smoothed logits by a bounded amount.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from temporal.base import SCORE_COUNT, FloatArray, ScoreRun
from temporal.residual import BATCH, BoundedHead, CorrectedBox, load_tensors, observed_logits, read_config
from temporal.windows import overlap_add, spans, taper

#: Logits of the sample, logits of the box, log time step, validity.
FEATURES = 2 * SCORE_COUNT + 2

#: Reference of the time step and the range in which it is told apart, seconds.
_STEP_S, _STEP_RANGE_S = 0.2, (0.02, 5.0)


@dataclass(frozen=True, slots=True)
class LstmConfig:
    """What is needed to build an LstmNet; travels with the weights.

    Attributes:
        hidden: units per direction.
        layers: of the LSTM.
        bound: largest correction of a logit.
        box_s, state_box_s: windows of the box that is corrected (expressions, states), seconds.
        window_s, hop_s: long runs are cut into windows of this length, one every ``hop_s``.
    """

    hidden: int = 32
    layers: int = 1
    bound: float = 1.5
    box_s: float = 2.0
    state_box_s: float = 2.0
    window_s: float = 30.0
    hop_s: float = 15.0


class LstmNet(nn.Module):
    """Features of a batch of windows to corrections of their box-smoothed logits."""

    def __init__(self, config: LstmConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.inner = nn.Linear(FEATURES, config.hidden)
        self.lstm = nn.LSTM(config.hidden, config.hidden, config.layers, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.head = BoundedHead(2 * config.hidden, config.bound)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Corrections of n windows.

        Args:
            features: float32 (n, T, FEATURES), see :func:`lstm_features`; padded at the end.
            lengths: int64 (n,), true lengths, at least 1, on the CPU.

        Returns:
            (n, T, 10), to be added to the logits; 0 in the padding.
        """
        x = nn.functional.silu(self.inner(features))
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        hidden, _ = self.lstm(packed)
        padded, _ = nn.utils.rnn.pad_packed_sequence(hidden, batch_first=True, total_length=features.shape[1])
        inside = torch.arange(features.shape[1])[None, :] < lengths[:, None]
        return self.head(self.dropout(padded)) * inside[..., None].to(padded.device)


def lstm_features(run: ScoreRun, base: FloatArray) -> FloatArray:
    """Input of the network for every sample.

    Args:
        run: the scores.
        base: (T, 10), box-smoothed scores of that run.

    Returns:
        float32 (T, FEATURES), every value within about +-3.
    """
    own, smooth = observed_logits(run, base)
    step = np.clip(np.diff(run.times_s, prepend=run.times_s[:1] - _STEP_S), *_STEP_RANGE_S)
    gap = np.log(step / _STEP_S)[:, None]
    # Log probabilities reach down to -9; a third of that is of the size that a layer starts with.
    return np.concatenate([own / 3, smooth / 3, gap, run.valid[:, None]], axis=1).astype(np.float32)


class LstmSmoother(CorrectedBox):
    """An LstmNet as a smoother; see :class:`temporal.residual.CorrectedBox`."""

    name = "lstm"
    needs_chips = False
    chip_px = 0

    def __init__(self, network: LstmNet, device: str | torch.device = "cpu") -> None:
        self.config = network.config
        widths = (self.config.box_s, self.config.state_box_s)
        super().__init__(network, *widths, reach_s=self.config.window_s, device=device)

    def correction(self, run: ScoreRun, base: FloatArray) -> NDArray[np.floating]:
        """See :meth:`temporal.residual.CorrectedBox.correction`."""
        features = lstm_features(run, base)
        parts = spans(run.times_s, self.config.window_s, self.config.hop_s)
        rows, values, weights = [], [], []
        for start in range(0, len(parts), BATCH):
            some = parts[start : start + BATCH]
            lengths = torch.tensor([b - a for a, b in some])
            batch = nn.utils.rnn.pad_sequence(
                [self._first_step_reset(features[a:b]) for a, b in some], batch_first=True
            )
            out = self.network(batch.to(self.device), lengths).cpu().numpy()
            for (a, b), value in zip(some, out, strict=True):
                window = run.times_s[a:b]
                rows.append(np.arange(a, b))
                values.append(value[: b - a])
                weights.append(taper((window - window[0]) / max(window[-1] - window[0], 1e-9)))
        return overlap_add(len(run), rows, values, weights)

    @staticmethod
    def _first_step_reset(features: FloatArray) -> Tensor:
        """A window as a tensor; what came before it is unknown, as it is in training."""
        window = torch.from_numpy(features.copy())
        window[0, 2 * SCORE_COUNT] = 0.0
        return window


def load_lstm(
    network: Mapping[str, Any], tensors: Mapping[str, Tensor], device: str | torch.device = "cpu"
) -> LstmSmoother:
    """A smoother from the record and the tensors of a weight file; ValueError where they do not fit."""
    net = LstmNet(read_config(LstmConfig, network))
    load_tensors(net, tensors)
    return LstmSmoother(net, device)
