"""A long video in ranges against the same video as a whole."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagement.batch.options import Crew, split_seconds
from engagement.config import AnalysisConfig
from engagement.errors import ConfigError
from engagement.geometry import iou_matrix
from engagement.segments import plan_spans
from engagement.video.sampling import grid_cell
from tests.sessions.runs import results, run

CORNERS = ["x1", "y1", "x2", "y2"]
SCORES = [f"s_{name}" for name in ("happy", "neutral", "sad", "boredom", "engagement", "confusion")]


@pytest.fixture(scope="module")
def whole_and_split(sample_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The seminar, in which one person leaves and comes back, at once and in three ranges."""
    out = tmp_path_factory.mktemp("split")
    config = replace(AnalysisConfig(), split_s=5.0)
    for name, own in (("whole", AnalysisConfig()), ("split", config)):
        (status,) = run([sample_videos / "seminar.mp4"], out / name, config=own).values()
        assert status.status == "ok"
    return out / "whole" / "seminar", out / "split" / "seminar"


def test_same_times_and_frames_and_nearly_the_same_faces(whole_and_split: tuple[Path, Path]) -> None:
    samples = [pd.read_parquet(folder / "samples.parquet") for folder in whole_and_split]
    pd.testing.assert_frame_equal(*samples, check_exact=True)
    one, other = (pd.read_parquet(folder / "timeline.parquet") for folder in whole_and_split)
    heads, others = (
        set(zip(t["person_id"], t["frame_index"], strict=True))
        for t in (one[one["followed"]], other[other["followed"]])
    )
    assert len(heads ^ others) <= 2
    one, other = one[one["observed"]], other[other["observed"]]
    assert one["person_id"].nunique() == other["person_id"].nunique()
    assert abs(len(one) - len(other)) <= 0.02 * len(one)
    both = one.merge(other, on=["person_id", "frame_index"], suffixes=("", "_split"))
    assert len(both) >= 0.98 * len(one)
    boxes, again = (
        both[CORNERS].to_numpy(np.float32),
        both[[f"{c}_split" for c in CORNERS]].to_numpy(np.float32),
    )
    assert (iou_matrix(boxes, again).diagonal() >= 0.9).mean() >= 0.98
    assert (np.abs(boxes - again).max(axis=1) <= 2).mean() >= 0.9
    scores = np.abs(both[SCORES].to_numpy() - both[[f"{c}_split" for c in SCORES]].to_numpy())
    assert np.nanmean(scores.max(axis=1) <= 0.1) >= 0.98
    summaries = [json.loads((f / "summary.json").read_text(encoding="utf-8")) for f in whole_and_split]
    assert summaries[0]["video"] == summaries[1]["video"]


def test_ranges_in_two_processes_give_the_same_bytes(
    whole_and_split: tuple[Path, Path], sample_videos: Path, tmp_path: Path
) -> None:
    config = replace(AnalysisConfig(), split_s=5.0)
    (status,) = run([sample_videos / "seminar.mp4"], tmp_path, Crew(workers=2), config).values()
    assert (status.status, status.reason) == ("ok", "")
    assert results(tmp_path) == results(whole_and_split[1].parent)


@given(st.floats(0, 4000), st.floats(1, 900), st.sampled_from([1 / 60, 0.1, 0.2, 1.0, 4.0, 5.0, 12.5, 30.0]))
def test_ranges_cover_everything_once(last_s: float, split_s: float, rate: float) -> None:
    spans = plan_spans(last_s, split_s, rate)
    assert spans[0].start_s == 0
    assert spans[-1].end_s is None
    for before, after in pairwise(spans):
        assert before.end_s == after.start_s
        assert grid_cell(before.start_s, rate) < grid_cell(after.start_s, rate)
    if len(spans) > 1:
        assert last_s / len(spans) >= split_s * 0.999


def test_what_split_may_be() -> None:
    assert split_seconds(None) == 0
    assert split_seconds("auto") == 600
    assert split_seconds("2.5") == 150
    for wrong in ("0", "0.01", "-3", "ten", "nan", "1e9"):
        with pytest.raises(ConfigError, match="--split"):
            split_seconds(wrong)
