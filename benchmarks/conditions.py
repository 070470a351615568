"""Expressions under other conditions: what do grey, small, compressed, badly lit and badly framed faces cost?

    python -m benchmarks.conditions DATA [--split val] [--limit 1500] [--checkpoint default --checkpoint FILE ...]

Each picture is changed in one way at a time. Beside each figure stands what the change costs, face by face (95 %
interval, faces resampled), and in how many pictures `analyze` would find enough detail and contrast to use them
(`--min-quality`). For the last row each face is put, 200 px high, into a grey photograph of 480 px; the detector
finds and frames it as `analyze` does (faces that it does not find are left out). Two looks at each face.

The second table cuts the pictures tighter or pads them, as crops of unknown origin are: taken as faces from top to bottom,
and framed as 60 of them show.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np

from engagement.faces.chips import cut_chips
from engagement.faces.quality import FAULTS, QualityConfig, factors
from engagement.types import ByteArray, ChipSpec
from training.datasets.framing import boxes_for, with_detected_faces, with_measured_framing
from training.datasets.registry import load
from training.evaluate import chosen_split
from training.measuring.metrics import interval, resamplings
from training.measuring.opened import Model, open_model
from training.measuring.outcome import Outcome, aligned, head_for
from training.samples.table import SampleTable, read_rgb

Change = Callable[[ByteArray], ByteArray]

_DRAWS = 300
#: Of which detail and contrast are measured: framed as by the shipped networks.
_CHIP = ChipSpec(size=112, margin=0.9, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
_PHOTOGRAPH, _FACE = 480, 200  # pixels


def smaller(px: int, rgb: ByteArray) -> ByteArray:
    """Reduced to so many pixels a side."""
    return np.asarray(cv2.resize(rgb, (px, px), interpolation=cv2.INTER_AREA), np.uint8)


def compressed(quality: int, rgb: ByteArray) -> ByteArray:
    """Through JPEG."""
    coded = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def blurred(share: float, rgb: ByteArray) -> ByteArray:
    """Out of focus: a Gaussian whose sigma is a share of the side."""
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), share * rgb.shape[0]), np.uint8)


def lit(contrast: float, offset: float, rgb: ByteArray) -> ByteArray:
    """Other contrast around middle grey, then brighter or darker."""
    return np.clip((rgb.astype(np.float32) - 128) * contrast + 128 + offset, 0, 255).astype(np.uint8)


def grey(rgb: ByteArray) -> ByteArray:
    """Luma alone."""
    return np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2).astype(np.uint8)


def mounted(rgb: ByteArray) -> ByteArray:
    """A grey photograph with the face in its middle."""
    page = np.full((_PHOTOGRAPH, _PHOTOGRAPH, 3), 127, np.uint8)
    at = slice((_PHOTOGRAPH - _FACE) // 2, (_PHOTOGRAPH + _FACE) // 2)
    page[at, at] = cv2.resize(rgb, (_FACE, _FACE), interpolation=cv2.INTER_CUBIC)
    return page


CHANGES: dict[str, Change] = {
    "grey": grey,
    "48 px": partial(smaller, 48),
    "32 px": partial(smaller, 32),
    "24 px": partial(smaller, 24),
    "JPEG of quality 20": partial(compressed, 20),
    "JPEG of quality 8": partial(compressed, 8),
    "blurred by 2 % of the side": partial(blurred, 0.02),
    "blurred by 4 % of the side": partial(blurred, 0.04),
    "dark": partial(lit, 0.5, -50),
    "bright": partial(lit, 0.7, 60),
    "a third of the contrast": partial(lit, 0.35, 0),
}
#: Side of the face box in units of the set's own; how far it lies to the right and down, in the same units.
FRAMES = {
    "framed 15 % tighter": (0.85, 0.0, 0.0),
    "framed 30 % tighter": (0.7, 0.0, 0.0),
    "framed 20 % looser": (1.2, 0.0, 0.0),
    "framed 50 % looser": (1.5, 0.0, 0.0),
    "framed twice as large": (2.0, 0.0, 0.0),
    "10 % to one side": (1.0, 0.1, 0.0),
    "10 % too low": (1.0, 0.0, 0.1),
    "10 % too high": (1.0, 0.0, -0.1),
}


def changed(table: SampleTable, change: Change) -> SampleTable:
    """The table with every picture changed."""

    def coded(rgb: ByteArray) -> bytes:
        return cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()

    return replace(table, images=[coded(change(read_rgb(image))) for image in table.images])


def reframed(table: SampleTable, side: float, right: float, down: float) -> SampleTable:
    """The table with other face boxes."""
    size = table.box[:, 2:] - table.box[:, :2]
    middle = (table.box[:, :2] + table.box[:, 2:]) / 2 + size * np.array([right, down], np.float32)
    box = np.hstack([middle - size * side / 2, middle + size * side / 2])
    return replace(table, box=box.astype(np.float32))


def photographed(table: SampleTable) -> tuple[SampleTable, np.ndarray]:
    """Photographs of the faces, framed by the detector, and the rows of those that it finds."""
    # Names are the one thing of a table that the detector's selection leaves as it is.
    numbered = replace(table, sample_id=np.arange(len(table)).astype(np.str_))
    found = with_detected_faces(changed(numbered, mounted))
    return found, found.sample_id.astype(np.int64)


def padded(share: float, rgb: ByteArray) -> ByteArray:
    """With grey around it; a negative share of the side is cut off instead, on every side."""
    height, width = rgb.shape[:2]
    y, x = round(abs(share) * height), round(abs(share) * width)
    if share < 0:
        return np.ascontiguousarray(rgb[y : height - y, x : width - x])
    return np.asarray(cv2.copyMakeBorder(rgb, y, y, x, x, cv2.BORDER_CONSTANT, value=(127,) * 3), np.uint8)


#: Share of the side that is put around a picture, or cut off.
CROPS = {
    "as they are": 0.0,
    "cut by 8 % on every side": -0.08,
    "cut by 15 %": -0.15,
    "padded by 20 %": 0.2,
    "padded by 40 %": 0.4,
}


def of_unknown_framing(table: SampleTable, share: float) -> Iterator[SampleTable]:
    """Crops of the pictures, taken as faces from top to bottom and framed as they show."""
    crops = replace(changed(table, partial(padded, share)), box=boxes_for("folder", len(table)))
    yield crops
    yield with_measured_framing(crops)


def usable(table: SampleTable) -> float:
    """Share of the pictures with enough detail and contrast."""
    kept = 0
    for image, box in zip(table.images, table.box, strict=True):
        rgb = read_rgb(image)
        height, width = rgb.shape[:2]
        boxes = (box * np.array([width, height, width, height], np.float32))[None].astype(np.float32)
        upright = np.zeros((1, 3), np.float32)
        found = factors(cut_chips(rgb, boxes, upright[:, 2], _CHIP), boxes, upright, (height, width))
        picture = found[[FAULTS.index("sharpness"), FAULTS.index("contrast")]]
        kept += bool(picture.min() >= QualityConfig().min_quality)
    return kept / len(table)


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What is right: (n,) of n faces, and the true class of each; share of the pictures that are usable."""

    right: np.ndarray
    truth: np.ndarray
    usable: float

    @classmethod
    def of(cls, model: Model, head: str, table: SampleTable) -> Told:
        outcome = Outcome.of(model, head, table)
        truth = outcome.table.target.argmax(axis=1)
        return cls(outcome.prob.argmax(axis=1) == truth, truth, usable(table))

    def row(self, name: str, before: np.ndarray) -> str:
        """A line of the table; ``before`` says of the same faces unchanged what was right."""
        each = self.right.astype(float) - before
        faces = np.arange(len(each)).astype(np.str_)
        low, high = interval([each[drawn].mean() for drawn in resamplings(faces, _DRAWS)])
        classes = [self.right[self.truth == c].mean() for c in np.unique(self.truth)]
        cost = f"{each.mean():+.3f} ({low:+.3f} to {high:+.3f})"
        figures = f"{self.right.mean():.3f} | {np.mean(classes):.3f} | {cost} | {self.usable:.2f}"
        return f"| {name} | {len(each)} | {figures} |"


