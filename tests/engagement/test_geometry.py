"""Overlap of boxes by hand, and suppression by its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagement.geometry import centres, iou_matrix, suppress

SQUARE = (0.0, 0.0, 10.0, 10.0)


def boxes(*corners: tuple[float, ...]) -> np.ndarray:
    return np.array(corners, np.float32).reshape(-1, 4)


@pytest.mark.parametrize(
    ("other", "overlap"),
    [
        (SQUARE, 1.0),
        ((5, 0, 15, 10), 50 / 150),
        ((0, 8, 10, 18), 20 / 180),
        ((2, 2, 7, 6), 20 / 100),  # within
        ((-10, -10, 30, 30), 100 / 1600),  # around
        ((5, 5, 15, 15), 25 / 175),
        ((10, 0, 20, 10), 0.0),  # side by side
        ((20, 20, 30, 30), 0.0),  # beyond both edges
        ((5, 5, 5, 9), 0.0),  # nothing
        ((6, 4, 4, 6), 0.0),  # turned inside out
    ],
)
def test_overlap_is_intersection_over_union(other: tuple[float, ...], overlap: float) -> None:
    assert iou_matrix(boxes(SQUARE), boxes(other))[0, 0] == pytest.approx(overlap)
    assert iou_matrix(boxes(other), boxes(SQUARE))[0, 0] == pytest.approx(overlap)


def test_overlap_of_each_with_each() -> None:
    two, three = boxes(SQUARE, (5, 0, 15, 10)), boxes((5, 0, 15, 10), (100, 100, 110, 110), SQUARE)
    np.testing.assert_allclose(iou_matrix(two, three), [[1 / 3, 0, 1], [1, 0, 1 / 3]], rtol=1e-6)
    assert iou_matrix(boxes(), three).shape == (0, 3)
    assert iou_matrix(boxes((3, 3, 3, 3)), boxes((3, 3, 3, 3))).tolist() == [[0]]


def test_the_middle_of_one_box_and_of_several() -> None:
    assert centres(np.array([10, 20, 30, 60], np.float32)).tolist() == [20, 40]
    assert centres(boxes((10, 20, 30, 60), SQUARE)).tolist() == [[20, 40], [5, 5]]


def test_a_box_must_overlap_a_better_one_by_more() -> None:
    """Half of a box 10 wide and of one 5 wide, which lies in it: half of the union, all of the smaller one."""
    pair, score = boxes(SQUARE, (0, 0, 5, 10)), np.array([0.5, 0.9], np.float32)
    assert suppress(pair, score, 0.5).tolist() == [1, 0]
    assert suppress(pair, score, 0.49).tolist() == [1]
    assert suppress(pair, score, 0.99, of_smaller=True).tolist() == [1]
    assert suppress(pair, score, 1.0, of_smaller=True).tolist() == [1, 0]


def test_of_equally_good_ones_the_first_stays() -> None:
    shifted = boxes(*((x, 0, x + 10, 10) for x in (0, 3, 6, 30)))
    assert suppress(shifted, np.full(4, 0.7, np.float32), 0.3).tolist() == [0, 2, 3]
    # The second goes because of the first, and takes nobody along.
    assert suppress(shifted, np.array([0.7, 0.9, 0.8, 0.6], np.float32), 0.3).tolist() == [1, 3]


@given(st.integers(0, 700), st.integers(0, 2**31), st.booleans())
def test_many_boxes_are_suppressed_as_one_after_another(n: int, seed: int, of_smaller: bool) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 60, (n, 2))
    found = np.concatenate([corner, corner + rng.integers(1, 12, (n, 2))], axis=1).astype(np.float32)
    score = rng.integers(0, 50, n).astype(np.float32)
    kept: list[int] = []
    area = (found[:, 2:] - found[:, :2]).prod(axis=1)
    for i in np.argsort(-score, kind="stable").tolist():
        low = np.maximum(found[i, :2], found[kept, :2])
        inter = np.maximum(np.minimum(found[i, 2:], found[kept, 2:]) - low, 0).prod(axis=1)
        whole = np.minimum(area[i], area[kept]) if of_smaller else area[i] + area[kept] - inter
        if not (inter / whole > 0.4).any():
            kept.append(i)
    assert suppress(found, score, 0.4, of_smaller).tolist() == kept
