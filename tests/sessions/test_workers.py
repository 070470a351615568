"""Several workers, kills and interruptions: the same results, byte for byte, and never half of one."""

from __future__ import annotations

import json
import multiprocessing
import signal
import subprocess
from pathlib import Path

import pytest

from engagement.batch.options import Crew
from tests import faulty_media
from tests.sessions.runs import (
    OPTIONS,
    Silent,
    cut,
    finished,
    left_under_way,
    results,
    run,
    start,
    wait_until,
)


@pytest.fixture(scope="module")
def folder(sample_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three short videos, and a damaged one among them."""
    folder = tmp_path_factory.mktemp("in")
    cut(sample_videos / "crossing.mp4", folder / "a.mp4", 2)
    faulty_media.text(folder).rename(folder / "b.mp4")
    cut(sample_videos / "seminar.mp4", folder / "c.mp4", 3)
    cut(sample_videos / "occluded.mp4", folder / "d.mp4", 2)
    return folder


@pytest.fixture(scope="module")
def alone(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What one process makes of them."""
    out = tmp_path_factory.mktemp("alone")
    assert [s.status for s in run([folder], out).values()] == ["ok", "failed", "ok", "ok"]
    return results(out)


def test_two_workers_killed_under_way_are_replaced_and_write_the_same(
    folder: Path, alone: dict[str, str], tmp_path: Path
) -> None:
    others = set(multiprocessing.active_children())

    def kill() -> None:
        # Both: which of them is in the middle of a video cannot be seen from here.
        for worker in set(multiprocessing.active_children()) - others:
            worker.kill()

    reporter = Silent(kill)
    found = run([folder], tmp_path, Crew(workers=2), reporter=reporter)
    assert [s.status for s in found.values()] == ["ok", "failed", "ok", "ok"]
    assert "cannot be read as a video" in found["b"].reason
    assert reporter.notes and all("SIGKILL" in note for note in reporter.notes)
    assert reporter.seen == {"a", "b", "c", "d"}
    assert results(tmp_path) == alone
    assert not left_under_way(tmp_path)


def stopped(folder: Path, out: Path, how: signal.Signals) -> subprocess.Popen[bytes]:
    """A run of two workers that got a signal as soon as one video was finished."""
    process = start("analyze", folder, "-o", out, "--workers", 2, *OPTIONS)
    wait_until(lambda: bool(finished(out)), process)
    process.send_signal(how)
    process.wait(120)
    return process


def test_a_killed_run_resumes_to_the_same(folder: Path, alone: dict[str, str], tmp_path: Path) -> None:
    assert stopped(folder, tmp_path, signal.SIGKILL).returncode == -signal.SIGKILL
    whole = finished(tmp_path)
    for name in whole:
        assert all(results(tmp_path)[key] == alone[key] for key in alone if key.startswith(f"{name}/"))
    found = run([folder], tmp_path)
    assert whole <= {name for name, status in found.items() if status.status == "skipped"}
    assert {s.status for s in found.values()} <= {"ok", "skipped", "failed"}
    assert results(tmp_path) == alone
    assert not left_under_way(tmp_path)


def test_an_interrupted_run_leaves_whole_results_and_an_index(
    folder: Path, alone: dict[str, str], tmp_path: Path
) -> None:
    process = stopped(folder, tmp_path, signal.SIGINT)
    printed = process.stdout.read().decode() if process.stdout else ""
    assert process.returncode == 130, printed
    assert "Traceback" not in printed
    listed = {v["output"]: v["status"] for v in json.loads((tmp_path / "run.json").read_text())["videos"]}
    assert listed
    for name in finished(tmp_path):
        assert all(results(tmp_path)[key] == alone[key] for key in alone if key.startswith(f"{name}/"))


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a place where nobody may write")
def test_an_output_that_cannot_be_written_is_refused_before_any_work(folder: Path) -> None:
    process = start("analyze", folder, "-o", "/proc/results", "--workers", 2)
    printed = process.communicate(timeout=120)[0].decode()
    assert process.returncode == 1
    assert "/proc/results cannot be written" in printed
    assert "Traceback" not in printed
