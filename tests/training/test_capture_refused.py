"""Captured faces when the disk is full, names are too long, or the run is ended: never a picture without its row."""

from __future__ import annotations

import signal
from pathlib import Path

import cv2
import pytest

from engagement.collection import capture, recordings
from engagement.errors import OutputError
from engagement.faces.capture import CaptureConfig, FaceCapture
from engagement.faces.manifest import read_manifest
from tests.sessions.runs import start, wait_until
from tests.training.test_capture import HAPPY, Placed, frames


def placed(folder: Path) -> FaceCapture:
    return FaceCapture(folder, CaptureConfig(), Placed([[100, 100, 180, 200]], [0.99]))


def files_in(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def listed(folder: Path) -> set[str]:
    return {row["file"] for row in read_manifest(folder)}


def test_a_full_disk_leaves_whole_pictures_with_their_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = Path.write_bytes, []

    def fill_up(path: Path, data: bytes) -> int:
        written.append(path)
        if len(written) < 3:
            return write(path, data)
        write(path, data[: len(data) // 2])
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", fill_up)
    with pytest.raises(OutputError, match=r"happy/v_000020_0\.png cannot be written \(No space left"):
        placed(tmp_path).add("v", HAPPY, frames(5))
    assert listed(tmp_path) == {"happy/v_000000_0.png", "happy/v_000010_0.png"}
    assert files_in(tmp_path) == {"manifest.csv", *listed(tmp_path)}


def test_pictures_that_cannot_be_listed_are_taken_away_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed(tmp_path).add("before", HAPPY, frames(2))
    before = listed(tmp_path)

    open_file = Path.open

    def refuse(path: Path, mode: str = "r", *args: object, **options: object) -> object:
        if mode == "w":  # the manifest; pictures are bytes
            raise OSError(28, "No space left on device", str(path))
        return open_file(path, mode, *args, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OutputError, match=r"manifest\.csv cannot be written \(No space left"):
        placed(tmp_path).add("after", HAPPY, frames(3))
    monkeypatch.undo()
    assert listed(tmp_path) == before
    assert files_in(tmp_path) == {"manifest.csv", *before}


def test_a_folder_that_cannot_be_written_is_no_fault_of_the_videos(
    tmp_path: Path, sample_videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, data: bytes) -> int:
        raise OSError(30, "Read-only file system", str(path))

    videos = [sample_videos / name for name in ("video_call.mp4", "seminar.mp4")]
    wanted = recordings(videos, "happy", "")
    monkeypatch.setattr(Path, "write_bytes", refuse)
    said: list[str] = []
    with pytest.raises(OutputError, match="Read-only"):
        capture(wanted, 20, placed(tmp_path), said.append)
    assert not said


def test_names_longer_than_files_can_have(tmp_path: Path) -> None:
    work = placed(tmp_path)
    names = ["ü" * 120 + f"{part}.mp4" for part in (1, 2)]
    for name in names:
        assert work.add(name, HAPPY, frames(2)) == 2
    assert len(listed(tmp_path)) == 4
    assert files_in(tmp_path) == {"manifest.csv", *listed(tmp_path)}
    assert all(len(Path(file).name.encode()) < 190 for file in listed(tmp_path))
    assert {row["source"] for row in read_manifest(tmp_path)} == set(names)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_capture_that_is_ended_has_listed_its_pictures(
    number: signal.Signals, sample_videos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "faces"
    options = ("--label", "happy", "-o", out, "--every", 1, "--all")
    process = start("faces", "capture", sample_videos / "video_call.mp4", *options)
    wait_until(lambda: any(out.rglob("*_0.png")), process)
    process.send_signal(number)
    assert process.wait(60) == 130
    assert listed(out)
    assert files_in(out) == {"manifest.csv", *listed(out)}
    assert all(cv2.imread(str(out / file)) is not None for file in listed(out))
