"""MixUp (Zhang et al. 2018) and CutMix (Yun et al. 2019): batches whose pictures and targets are mixed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.samples.augment import Augmentation


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """How a batch of n is mixed: each picture with its partner.

    Attributes:
        partner: (n,) a permutation.
        share: 0-1, what a picture keeps of itself in its target.
        box: x1, y1, x2, y2 in fractions of the chip: the part that comes from the partner (CutMix); None
            where all pixels are weighed (MixUp).
    """

    partner: Tensor
    share: float
    box: tuple[float, float, float, float] | None = None

    def pictures(self, chips: Tensor) -> Tensor:
        """(n, 3, h, w) mixed."""
        other = chips[self.partner]
        if self.box is None:
            return self.share * chips + (1 - self.share) * other
        rows, columns = _pixels(self.box, chips.shape[-2], chips.shape[-1])
        mixed = chips.clone()
        mixed[..., rows, columns] = other[..., rows, columns]
        return mixed

    def targets(self, target: Tensor) -> Tensor:
        """(n, classes) mixed; rows that summed to 1 still do."""
        return self.share * target + (1 - self.share) * target[self.partner]


def draw_mixture(
    augmentation: Augmentation, n: int, side: int, rng: np.random.Generator, device: torch.device
) -> Mixture | None:
    """MixUp or CutMix, evenly where the policy has both; None where it has neither.

    Args:
        augmentation: whose ``mixup`` and ``cutmix`` are the Beta distribution's parameters.
        n: pictures in the batch.
        side: pixels of a chip's side.
        rng: seeded by what the batch depends on, so that a resumed run mixes the same way.
        device: of the batch.
    """
    kinds = [kind for kind in ("mixup", "cutmix") if getattr(augmentation, kind) > 0]
    if not kinds:
        return None
    kind = kinds[int(rng.integers(len(kinds)))]
    alpha = float(getattr(augmentation, kind))
    share = float(rng.beta(alpha, alpha))
    partner = torch.from_numpy(rng.permutation(n)).to(device)
    if kind == "mixup":
        return Mixture(partner, share)
    half = np.sqrt(1 - share) / 2
    cx, cy = rng.uniform(0, 1, 2)
    x1, y1, x2, y2 = (float(np.clip(v, 0, 1)) for v in (cx - half, cy - half, cx + half, cy + half))
    rows, columns = _pixels((x1, y1, x2, y2), side, side)
    # The chip's border cuts the box: the target follows what is really seen.
    seen = (rows.stop - rows.start) * (columns.stop - columns.start) / side**2
    return Mixture(partner, 1 - seen, (x1, y1, x2, y2))


def _pixels(box: tuple[float, float, float, float], height: int, width: int) -> tuple[slice, slice]:
    x1, y1, x2, y2 = box
    return slice(round(y1 * height), round(y2 * height)), slice(round(x1 * width), round(x2 * width))
