"""A calibration made on one analysis and given to another one of the same video."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from engagement.labelling.pictures import pictures_of
from engagement.labelling.proposals import ProposalConfig
from engagement.labelling.session import open_sessions, proposals_of
from tests.sessions.command import Run, run_command
from tests.sessions.runs import OPTIONS, cut


@pytest.fixture(scope="module")
def clip(sample_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut(sample_videos / "video_call.mp4", tmp_path_factory.mktemp("clip") / "call.mp4", 3)


@pytest.fixture(scope="module")
def first(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("first")
    assert run_command("analyze", clip, "-o", out, *OPTIONS, "--quiet") == 0
    return out


def test_pictures_are_cut_from_the_video_while_it_is_there(first: Path, clip: Path) -> None:
    (session,) = open_sessions(first)
    moments = proposals_of(session, ProposalConfig(1))
    pictures, reason = pictures_of(session, moments)
    assert reason == "" and moments and all(p and p.startswith(b"\xff\xd8") for p in pictures)
    moved = clip.rename(clip.with_name("moved.mp4"))
    try:
        assert "is not at" in pictures_of(session, moments)[1]
    finally:
        moved.rename(clip)


def test_a_calibration_holds_for_a_new_analysis_of_the_same_people(
    first: Path, clip: Path, tmp_path: Path, engagement: Callable[..., Run]
) -> None:
    listed = engagement("calibrate", first, "--list").out
    rows = [r | {"present": "yes"} for r in csv.DictReader(io.StringIO(listed)) if r["person"] == "P01"]
    with (tmp_path / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    assert engagement("calibrate", first, "--labels", tmp_path / "labels.csv").status == 0
    given = first / "call" / "calibration.json"
    run = engagement("analyze", clip, "-o", tmp_path / "new", *OPTIONS, "--calibration", given)
    assert run.status == 0 and "call: 1 person calibrated (P01)" in run.err
    before, after = (pd.read_csv(o / "call" / "persons.csv") for o in (first, tmp_path / "new"))
    assert (after["labels_boredom"] > 0).tolist() == (after["person_id"] == "P01").tolist()
    higher = after["mean_boredom"] > before["mean_boredom"]
    assert higher.tolist() == (after["person_id"] == "P01").tolist()
    raw, again = (pd.read_parquet(o / "call" / "timeline.parquet") for o in (first, tmp_path / "new"))
    columns = [c for c in raw.columns if not c.startswith("s_")]
    pd.testing.assert_frame_equal(raw[columns], again[columns])
    unedited = pd.read_parquet(tmp_path / "new" / "call" / "unedited" / "timeline.parquet")
    pd.testing.assert_frame_equal(unedited, raw)


def test_mistakes_are_said_before_anything_is_analysed(
    first: Path, clip: Path, tmp_path: Path, engagement: Callable[..., Run]
) -> None:
    given = tmp_path / "calibration.json"
    run = engagement("analyze", clip, "-o", tmp_path / "out", "--calibration", given)
    assert run.status == 2 and "does not exist" in run.err
    given.write_text(
        '{"schema": 1, "video": "call.mp4", "folder": "call", "weights": {"face_state": "ab12"},'
        ' "prior": {"person_sd": 1, "session_sd": 1}, "persons": {}}',
        encoding="utf-8",
    )
    run = engagement("analyze", clip, "-o", tmp_path / "out", "--calibration", given)
    assert run.status == 1 and "belongs to the weights face_state ab12" in run.err and "--refit" in run.err
    assert not list((tmp_path / "out").glob("*"))
