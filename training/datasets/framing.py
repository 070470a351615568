"""How a data set's pictures frame the face: the box MTCNN would give, in fractions of the picture.

Cropped sets come in their own framings; a chip must show the same part of the face in training as
in ``analyze``. The numbers are medians of facenet-pytorch's MTCNN over some hundreds of training
pictures padded by edge repetition: ``python -m training.datasets.framing DATA`` prints them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from engagement.errors import DataError
from engagement.types import ByteArray, FloatArray
from training import Say
from training.samples.table import ImageSource, SampleTable, read_rgb

if TYPE_CHECKING:
    from engagement.faces.mtcnn import MtcnnDetector

#: Pictures of unknown framing that are looked at; in how many of the first there must be a face; fewest with one.
_MOST, _GIVEN_UP, _FEWEST = 60, 10, 3
_LONGEST, _MIN_FACE_PX = 320, 20  # pixels
#: From which spread of their sizes, of their pictures' shapes, and of their places in units of their sides, faces are not
#: framed alike. Sets of crops have places within 0.12, and 0.1 costs two points of accuracy at most (docs/results.md).
_EVEN, _ALIKE, _APART = 1.5, 1.5, 0.2
#: Pictures between two signs of life while faces are looked for in all of a set: some minutes.
_SAID_EVERY = 500

#: Data set -> x1, y1, x2, y2 in fractions of width and height.
FRAMINGS: Mapping[str, tuple[float, float, float, float]] = {
    "rafdb": (-0.02, -0.15, 0.97, 1.06),
    "fer2013": (0.11, 0.00, 0.89, 1.04),
    "fer2013_clean": (0.11, 0.00, 0.89, 1.04),
    "ferplus": (0.11, 0.00, 0.89, 1.04),
    "daisee": (0.01, 0.01, 1.03, 1.00),
    "wacv2016": (0.06, 0.02, 0.87, 1.01),
    # Crops of unknown origin, until they are looked at (with_measured_framing): a face box as high as the picture and
    # as wide as faces are.
    "folder": (0.11, 0.00, 0.89, 1.00),
}


def boxes_for(name: str, n: int) -> FloatArray:
    """(n, 4) equal boxes; sets without an entry count as ``folder``."""
    return np.tile(np.asarray(FRAMINGS.get(name, FRAMINGS["folder"]), np.float32), (n, 1))


def framed(name: str, given: Sequence[FloatArray | None]) -> tuple[FloatArray, tuple[str, ...]]:
    """Boxes of n pictures of which some may have their own, and what to say where only some have.

    Args:
        name: of the set, for those without.
        given: n boxes (4,) in fractions of the picture, or None.

    Returns:
        float32 (n, 4), and a sentence or none.
    """
    box = boxes_for(name, len(given))
    for i, own in enumerate(given):
        if own is not None:
            box[i] = own
    without = sum(own is None for own in given)
    if not 0 < without < len(given):
        return box, ()
    return box, (f"without a box of their own: {without} of {len(given)} pictures",)


@dataclass(frozen=True, slots=True, eq=False)
class Framing:
    """How pictures frame their faces, as the detector sees it.

    Attributes:
        box: float32 (4,), medians in fractions of width and height.
        looked, found: pictures that were looked at, and those in which a face was found.
        spread: the faces' longer sides, largest to smallest of the middle half, as a factor.
        shapes: width over height of the pictures, widest to narrowest of the middle 80 %, as a factor.
        apart: so far, in sides of the box, the middles of three quarters of the faces lie from the box's at most.
    """

    box: FloatArray
    looked: int
    found: int
    spread: float
    shapes: float
    apart: float

    @property
    def uneven(self) -> str:
        """In what faces differ too much for one framing, in words; empty where it does for all."""
        if self.spread > _EVEN:
            return f"faces differ in size by {self.spread:.1f} times within the middle half"
        if self.shapes > _ALIKE:
            return "pictures are of different shapes"
        return "faces lie in different places of their pictures" if self.apart > _APART else ""


def measured(images: Sequence[ImageSource], most: int = _MOST) -> Framing | None:
    """The framing of pictures, told from at most so many of them, evenly chosen. The largest face counts.

    Returns:
        None where faces are found in too few.
    """
    from engagement.faces.mtcnn import MtcnnDetector
    from engagement.faces.options import MtcnnConfig

    detector = MtcnnDetector(MtcnnConfig(min_face_px=_MIN_FACE_PX))
    rows = np.unique(np.linspace(0, len(images) - 1, min(most, len(images))).round().astype(np.int64))
    boxes: list[FloatArray] = []
    shapes: list[float] = []
    for looked, row in enumerate(rows.tolist(), 1):
        try:
            rgb = read_rgb(images[row])
        except DataError:  # damaged, which is said where it is used
            continue
        own = _found(detector, rgb)
        if own is not None:
            boxes.append(own)
            shapes.append(rgb.shape[1] / rgb.shape[0])
        elif looked == _GIVEN_UP and not boxes:  # pictures of something else
            return None
    if len(boxes) < max(_FEWEST, len(rows) / 2):
        return None
    every = np.stack(boxes)
    # Rounded, so that another processor does not take the same pictures for others.
    box = np.median(every, axis=0).round(3).astype(np.float32)
    low, high = np.quantile((every[:, 2:] - every[:, :2]).max(axis=1), (0.25, 0.75))
    moved = np.abs((every[:, :2] + every[:, 2:]) - (box[:2] + box[2:])) / 2 / (box[2:] - box[:2])
    apart = np.quantile(moved.max(axis=1), 0.75)
    narrow, wide = np.quantile(shapes, (0.1, 0.9))
    return Framing(box, len(rows), len(boxes), float(high / low), float(wide / narrow), float(apart))


def framing_of(
    images: Sequence[ImageSource],
    name: str,
    say: Say,
    remedy: str = "evaluate --detect, train personal | extension --detect",
) -> FloatArray:
    """The box (4,) of faces in pictures that nothing is known of: what the detector sees in them, or the usual one.

    Args:
        say: gets what was found about the pictures ``name``, and a warning where one framing does not do for all.
        remedy: what then does.
    """
    found = measured(images)
    if found is None:
        say(
            f"{name}: a face was found in too few pictures to tell how they are framed; each is taken as a face from top to "
            f"bottom. Where that is not so: {remedy}, or a CSV with their boxes (box_x1 …)"
        )
        return boxes_for("folder", 1)[0]
    height, middle = found.box[3] - found.box[1], (found.box[1] + found.box[3]) / 2
    say(
        f"{name}: a face is {height:.2f} times as high as its picture, its middle {middle:.2f} from the top (median "
        f"of {found.found} found in {found.looked}); chips are cut accordingly"
    )
    if found.uneven:
        say(
            f"warning: {name}: {found.uneven}, so one framing does not suit them all. They are rather photographs than "
            f"crops: {remedy}"
        )
    return found.box


def with_measured_framing(table: SampleTable, say: Say = lambda _: None) -> SampleTable:
    """A table whose pictures of unknown framing have the box that the detector sees in them, one for all.

    Pictures whose set is known, or that came with boxes, keep them.

    Args:
        say: gets what was found, and a warning where one framing does not do for all.
    """
    rows = np.flatnonzero((table.box == boxes_for("folder", 1)).all(axis=1))
    if not len(rows):
        return table
    box = table.box.copy()
    box[rows] = framing_of([table.images[row] for row in rows.tolist()], table.name, say)
    return replace(table, box=box)


def with_detected_faces(table: SampleTable, min_face_px: int = 24, say: Say = lambda _: None) -> SampleTable:
    """Boxes and roll of the largest face of each picture; pictures without a face are left out and said.

    Raises:
        DataError: no picture has a face.
    """
    from engagement.faces.mtcnn import MtcnnDetector
    from engagement.faces.options import MtcnnConfig
    from engagement.faces.pose import head_pose

    detector = MtcnnDetector(MtcnnConfig(min_face_px=min_face_px))
    boxes, rolls = np.zeros((len(table), 4), np.float32), np.zeros(len(table), np.float32)
    found = np.zeros(len(table), bool)
    for row, source in enumerate(table.images):
        if row and row % _SAID_EVERY == 0:
            say(f"{table.name}: faces looked for in {row} of {len(table)} pictures")
        rgb = read_rgb(source)
        faces = detector.detect(rgb)
        if not len(faces):
            continue
        found[row] = True
        height, width = rgb.shape[:2]
        largest = faces.take(faces.by_size()[:1])
        boxes[row] = largest.boxes_xyxy[0] / np.array([width, height, width, height], np.float32)
        rolls[row] = head_pose(largest.landmarks_xy)[0, 2]
    if not found.any():
        raise DataError(
            f"data set '{table.name}': no face was found in any of {len(table)} pictures",
            "Leave out --detect if the pictures are cropped faces.",
        )
    if not found.all():
        shown = zip(table.labels.classes, table.target.T > 0.5, strict=True)
        lost = ", ".join(c for c, own in shown if own.any() and not own[found].any())
        what = f": none is left of {lost}" if lost else ""
        lacking = f"{int((~found).sum())} of {len(table)} pictures without a face, left out{what}"
        say(f"{table.name}: {lacking}")
    return replace(table, box=boxes, roll_deg=rolls).rows(found)


def _found(detector: MtcnnDetector, rgb: ByteArray) -> FloatArray | None:
    """The largest face of a picture, its edge repeated around it: (4,) in fractions of the picture."""
    import cv2

    scale = min(1.0, _LONGEST / max(rgb.shape[:2]))
    small = rgb if scale == 1 else cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    pad = max(height, width) // 2
    padded = cv2.copyMakeBorder(small, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    faces = detector.detect(np.asarray(padded, np.uint8))
    if not len(faces):
        return None
    return (faces.boxes_xyxy[faces.by_size()[0]] - pad) / np.array([width, height, width, height], np.float32)


if __name__ == "__main__":
    import sys

    from training.datasets.registry import load

    print(measured(load(sys.argv[1]).part("train").images, 300))  # noqa: T201
