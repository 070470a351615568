"""Variation of training faces. Geometry changes the box before the chip is cut; the rest changes
the chip before it is normalised. Every draw comes from a generator seeded by (seed, epoch, row), so
a resumed run sees the same pictures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engagement.errors import ConfigError
from engagement.types import ByteArray, FloatArray


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Strengths; zero switches a step off.

    Attributes:
        flip: probability of mirroring.
        shift: largest displacement of the box, in box sides.
        scale: largest change of the box's side, as a factor 1 +- scale.
        roll_deg: largest turn.
        tight: probability of repeating the edge outside the face box, as sets of tight crops look.
        light: largest relative change of brightness and contrast.
        grey: probability of losing colour.
        low_resolution: probability of being reduced to 24-64 px first.
        jpeg: probability of strong JPEG compression.
        crop_px: largest shift of the cut chip in its own pixels, its edge repeated outside (a padded crop).
        saturation: largest relative change of the colours' strength.
        erase: probability of a grey rectangle over a share of the chip.
        erase_share: smallest and largest share.
        mixup, cutmix: parameter of the Beta distribution with which batches are mixed, see training.fitting.mixing.
    """

    flip: float = 0.0
    shift: float = 0.0
    scale: float = 0.0
    roll_deg: float = 0.0
    tight: float = 0.0
    light: float = 0.0
    grey: float = 0.0
    low_resolution: float = 0.0
    jpeg: float = 0.0
    crop_px: int = 0
    saturation: float = 0.0
    erase: float = 0.0
    erase_share: tuple[float, float] = (0.02, 0.15)
    mixup: float = 0.0
    cutmix: float = 0.0

    def place(self, box: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, float]:
        """A varied box (pixels) and the roll to undo, in degrees."""
        turn = float(rng.uniform(-self.roll_deg, self.roll_deg))
        if not (self.shift or self.scale):
            return box, turn  # to the bit what inference cuts
        side = float(max(box[2] - box[0], box[3] - box[1]))
        dx, dy = rng.uniform(-self.shift, self.shift, 2) * side
        factor = 1 + rng.uniform(-self.scale, self.scale)
        cx, cy = (box[0] + box[2]) / 2 + dx, (box[1] + box[3]) / 2 + dy
        half_w, half_h = (box[2] - box[0]) / 2 * factor, (box[3] - box[1]) / 2 * factor
        moved = np.array([cx - half_w, cy - half_h, cx + half_w, cy + half_h], np.float32)
        return moved, turn

    def crop_tight(self, rgb: ByteArray, box: FloatArray, rng: np.random.Generator) -> ByteArray:
        """The picture with everything outside the box replaced by its edge, with probability ``tight``."""
        if rng.random() >= self.tight:
            return rgb
        height, width = rgb.shape[:2]
        x1, y1 = max(0, int(box[0])), max(0, int(box[1]))
        x2, y2 = min(width, int(np.ceil(box[2]))), min(height, int(np.ceil(box[3])))
        if x2 - x1 < 8 or y2 - y1 < 8:
            return rgb
        columns = np.clip(np.arange(width), x1, x2 - 1)
        rows = np.clip(np.arange(height), y1, y2 - 1)
        return np.ascontiguousarray(rgb[rows][:, columns])

    def vary(self, chip: ByteArray, rng: np.random.Generator) -> ByteArray:
        """A varied chip, uint8 (size, size, 3)."""
        import cv2

        size = chip.shape[0]
        if rng.random() < self.flip:
            chip = np.ascontiguousarray(chip[:, ::-1])
        if self.crop_px:
            pad = self.crop_px
            x, y = rng.integers(0, 2 * pad + 1, 2)
            padded = cv2.copyMakeBorder(chip, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
            chip = np.asarray(padded[y : y + size, x : x + size], np.uint8)
        if rng.random() < self.low_resolution:
            small = int(rng.integers(24, 65))
            reduced = cv2.resize(chip, (small, small), interpolation=cv2.INTER_AREA)
            chip = np.asarray(cv2.resize(reduced, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
        if rng.random() < self.jpeg:
            quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 70))]
            chip = np.asarray(
                cv2.imdecode(cv2.imencode(".jpg", chip, quality)[1], cv2.IMREAD_COLOR), np.uint8
            )
        if self.light:
            gain, offset = 1 + rng.uniform(-self.light, self.light), rng.uniform(-self.light, self.light) * 96
            mean = chip.mean()
            chip = np.clip((chip - mean) * gain + mean + offset, 0, 255).astype(np.uint8)
        if self.saturation:
            factor = 1 + rng.uniform(-self.saturation, self.saturation)
            luma = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
            chip = np.clip(luma + (chip - luma) * factor, 0, 255).astype(np.uint8)
        if rng.random() < self.grey:
            grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY)
            chip = np.asarray(np.repeat(grey[..., None], 3, axis=2), np.uint8)
        if rng.random() < self.erase:
            share, ratio = rng.uniform(*self.erase_share), np.exp(rng.uniform(-0.7, 0.7))
            w, h = (max(1, min(size - 1, int(size * np.sqrt(share * r)))) for r in (ratio, 1 / ratio))
            x, y = int(rng.integers(0, size - w)), int(rng.integers(0, size - h))
            chip = chip.copy()
            chip[y : y + h, x : x + w] = rng.integers(0, 256)
        return chip


# Crop, rotate, flip: what most work on FER2013 does.
_CRP = Augmentation(flip=0.5, crop_px=4, roll_deg=10)

#: Policies by name. ``faces`` is the one behind the shipped weights, ``mild`` its last epochs.
POLICIES = {
    "none": Augmentation(),
    "mild": Augmentation(
        flip=0.5,
        shift=0.04,
        scale=0.08,
        roll_deg=8,
        tight=0.1,
        light=0.15,
        grey=0.1,
        low_resolution=0.1,
        jpeg=0.1,
        erase=0.1,
    ),
    "moderate": Augmentation(
        flip=0.5,
        shift=0.05,
        scale=0.1,
        roll_deg=10,
        tight=0.15,
        light=0.2,
        saturation=0.2,
        grey=0.15,
        low_resolution=0.15,
        jpeg=0.15,
        erase=0.2,
    ),
    "crp": _CRP,
    "crp_color": replace(_CRP, light=0.2, saturation=0.3),
    "crp_cutout": replace(_CRP, erase=0.5, erase_share=(0.01, 0.11)),
    "mix": replace(_CRP, mixup=0.2, cutmix=1.0),
    "faces": Augmentation(
        flip=0.5,
        shift=0.06,
        scale=0.12,
        roll_deg=10,
        tight=0.25,
        light=0.25,
        grey=0.2,
        low_resolution=0.2,
        jpeg=0.2,
        erase=0.25,
    ),
}


POLICIES["moderate_mix"] = replace(POLICIES["moderate"], mixup=0.4, cutmix=1.0)
# For classes that a mirror image swaps.
POLICIES["faces_sided"] = replace(POLICIES["faces"], flip=0.0)


def policy(name: str) -> Augmentation:
    """A policy by name; ConfigError names the known ones."""
    if name not in POLICIES:
        raise ConfigError(f"unknown augmentation '{name}'", f"Choose one of: {', '.join(POLICIES)}")
    return POLICIES[name]
