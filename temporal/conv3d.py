"""A small 3D convolution over short clips of grey faces (after Tran et al. 2015, "Learning
Spatiotemporal Features with 3D Convolutional Networks"), which also sees the frames' scores.

A run is laid on a regular grid of time; each grid point shows the nearest valid sample, or nothing.
Clips of the grid overlap; their corrections of the box-smoothed logits are averaged with a
triangular weight and read at the samples' own times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from temporal.base import SCORE_COUNT, TIME_TOLERANCE_S, FloatArray, ScoreRun
from temporal.residual import BATCH, BoundedHead, CorrectedBox, load_tensors, observed_logits, read_config
from temporal.windows import overlap_add, spans, taper


@dataclass(frozen=True, slots=True)
class Conv3dConfig:
    """What is needed to build a Conv3dNet; travels with the weights.

    Attributes:
        chip_px: side of the grey chips.
        frames: grid points of a clip.
        step_s: spacing of the grid, seconds.
        hop: grid points from one clip to the next.
        channels: of the three convolutions.
        hidden: units of the layer that joins pictures and scores.
        bound: largest correction of a logit.
        box_s, state_box_s: windows of the box that is corrected (expressions, states), seconds.
    """

    chip_px: int = 40
    frames: int = 10
    step_s: float = 0.2
    hop: int = 5
    channels: tuple[int, int, int] = (12, 24, 32)
    hidden: int = 48
    bound: float = 1.5
    box_s: float = 2.0
    state_box_s: float = 2.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))  # a list after JSON


class Conv3dNet(nn.Module):
    """Clips and their scores to corrections of the box-smoothed logits."""

    def __init__(self, config: Conv3dConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        a, b, c = config.channels
        self.pictures = nn.Sequential(
            _block(1, a, (3, 5, 5)), _block(a, b, (3, 3, 3)), _block(b, c, (3, 3, 3))
        )
        self.join = nn.Conv1d(c + 2 * SCORE_COUNT + 1, config.hidden, 3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.head = BoundedHead(config.hidden, config.bound)

    def forward(self, chips: Tensor, logits: Tensor, base: Tensor, seen: Tensor) -> Tensor:
        """Corrections of n clips.

        Args:
            chips: uint8 (n, L, S, S), grey; whatever is not ``seen`` is not looked at.
            logits: float32 (n, L, 10), of the samples.
            base: float32 (n, L, 10), box-smoothed logits.
            seen: bool (n, L), grid points that show a valid sample.

        Returns:
            (n, L, 10), to be added to ``base``.
        """
        mask = seen[..., None].float()
        x = chips.float()
        # Each chip to zero mean and unit contrast: light must not look like expression.
        x = x - x.mean(dim=(2, 3), keepdim=True)
        x = x / (x.std(dim=(2, 3), keepdim=True) + 8.0) * mask[..., None]
        maps = self.pictures(x[:, None]).mean(dim=(3, 4))
        scores = torch.cat([logits / 3 * mask, base / 3, mask], dim=2).transpose(1, 2)
        joined = nn.functional.silu(self.join(torch.cat([maps, scores], dim=1)))
        return self.head(self.dropout(joined.transpose(1, 2)))


def _block(inputs: int, outputs: int, kernel: tuple[int, int, int]) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, kernel, stride=(1, 2, 2), padding=padding, bias=False),
        nn.BatchNorm3d(outputs),
        nn.SiLU(),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Clips:
    """A run as n overlapping clips of L grid points.

    Attributes:
        chips: uint8 (n, L, S, S). logits, base: float32 (n, L, 10). seen: bool (n, L).
        sample: int64 (n, L), nearest sample of the run, for truth in training.
        point: int64 (n, L), which grid point of the run.
        grid_s: float64 (G,), times of the run's grid points.
    """

    chips: NDArray[np.uint8]
    logits: FloatArray
    base: FloatArray
    seen: NDArray[np.bool_]
    sample: NDArray[np.int64]
    point: NDArray[np.int64]
    grid_s: NDArray[np.float64]


def cut_clips(run: ScoreRun, base: FloatArray, config: Conv3dConfig) -> Clips:
    """Lay a run on the grid and cut it into clips.

    Args:
        run: with chips of ``config.chip_px``, at least one sample.
        base: (T, 10), its box-smoothed scores.
        config: of the network.

    Raises:
        ValueError: no chips, or of another size.
    """
    if run.chips is None or run.chips.shape[1] != config.chip_px:
        shape = None if run.chips is None else run.chips.shape
        raise ValueError(f"the smoother 'cnn3d' needs grey chips of {config.chip_px} px, got {shape}")
    start = run.times_s[0]
    points = int(np.ceil((run.times_s[-1] - start) / config.step_s - TIME_TOLERANCE_S)) + 1
    grid = start + np.arange(points) * config.step_s
    nearest = _nearest(run.times_s, grid)
    valid_rows = np.flatnonzero(run.valid)
    shown = valid_rows[_nearest(run.times_s[valid_rows], grid)] if len(valid_rows) else nearest
    close = np.abs(run.times_s[shown] - grid) <= config.step_s / 2 + TIME_TOLERANCE_S
    seen = close & run.valid[shown]
    own, smooth = observed_logits(run, base)
    window_s = (config.frames - 1) * config.step_s
    starts = [a for a, _ in spans(grid, window_s, config.hop * config.step_s)]
    # A short last clip is filled up with grid points that show nothing.
    point = np.asarray(starts)[:, None] + np.arange(config.frames)[None, :]
    inside = point < points
    at = np.minimum(point, points - 1)
    visible = seen[at] & inside
    return Clips(
        chips=np.where(visible[..., None, None], run.chips[shown[at]], 0).astype(np.uint8),
        logits=own[shown[at]] * visible[..., None],
        base=smooth[nearest[at]] * inside[..., None],
        seen=visible,
        sample=nearest[at],
        point=np.where(inside, point, -1),
        grid_s=grid,
    )


def _nearest(times_s: NDArray[np.float64], wanted_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rows of the times nearest to the wanted ones; of two equally near, the earlier."""
    right = np.clip(np.searchsorted(times_s, wanted_s), 0, len(times_s) - 1)
    left = np.maximum(right - 1, 0)
    earlier = wanted_s - times_s[left] <= times_s[right] - wanted_s + TIME_TOLERANCE_S
    return np.where(earlier & (left < right), left, right).astype(np.int64)


