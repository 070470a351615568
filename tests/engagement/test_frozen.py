"""A photograph, or a tile that hangs, is found like a face and told from one: nothing is claimed of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.frozen import encode, pictures, still
from engagement.batch.session import summarise
from engagement.config import AnalysisConfig
from engagement.pipeline import Analyzer
from engagement.reports.person_sentences import person_sentence, stood_still
from engagement.reports.render import render_session
from engagement.reports.sentences import no_curve
from engagement.segments import join_segments
from engagement.smoothing import load_smoother, smooth_further, smooth_persons
from engagement.timelines.session import build_tables
from engagement.timelines.session_summary import Limits, SessionSummary
from engagement.tracking.frozen import FrozenFaces, lasting
from engagement.types import ByteArray, TimeSpan
from tests.engagement.corrected_sessions import OPTIONS, SMOOTHING, observations
from tests.engagement.report_data import fabricate, summary_of, write_folder

BOX = np.array([[60, 40, 140, 140]], np.float32)
TRACK = np.zeros(1, np.int64)


@pytest.fixture
def picture() -> ByteArray:
    """Something with soft edges all over, as faces have."""
    noise = np.random.default_rng(4).normal(size=(200, 200)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 6)
    grey = np.clip(128 + 40 * soft / soft.std(), 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def shifted(picture: ByteArray, pixels: float) -> ByteArray:
    move = np.array([[1, 0, pixels], [0, 1, 0]], np.float32)
    return np.asarray(cv2.warpAffine(picture, move, (200, 200), borderMode=cv2.BORDER_REFLECT), np.uint8)


def with_noise(picture: ByteArray, sigma: float) -> ByteArray:
    noise = np.random.default_rng(5).normal(0, sigma, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def with_spot(picture: ByteArray) -> ByteArray:
    """As where eyes shut."""
    out = picture.copy()
    out[70:78, 72:92] = out[70:78, 108:128] = 20
    return out


def test_a_picture_is_the_same_in_spite_of_noise_and_light(picture: ByteArray) -> None:
    brighter = np.clip(picture.astype(int) + 25, 0, 255).astype(np.uint8)
    faces = FrozenFaces()
    said = [faces.take(p, BOX, TRACK)[0] for p in (picture, picture, with_noise(picture, 8), brighter)]
    assert said == [False, True, True, True]


@pytest.mark.parametrize("change", [lambda p: shifted(p, 3), with_spot])
def test_a_small_movement_or_eyes_that_shut_make_it_another(change, picture: ByteArray) -> None:
    faces = FrozenFaces()
    faces.take(picture, BOX, TRACK)
    assert not faces.take(change(picture), BOX, TRACK)[0]
    assert faces.take(change(picture), BOX, TRACK)[0]  # which is the one compared with from then on


def test_the_box_may_tremble_and_a_face_elsewhere_is_not_compared(picture: ByteArray) -> None:
    faces = FrozenFaces()
    faces.take(picture, BOX, TRACK)
    assert faces.take(picture, BOX + 6, TRACK)[0]
    assert not faces.take(picture, BOX + 60, TRACK)[0]


def test_slow_movement_adds_up(picture: ByteArray) -> None:
    """Every step is small, and each is compared with where it began."""
    faces = FrozenFaces()
    said = [faces.take(shifted(picture, 0.3 * i), BOX, TRACK)[0] for i in range(20)]
    assert said[1] and not all(said[1:])


def test_what_lies_beyond_the_picture_and_who_was_away_for_long_is_not_compared(picture: ByteArray) -> None:
    faces = FrozenFaces()
    outside = BOX - 150
    assert [faces.take(picture, outside, TRACK)[0] for _ in range(3)] == [False] * 3
    faces.take(picture, BOX, TRACK + 1)
    nobody = np.zeros((0, 4), np.float32)
    for _ in range(60):
        faces.take(picture, nobody, np.zeros(0, np.int64))
    assert not faces.take(picture, BOX, TRACK + 1)[0]


@given(st.data())
def test_only_long_stretches_of_one_picture_last(data: st.DataObject) -> None:
    n, step = data.draw(st.integers(0, 120)), data.draw(st.sampled_from([0.2, 0.5, 1.0, 5.0]))
    track = np.array(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)), np.int64)
    same = np.array(data.draw(st.lists(st.sampled_from([True] * 15 + [False]), min_size=n, max_size=n)), bool)
    times = np.asarray(np.arange(n) * step, np.float64)
    out = lasting(times, track, same)
    for one in range(3):
        own = np.flatnonzero(track == one)
        starts = [i for i in range(len(own)) if i == 0 or not same[own[i]]]
        pictures = [own[a:b].tolist() for a, b in pairwise([*starts, len(own)])]
        stretches: list[list[int]] = []
        before_held = False
        for rows in pictures:
            held = bool(times[rows[-1]] - times[rows[0]] >= 4)
            if held and before_held:
                stretches[-1] += rows
            else:
                stretches.append(rows)
            before_held = held
        for rows in stretches:
            least = 8 if len(rows) == len(own) else 20
            long = times[rows[-1]] - times[rows[0]] >= least and len(rows) >= 10
            assert (out[rows] == long).all()


def test_a_still_that_every_keyframe_changes_is_one_and_a_face_that_blinks_is_none() -> None:
    times = np.asarray(np.arange(200) * 0.2, np.float64)
    track = np.zeros(200, np.int64)
    keyframes = np.arange(200) % 50 != 0
    assert lasting(times, track, keyframes).all()
    blinks = keyframes & (np.arange(200) % 50 != 1)  # each changes the picture twice
    assert not lasting(times, track, blinks).any()


def test_nothing_is_smoothed_into_or_out_of_a_frozen_stretch() -> None:
    times, _, rows, person = observations({"P01": [(0, 60)]}, 60)
    smoother, _ = load_smoother(SMOOTHING)
    limits = SMOOTHING.max_gap_s, OPTIONS.min_quality
    rows["frozen"] = times[rows["sample"]] >= 30
    one = smooth_persons(smoother, times, rows, person, *limits)
    rows["prob"][rows["frozen"]] = 0.5  # whatever it shows
    other = smooth_persons(smoother, times, rows, person, *limits)
    np.testing.assert_array_equal(one, other)
    further = smooth_further(times, rows, person, *limits, SMOOTHING.further_window_s)
    for out in (one, further):
        assert np.isnan(out[rows["frozen"]]).all() and np.isfinite(out[~rows["frozen"]]).any()


def test_pages_say_whose_picture_stood_still() -> None:
    person = {
        "first_s": 0,
        "last_s": 100,
        "session_share": 1.0,
        "n_samples": 500,
        "n_used": 20,
        "frozen_s": 96.0,
    }
    text = person_sentence({**person, "mean_engagement": 0.6}, Limits(), 100)
    assert text.startswith("Too little to tell: only 20 of 500 pictures were fit")
    assert "for 1 min 36 s the picture stood still, as a photograph" in text
    people = [
        {**person, "label": "Ana"},
        {"label": "Ben", "frozen_s": 0.0},
        {"label": "P07", "frozen_s": 25.0},
    ]
    assert "The pictures of Ana and P07 stood still" in stood_still(people)
    assert not stood_still(people[1:2])
    assert "The pictures of 7 people stood still" in stood_still(people[:1] * 7)
    assert no_curve(SessionSummary({}), "no picture of Ana", None).startswith(
        "No curve: no picture of Ana moved."
    )


@pytest.mark.parametrize("limits", [{}, {"frozen_s": 20.0, "frozen_track_s": 8.0}])
def test_only_of_results_that_looked_for_them_it_is_said_that_they_are_left_out(
    limits: dict[str, float], tmp_path: Path
) -> None:
    """Earlier versions did not, and `report` writes their pages as well."""
    data = fabricate(2, 30)
    summary = summary_of(data, "a.mp4")
    summary["limits"] |= limits
    write_folder(tmp_path / "a", data, summary)
    for page in render_session(tmp_path / "a", tmp_path, {}):
        said = "20&#8239;s or more (8&#8239;s if" in page.read_text(encoding="utf-8")
        assert said == bool(limits)


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer(AnalysisConfig())


def test_a_photograph_of_a_face_is_frozen_and_the_face_is_not(
    shared_videos: Path, tmp_path: Path, analyzer: Analyzer
) -> None:
    clip, video = shared_videos / "webcam_15.mp4", tmp_path / "still.mp4"
    encode(still(clip), video, 320, 28, 0.0)
    whole = analyzer.finish(analyzer.read(video))
    assert whole.records.rows["frozen"].all() and (whole.person == 0).all()
    assert np.isnan(whole.smoothed).all()
    options = replace(OPTIONS, extra=(), end_s=whole.end_s)
    tables = build_tables(
        whole.sample_time_s,
        whole.sample_frame,
        whole.records.rows,
        whole.person,
        whole.smoothed,
        options,
    )
    (person,) = tables.persons.to_dict("records")
    assert (person["n_used"], person["frozen_s"]) == (0, person["observed_s"])
    assert tables.timeline["frozen"].all() and not len(tables.events)
    limits = summarise(analyzer, whole, tables)["limits"]
    assert limits["frozen_s"] > limits["frozen_track_s"] > 0
    spans = TimeSpan(0.0, 14.0), TimeSpan(14.0, None)
    parts = [analyzer.read(video, span=span) for span in spans]
    joined = analyzer.finish(join_segments(parts, analyzer.config.sampling.rate_hz))
    assert joined.records.rows["frozen"].all()
    encode(pictures(clip), video, 320, 28, 0.0)
    alive = analyzer.finish(analyzer.read(video))
    assert len(alive.records) and not alive.records.rows["frozen"].any()
