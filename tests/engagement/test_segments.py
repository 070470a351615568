"""Ranges of a video put together: what is said of the whole where one of them has no picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engagement.pipeline import Segment
from engagement.records import FaceRecords
from engagement.segments import join_segments
from engagement.thumbnails import ThumbnailKeeper
from engagement.types import TimeSpan, VideoInfo
from engagement.video.clock import counted
from engagement.video.reader import DecodeOutcome

ENDS_EARLY = "the pictures end at 24.60 s of 63.00 s"


def segment(span: TimeSpan, frames: range, outcome: DecodeOutcome) -> Segment:
    """A range of a video of 10 frames a second, sampled twice a second."""
    info = VideoInfo(Path("talk.mp4"), 640, 360, 0, 63.0, "h264", "pyav")
    times = [i / 10 for i in frames]
    return Segment(info, outcome, FaceRecords(), ThumbnailKeeper(), span, times=times, frames=list(frames))


@pytest.mark.parametrize("empty", [1, 2])
def test_a_range_without_a_picture_does_not_say_where_the_video_ends(empty: int) -> None:
    lost = "the pictures end at 0.00 s of 63.00 s; 5 damaged packets skipped"
    nothing = DecodeOutcome(0, 0.0, False, lost, 0, 5)
    outcome = DecodeOutcome(
        247, 24.6, False, f"{ENDS_EARLY}; 382 damaged packets skipped", 0, 382, end_s=24.7
    )
    read = segment(TimeSpan(0.0, 31.0), range(0, 246, 5), outcome)
    spans = [TimeSpan(31.0, 42.0), TimeSpan(42.0, None)]
    whole = join_segments([read, *(segment(span, range(0), nothing) for span in spans[:empty])], 2.0)
    assert whole.outcome.frames_decoded == 247
    n = whole.outcome.packets_damaged
    assert n == 382 + 5 * empty
    assert (whole.outcome.last_time_s, whole.outcome.reason) == (
        24.6,
        f"{ENDS_EARLY}; up to {n} damaged packets skipped",
    )
    assert not whole.outcome.complete
    assert whole.outcome.end_s == 24.7


def test_what_no_range_with_pictures_knows_is_said_by_those_without() -> None:
    nothing = DecodeOutcome(0, 0.0, False, "reading stopped: no key frame")
    read = segment(TimeSpan(0.0, 31.0), range(0, 350, 5), DecodeOutcome(350, 34.9, True, ""))
    whole = join_segments([read, segment(TimeSpan(31.0, None), range(0), nothing)], 2.0)
    assert (whole.outcome.complete, whole.outcome.reason) == (False, "reading stopped: no key frame")


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (1, "reading stopped: Input/output error; up to 2 damaged packets skipped"),
        (8, "reading stopped: Input/output error; up to 9 damaged packets skipped"),
        (0, "reading stopped: Input/output error; 1 damaged packet skipped"),
    ],
)
def test_what_several_ranges_lost_is_counted_together(second: int, said: str) -> None:
    stopped = "reading stopped: Input/output error"
    reasons = [stopped, *counted(second, 0, 0)]
    first = DecodeOutcome(350, 34.9, False, f"{stopped}; 1 damaged packet skipped", 0, 1)
    outcomes = [first, DecodeOutcome(300, 61.0, False, "; ".join(reasons), 0, second)]
    spans = [TimeSpan(0.0, 31.0), TimeSpan(31.0, None)]
    whole = join_segments(
        [segment(s, range(0, 350, 5), o) for s, o in zip(spans, outcomes, strict=True)], 2.0
    )
    assert whole.outcome.reason == said


def test_wild_time_stamps_of_several_ranges_are_told_once() -> None:
    outcomes = [
        DecodeOutcome(350, end, True, counted(0, 0, n)[0], 0, 0, n) for end, n in ((34.9, 1), (61.0, 2))
    ]
    spans = [TimeSpan(0.0, 31.0), TimeSpan(31.0, None)]
    parts = [segment(s, range(0, 350, 5), o) for s, o in zip(spans, outcomes, strict=True)]
    outcome = join_segments(parts, 2.0).outcome
    assert (outcome.reason, outcome.stamps_wild) == ("up to 3 wild time stamps passed over", 3)


def test_the_largest_pictures_of_all_ranges_are_told() -> None:
    sizes = [(0, 0), (1280, 720), (800, 600)]
    spans = [TimeSpan(0.0, 31.0), TimeSpan(31.0, 42.0), TimeSpan(42.0, None)]
    parts = [
        segment(span, range(0), DecodeOutcome(0, 0.0, True, "", shrunk_from=size))
        for span, size in zip(spans, sizes, strict=True)
    ]
    assert join_segments(parts, 2.0).outcome.shrunk_from == (1280, 720)


def test_a_video_ends_where_the_range_does_that_has_its_last_picture() -> None:
    outcomes = [DecodeOutcome(350, last, True, "", end_s=end) for last, end in ((34.9, 35.0), (61.0, 61.5))]
    outcomes.append(DecodeOutcome(0, 0.0, True, "", end_s=0.04))  # it has none
    spans = [TimeSpan(0.0, 31.0), TimeSpan(31.0, 61.5), TimeSpan(61.5, None)]
    parts = [segment(s, range(0), o) for s, o in zip(spans, outcomes, strict=True)]
    outcome = join_segments(parts, 2.0).outcome
    assert (outcome.last_time_s, outcome.end_s) == (61.0, 61.5)


def test_who_is_shown_twice_is_so_by_the_tracks_and_samples_of_the_whole() -> None:
    """The second range begins with a lead-in, and calls its tracks by other numbers."""
    parts = []
    for span, frames, tracks in (
        (TimeSpan(0.0, 10.0), range(0, 115, 5), (0, 1)),
        (TimeSpan(10.0, None), range(85, 200, 5), (1, 0)),
    ):
        part = segment(span, frames, DecodeOutcome(200, 19.5, True, ""))
        rows = np.zeros(2 * len(frames), part.records.rows.dtype)
        rows["sample"], rows["track"] = np.repeat(np.arange(len(frames)), 2), np.tile(tracks, len(frames))
        rows["box"] = np.tile([[0, 0, 50, 50], [300, 0, 500, 200]], (len(frames), 1))
        part.records.extend(rows)
        part.copies += [(sample, *tracks) for sample in range(len(frames))]
        parts.append(part)
    whole = join_segments(parts, 2.0)
    assert len(whole.times) == 40
    assert whole.copies == [(sample, 0, 1) for sample in range(40)]
