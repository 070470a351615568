"""What a tracker goes by: place, motion, size; alike in every direction and at every size of picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engagement.tracking.tracker import FaceLook, FaceTracker
from engagement.types import FaceDetections
from tests.engagement.test_persons import look

STEP_S, SIDE = 0.2, 80.0


def tracked(frames: list[np.ndarray], people: list[list[int]]) -> list[list[int]]:
    """Tracks of the faces of each frame: boxes (n, 4) and who they look like."""
    tracker, out = FaceTracker(), []
    for i, (boxes, seen) in enumerate(zip(frames, people, strict=True)):
        n = len(boxes)
        faces = FaceDetections(
            i,
            i * STEP_S,
            boxes.astype(np.float32),
            np.full(n, 0.99, np.float32),
            np.zeros((n, 5, 2), np.float32),
        )
        out.append(tracker.update(faces, look(*seen)).tolist())
    return out


def at(x: float, y: float, side: float = SIDE) -> np.ndarray:
    """A box around a place, a quarter narrower than high."""
    return np.array([x - 0.375 * side, y - side / 2, x + 0.375 * side, y + side / 2])


def turned(frames: list[np.ndarray]) -> list[np.ndarray]:
    """Right for down."""
    return [boxes[:, [1, 0, 3, 2]] for boxes in frames]


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.floats(0.3, 8), st.floats(-3000, 3000))
def test_no_direction_place_or_scale_is_special(seed: int, scale: float, shift: float) -> None:
    """Of three people who walk about, of whom two look alike, and who are now and then not found."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(0, 500, (3, 2))
    frames, people = [], []
    velocity = rng.normal(0, 15, (3, 2))
    for _ in range(25):
        velocity += rng.normal(0, 8, (3, 2))
        place = place + velocity
        there = np.flatnonzero(rng.random(3) < 0.8)
        there = there if len(there) else np.array([0])
        frames.append(np.stack([at(*place[k], SIDE + 10 * k) for k in there]))
        people.append([[0, 0, 1][k] for k in there])
    found = tracked(frames, people)
    assert tracked(turned(frames), people) == found
    assert tracked([scale * boxes + shift for boxes in frames], people) == found


@pytest.mark.parametrize("direction", [(1, 0), (0, 1), (0.6, 0.8), (-0.6, 0.8)])
def test_of_two_who_look_alike_each_goes_on_the_way_that_it_went(direction: tuple[float, float]) -> None:
    """They cross; going on as before is all that tells one from the other."""
    way = np.array(direction)
    frames = [np.stack([at(*(way * (24 * i - 240))), at(*(way * (240 - 24 * i)))]) for i in range(21)]
    assert tracked(frames, [[0, 0]] * 21) == [[0, 1]] * 21


@pytest.mark.parametrize(("sides", "same"), [(0.5, True), (2.9, True), (3.1, False)])
@pytest.mark.parametrize("direction", [(1, 0), (0, -1)])
def test_a_face_that_looks_the_same_may_be_three_sides_away(
    sides: float, same: bool, direction: tuple[float, float]
) -> None:
    there = sides * SIDE * np.array(direction)
    (_, (track,)) = tracked([at(0, 0)[None], at(*there)[None]], [[0]] * 2)
    assert (track == 0) is same


@pytest.mark.parametrize(("growth", "same"), [(1.9, True), (2.1, False), (1 / 1.9, True), (1 / 2.1, False)])
def test_a_face_of_another_size_is_another(growth: float, same: bool) -> None:
    (_, (track,)) = tracked([at(0, 0)[None], at(0, 0, growth * SIDE)[None]], [[0]] * 2)
    assert (track == 0) is same


def test_whoever_comes_nearer_is_one() -> None:
    """A tenth larger in every sample, from 20 to 200 pixels."""
    sides = 20 * 1.1 ** np.arange(25)
    assert tracked([at(300, 200, side)[None] for side in sides], [[0]] * 25) == [[0]] * 25


@pytest.mark.parametrize("by", ["face", "colours"])
@pytest.mark.parametrize("other_way", [False, True])
def test_of_two_in_equally_likely_places_the_look_decides(by: str, other_way: bool) -> None:
    """Two people side by side, and then two faces above each other in the middle between them."""
    unlike = np.array([[1, 0], [0.7, np.sqrt(1 - 0.49)]], np.float32)
    same = np.full((2, 4), 0.25, np.float32)  # hair and chest of both colours
    colours = np.array([[0.4, 0.1] * 2, [0.1, 0.4] * 2], np.float32)
    order = [1, 0] if other_way else [0, 1]
    ids = []
    tracker = FaceTracker()
    for i, (boxes, who) in enumerate((([at(0, 0), at(60, 0)], [0, 1]), ([at(30, -20), at(30, 20)], order))):
        faces = FaceDetections(
            i,
            i * STEP_S,
            np.stack(boxes).astype(np.float32),
            np.full(2, 0.99, np.float32),
            np.zeros((2, 5, 2), np.float32),
        )
        identity = unlike[who] if by == "face" else np.tile(unlike[:1], (2, 1))
        seen = FaceLook(identity, colours[who] if by == "colours" else same, np.ones(2, np.float32))
        ids.append(tracker.update(faces, seen).tolist())
    assert ids == [[0, 1], order]
