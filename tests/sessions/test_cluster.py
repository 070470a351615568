"""A real local cluster: a scheduler and two worker processes, one of which is killed midway."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engagement.batch.options import Crew, parse_crew
from engagement.config import AnalysisConfig
from engagement.errors import ConfigError, OutputError
from tests import faulty_media
from tests.sessions.command import Run
from tests.sessions.runs import CONFIG, OPTIONS, Silent, cut, left_under_way, results, run

distributed = pytest.importorskip("distributed", reason="needs the extra 'cluster'")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers; their nanny starts another for one that dies."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", protocol="tcp"
    ) as started:
        yield started


@pytest.fixture(scope="module")
def client(cluster: Any) -> Iterator[Any]:
    with distributed.Client(cluster, set_as_default=False) as own:
        yield own


@pytest.fixture(scope="module")
def folder(sample_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in")
    cut(sample_videos / "crossing.mp4", folder / "a.mp4", 2)
    faulty_media.text(folder).rename(folder / "b.mp4")
    cut(sample_videos / "seminar.mp4", folder / "c.mp4", 8)
    return folder


#: In two ranges for c.
SPLIT = replace(CONFIG, split_s=4.0)


def test_a_worker_that_is_killed_loses_nothing(
    cluster: Any, client: Any, folder: Path, tmp_path: Path
) -> None:
    pids = client.run(os.getpid)
    reporter = Silent(lambda: os.kill(next(iter(pids.values())), signal.SIGKILL))
    crew = Crew(scheduler=cluster.scheduler_address)
    found = run([folder], tmp_path / "there", crew, SPLIT, reporter)
    assert {name: s.status for name, s in found.items()} == {"a": "ok", "b": "failed", "c": "ok"}
    assert "cannot be read as a video" in found["b"].reason
    assert reporter.seen == {"a", "b", "c"}
    run([folder], tmp_path / "here", config=SPLIT)
    assert results(tmp_path / "there") == results(tmp_path / "here")
    assert not left_under_way(tmp_path / "there")
    again = run([folder], tmp_path / "there", crew, SPLIT)
    assert {name: s.status for name, s in again.items()} == {"a": "skipped", "b": "failed", "c": "skipped"}


def test_a_worker_of_another_version_is_named(
    cluster: Any, client: Any, folder: Path, tmp_path: Path
) -> None:
    def pretend(version: str) -> str:
        from engagement.batch import cluster

        before, cluster.__version__ = cluster.__version__, version
        return before

    (before, *_) = client.run(pretend, "0.0.1").values()
    try:
        with pytest.raises(ConfigError, match=r"worker tcp://\S+ has engagement 0\.0\.1"):
            run([folder / "a.mp4"], tmp_path, Crew(scheduler=cluster.scheduler_address))
    finally:
        client.run(pretend, before)


def test_an_output_that_workers_do_not_see_is_named(
    cluster: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the folder of that name were another one over there.
    monkeypatch.setattr("engagement.batch.cluster._marked", lambda *_: nullcontext())
    with pytest.raises(OutputError, match=r"worker tcp://\S+ does not see the output folder"):
        run([folder / "a.mp4"], tmp_path, Crew(scheduler=cluster.scheduler_address))


def test_no_scheduler_is_one_clear_line(
    folder: Path, tmp_path: Path, engagement: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engagement.batch.cluster._CONNECT_S", 1)
    out = tmp_path / "out"
    ended = engagement("analyze", folder, "-o", out, "--scheduler", "tcp://127.0.0.1:9", *OPTIONS)
    assert ended.status == 2
    assert "tcp://127.0.0.1:9 cannot be reached" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("workers", "scheduler", "words"),
    [
        ("0", None, "--workers '0'"),
        ("many", None, "many"),
        (None, "host", "no address"),
        ("2", "tcp://h:1", "exclude"),
    ],
)
def test_wrong_crews(workers: str | None, scheduler: str | None, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_crew(workers, scheduler)


def test_crews() -> None:
    assert parse_crew(None, None) == Crew(1, "")
    assert parse_crew("auto", None) == Crew(0, "")
    assert parse_crew(None, "tls://login-2.example.org:8786").scheduler == "tls://login-2.example.org:8786"
    assert AnalysisConfig().split_s == 0