class Conv3dSmoother(CorrectedBox):
    """A Conv3dNet as a smoother; see :class:`temporal.residual.CorrectedBox`."""

    name = "cnn3d"
    needs_chips = True

    def __init__(self, network: Conv3dNet, device: str | torch.device = "cpu") -> None:
        self.config = network.config
        self.chip_px = self.config.chip_px
        widths = (self.config.box_s, self.config.state_box_s)
        super().__init__(network, *widths, reach_s=self.config.frames * self.config.step_s, device=device)

    def correction(self, run: ScoreRun, base: FloatArray) -> NDArray[np.floating]:
        """See :meth:`temporal.residual.CorrectedBox.correction`."""
        clips = cut_clips(run, base, self.config)
        weight = taper((np.arange(self.config.frames) + 0.5) / self.config.frames)
        rows, values, weights = [], [], []
        for start in range(0, len(clips.point), BATCH):
            part = slice(start, start + BATCH)
            arrays = (clips.chips[part], clips.logits[part], clips.base[part], clips.seen[part])
            out = self.network(*(torch.from_numpy(a).to(self.device) for a in arrays)).cpu().numpy()
            for point, value in zip(clips.point[part], out, strict=True):
                inside = point >= 0
                rows.append(point[inside])
                values.append(value[inside])
                weights.append(weight[inside])
        on_grid = overlap_add(len(clips.grid_s), rows, values, weights)
        return np.stack(
            [np.interp(run.times_s, clips.grid_s, on_grid[:, k]) for k in range(SCORE_COUNT)], axis=1
        )


def load_conv3d(
    network: Mapping[str, Any], tensors: Mapping[str, Tensor], device: str | torch.device = "cpu"
) -> Conv3dSmoother:
    """A smoother from the record and the tensors of a weight file; ValueError where they do not fit."""
    net = Conv3dNet(read_config(Conv3dConfig, network))
    load_tensors(net, tensors)
    return Conv3dSmoother(net, device)
