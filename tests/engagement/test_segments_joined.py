"""A session that is cut into overlapping ranges and joined again is the session."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from engagement.followed import FOLLOWED
from engagement.pipeline import Segment
from engagement.records import FaceRecords
from engagement.segments import join_segments, plan_spans
from engagement.thumbnails import ThumbnailKeeper
from engagement.tracking.summary import TrackSummary
from engagement.types import ByteArray, TimeSpan, VideoInfo
from engagement.video.reader import DecodeOutcome
from engagement.video.sampling import LEAD_S, TAIL_S, within

RATE_HZ, EVERY, LAST_S = 2.0, 5, 63.0
SAMPLES = int(LAST_S * RATE_HZ) + 1
CUTS = [30, 40, 81, 100]
PICTURE: ByteArray = np.zeros((60, 900, 3), np.uint8)
#: Track -> its samples, by first sight. The first range ends with sample 39, in
#: which one track ends, and one is seen between two ranges alone.
SEEN = {
    0: [*range(25), *range(33, 90)],
    1: range(2, 110),
    2: range(20, 40),
    3: range(41, 47),
    4: range(70, 127),
}


def box_of(track: int, sample: int) -> np.ndarray:
    """Everybody has a seat; but where the second range looks back, two people stand in one place for a moment."""
    left = 100.0 * (0 if (track, sample) == (1, 34) else track) + 0.1 * sample
    return np.array([left, 10, left + 40, 55], np.float32)


def part_of(span: TimeSpan | None, low: int, high: int, before: int = 0) -> Segment:
    """What is read of the samples [low, high): tracks, samples and frames are counted anew.

    Args:
        before: frames that are read before the first sample.
    """
    times = [sample / RATE_HZ for sample in range(low, high)]
    frames = [EVERY * (sample - low) + before for sample in range(low, high)]
    info = VideoInfo(Path("talk.mp4"), 900, 60, 0, LAST_S, "h264", "pyav")
    outcome = DecodeOutcome(frames[-1] + 1, times[-1], True, "")
    out = Segment(info, outcome, FaceRecords(), ThumbnailKeeper(), span, times=times, frames=frames)
    out.seconds = {"decode": float(high - low)}
    out.cuts = [cut - low for cut in CUTS if low < cut < high]
    called: dict[int, int] = {}
    rows, followed = [], []
    for sample in range(low, high):
        for track in sorted(SEEN, reverse=low > 0):
            box = box_of(track, sample)
            if sample not in SEEN[track]:
                if sample - 1 in SEEN[track] and track in called:
                    followed.append((sample - low, called[track], 0.5, box))
                continue
            own = called.setdefault(track, len(called))
            rows.append(np.zeros(1, out.records.rows.dtype))
            rows[-1]["sample"], rows[-1]["track"], rows[-1]["box"] = sample - low, own, box
            rows[-1]["score"] = 0.5 + (sample * (track + 2) % 50) / 100
            if not within(times[sample - low], span, RATE_HZ):
                continue
            shot = sum(cut <= sample - low for cut in out.cuts)
            summary = out.summaries.setdefault(own, TrackSummary(own, shot))
            feature = np.eye(8, dtype=np.float32)[track]
            summary.add(sample - low, box, float(rows[-1]["score"][0]), 0.8, feature, feature)
            out.thumbnails.offer(own, times[sample - low], PICTURE, box, 0.8, np.zeros(3, np.float32))
    out.records.extend(np.concatenate(rows))
    out.followed = [np.array([row], FOLLOWED) for row in followed]
    return out


@pytest.fixture(scope="module")
def whole_and_joined() -> tuple[Segment, Segment]:
    borders = [0.0, 20.0, 42.0]
    spans = [TimeSpan(a, b) for a, b in pairwise([*borders, None])]  # type: ignore[misc]
    parts = []
    for span in spans:
        low = max(int((span.start_s - LEAD_S) * RATE_HZ), 0)
        high = SAMPLES if span.end_s is None else int((span.end_s + TAIL_S) * RATE_HZ) + 1
        parts.append(part_of(span, low, high, before=3 if low else 0))
    return part_of(None, 0, SAMPLES), join_segments(parts, RATE_HZ)


def test_samples_faces_and_cuts_are_those_of_the_whole(whole_and_joined: tuple[Segment, Segment]) -> None:
    whole, joined = whole_and_joined
    assert joined.times == whole.times
    assert joined.frames == whole.frames
    assert joined.cuts == whole.cuts == CUTS
    assert joined.outcome.frames_decoded == whole.outcome.frames_decoded == EVERY * (SAMPLES - 1) + 1
    order = [np.lexsort((s.records.rows["track"], s.records.rows["sample"])) for s in whole_and_joined]
    np.testing.assert_array_equal(joined.records.rows[order[1]], whole.records.rows[order[0]])
    heads = [np.sort(np.concatenate(s.followed), order=["sample", "owner"]) for s in whole_and_joined]
    assert len(heads[0]) == 5
    np.testing.assert_array_equal(heads[1], heads[0])


def test_tracks_that_go_on_are_one(whole_and_joined: tuple[Segment, Segment]) -> None:
    whole, joined = whole_and_joined
    assert set(joined.summaries) == set(whole.summaries) == set(SEEN)
    for track, own in whole.summaries.items():
        other = joined.summaries[track]
        assert other.samples == own.samples == list(SEEN[track])
        assert (other.track_id, other.shot, other.best_score) == (track, own.shot, own.best_score)
        np.testing.assert_array_equal(other.first_box, own.first_box)  # type: ignore[arg-type]
        np.testing.assert_array_equal(other.last_box, own.last_box)  # type: ignore[arg-type]
        assert (other.score_sum, other.weight) == pytest.approx((own.score_sum, own.weight))
        np.testing.assert_allclose(other.identity_sum, own.identity_sum, rtol=1e-5)  # type: ignore[arg-type]
        np.testing.assert_allclose(other.colours_sum, own.colours_sum, rtol=1e-5)  # type: ignore[arg-type]
        ends = np.cumsum([piece.samples for piece in other.pieces])
        assert ends[-1] == len(own.samples)
        assert [piece.start for piece in other.pieces] == [0, *ends[:-1]]
        pictures = joined.thumbnails.of([track])
        assert pictures and all(p.time_s * RATE_HZ in SEEN[track] for p in pictures)


def test_work_of_all_ranges_is_counted(whole_and_joined: tuple[Segment, Segment]) -> None:
    read = (20 + TAIL_S, 22 + LEAD_S + TAIL_S, LAST_S - 42 + LEAD_S)
    assert whole_and_joined[1].seconds == {"decode": sum(read) * RATE_HZ + len(read)}


@pytest.mark.parametrize(
    ("last_s", "split_s", "rate_hz", "starts"),
    [
        (100.0, 50.0, 5.0, [0, 50]),
        (99.9, 50.0, 5.0, [0]),
        (100.0, 30.0, 5.0, [0, 33, 66]),
        (100.0, 30.0, 0.25, [0, 32, 64]),  # a sample every four seconds
        (9.0, 0.1, 5.0, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        (100.0, 0.0, 5.0, [0]),
    ],
)
def test_ranges_begin_at_whole_seconds(
    last_s: float, split_s: float, rate_hz: float, starts: list[float]
) -> None:
    assert [span.start_s for span in plan_spans(last_s, split_s, rate_hz)] == starts
