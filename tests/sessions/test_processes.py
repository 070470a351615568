"""Tasks in processes: one that dies takes only its own task with it, and that is tried once more."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from engagement.batch import processes
from engagement.batch.options import Crew
from engagement.batch.places import FileFacts
from engagement.batch.processes import Processes, automatic_workers, decode_threads
from engagement.batch.runner import _executor, _Run
from engagement.batch.status import Status, VideoStatus
from engagement.batch.tasks import Ended, Facts, Failure, InThisProcess, Setup, Split
from engagement.config import AnalysisConfig
from engagement.errors import WeightsError
from engagement.types import TimeSpan
from tests.sessions.runs import Silent
from tests.sessions.workers import MakesObedient, Obedient, makes_nothing, video


def work_off(names: list[str], memory: Path, n: int, reporter: Silent) -> dict[str, VideoStatus]:
    videos = [video(name) for name in names]
    run = _Run(videos, reporter, lambda _: None)
    crew = Processes(MakesObedient(memory), n) if n else InThisProcess(lambda: Obedient(memory))
    crew.run(run.tasks(), run)
    assert not multiprocessing.active_children()
    return {status.output: status for status in run.in_order(memory)}


def test_a_worker_that_dies_does_not_lose_the_run(tmp_path: Path) -> None:
    reporter = Silent()
    names = ["deadly", "good 1", "deadly once", "bad", "split", "good 2"]
    found = work_off(names, tmp_path, 2, reporter)
    assert list(found) == names
    assert {n for n, s in found.items() if s.status == "ok"} == {"good 1", "deadly once", "split", "good 2"}
    assert "SIGKILL" in found["deadly"].reason and "twice" in found["deadly"].reason
    assert found["deadly"].hint
    assert (found["bad"].reason, found["bad"].hint) == ("it is bad", "Make it better.")
    assert found["split"].reason == "0.0 1.0 2.0 3.0"
    assert sum("deadly once" in note for note in reporter.notes) == 1


def test_one_process_and_this_process_agree(tmp_path: Path) -> None:
    names = ["good 1", "bad", "split", "good 2"]
    here, there = (work_off(names, tmp_path, n, Silent()) for n in (0, 1))
    assert [(s.status, s.reason) for s in here.values()] == [(s.status, s.reason) for s in there.values()]


def test_an_interruption_ends_all_workers_at_once(tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work_off(["endless", "endless"], tmp_path, 2, Silent(interrupt))
    assert not multiprocessing.active_children()


def test_what_was_finished_when_the_interruption_came_is_heard_of(tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    run = _Run(
        [video("good")], Silent(interrupt), lambda _: None
    )  # interrupted while the worker says how far it is
    with pytest.raises(KeyboardInterrupt):
        Processes(MakesObedient(tmp_path), 1).run(run.tasks(), run)
    assert [status.status for status in run.in_order(tmp_path)] == ["ok"]
    assert not multiprocessing.active_children()


def test_workers_that_cannot_start_say_why() -> None:
    run = _Run([video("good")], Silent(), lambda _: None)
    with pytest.raises(WeightsError, match="weights are gone"):
        Processes(makes_nothing, 2).run(run.tasks(), run)
    assert not multiprocessing.active_children()


def test_one_video_in_ranges_may_use_all_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "cores", lambda: 16)
    setup = Setup("out", AnalysisConfig(split_s=600.0))
    assert isinstance(_executor(setup, Crew(workers=0), 1, Silent()), Processes)
    assert isinstance(_executor(Setup("out", AnalysisConfig()), Crew(workers=0), 1, Silent()), InThisProcess)


@pytest.mark.parametrize("cores", [1, 2, 5, 16])
def test_workers_and_their_threads_fit_the_cores_that_may_be_used(
    cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "cores", lambda: cores)
    assert automatic_workers(None) == automatic_workers(99) == max(1, cores // 2)
    assert automatic_workers(1) == 1
    assert decode_threads(2) == max(1, cores // 2) and decode_threads(1) == cores


def test_what_a_stopped_worker_left_in_the_temporary_folder_is_removed(tmp_path: Path) -> None:
    assert work_off(["copies"], tmp_path, 2, Silent())["copies"].status == "failed"
    copy = Path((tmp_path / "copied to").read_text())
    assert copy.name == "recording" and not copy.exists()


def test_ranges_are_joined_in_order_and_told_of_as_one_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever in the video it is read: what counts is how much of it is, and how long it took from its beginning."""
    now = [50.0]
    monkeypatch.setattr("engagement.batch.runner.time.monotonic", lambda: now[0])

    class Told(Silent):
        def video_at(self, name: str, time_s: float, duration_s: float | None) -> None:
            told.append((time_s, duration_s))

    told: list[tuple[float, float | None]] = []
    run = _Run([video("talk"), video("short")], Told(), print)
    whole, short = run.tasks()
    run.at(whole, 0.0, None)
    file = FileFacts(1, "v")
    early, late = run.done(whole, Split((TimeSpan(0.0, 10.0), TimeSpan(10.0, 20.0)), "--overwrite", file))
    run.at(late, 9.0, 20.0)  # what leads in to a range is not of it
    run.at(late, 16.0, None)
    run.at(early, 3.0, 20.0)
    run.at(early, 14.0, 20.0)  # nor what is looked at after its end
    run.at(late, 20.0, 20.0)
    assert not run.done(late, "second")
    assert not run.failed(early, Failure("its worker died", lost=True))[1:]
    (joined,) = run.done(early, "first")
    assert (joined.action, joined.parts, joined.redone, joined.file) == (
        *("finish", ("first", "second"), "--overwrite", file),
    )
    run.at(joined, 0.0, None)
    now[0] = 62.5
    facts = Facts("cpu", {"model": "tiny"})
    run.done(joined, Ended(VideoStatus("talk", "talk", "ok"), facts))
    assert run.facts == facts and run.in_order(tmp_path)[0].elapsed_s == 12.5
    assert told == [
        (0.0, None),
        (0.0, 20.0),
        (6.0, 20.0),
        (9.0, 20.0),
        (16.0, 20.0),
        (20.0, 20.0),
        (20.0, 20.0),
    ]
    run.at(short, 3.0, 8.0)
    assert told[-1] == (3.0, 8.0)


