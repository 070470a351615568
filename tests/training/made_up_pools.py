"""Made-up outputs of a frame model, for tests of the temporal training."""

from __future__ import annotations

import numpy as np

from temporal.base import ScoreRun, from_logits
from temporal.conv3d import Conv3dConfig
from training.temporal.items import Material
from training.temporal.sequences import Pool

PX = Conv3dConfig().chip_px


def made_up_pool(name: str, states: bool, seed: int, pictures: int = 84, noise: float = 1.0) -> Pool:
    """Pictures whose logits point to their class, noisily."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, noise, (pictures, 1, 10)) + rng.normal(0, 0.3, (pictures, 3, 10))
    expression = np.full(pictures, -1, np.int64)
    state = np.full((pictures, 3), np.nan, np.float32)
    if states:
        state = (rng.random((pictures, 3)) > [0.6, 0.2, 0.7]).astype(np.float32)
        logits[..., 7:] += 2.0 * (state[:, None] - 0.5)
    else:
        expression = (np.arange(pictures) % 7).astype(np.int64)
        logits[np.arange(pictures), :, expression] += 2.5
    chips = rng.integers(0, 256, (pictures, 3, PX, PX)).astype(np.uint8)
    group = np.array([f"p{i % 6}" if states else f"{name}{i}" for i in range(pictures)])
    return Pool(name, logits.astype(np.float32), chips, expression, state, group)


def made_up_material(seed: int) -> Material:
    ordered = made_up_pool("wacv2016", True, seed + 2)
    # Real people stay engaged, or not, for a while.
    ordered = ordered.rows(np.lexsort((ordered.state[:, 1], ordered.group)))
    level = ordered.state.copy()
    level[:, [0, 2]] = np.nan
    ordered = Pool(
        ordered.name, ordered.logits, ordered.chips, np.full(84, -1, np.int64), level, ordered.group
    )
    rng = np.random.default_rng(seed)
    clip = ScoreRun(
        np.arange(40, dtype=np.float64) * 0.2,
        from_logits(rng.normal(0, 1, (40, 10))),
        rng.random(40) > 0.2,
        rng.integers(0, 256, (40, PX, PX)).astype(np.uint8),
    )
    pools = made_up_pool("rafdb", False, seed), made_up_pool("daisee", True, seed + 1)
    return Material(*pools, ordered, [clip])
