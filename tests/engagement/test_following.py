"""Heads followed by their picture while no face is found: where they are, when it stops, whose place it is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engagement.errors import ConfigError
from engagement.followed import FOLLOWED, settle
from engagement.geometry import centres, iou_matrix
from engagement.tracking.following import FaceFollower
from engagement.tracking.median_flow import follow_box
from engagement.tracking.tracker import TrackingConfig
from engagement.types import ByteArray, FloatArray, Frame

WIDTH, HEIGHT, STEP = 320, 240, 0.2
NONE = np.zeros((0, 4), np.float32)


def texture(seed: int, size: tuple[int, int]) -> ByteArray:
    """Smooth patches of light and dark, as a head has."""
    noise = np.random.default_rng(seed).normal(size=size).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def picture(at: tuple[float, float] | None, side: float = 48, seed: int = 1, room: int = 0) -> ByteArray:
    """A head of its own texture in a dull room, grey; nobody without a place."""
    canvas = (texture(100 + room, (HEIGHT, WIDTH)) // 4 + 60).astype(np.uint8)
    if at is None:
        return canvas
    head = texture(seed, (64, 64))
    scale = side / 64
    matrix = np.array([[scale, 0, at[0] - side / 2], [0, scale, at[1] - side / 2]], np.float32)
    drawn = cv2.warpAffine(head, matrix, (WIDTH, HEIGHT))
    inside = cv2.warpAffine(np.full_like(head, 255), matrix, (WIDTH, HEIGHT)) > 127
    canvas[inside] = drawn[inside]
    return canvas


def box_at(at: tuple[float, float], side: float = 48) -> FloatArray:
    return np.array([at[0] - side / 2, at[1] - side / 2, at[0] + side / 2, at[1] + side / 2], np.float32)


def frame(sample: int, grey: ByteArray) -> Frame:
    return Frame(sample * 6, sample * STEP, np.repeat(grey[..., None], 3, axis=2))


@given(
    st.integers(0, 30),
    st.floats(-12, 12),
    st.floats(-12, 12),
    st.floats(0.93, 1.07),
    st.sampled_from(
        [24.0, 48.0, 90.0, 120.0]
    ),  # all of it in the picture: where heads are cut off it may give up
)
@settings(max_examples=40, deadline=None)
def test_a_head_that_moves_is_met_where_it_is(
    seed: int, dx: float, dy: float, growth: float, side: float
) -> None:
    start, end = (150.0, 120.0), (150.0 + dx * side / 48, 120.0 + dy * side / 48)
    found = follow_box(
        picture(start, side, seed), picture(end, side * growth, seed), box_at(start, side), 0.5
    )
    assert found is not None
    assert np.linalg.norm(centres(found) - end) < 0.06 * side
    assert iou_matrix(found[None], box_at(end, side * growth)[None])[0, 0] > 0.8


@given(st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_a_head_that_is_gone_is_not_followed(seed: int) -> None:
    at = (150.0, 120.0)
    assert follow_box(picture(at, seed=seed), picture(None), box_at(at), 0.5) is None


def test_a_plain_wall_and_a_box_outside_are_not_followed() -> None:
    plain = np.full((HEIGHT, WIDTH), 90, np.uint8)
    assert follow_box(plain, plain, box_at((150, 120)), 0.5) is None
    assert follow_box(picture((150, 120)), picture((150, 120)), box_at((-40, 120)), 0.5) is None


def followed(
    faces: dict[int, tuple[float, float] | None],
    path: dict[int, tuple[float, float] | None],
    cuts: frozenset[int] = frozenset(),
    tracks: dict[int, int] | None = None,
    follow_s: float = 2.0,
    room: int = 0,
) -> dict[tuple[int, int], FloatArray]:
    """What a follower gives: (sample, track) -> nearest box.

    Args:
        faces: sample -> where a face is found. path: sample -> where the head is, None for nobody.
        tracks: sample -> track of its face, 0 where not given. room: of the samples from the first cut on.
    """
    follower, out = FaceFollower(follow_s), {}
    for sample, at in path.items():
        if sample in cuts:
            follower.cut()
        later = room if cuts and sample >= min(cuts) else 0
        place = faces.get(sample)
        boxes = NONE if place is None else box_at(place)[None]
        ids = np.full(len(boxes), (tracks or {}).get(sample, 0), np.int64)
        for row in follower.take(sample, frame(sample, picture(at, room=later)), boxes, ids):
            key = (int(row["sample"]), int(row["owner"]))
            if key not in out or row["away_s"] < out[key]["away_s"]:
                out[key] = row
    return {key: row["box"] for key, row in out.items()}


PATH = {i: (120.0 + 3 * i, 110.0) for i in range(30)}


def test_a_gap_is_filled_from_both_ends() -> None:
    seen = {i: PATH[i] for i in PATH if not 5 <= i < 12}
    found = followed(seen, PATH)
    assert sorted(found) == [(i, 0) for i in range(5, 12)]
    for (sample, _), box in found.items():
        assert iou_matrix(box[None], box_at(PATH[sample])[None])[0, 0] > 0.8


def test_who_is_found_late_is_followed_back_and_who_vanishes_onwards_for_so_long() -> None:
    seen = {i: PATH[i] for i in range(12, 15)}
    assert sorted(s for s, _ in followed(seen, PATH, follow_s=1.0)) == [7, 8, 9, 10, 11, 15, 16, 17, 18, 19]
    assert followed(seen, PATH, follow_s=0.0) == {}


def test_it_stops_where_the_head_is_gone_and_where_another_face_is() -> None:
    gone = {i: (at if i < 6 else None) for i, at in PATH.items()}
    assert {s for s, _ in followed({0: PATH[0]}, gone)} == {1, 2, 3, 4, 5}
    # The face that is met has a track of its own; what is followed ends there, and settling drops that row.
    found = followed({0: PATH[0], 4: PATH[4]}, PATH, tracks={4: 1})
    assert max(s for s, track in found if track == 0) == 4
    assert min(s for s, track in found if track == 1) == 0


def test_a_blurred_picture_is_passed_over_and_a_real_cut_is_not() -> None:
    blurred = PATH | {3: None}
    assert {1, 2, 4, 5} <= {s for s, _ in followed({0: PATH[0]}, blurred, cuts=frozenset({3, 4}))}
    elsewhere = {i: (at if i < 4 else None) for i, at in PATH.items()}
    assert {s for s, _ in followed({0: PATH[0]}, elsewhere, cuts=frozenset({4}), room=7)} == {1, 2, 3}


@pytest.mark.parametrize(("blurred", "goes_on"), [((3, 4), True), ((3, 4, 5), False)])
def test_a_blur_is_passed_over_for_four_tenths_of_a_second(blurred: tuple[int, ...], goes_on: bool) -> None:
    found = {s for s, _ in followed({0: PATH[0]}, PATH | dict.fromkeys(blurred))}
    assert {1, 2} <= found and not found & set(blurred)
    assert (blurred[-1] + 1 in found) is goes_on


@pytest.mark.parametrize("cut", [False, True])
def test_after_a_cut_a_head_must_look_clearly_the_same(cut: bool) -> None:
    """Half of it looks otherwise, a correlation of 0.7: that may be somebody who turned, but not across a cut."""
    at = (150.0, 120.0)
    turned = cv2.addWeighted(picture(at), 0.5, picture(at, seed=2), 0.5, 0)
    follower = FaceFollower(2.0)
    follower.take(0, frame(0, picture(at)), box_at(at)[None], np.zeros(1, np.int64))
    if cut:
        follower.cut()
    assert len(follower.take(1, frame(1, turned), NONE, np.zeros(0, np.int64))) == (not cut)


ROW = st.tuples(st.integers(0, 2), st.integers(-1, 2), st.integers(0, 9), st.integers(0, 4))


@given(st.lists(ROW, max_size=25), st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 2)), max_size=8))
@settings(max_examples=100, deadline=None)
def test_settled_places_are_nobody_elses_and_none_goes_without_a_reason(
    rows: list[tuple[int, int, int, int]], seen: list[tuple[int, int]]
) -> None:
    seen = sorted(set(seen))
    given_rows = np.zeros(len(rows), FOLLOWED)
    for out, (sample, owner, away, place) in zip(given_rows, rows, strict=True):
        out["sample"], out["owner"], out["away_s"] = sample, owner, away
        out["box"] = box_at((40.0 + 30 * place, 100.0))
    sample, person = (np.array([s[i] for s in seen], np.int64) for i in (0, 1))
    boxes = np.stack([box_at((40.0 + 60 * p, 100.0)) for _, p in seen]) if seen else NONE
    kept = settle(given_rows, sample, person, boxes)
    keys = list(zip(kept["sample"].tolist(), kept["owner"].tolist(), strict=True))
    assert len(set(keys)) == len(keys)
    assert not set(keys) & set(seen)
    assert (kept["owner"] >= 0).all()
    for s in set(kept["sample"].tolist()):
        there = np.concatenate([kept["box"][kept["sample"] == s], boxes[(sample == s) & (person >= 0)]])
        overlap = iou_matrix(there, there) - np.eye(len(there))
        taken = int((kept["sample"] == s).sum())
        assert (overlap[:taken] <= 0.2).all()
    for row in given_rows[given_rows["owner"] >= 0]:
        near = kept[(kept["sample"] == row["sample"]) & (kept["away_s"] <= row["away_s"])]
        there = np.concatenate([near["box"], boxes[(sample == row["sample"]) & (person >= 0)]])
        own = row["owner"] in near["owner"] or (row["sample"], row["owner"]) in seen
        assert own or (iou_matrix(row["box"][None], there) > 0.2).any()


@pytest.mark.parametrize("found", [-1, 0, 1])
def test_a_face_takes_the_place_of_a_head_unless_it_is_nobodys(found: int) -> None:
    head = np.array([(3, 2, 0.2, box_at((40.0, 100.0)))], FOLLOWED)
    at = np.array([3]), np.array([found]), box_at((50.0, 100.0))[None]
    assert settle(head, *at)["owner"].tolist() == ([2] if found < 0 else [])


@pytest.mark.parametrize("times", [8, 13])
def test_in_large_pictures_heads_are_where_they_are_in_small_ones(times: int) -> None:
    """2560 and 4160 px wide: looked at in halves and quarters, told in pixels of the source."""
    places = [(150.0, 120.0), (154.0, 118.0), (158.0, 116.0)]
    follower, rows = FaceFollower(2.0), []
    for sample, at in enumerate(places):
        whole = cv2.resize(picture(at), None, fx=times, fy=times, interpolation=cv2.INTER_LINEAR)
        boxes = box_at(at)[None] * times if sample == 0 else NONE
        rows += list(follower.take(sample, frame(sample, whole), boxes, np.zeros(len(boxes), np.int64)))
    assert [int(row["sample"]) for row in rows] == [1, 2]
    for row, at in zip(rows, places[1:], strict=True):
        assert iou_matrix(row["box"][None], box_at(at)[None] * times)[0, 0] > 0.9


def test_how_long_is_checked() -> None:
    with pytest.raises(ConfigError, match="follow_s 9"):
        TrackingConfig(follow_s=9)
