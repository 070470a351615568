"""What run.json lists: every video whose result is there, once, and how each went."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from engagement.batch.index import NotListed, write_run
from engagement.batch.places import Folder
from engagement.batch.status import VideoStatus
from engagement.batch.tasks import Facts, Setup
from engagement.config import AnalysisConfig

WEIGHTS = {"face_state": {"name": "tiny"}}


def result(root: Path, name: str, complete: bool = True, **said: Any) -> None:
    """The summary of a finished result."""
    (root / name).mkdir(parents=True, exist_ok=True)
    video = {"file": f"{name}.mp4", "complete": complete, "reason": "" if complete else "cut short"}
    summary = {"video": video, "sampling": {"end_s": 9.0}, "n_persons": 2, "coverage": 0.5, **said}
    (root / name / "summary.json").write_text(json.dumps(summary))


def went(name: str, status: Any = "ok") -> VideoStatus:
    return VideoStatus(f"{name}.mp4", name, status, duration_s=1.0)


def run_of(root: Path, *statuses: VideoStatus, facts: Facts | None = None) -> dict[str, Any]:
    write_run(Folder(root), Setup(str(root), AnalysisConfig()), facts, statuses, "")
    return json.loads((root / "run.json").read_text())


def listed(root: Path, *statuses: VideoStatus) -> list[tuple[str, str, float | None]]:
    """Of each video after a run with these: folder, how it went, length."""
    return [(v["output"], v["status"], v["duration_s"]) for v in run_of(root, *statuses)["videos"]]


def test_each_result_is_listed_once_for_as_long_as_it_is_there(tmp_path: Path) -> None:
    for name in ("a", "b"):
        result(tmp_path, name)
    a, b = (("a", "ok", 1.0), ("b", "ok", 1.0))
    assert listed(tmp_path, went("a"), went("b")) == [a, b]
    # As earlier runs told of it, until it is analysed again.
    assert listed(tmp_path, went("a", "skipped")) == [b, ("a", "skipped", 1.0)]
    # Beside an attempt that failed in its place, and without one whose result never was.
    assert listed(tmp_path, went("b", "failed"), went("c", "failed")) == [
        *[b, ("a", "skipped", 1.0)],
        *[("b", "failed", 1.0), ("c", "failed", 1.0)],
    ]
    assert listed(tmp_path) == [b, ("a", "skipped", 1.0)]
    shutil.rmtree(tmp_path / "b")
    assert listed(tmp_path) == [("a", "skipped", 1.0)]


def test_what_a_killed_run_finished_is_listed_as_its_summary_tells(tmp_path: Path) -> None:
    result(tmp_path, "week 1/whole")
    result(tmp_path, "part", complete=False)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "summary.json").write_text("{")
    videos = run_of(tmp_path)["videos"]
    assert [(v["output"], v["status"], v["reason"]) for v in videos] == [
        ("part", "partial", "cut short"),
        ("week 1/whole", "ok", ""),
    ]
    assert all((v["duration_s"], v["n_persons"], v["coverage"]) == (9.0, 2, 0.5) for v in videos)


def test_inputs_are_told_by_where_they_lie_and_addresses_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        result(tmp_path / "out", name)
    monkeypatch.chdir(tmp_path)
    further = VideoStatus("s3://bucket/b.mp4", "b", "ok")
    assert [v["input"] for v in run_of(tmp_path / "out", went("a"), further)["videos"]] == [
        str(tmp_path / "a.mp4"),
        "s3://bucket/b.mp4",
    ]


def test_a_run_that_loaded_no_model_keeps_what_is_known_of_it(tmp_path: Path) -> None:
    result(tmp_path, "a")
    assert run_of(tmp_path, went("a"), facts=Facts("openvino", WEIGHTS))["weights"] == WEIGHTS
    after = run_of(tmp_path, went("b", "failed"))
    assert after["weights"] == WEIGHTS and after["device"] == "auto"


@pytest.mark.parametrize("key", ["file_version", "content"])
def test_results_of_one_file_name_each_other(tmp_path: Path, key: str) -> None:
    """Known by size and time or by what is in it; a size alone, or nothing known, is shared by strangers."""
    for name, own in (("a", "x"), ("b", "y"), ("c", "x"), ("d", ""), ("e", "")):
        result(tmp_path, name, fingerprint={"file_size": 7, "file_version": own if key != "content" else ""})
        if key == "content":
            told = json.loads((tmp_path / name / "summary.json").read_text())
            told["video"]["content"] = own
            (tmp_path / name / "summary.json").write_text(json.dumps(told))
    listed(tmp_path, went("a"), went("b"))
    setup = Setup(str(tmp_path), AnalysisConfig())
    told = write_run(Folder(tmp_path), setup, None, [went("c"), went("d"), went("e", "failed")], "")
    assert [status.same_as for status in told] == [("a",), (), ()]
    same = {v["output"]: v["same_as"] for v in json.loads((tmp_path / "run.json").read_text())["videos"]}
    assert same == {"a": ["c"], "b": [], "c": ["a"], "d": [], "e": []}


def test_how_the_videos_went_is_not_lost_with_the_index(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    with pytest.raises(NotListed, match=f"index of {tmp_path} cannot be written") as told:
        run_of(tmp_path, went("a"))
    assert [status.output for status in told.value.statuses] == ["a"]
