"""The one cutter: geometry, and the same chip in training and in use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engagement.faces.chips import chip_matrix, cut_chips, normalize_chips, plain_chips, resized_chips
from engagement.types import ChipSpec

SPEC = ChipSpec(96, 0.9, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def cut(rgb: np.ndarray, box: tuple[float, float, float, float], roll: float = 0.0) -> np.ndarray:
    return cut_chips(rgb, np.array([box], np.float32), np.array([roll], np.float32), SPEC)[0]


@given(
    x=st.floats(-50, 300),
    y=st.floats(-50, 300),
    w=st.floats(8, 300),
    h=st.floats(8, 300),
    roll=st.floats(-180, 180),
)
def test_one_scale_for_both_axes_and_centre_to_centre(
    x: float, y: float, w: float, h: float, roll: float
) -> None:
    matrix = chip_matrix(np.array([x, y, x + w, y + h], np.float32), roll, SPEC)
    linear = matrix[:, :2].astype(float)
    scale = SPEC.size / (max(w, h) * SPEC.margin)
    assert np.allclose(linear @ linear.T, np.eye(2) * scale**2, rtol=1e-3, atol=1e-4)
    centre = matrix @ np.array([x + w / 2, y + h / 2, 1])
    assert np.allclose(centre, SPEC.size / 2, atol=0.05)


@pytest.mark.parametrize("side", [60.0, 200.0, 500.0])
def test_a_circle_stays_a_circle(side: float) -> None:
    size = 640
    yy, xx = np.mgrid[:size, :size] + 0.5
    disc = ((xx - 300) ** 2 + (yy - 330) ** 2) < (side * 0.3) ** 2
    rgb = np.repeat((disc * 255).astype(np.uint8)[..., None], 3, axis=2)
    # A tall box: a cutter that squeezes boxes to squares would give an ellipse.
    chip = cut(rgb, (300 - side * 0.35, 330 - side / 2, 300 + side * 0.35, 330 + side / 2))
    inside = chip[..., 0] > 127
    width, height = int(inside.any(axis=0).sum()), int(inside.any(axis=1).sum())
    assert abs(width - height) <= 1
    assert width == pytest.approx(0.6 * 96 / 0.9, abs=2)


def test_roll_is_undone() -> None:
    rgb = np.zeros((200, 200, 3), np.uint8)
    angle = np.deg2rad(30)  # two "eyes", the right one lower: tilted clockwise in the image
    for sign in (-1, 1):
        x, y = 100 + sign * 40 * np.cos(angle), 100 + sign * 40 * np.sin(angle)
        rgb[int(y) - 4 : int(y) + 5, int(x) - 4 : int(x) + 5] = 255
    chip = cut(rgb, (40, 40, 160, 160), roll=30)
    rows = np.flatnonzero(chip[..., 0].max(axis=1) > 128)
    assert rows.max() - rows.min() < 12
    assert abs(rows.mean() - 47.5) < 2


@pytest.mark.parametrize(("roll", "quarters"), [(0, 0), (90, 1), (180, 2), (-90, 3)])
def test_pixels_that_fall_on_pixels_are_copied(roll: float, quarters: int) -> None:
    """At one to one, also where a face lies on its side: clockwise in the picture is undone anticlockwise."""
    rgb = np.random.default_rng(0).integers(0, 256, (120, 140, 3)).astype(np.uint8)
    spec = replace(SPEC, size=54)
    chip = cut_chips(rgb, np.array([[30, 40, 90, 100]], np.float32), np.array([roll], np.float32), spec)[0]
    np.testing.assert_allclose(chip, np.rot90(rgb[43:97, 33:87], quarters), atol=1)


#: Says at each place where it is: red how far to the right, green how far down; in fours, and 1000 x 600 large.
PLACES = np.zeros((600, 1000, 3), np.uint8)
PLACES[..., 0] = np.rint((np.arange(1000) + 0.5) / 4)
PLACES[..., 1] = np.rint((np.arange(600)[:, None] + 0.5) / 4)


@settings(max_examples=40)
@given(
    x=st.floats(-100, 900),
    y=st.floats(-100, 500),
    side=st.floats(20, 700),
    roll=st.floats(-180, 180),
)
def test_each_pixel_shows_its_place_whatever_the_size(x: float, y: float, side: float, roll: float) -> None:
    """Also of faces so large that they are reduced first."""
    height, width = PLACES.shape[:2]
    spec = replace(SPEC, size=48)
    box = np.array([x, y, x + side, y + side], np.float32)
    chip = cut_chips(PLACES, box[None], np.array([roll], np.float32), spec)[0].astype(float)
    back = np.linalg.inv(np.vstack([chip_matrix(box, roll, spec), [0, 0, 1]]))
    v, u = np.mgrid[:48, :48] + 0.5
    at_x, at_y = (back @ np.stack([u.ravel(), v.ravel(), np.ones(48 * 48)]))[:2].reshape(2, 48, 48)
    margin = 1 + 2 * side * spec.margin / spec.size  # where the picture's edge has no say
    inside = (np.minimum(at_x, at_y) > margin) & (at_x < width - margin) & (at_y < height - margin)
    assert np.abs(chip[..., 0] - at_x / 4)[inside].max(initial=0) <= 1.5
    assert np.abs(chip[..., 1] - at_y / 4)[inside].max(initial=0) <= 1.5
    # Beyond the picture its edge goes on.
    beyond = (at_x < -margin) & (at_y > margin) & (at_y < height - margin)
    assert chip[..., 0][beyond].max(initial=0) <= 2


def test_fine_stripes_of_a_large_face_are_averaged_not_skipped() -> None:
    stripes = np.tile(np.repeat(np.array([0, 200], np.uint8), 2), 200)
    rgb = np.repeat(np.repeat(stripes[None, :, None], 800, axis=0), 3, axis=2)
    chip = cut(rgb, (100, 100, 690, 690))  # between five and six pixels become one
    assert chip.mean() == pytest.approx(100, abs=2) and chip.std() < 20


def test_edges_are_padded_not_clamped() -> None:
    rgb = np.full((100, 100, 3), 50, np.uint8)
    rgb[:, :5] = 200
    chip = cut(rgb, (-40, 20, 40, 100))
    assert (chip[:, :40] == 200).all()  # the edge's colour goes on
    # Where the picture's content lies does not move because the box leaves the frame: x = 5 is at 45/72.
    column = np.flatnonzero(chip[48, :, 0] < 128).min()
    assert column == pytest.approx((5 + 36) / 72 * 96, abs=1.5)


@pytest.mark.parametrize("size", [1, 24, 96])
def test_what_was_normalised_comes_back(size: int) -> None:
    chips = np.random.default_rng(size).integers(0, 256, (3, size, size, 3)).astype(np.uint8)
    spec = replace(SPEC, size=size, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    np.testing.assert_array_equal(plain_chips(normalize_chips(chips, spec), spec), chips)


def test_chips_of_another_side_show_the_same() -> None:
    chips = np.zeros((2, 48, 48, 3), np.uint8)
    chips[:, 12:36, 12:36] = 200
    for size in (24, 48, 96):
        other = resized_chips(chips, size)
        assert other.shape == (2, size, size, 3) and other.dtype == np.uint8
        assert other.mean() == pytest.approx(chips.mean(), abs=1)
    assert resized_chips(chips[:0], 24).shape == (0, 24, 24, 3)


def test_zero_faces_and_normalisation() -> None:
    none = cut_chips(
        np.zeros((50, 50, 3), np.uint8), np.zeros((0, 4), np.float32), np.zeros(0, np.float32), SPEC
    )
    assert none.shape == (0, 96, 96, 3)
    chips = np.zeros((2, 96, 96, 3), np.uint8)
    chips[1] = 255
    normal = normalize_chips(chips, SPEC)
    assert normal.shape == (2, 3, 96, 96)
    assert normal.dtype == np.float32
    assert np.all(normal[0] == -1)
    assert np.all(normal[1] == 1)
