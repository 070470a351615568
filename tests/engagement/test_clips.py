"""Moving faces scored while a video is read: the same as scoring each stretch whole, in few calls, at any rate."""

from __future__ import annotations

import numpy as np
import pytest

from engagement.clips import ClipScores
from engagement.smoothing import SmoothingConfig


class Recorder:
    """A smoother that says the mean of what lies within its context, and remembers how often it was asked."""

    needs_chips, chip_px, context_s, name = True, 8, 2.0, "recorder"

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def smooth(self, run) -> np.ndarray:
        self.lengths.append(len(run.times_s))
        near = np.abs(run.times_s[:, None] - run.times_s[None, :]) <= self.context_s / 2
        return (near @ run.prob / near.sum(axis=1, keepdims=True)).astype(np.float32)


class Records:
    """Rows with the two columns that clips read and write."""

    def __init__(self, prob: np.ndarray) -> None:
        self.rows = {"prob": prob, "clip": np.full(prob.shape, np.nan, np.float32)}


def scored(times: np.ndarray, rate_hz: float) -> tuple[Recorder, Records]:
    """One face seen at these times."""
    smoother = Recorder()
    records = Records(np.random.default_rng(0).random((len(times), 10)).astype(np.float32))
    clips = ClipScores(smoother, SmoothingConfig().gap_s, rate_hz)  # type: ignore[arg-type]
    chip = np.zeros((1, 48, 48, 3), np.uint8)
    for i, time in enumerate(times.tolist()):
        row = np.array([i])
        clips.take(time, chip, np.array([1]), row, np.array([True]), records)  # type: ignore[arg-type]
    clips.finish(records)  # type: ignore[arg-type]
    return smoother, records


@pytest.mark.parametrize("rate_hz", [1.0, 5.0, 25.0, 120.0])
def test_a_stretch_in_blocks_is_scored_as_a_whole_one(rate_hz: float) -> None:
    times = np.arange(700) / rate_hz
    smoother, records = scored(times, 5.0 if rate_hz == 1.0 else rate_hz)

    class Whole:
        times_s, prob = times, records.rows["prob"]

    np.testing.assert_allclose(records.rows["clip"], Recorder().smooth(Whole), atol=1e-5)
    # Context is looked at again with every block, but no sample asks for a call of its own.
    assert len(smoother.lengths) <= 700 / 96 + 1
    # Nor does anything wait for the end of the video: a block, what lies before it and what comes after.
    assert max(smoother.lengths) <= 96 + 2 * (smoother.context_s * rate_hz + 1)


def test_frames_of_a_slow_stream_are_one_stretch() -> None:
    """One picture a second where five are asked for; half a minute without a face is a gap all the same."""
    times = np.concatenate([np.arange(20.0), 50 + np.arange(20.0)])
    smoother, records = scored(times, 5.0)
    assert smoother.lengths == [20, 20]
    assert np.isfinite(records.rows["clip"]).all()


def test_who_is_gone_is_scored_while_others_are_still_seen() -> None:
    """One is seen for ten seconds, another all along; the first one's pictures do not wait for the end."""
    smoother = Recorder()
    records = Records(np.random.default_rng(0).random((350, 10)).astype(np.float32))
    clips = ClipScores(smoother, SmoothingConfig().gap_s, 5.0)  # type: ignore[arg-type]
    row = 0
    for sample in range(300):
        tracks = np.array([1, 2] if sample < 50 else [2])
        rows = np.arange(row, row + len(tracks))
        chips, valid = np.zeros((len(tracks), 48, 48, 3), np.uint8), np.ones(len(tracks), bool)
        clips.take(sample / 5, chips, tracks, rows, valid, records)  # type: ignore[arg-type]
        row += len(tracks)
    assert np.isfinite(records.rows["clip"][0:100:2]).all()
    assert 50 in smoother.lengths
