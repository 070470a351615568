"""Tracks and persons on made-up faces: who may be joined and who never."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engagement.errors import ConfigError
from engagement.tracking.persons import NOBODY, PersonsConfig, TrackSummary, join_tracks
from engagement.tracking.tracker import FaceLook, FaceTracker, TrackingConfig
from engagement.types import FaceDetections

DIM = 16


def face(person: int, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    vector = np.zeros(DIM, np.float32)
    vector[person] = 1
    vector += noise * np.random.default_rng((seed, person)).normal(size=DIM).astype(np.float32)
    return vector / np.linalg.norm(vector)


def colours(person: int) -> np.ndarray:
    """Hair and chest of one colour."""
    values = np.full(DIM // 2, 0.01, np.float32)
    values[person] = 1
    return np.tile(values / values.sum() / 2, 2)


def summary(
    track: int, person: int, samples: range, x: float = 100, shot: int = 0, score: float = 0.99
) -> TrackSummary:
    out = TrackSummary(track, shot)
    for sample in samples:
        box = np.array([x, 100, x + 60, 180], np.float32)
        out.add(sample, box, score, 1.0, face(person, 0.05, sample), colours(person))
    return out


def test_somebody_who_comes_back_is_the_same_person() -> None:
    tracks = [summary(0, 0, range(10)), summary(1, 1, range(40), x=400), summary(2, 0, range(20, 40))]
    assert join_tracks(tracks, PersonsConfig()) == {0: 0, 1: 1, 2: 0}


def test_somebody_else_in_the_same_seat_is_another_person() -> None:
    tracks = [summary(0, 0, range(10)), summary(1, 1, range(20, 40))]
    assert join_tracks(tracks, PersonsConfig()) == {0: 0, 1: 1}


def test_swapped_seats_follow_the_faces() -> None:
    tracks = [
        summary(0, 0, range(10), x=100),
        summary(1, 1, range(10), x=400),
        summary(2, 1, range(12, 30), x=100),
        summary(3, 0, range(12, 30), x=400),
    ]
    assert join_tracks(tracks, PersonsConfig()) == {0: 0, 1: 1, 2: 1, 3: 0}


def test_twins_seen_together_stay_two() -> None:
    tracks = [summary(0, 0, range(30)), summary(1, 0, range(30), x=400)]
    assert join_tracks(tracks, PersonsConfig()) == {0: 0, 1: 1}


def test_a_scrap_is_nobody_unless_it_is_clearly_somebody() -> None:
    tracks = [summary(0, 0, range(30)), summary(1, 5, range(40, 41), x=700), summary(2, 0, range(50, 52))]
    assert join_tracks(tracks, PersonsConfig()) == {0: 0, 1: NOBODY, 2: 0}


def test_off_joins_nothing() -> None:
    tracks = [summary(0, 0, range(10)), summary(1, 0, range(20, 40))]
    assert join_tracks(tracks, PersonsConfig(identity="off")) == {0: 0, 1: 1}
    with pytest.raises(ConfigError, match="--identity 'maybe'"):
        PersonsConfig(identity="maybe")


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 60), st.integers(1, 20), st.sampled_from([100.0, 300.0])),
        max_size=12,
    )
)
def test_nobody_is_in_two_places_and_ids_follow_first_sight(spans: list[tuple[int, int, int, float]]) -> None:
    tracks = [summary(i, p, range(a, a + n), x) for i, (p, a, n, x) in enumerate(spans)]
    person = join_tracks(tracks, PersonsConfig())
    assert set(person) == {t.track_id for t in tracks}
    seen: dict[int, set[int]] = {}
    for track in tracks:
        index = person[track.track_id]
        if index == NOBODY:
            continue
        assert seen.setdefault(index, set()).isdisjoint(track.samples)
        seen[index] |= set(track.samples)
    firsts = [min(seen[i]) for i in sorted(seen)]
    assert firsts == sorted(firsts)
    assert sorted(seen) == list(range(len(seen)))


def look(*people: int) -> FaceLook:
    return FaceLook(
        np.stack([face(p) for p in people]),
        np.stack([colours(p) for p in people]),
        np.ones(len(people), np.float32),
    )


def frame(index: int, *x: float, score: float = 0.99, step: float = 0.2) -> FaceDetections:
    boxes = np.array([[v, 100, v + 60, 180] for v in x], np.float32)
    n = len(x)
    return FaceDetections(
        index, index * step, boxes, np.full(n, score, np.float32), np.zeros((n, 5, 2), np.float32)
    )


def test_two_people_who_cross_keep_their_tracks() -> None:
    tracker = FaceTracker()
    seen = {0: set(), 1: set()}
    for i in range(21):
        ids = tracker.update(frame(i, 100 + 20 * i, 500 - 20 * i), look(0, 1))
        for person, track in enumerate(ids.tolist()):
            seen[person].add(track)
    assert seen == {0: {0}, 1: {1}}


def test_a_weak_face_continues_a_track_but_begins_none() -> None:
    tracker = FaceTracker()
    assert tracker.update(frame(0, 100, score=0.6), look(0)).tolist() == [-1]
    assert tracker.update(frame(1, 100), look(0)).tolist() == [0]
    assert tracker.update(frame(2, 102, score=0.6), look(0)).tolist() == [0]


def test_a_cut_or_a_long_absence_ends_a_track() -> None:
    tracker = FaceTracker(TrackingConfig(max_lost_s=0.5))
    for index in range(3):
        assert tracker.update(frame(index, 100), look(0)).tolist() == [0]
    assert tracker.update(frame(10, 100), look(0)).tolist() == [1]
    tracker.cut()
    assert tracker.update(frame(11, 100), look(0)).tolist() == [2]


def test_another_face_in_the_same_place_is_another_track() -> None:
    tracker = FaceTracker()
    assert tracker.update(frame(0, 100), look(0)).tolist() == [0]
    assert tracker.update(frame(1, 100), look(3)).tolist() == [1]


def test_two_trackers_count_for_themselves() -> None:
    for _ in range(2):
        assert FaceTracker().update(frame(0, 100), look(0)).tolist() == [0]


@pytest.mark.parametrize("step", [0.2, 1.0, 1.001, 2.0, 60.0])
def test_people_who_sit_still_keep_their_tracks_at_any_step(step: float) -> None:
    tracker = FaceTracker()
    ids = [tracker.update(frame(i, 100, 400, step=step), look(1, 2)).tolist() for i in range(20)]
    assert ids == [[0, 1]] * 20


def test_a_pause_of_the_stream_ends_a_track_though_no_sample_lies_between() -> None:
    tracker = FaceTracker()
    for i in range(10):
        tracker.update(frame(i, 100), look(1))
    assert tracker.update(frame(60, 100), look(1)).tolist() == [1]


def test_people_seen_at_once_are_numbered_from_left_to_right() -> None:
    tracks = [
        summary(0, 0, range(10), x=700),
        summary(1, 1, range(10), x=50),
        summary(2, 2, range(10), x=400),
    ]
    assert join_tracks(tracks, PersonsConfig()) == {1: 0, 2: 1, 0: 2}


def test_a_scrap_belongs_to_whom_it_is_most_like_of_several() -> None:
    tracks = [summary(i, i, range(30), x=100 + 200 * i) for i in range(3)]
    scrap = summary(3, 1, range(50, 52), x=300)
    assert join_tracks([*tracks, scrap], PersonsConfig()) == {0: 0, 1: 1, 2: 2, 3: 1}


@pytest.mark.parametrize(("identity", "least"), [("off", 3), ("auto", 4)])
def test_a_person_is_seen_a_few_times_at_least(identity: str, least: int) -> None:
    config = PersonsConfig(identity=identity)
    assert join_tracks([summary(0, 0, range(least))], config) == {0: 0}
    assert join_tracks([summary(0, 0, range(least - 1))], config) == {0: NOBODY}


@pytest.mark.parametrize(("side", "needed"), [(20, 0.8), (32, 0.8), (44, 0.85), (56, 0.9), (200, 0.9)])
def test_of_a_large_face_the_detector_must_be_surer(side: float, needed: float) -> None:
    def scored(mean: float, best: float = 0.96) -> dict[int, int]:
        track = TrackSummary(0, 0)
        for sample in range(10):
            score = best if sample == 4 else (10 * mean - best) / 9
            box = np.array([50, 50, 50 + side / 2, 50 + side], np.float32)
            track.add(sample, box, score, 1.0, face(0), colours(0))
        return join_tracks([track], PersonsConfig())

    assert scored(needed + 0.005) == {0: 0}
    assert scored(needed - 0.005) == {0: NOBODY}
    assert scored(0.94, best=0.949) == {0: NOBODY}  # and never once quite sure


@pytest.mark.parametrize(("identity", "by_faces"), [("auto", True), ("appearance", False), ("off", False)])
def test_faces_are_evidence_unless_told_otherwise(identity: str, by_faces: bool) -> None:
    assert PersonsConfig(identity=identity).by_faces is by_faces
