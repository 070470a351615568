"""Acceptance on real recordings: everybody once, nobody mixed up, nobody invented."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.composed import tile_of, write_grid
from tests.sessions.command import run_command

pytestmark = [pytest.mark.shared, pytest.mark.slow]

GRID_CLIPS = ("webcam_01.avi", "webcam_05.avi", "webcam_09.avi", "webcam_14.mp4")


@pytest.fixture(scope="module")
def results(shared_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every shared video, analysed with default options."""
    out = tmp_path_factory.mktemp("shared")
    assert run_command("analyze", shared_videos, "-o", out, "--quiet") == 0
    return out


def test_every_video_is_analysed(results: Path, shared_videos: Path) -> None:
    run = json.loads((results / "run.json").read_text(encoding="utf-8"))
    clips = [p for p in shared_videos.iterdir() if p.suffix in (".mp4", ".avi")]
    assert len(run["videos"]) == len(clips)
    assert {v["status"] for v in run["videos"]} == {"ok"}


def test_each_webcam_shows_exactly_one_person(results: Path) -> None:
    folders = sorted(results.glob("webcam_*"))
    assert len(folders) == 16
    for folder in folders:
        persons = pd.read_csv(folder / "persons.csv")
        assert len(persons) == 1, folder.name
        assert persons["coverage"].iloc[0] > 0.9, folder.name
        assert persons["session_share"].iloc[0] > 0.9, folder.name


def test_backs_of_heads_are_nobody(results: Path) -> None:
    assert pd.read_csv(results / "no_faces_backs" / "persons.csv").empty
    assert "No face" in (results / "no_faces_backs" / "session.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("hidden", [{}, {2: (4.0, 14.0)}], ids=["all the time", "one hidden for 10 s"])
def test_four_webcams_are_four_people(shared_videos: Path, tmp_path: Path, hidden: dict) -> None:
    clip = write_grid(tmp_path / "grid.mp4", [shared_videos / n for n in GRID_CLIPS], 18, hidden=hidden)
    assert run_command("analyze", clip, "-o", tmp_path / "out", "--quiet") == 0
    timeline = pd.read_parquet(tmp_path / "out" / "grid" / "timeline.parquet")
    seen = timeline[timeline["observed"]]
    tile = [tile_of(*box) for box in seen[["x1", "y1", "x2", "y2"]].to_numpy(np.float64).tolist()]
    tiles_of = seen.assign(tile=tile).groupby("person_id")["tile"].unique()
    assert sorted(t.tolist() for t in tiles_of) == [[0], [1], [2], [3]]
    coverage = seen.groupby("person_id").size() / 90
    expected = {0: 1.0, 1: 1.0, 2: 1.0 - 10 / 18 if hidden else 1.0, 3: 1.0}
    for person, tiles in tiles_of.items():
        assert coverage[person] > expected[int(tiles[0])] - 0.1
