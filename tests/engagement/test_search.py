"""Finding faces frame by frame: scans, what is followed in between, what is found backwards in time."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engagement.errors import ConfigError
from engagement.faces.options import SearchConfig
from engagement.faces.search import FaceFinder, Sighting
from engagement.geometry import iou_matrix
from engagement.types import ByteArray, FaceDetections, FloatArray, Frame

RATE = 5.0
SIDE = 40.0
World = Callable[[int], list[tuple[float, float]]]
"""Centres of the faces that are in a frame."""


class KnowingDetector:
    """Knows where faces are; a scan shows only those that ``scanned`` lets it see."""

    name = "knowing"

    def __init__(self, world: World, scanned: Callable[[int, int], bool] = lambda frame, face: True) -> None:
        self.world, self.scanned = world, scanned
        self.scans: list[int] = []

    def detect(self, rgb: ByteArray, frame_index: int = 0, time_s: float = 0.0) -> FaceDetections:
        self.scans.append(frame_index)
        seen = [c for i, c in enumerate(self.world(frame_index)) if self.scanned(frame_index, i)]
        return detections(frame_index, time_s, seen)

    def refine(
        self, rgb: ByteArray, boxes_xyxy: FloatArray, frame_index: int = 0, time_s: float = 0.0
    ) -> FaceDetections:
        centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
        near = [
            c
            for c in self.world(frame_index)
            if (np.abs(centres - np.asarray(c, np.float32)).max(axis=1) < 2.5 * SIDE).any()
        ]
        return detections(frame_index, time_s, near)


def detections(frame_index: int, time_s: float, centres: list[tuple[float, float]]) -> FaceDetections:
    xy = np.asarray(centres, np.float32).reshape(-1, 2)
    boxes = np.concatenate([xy - SIDE / 2, xy + SIDE / 2], axis=1).astype(np.float32)
    return FaceDetections(
        frame_index,
        time_s,
        boxes,
        np.full(len(xy), 0.99, np.float32),
        np.repeat(xy[:, None], 5, axis=1).astype(np.float32),
    )


def frames(n: int, brightness: Callable[[int], int] = lambda i: 100) -> Iterator[Frame]:
    for i in range(n):
        yield Frame(i * 6, i / RATE, np.full((90, 160, 3), brightness(i), np.uint8))


def find(world: World, n: int, **options: float) -> tuple[list[Sighting], KnowingDetector]:
    detector = KnowingDetector(lambda index: world(index // 6))
    return search(detector, frames(n), SearchConfig(**options)), detector


def search(
    detector: KnowingDetector, pictures: Iterable[Frame], config: SearchConfig | None = None
) -> list[Sighting]:
    finder = FaceFinder(detector, config)
    return list(finder.find(finder.scan(pictures)))


def test_scans_every_third_sample_and_shows_a_face_that_stays_in_every_sample() -> None:
    found, detector = find(lambda i: [(80, 45)], 16)
    assert detector.scans == [0, 18, 36, 54, 72, 90]
    assert [len(s.faces) for s in found] == [1] * 16
    assert [s.frame.index for s in found] == [i * 6 for i in range(16)]


def test_scans_every_sample_when_asked() -> None:
    _, detector = find(lambda i: [(80, 45)], 4, scan_every_s=0)
    assert detector.scans == [0, 6, 12, 18]


def test_who_comes_between_two_scans_is_seen_from_the_first_sample() -> None:
    found, _ = find(lambda i: [(80, 45)] if i >= 2 else [], 8)
    assert [len(s.faces) for s in found] == [0, 0, 1, 1, 1, 1, 1, 1]


def test_who_walks_two_face_widths_per_sample_is_not_lost() -> None:
    found, _ = find(lambda i: [(200 + 80 * i, 45)], 11)
    assert [len(s.faces) for s in found] == [1] * 11


def test_a_face_that_scans_miss_later_on_is_still_looked_for() -> None:
    detector = KnowingDetector(lambda index: [(80, 45)], scanned=lambda frame, face: frame == 0)
    found = search(detector, frames(12))
    assert [len(s.faces) for s in found] == [1] * 12


def test_nobody_is_followed_across_a_cut() -> None:
    world = KnowingDetector(lambda index: [(80, 45)] if index >= 18 else [])
    pictures = frames(6, brightness=lambda i: 30 if i < 3 else 220)
    found = search(world, pictures, SearchConfig(scan_every_s=1.0))
    assert [s.new_shot for s in found] == [False, False, False, True, False, False]
    assert world.scans == [0, 18, 30]
    assert [len(s.faces) for s in found] == [0, 0, 0, 1, 1, 1]


def test_pictures_are_let_go_after_a_scan_interval() -> None:
    alive: list[weakref.ref[ByteArray]] = []

    def watched() -> Iterator[Frame]:
        for frame in frames(60):
            alive.append(weakref.ref(frame.rgb))
            yield frame

    most = 0
    finder = FaceFinder(KnowingDetector(lambda index: [(80, 45)]))
    for sighting in finder.find(finder.scan(watched())):
        del sighting
        gc.collect()
        most = max(most, sum(ref() is not None for ref in alive))
    assert most <= 8


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(0, 19), st.integers(1, 20), st.floats(-30, 30), st.floats(0, 2000)),
        max_size=5,
    )
)
def test_every_frame_comes_once_in_order_and_no_face_twice(
    walkers: list[tuple[int, int, float, float]],
) -> None:
    """Whoever comes, goes or passes through others: (from, for so long, speed, place)."""

    def world(i: int) -> list[tuple[float, float]]:
        return [
            (place + speed * i, 100.0 * k)
            for k, (start, n, speed, place) in enumerate(walkers)
            if start <= i < start + n
        ]

    found, _ = find(world, 20)
    assert [s.frame.index for s in found] == [i * 6 for i in range(20)]
    for i, sighting in enumerate(found):
        boxes = sighting.faces.boxes_xyxy
        assert len(boxes) <= len(world(i))
        assert (np.triu(iou_matrix(boxes, boxes), 1) < 0.3).all()


@pytest.mark.parametrize("wrong", [-1, 11])
def test_an_interval_out_of_range_names_the_option(wrong: float) -> None:
    with pytest.raises(ConfigError, match=f"--scan-every {wrong}"):
        SearchConfig(scan_every_s=wrong)


@pytest.mark.parametrize("neighbours", [[], [(400.0, 45.0)]])
@pytest.mark.parametrize("back", range(6, 14))
def test_who_comes_back_is_seen_at_once_also_alone(neighbours: list[tuple[float, float]], back: int) -> None:
    def world(i: int) -> list[tuple[float, float]]:
        return [*([(80.0, 45.0)] if i < 3 or i >= back else []), *neighbours]

    sightings, _ = find(world, 24)
    assert [len(s.faces) for s in sightings] == [len(world(i)) for i in range(24)]


@pytest.mark.parametrize("step_s", [0.5, 0.5005, 0.55, 1.001, 10.0])
def test_whom_the_sample_before_showed_is_looked_for_however_far_apart_samples_lie(step_s: float) -> None:
    detector = KnowingDetector(lambda i: [(80, 45), (200, 45)])
    grey = np.full((90, 160, 3), 100, np.uint8)
    sightings = search(detector, [Frame(i, round(i * step_s, 9), grey) for i in range(30)])
    assert [len(s.faces) for s in sightings] == [2] * 30
