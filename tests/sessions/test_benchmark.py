"""``engagement benchmark``: figures of one video, nothing else written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.sessions.command import Run

Command = Callable[..., Run]


def test_tells_where_the_time_goes(engagement: Command, sample_videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures" / "speed.json"
    run = engagement("benchmark", sample_videos / "crossing.mp4", "--sample-rate", "2", "--json", out)
    assert run.status == 0, run.err
    found = json.loads(out.read_text())
    assert set(found["stages_s"]) >= {"decode", "scan", "find", "describe", "track", "persons"}
    assert all(seconds >= 0 for seconds in found["stages_s"].values())
    assert found["persons"] == 2
    assert found["samples"] == round(found["video_s"] * 2)
    assert "times real time" in " ".join(run.out.split())
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["speed.json"]


def test_a_wrong_option_is_said_before_any_work(engagement: Command, sample_videos: Path) -> None:
    run = engagement("benchmark", sample_videos / "crossing.mp4", "--scan-every", "-1")
    assert run.status == 2
    assert "--scan-every -1" in run.err