def test_a_video_whose_range_fails_twice_fails_once(tmp_path: Path) -> None:
    errors: list[str] = []
    run = _Run([video("talk")], Silent(), errors.append)
    (whole,) = run.tasks()
    parts = run.done(
        whole, Split(tuple(TimeSpan(float(i), i + 1.0) for i in range(3)), "", FileFacts(1, "v"))
    )
    bad = Failure("it is bad", "Mend it.", trace="where")
    # Each has a second attempt of its own.
    assert run.failed(parts[0], bad) == [parts[0]] and run.failed(parts[1], bad) == [parts[1]]
    assert not run.failed(parts[1], bad) and not run.wanted(parts[2])
    assert not run.failed(parts[0], Failure("worse")) and not run.done(parts[2], "a part")
    (status,) = run.in_order(tmp_path)
    assert (status.status, status.reason, status.hint) == ("failed", "it is bad", "Mend it.")
    assert errors == ["where"] * 3


def test_what_is_under_way_when_the_disk_gets_full_goes_on(tmp_path: Path) -> None:
    """Room may be made until it is written, so it is told of at once; what is not begun stays so."""
    reporter = Silent()
    run = _Run([video(name) for name in ("full", "long", "ranges", "late", "bad", "next")], reporter, print)
    full, long, ranges, late, bad, following = run.tasks()
    facts = Facts("cpu", {})

    def ended(name: str, status: Status) -> Ended:
        return Ended(VideoStatus(name, name, status), facts, full=status == "failed")

    split = Split((TimeSpan(0.0, 1.0), TimeSpan(1.0, 2.0)), "", FileFacts(1, "v"))
    for task in (full, long, ranges, late, bad):
        run.at(task, 0.0, None)
    first, second = run.done(ranges, split)
    assert not run.done(full, ended("full", "failed"))
    assert len(reporter.notes) == 1 and "4 videos under way will be written if" in reporter.notes[0]
    assert not run.wanted(following) and run.wanted(long) and run.wanted(second)
    assert not run.done(late, split)  # opened, and nothing is read of it
    assert not run.failed(bad, Failure("it is bad"))  # no second attempt
    assert not run.done(long, ended("long", "ok"))
    assert not run.done(first, "a part")
    (joined,) = run.done(second, "a part")
    run.done(joined, ended("ranges", "ok"))
    found = {s.output: (s.status, s.reason) for s in run.in_order(tmp_path)}
    full_disk = ("failed", "not analysed, since the disk of the results is full")
    assert found == {
        "full": ("failed", ""),
        "long": ("ok", ""),
        "ranges": ("ok", ""),
        "late": full_disk,
        "bad": ("failed", "it is bad"),
        "next": full_disk,
    }
    assert len(reporter.notes) == 1