def report(model: Model, table: SampleTable) -> Iterator[str]:
    """Lines of one model's tables."""
    head = head_for(model, table)
    table = aligned(table, model.head(head).labels)
    yield f"\n{model.name} on {table.name}\n\n| | faces | accuracy | mean class | change in accuracy | usable |\n|---|---|---|---|---|---|"
    first = Told.of(model, head, table)
    plain = first.right
    yield first.row("as they are", plain)
    for name, change in CHANGES.items():
        yield Told.of(model, head, changed(table, change)).row(name, plain)
    for name, frame in FRAMES.items():
        yield Told.of(model, head, reframed(table, *frame)).row(name, plain)
    photographs, rows = photographed(table)
    yield Told.of(model, head, photographs).row("found in a photograph", plain[rows])
    yield "\n| crops | taken as a face from top to bottom | framed as they show |\n|---|---|---|"
    for name, share in CROPS.items():
        right = [Told.of(model, head, own).right.mean() for own in of_unknown_framing(table, share)]
        yield f"| {name} | {right[0]:.3f} | {right[1]:.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="as for `engagement evaluate`")
    parser.add_argument("--split", default="val", help="[default: val]")
    parser.add_argument("--limit", type=int, help="so many faces, drawn at random")
    parser.add_argument("--checkpoint", action="append", help="[default: default]")
    options = parser.parse_args()
    for reference in options.checkpoint or ["default"]:
        model = open_model(reference)
        table = chosen_split(load(options.data), options.split, model, print)
        model.look_twice()
        for line in report(model, table.limited(options.limit) if options.limit else table):
            print(line, flush=True)


if __name__ == "__main__":
    main()
