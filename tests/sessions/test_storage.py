"""Videos and results on storage that fsspec knows: the same results as in folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engagement.batch.places import Place, discover_remote, local_path, open_place
from engagement.batch.tasks import Setup, Task
from engagement.batch.work import VideoWorker
from engagement.calibration.store import (
    FILE,
    Calibration,
    Label,
    PersonCalibration,
    read_calibration,
    write_calibration,
)
from engagement.errors import VideoError
from engagement.video.discover import FoundVideo, discover
from engagement.weights.store import manifest
from tests import faulty_media, media
from tests.sessions.command import Run
from tests.sessions.runs import CONFIG, DEVICE, OPTIONS, cut, results, run

fsspec = pytest.importorskip("fsspec", reason="needs the extra 'cluster'")
Command = Callable[..., Run]


@pytest.fixture
def memory() -> Iterator[object]:
    """An empty storage in memory."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


def test_remote_videos_and_results(
    memory: fsspec.AbstractFileSystem, sample_videos: Path, tmp_path: Path, engagement: Command
) -> None:
    folder = tmp_path / "in"
    (folder / "room").mkdir(parents=True)
    cut(sample_videos / "crossing.mp4", folder / "room" / "a.mp4", 1)
    faulty_media.text(folder).rename(folder / "b.mp4")
    memory.put(str(folder), "/bucket/in", recursive=True)
    memory.pipe_file("/bucket/in/notes.txt", b"no video")
    address = ("analyze", "memory://bucket/in", "-o", "memory://bucket/out", *OPTIONS)
    assert engagement(*address).status == 1  # b is no video
    run([folder], tmp_path / "here")
    memory.get("/bucket/out", str(tmp_path / "there"), recursive=True)
    there, here = results(tmp_path / "there"), results(tmp_path / "here")
    assert there.keys() == here.keys()
    # The summary knows the file by another version.
    differing = {name for name in here if there[name] != here[name]}
    assert differing <= {"room/a/summary.json"}
    assert (tmp_path / "there" / "index.html").is_file()
    assert list((tmp_path / "there" / "report_assets").iterdir())
    before = memory.info("/bucket/out/room/a/timeline.parquet")["created"]
    again = engagement(*address)
    assert "skipped" in again.err
    assert memory.info("/bucket/out/room/a/timeline.parquet")["created"] == before
    redone = engagement(*address, "--margin", "0.2")
    assert "episodes.state_margin" in redone.err.replace("\n", "").replace(" ", "")
    memory.rm("/bucket/in/room/a.mp4")
    assert engagement(*address).status == 1


@pytest.mark.parametrize(
    ("name", "text"), [("index.html", b"<h1>My course</h1>"), ("run.json", b'{"mine": 1}')]
)
def test_a_folder_of_others_in_another_storage_is_no_output_folder(
    name: str, text: bytes, memory: fsspec.AbstractFileSystem, tmp_path: Path, engagement: Command
) -> None:
    memory.pipe_file(f"/bucket/site/{name}", text)
    clip = media.single_frame(tmp_path).path
    ended = engagement("analyze", clip, "-o", "memory://bucket/site", *OPTIONS)
    assert ended.status == 1 and f"memory://bucket/site/{name} may be somebody else's" in ended.err
    assert (
        memory.find("/bucket/site") == [f"/bucket/site/{name}"] and memory.cat(f"/bucket/site/{name}") == text
    )


def test_labels_in_another_storage_are_not_replaced(
    memory: fsspec.AbstractFileSystem, sample_videos: Path, tmp_path: Path, engagement: Command
) -> None:
    clip = cut(sample_videos / "crossing.mp4", tmp_path / "a.mp4", 1)
    address = ("analyze", clip, "-o", "memory://bucket/out", *OPTIONS)
    assert engagement(*address).status == 0
    label = Label(0.5, (1.0, 1.0, 9.0, 9.0), "boredom", 0.5, True)
    made = Calibration("a.mp4", "a", {"face_state": manifest()["face_state"]["sha256"]})
    write_calibration(replace(made, persons={"P01": PersonCalibration((label,), {})}), tmp_path / FILE)
    memory.put(str(tmp_path / FILE), f"/bucket/out/a/{FILE}")
    there = memory.cat(f"/bucket/out/a/{FILE}")
    write_calibration(made, tmp_path / FILE)
    refused = engagement(*address, "--calibration", tmp_path / FILE)
    said = " ".join(refused.err.split())
    assert refused.status == 1 and "has 1 label that --calibration would replace" in said
    assert memory.cat(f"/bucket/out/a/{FILE}") == there


