"""Somebody who is shown twice at once, large and small: one person, the smaller picture nobody's meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.sessions_composed import Placement, Session, render
from engagement.tracking.copies import same_pictures
from engagement.tracking.persons import NOBODY, PersonsConfig, TrackSummary
from engagement.tracking.splitting import find_persons
from engagement.types import ByteArray, IndexArray
from tests.sessions.command import Run

_DIM = 16
_LARGE, _SMALL = np.array([300, 40, 540, 280], np.float32), np.array([40, 400, 120, 480], np.float32)


def _face(seed: int) -> ByteArray:
    """Blobs that no other seed has, (240, 240, 3)."""
    grey = np.random.default_rng(seed).integers(30, 220, (6, 6)).astype(np.uint8)
    large = cv2.resize(grey, (240, 240), interpolation=cv2.INTER_CUBIC)
    return np.repeat(np.asarray(large, np.uint8)[:, :, None], 3, axis=2)


def _frame(large: ByteArray, small: ByteArray) -> ByteArray:
    frame = np.full((520, 640, 3), 90, np.uint8)
    frame[40:280, 300:540] = large
    frame[400:480, 40:120] = cv2.resize(small, (80, 80), interpolation=cv2.INTER_AREA)
    return frame


@pytest.mark.parametrize(
    ("small", "found"),
    [(_face(0), True), (_face(0)[:, ::-1], True), (_face(1), False), (np.full_like(_face(0), 70), False)],
    ids=["the same", "mirrored", "somebody else", "flat"],
)
def test_a_face_is_found_again_small_or_mirrored(small: ByteArray, found: bool) -> None:
    frame = _frame(_face(0), small)
    trembling = _SMALL + np.array([2, -3, 4, 1], np.float32)
    alike = np.tile(np.eye(1, _DIM, dtype=np.float32), (2, 1))
    boxes = np.stack([_LARGE, trembling])
    assert same_pictures(frame, boxes, alike) == ([(1, 0)] if found else [])
    assert same_pictures(frame, boxes, np.eye(2, _DIM, dtype=np.float32)) == []


def test_equal_sizes_and_tiny_faces_are_not_compared() -> None:
    frame = _frame(_face(0), _face(0))
    frame[280:520, 300:540] = _face(0)
    alike = np.tile(np.eye(1, _DIM, dtype=np.float32), (2, 1))
    equal = np.stack([_LARGE, _LARGE + np.array([0, 240, 0, 240], np.float32)])
    tiny = np.stack([_LARGE, np.array([40, 400, 52, 412], np.float32)])
    assert same_pictures(frame, equal, alike) == same_pictures(frame, tiny, alike) == []
    assert same_pictures(frame, np.zeros((0, 4), np.float32), np.zeros((0, _DIM), np.float32)) == []


def _track(number: int, person: int, samples: range, side: float) -> TrackSummary:
    made = TrackSummary(number, 0)
    face, colours = np.eye(_DIM, dtype=np.float32)[person], np.full(_DIM, 1 / _DIM, np.float32)
    for sample in samples:
        box = np.array([200 * number, 0, 200 * number + side, side], np.float32)
        made.add(sample, box, 0.99, 1.0, face, colours)
    return made


def _whose(tracks: list[TrackSummary], copies: list[tuple[int, int, int]]) -> list[IndexArray]:
    """Person of each sample of each track."""
    found = find_persons(tracks, PersonsConfig(), copies=copies)
    out = []
    for track in tracks:
        ids = found.relabel(np.full(len(track.samples), track.track_id), np.array(track.samples))
        out.append(np.array([found.person[int(i)] for i in ids]))
    return out


def test_who_is_large_for_a_while_is_nobody_in_the_strip_meanwhile_and_then_again_who_he_was() -> None:
    strip = [_track(0, 0, range(100), 60), _track(1, 1, range(100), 60)]
    large = [_track(2, 0, range(20, 50), 200), _track(3, 1, range(50, 80), 200)]
    # A few samples are blurred, the last ones of a turn too.
    copies = [(s, 0, 2) for s in range(20, 47) if s % 7] + [(s, 1, 3) for s in range(52, 80) if s % 5]
    ana, ben, large_ana, large_ben = _whose(strip + large, copies)
    assert set(large_ana.tolist()) == {0} and set(large_ben.tolist()) == {1}
    assert ana.tolist() == [0] * 20 + [NOBODY] * 30 + [0] * 50
    assert ben.tolist() == [1] * 50 + [NOBODY] * 30 + [1] * 20


@pytest.mark.parametrize("seen", [[], [20, 30, 40], list(range(20, 32))], ids=["never", "thrice", "rarely"])
def test_who_is_the_same_picture_rarely_is_somebody_else(seen: list[int]) -> None:
    small, large = _whose(
        [_track(0, 0, range(100), 60), _track(2, 0, range(20, 60), 200)], [(s, 0, 2) for s in seen]
    )
    assert NOBODY not in small and not set(small.tolist()) & set(large.tolist())


@pytest.mark.parametrize(
    ("earlier", "now", "one"),
    [(30, 3, True), (30, 1, False), (0, 3, False)],
    ids=["mostly", "hardly", "no earlier turn"],
)
def test_who_speaks_for_a_moment_is_told_by_earlier_turns(earlier: int, now: int, one: bool) -> None:
    strip = [_track(0, 0, range(100), 60), _track(1, 1, range(100), 60)]
    large = [_track(2, 0, range(20, 20 + earlier), 200)] if earlier else []
    moment = _track(3, 0, range(60, 64), 200)
    copies = [(s, 0, 2) for s in range(20, 20 + earlier)] + [(s, 0, 3) for s in range(60, 60 + now)]
    small, *_, speaking = _whose([*strip, *large, moment], copies)
    assert (set(speaking.tolist()) == {0}) == one
    assert (small[60:64].tolist() == [NOBODY] * 4) == one


def test_other_faces_are_other_people_whatever_the_pictures_say() -> None:
    tracks = [_track(0, 0, range(100), 60), _track(2, 5, range(20, 60), 200)]
    small, large = _whose(tracks, [(s, 0, 2) for s in range(20, 60)])
    assert not set(small.tolist()) & set(large.tolist())


def test_a_large_track_that_runs_on_with_somebody_else_is_a_copy_of_each_in_turn() -> None:
    strip = [_track(0, 0, range(100), 60), _track(1, 1, range(100), 60)]
    large = _track(2, 0, range(20, 50), 200).followed_by(_track(2, 1, range(50, 80), 200))
    copies = [(s, 0, 2) for s in range(20, 50)] + [(s, 1, 2) for s in range(50, 80)]
    ana, ben, speaking = _whose([*strip, large], copies)
    assert speaking.tolist() == [0] * 30 + [1] * 30
    assert (ana == NOBODY).tolist() == [20 <= s < 50 for s in range(100)]
    assert (ben == NOBODY).tolist() == [50 <= s < 80 for s in range(100)]


def test_the_small_picture_is_no_scrap_that_belongs_to_nobody(
    engagement: Callable[..., Run], shared_videos: Path, tmp_path: Path
) -> None:
    strip = [Placement(0, 20, 380, (160, 90)), Placement(1, 200, 380, (160, 90))]
    call = Session(
        "call", 2, [[*strip, Placement(i // 15, 100, 10, (480, 360))] for i in range(30)], (640, 480)
    )
    render(call, [shared_videos / "webcam_05.avi", shared_videos / "webcam_06.avi"], tmp_path / "call.mp4")
    run = engagement("analyze", tmp_path / "call.mp4", "-o", tmp_path / "out", "-q")
    assert run.status == 0, run.err
    summary = json.loads((tmp_path / "out" / "call" / "summary.json").read_text())
    assert (summary["n_persons"], summary["max_visible"]) == (2, 2)
    assert summary["left_out"] == {"tracks": 0, "samples": 0}
