"""How good a crop is: each fault by the limits that the rule names, and the worst of them decides."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engagement.faces.quality import FAULTS, assess, factors, sharpness
from engagement.types import ByteArray

HEIGHT, WIDTH = 480, 640
CENTRAL = (200.0, 200.0, 300.0, 300.0)


def chequered(levels: float, cell: int = 8, size: int = 96) -> ByteArray:
    """A chip of squares that are so many levels darker and lighter than grey."""
    row = (np.arange(size) // cell) % 2
    signs = np.where(row[:, None] == row[None], 1, -1)
    return np.repeat((128 + levels * signs).astype(np.uint8)[..., None], 3, axis=2)


def quality(
    box: tuple[float, ...] = CENTRAL,
    pose: tuple[float, float, float] = (0.0, 0.0, 0.0),
    chip: ByteArray | None = None,
) -> float:
    chips = (chequered(60) if chip is None else chip)[None]
    boxes, angles = np.array([box], np.float32), np.array([pose], np.float32)
    return float(assess(chips, boxes, angles, (HEIGHT, WIDTH))[0])


def test_a_large_sharp_face_that_looks_here_is_good() -> None:
    assert quality() == 1


@pytest.mark.parametrize(("side", "worth"), [(10, 0), (14, 0), (23, 0.5), (32, 1)])
def test_the_longer_side_of_the_box_counts(side: float, worth: float) -> None:
    assert quality((200, 200, 200 + side, 200 + side / 2)) == pytest.approx(worth)
    assert quality((200, 200, 200 + side / 2, 200 + side)) == pytest.approx(worth)


@pytest.mark.parametrize(
    ("pose", "worth"),
    [
        ((35, 0, 0), 1),
        ((55, 0, 0), 0.5),
        ((-55, 0, 0), 0.5),
        ((80, 0, 0), 0),
        ((0, 25, 0), 1),
        ((0, 40, 0), 0.5),
        ((0, -40, 0), 0.5),
        ((0, -60, 0), 0),
        ((0, 0, 90), 1),  # chips are upright
        ((55, 32.5, 0), 0.5),
        ((45, 40, 0), 0.5),
    ],
)
def test_a_face_may_be_turned_or_raised_so_far(pose: tuple[float, float, float], worth: float) -> None:
    assert quality(pose=pose) == pytest.approx(worth)


@pytest.mark.parametrize(
    ("x", "y"),
    [(-30, 200), (WIDTH - 70, 200), (200, -30), (200, HEIGHT - 70)],
    ids=["left", "right", "top", "bottom"],
)
def test_of_a_face_cut_by_the_edge_the_part_inside_counts(x: float, y: float) -> None:
    assert quality((x, y, x + 100, y + 100)) == pytest.approx(0.5)  # 0.7 lies inside: between 0.55 and 0.85


def test_a_face_beyond_the_picture_is_useless() -> None:
    assert quality((-200, -200, -100, -100)) == 0  # beyond both edges is not inside, though twice below 0
    assert quality((WIDTH - 80, HEIGHT - 80, WIDTH + 20, HEIGHT + 20)) == pytest.approx((0.64 - 0.55) / 0.3)


@pytest.mark.parametrize(("levels", "worth"), [(3, 0), (7, 0.5), (10, 1)])
def test_a_face_without_contrast_is_useless(levels: float, worth: float) -> None:
    assert quality(chip=chequered(levels)) == pytest.approx(worth)


def test_a_blurred_face_is_useless_however_much_contrast_it_has() -> None:
    sharp = chequered(60, cell=24)
    blurred = [np.asarray(cv2.GaussianBlur(sharp, (0, 0), sigma), np.uint8) for sigma in (1, 2, 4, 6)]
    assert [quality(chip=chip) for chip in (sharp, blurred[0])] == [1, 1]
    assert 0.8 < quality(chip=blurred[1]) < 1  # 0.073 of 0.015 to 0.08
    assert quality(chip=blurred[3]) == 0
    assert blurred[3].std() > 30
    # It is of the picture, not of how many pixels the chip has.
    doubled = np.repeat(np.repeat(blurred[1], 2, axis=0), 2, axis=1)
    assert sharpness(doubled[None]) == pytest.approx(sharpness(blurred[1][None]), rel=0.03)


def test_each_face_has_its_own_row_of_faults() -> None:
    boxes = np.array([CENTRAL, (200, 200, 223, 223), (-30, 200, 70, 300)], np.float32)
    pose = np.array([(55, 0, 0), (0, 0, 0), (0, 0, 0)], np.float32)
    found = factors(np.stack([chequered(60)] * 3), boxes, pose, (HEIGHT, WIDTH))
    expected = np.ones((len(FAULTS), 3))
    for face, fault in enumerate(("yaw_deg", "size_px", "inside")):
        expected[FAULTS.index(fault), face] = 0.5
    np.testing.assert_allclose(found, expected, atol=1e-6)
    none = np.zeros((0, 4), np.float32)
    assert assess(np.zeros((0, 96, 96, 3), np.uint8), none, none[:, :3], (HEIGHT, WIDTH)).shape == (0,)
