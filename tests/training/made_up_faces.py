"""Pictures whose stripes tell their class: enough to train on in a test."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from engagement.types import ByteArray, ChipSpec

HALF = (0.5, 0.5, 0.5)
SMALL = ChipSpec(32, 0.9, HALF, HALF)


def made_up_face(kind: int, seed: int, side: int = 48) -> ByteArray:
    """A picture whose stripes tell its class; uint8 (side, side, 3)."""
    rng = np.random.default_rng((kind, seed))
    y, x = np.mgrid[:side, :side] / side
    wave = np.sin(2 * np.pi * (1 + kind) * (x if kind % 2 else y) + rng.uniform(0, 0.5))
    colour = 40 + 25 * np.array([kind % 3, (kind + 1) % 3, (kind + 2) % 3])
    noisy = 110 + 60 * wave[..., None] + colour + rng.normal(0, 12, (side, side, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def write_face(path: Path, kind: int, seed: int) -> None:
    """A made-up face as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(made_up_face(kind, seed), cv2.COLOR_RGB2BGR))