def test_tables_of_others_in_another_storage_are_not_replaced(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, engagement: Command
) -> None:
    memory.pipe_file("/bucket/out/single/persons.csv", b"mine")
    clip = media.single_frame(tmp_path).path
    address = ("analyze", clip, "-o", "memory://bucket/out", *OPTIONS)
    ended = engagement(*address)
    said = " ".join(ended.err.split())
    assert ended.status == 1 and "memory://bucket/out/single holds persons.csv but no summary.json" in said
    assert memory.find("/bucket/out/single") == ["/bucket/out/single/persons.csv"]
    assert memory.cat("/bucket/out/single/persons.csv") == b"mine"


def test_an_upload_that_ended_halfway_is_made_again(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, engagement: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = media.single_frame(tmp_path).path
    address = ("analyze", clip, "-o", "memory://bucket/out", *OPTIONS)

    def put(files: fsspec.AbstractFileSystem, source: str, target: str, **_: object) -> None:
        if target.endswith("timeline.parquet"):
            raise OSError("the bucket went away")
        files.pipe_file(target, Path(source).read_bytes())

    with monkeypatch.context() as broken:
        broken.setattr(type(memory), "put_file", put)
        assert engagement(*address).status == 1
    assert memory.exists("/bucket/out/single/events.csv")
    memory.pipe_file("/bucket/out/single/persons/notes.txt", b"mine")
    memory.pipe_file("/bucket/out/single/persons/P01.html", b"of an earlier result")
    assert engagement(*address).status == 0
    assert not [path for path in memory.find("/bucket/out") if "partial" in path]
    assert memory.find("/bucket/out/single/persons") == ["/bucket/out/single/persons/notes.txt"]


def test_labels_and_other_videos_in_another_storage_stay(
    memory: fsspec.AbstractFileSystem, sample_videos: Path, tmp_path: Path, engagement: Command
) -> None:
    clip = cut(sample_videos / "crossing.mp4", tmp_path / "a.mp4", 1)
    label = Label(0.5, (1.0, 1.0, 9.0, 9.0), "boredom", 0.5, True)
    made = Calibration("a.mp4", "a", {"face_state": manifest()["face_state"]["sha256"]})
    write_calibration(replace(made, persons={"P01": PersonCalibration((label,), {})}), tmp_path / FILE)
    memory.put(str(tmp_path / FILE), f"/bucket/out/a/{FILE}")
    memory.pipe_file("/bucket/out/a/persons/summary.json", b"{}")  # of a/persons.mp4
    assert engagement("analyze", clip, "-o", "memory://bucket/out", *OPTIONS).status == 0
    assert memory.cat("/bucket/out/a/persons/summary.json") == b"{}"
    (tmp_path / "there").mkdir()
    memory.get(f"/bucket/out/a/{FILE}", str(tmp_path / "there" / FILE))
    assert read_calibration(tmp_path / "there" / FILE).persons["P01"].labels == (label,)


def test_addresses_of_files_are_paths(sample_videos: Path, tmp_path: Path, engagement: Command) -> None:
    clip = cut(sample_videos / "crossing.mp4", tmp_path / "a clip.mp4", 1)
    out = tmp_path / "out"
    assert engagement("analyze", clip.as_uri(), "-o", out.as_uri(), *OPTIONS).status == 0
    assert (out / "a clip" / "summary.json").is_file()


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("file:///rec/lesson #3.mp4", "/rec/lesson #3.mp4"),
        ("file:///rec/why?.mp4", "/rec/why?.mp4"),
        ("file:///rec/a%20%233.mp4", "/rec/a #3.mp4"),
        ("file://localhost/rec/a.mp4", "/rec/a.mp4"),
        ("rec/a%20b.mp4", "rec/a%20b.mp4"),
        ("memory://rec/a#b.mp4", "memory://rec/a#b.mp4"),
    ],
)
def test_addresses_of_files_keep_all_of_their_names(address: str, path: str) -> None:
    assert local_path(address) == path


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("memory://nowhere", "No video found in memory://nowhere"),
        ("made-up://x/y", "made-up://x/y cannot be reached"),
    ],
)
def test_addresses_that_lead_nowhere(address: str, words: str, tmp_path: Path, engagement: Command) -> None:
    ended = engagement("analyze", address, "-o", tmp_path / "out", *OPTIONS)
    assert ended.status == 2
    assert words in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("method", "said"), [("get_file", "cannot be read"), ("put_file", "cannot be written")]
)
def test_what_a_storage_says_is_one_line(
    method: str,
    said: str,
    memory: fsspec.AbstractFileSystem,
    sample_videos: Path,
    tmp_path: Path,
    engagement: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class LostContactError(Exception):
        """Storages have exceptions of their own."""

    def fails(*_: object, **__: object) -> None:
        raise LostContactError("the bucket went away")

    memory.pipe_file("/bucket/out/names.txt", b"P1: Ana\n")
    clip = cut(sample_videos / "crossing.mp4", tmp_path / "a.mp4", 1)
    monkeypatch.setattr(type(memory), method, fails)
    ended = engagement("analyze", clip, "-o", "memory://bucket/out", *OPTIONS)
    assert ended.status == 1
    told = " ".join(ended.err.split())
    assert said in told and "the bucket went away" in told and "Traceback" not in told


def test_nothing_of_a_finished_video_stays_here(
    memory: fsspec.AbstractFileSystem, sample_videos: Path, tmp_path: Path
) -> None:
    clip = cut(sample_videos / "crossing.mp4", tmp_path / "a.mp4", 1)
    worker = VideoWorker(Setup("memory://bucket/out", CONFIG, DEVICE))
    (video,) = discover([clip])
    said = []
    for number in range(2):
        ended = worker.perform(Task(number, "whole", video), lambda *_: None)
        said.append(ended.status.status)
        assert [p for p in worker.place.root.rglob("*") if p.is_file()] == []
    assert said == ["ok", "skipped"]


def test_recordings_called_ts_are_told_by_their_content(
    memory: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    memory.put(str(media.transport_stream(tmp_path).path), "/bucket/in/tuner.ts")
    memory.pipe_file("/bucket/in/source.ts", b"GameBoard = 1;\n" * 50)
    memory.pipe_file("/bucket/in/short.TS", b"GGG")
    memory.pipe_file("/bucket/in/@eaDir/tuner.ts/FILM.mp4", b"of the system")
    assert [v.relative.as_posix() for v in discover_remote("memory://bucket/in")] == ["tuner"]


@pytest.mark.parametrize(
    ("method", "use"),
    [("info", Place.facts), ("get_file", lambda place, video: place.at_hand(video).__enter__())],
)
def test_a_video_that_a_storage_refuses_is_named(
    method: str,
    use: Callable[[Place, FoundVideo], object],
    memory: fsspec.AbstractFileSystem,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    class TokenExpiredError(Exception):
        """Storages have exceptions of their own."""

    def fails(*_: object, **__: object) -> None:
        raise TokenExpiredError("the token expired")

    memory.pipe_file("/bucket/a.mp4", b"x")
    (video,) = discover_remote("memory://bucket/a.mp4")
    place = open_place(str(tmp_path))
    monkeypatch.setattr(type(memory), method, fails)
    with pytest.raises(VideoError, match=r"a\.mp4 cannot be read here \(the token expired\)"):
        use(place, video)
