"""Which file a result is of, and inputs that cannot be read: nothing of them is silent, nothing is lost to another."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engagement.batch import work
from engagement.batch.inputs import find_videos
from engagement.batch.places import Folder
from engagement.batch.tasks import Ended, Setup, Task
from engagement.errors import ConfigError
from engagement.labelling.pictures import source_of_video
from engagement.labelling.session import open_session
from engagement.video import open_video
from engagement.video.discover import FoundVideo, discover
from tests import faulty_media, media
from tests.closed_folders import close
from tests.sessions.command import Run
from tests.sessions.runs import CONFIG, DEVICE

Command = Callable[..., Run]
FAST = ("--sample-rate", 1, "--min-face", 80)


def summary_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def test_another_video_of_the_same_name_does_not_replace_a_result(
    tmp_path: Path, engagement: Command
) -> None:
    for week, make in (("week1", media.steady), ("week2", media.uneven_mp4)):
        (tmp_path / week).mkdir()
        shutil.move(make(tmp_path).path, tmp_path / week / "talk.mp4")
    out = tmp_path / "out"
    assert engagement("analyze", tmp_path / "week1", "-o", out, *FAST).status == 0
    before = summary_of(out / "talk")
    ended = engagement("analyze", tmp_path / "week2", "-o", out, *FAST)
    assert ended.status == 1
    # What is there goes on being listed, and is where the pictures of its moments are looked for.
    kept, said = json.loads((out / "run.json").read_text(encoding="utf-8"))["videos"]
    assert (kept["output"], kept["status"], said["status"]) == ("talk", "ok", "failed")
    assert 'href="talk/session.html"' in (out / "index.html").read_text(encoding="utf-8")
    assert source_of_video(open_session(out / "talk", out)) == (tmp_path / "week1" / "talk.mp4", "")
    assert "another video of this name" in said["reason"] and "--overwrite" in said["hint"]
    assert summary_of(out / "talk") == before
    (tmp_path / "moved").mkdir()
    (tmp_path / "week1" / "talk.mp4").rename(tmp_path / "moved" / "talk.mp4")
    assert engagement("analyze", tmp_path / "moved", "-o", out, *FAST).status == 0  # the same file elsewhere
    assert engagement("analyze", tmp_path / "week2", "-o", out, *FAST, "--overwrite").status == 0
    assert summary_of(out / "talk")["fingerprint"] != before["fingerprint"]
    assert str(tmp_path) not in json.dumps(summary_of(out / "talk"))


def test_two_results_of_one_file_are_told_of(tmp_path: Path, engagement: Command) -> None:
    (tmp_path / "all" / "week1").mkdir(parents=True)
    clip = tmp_path / "all" / "week1" / "talk.mp4"
    shutil.move(media.steady(tmp_path).path, clip)
    shutil.move(media.uneven_mp4(tmp_path).path, tmp_path / "all" / "other.mp4")
    out = tmp_path / "out"

    def listed() -> dict[str, list[str]]:
        return {v["output"]: v["same_as"] for v in json.loads((out / "run.json").read_text())["videos"]}

    assert engagement("analyze", clip.parent, "-o", out, *FAST).status == 0
    assert listed() == {"talk": []}
    ended = engagement("analyze", tmp_path / "all", "-o", out, *FAST)
    assert ended.status == 0 and "the same file as talk" in " ".join(ended.err.split())
    assert listed() == {"talk": ["week1/talk"], "other": [], "week1/talk": ["talk"]}
    index = (out / "index.html").read_text(encoding="utf-8")
    assert index.count("This is the same file as") == 2
    os.link(clip, tmp_path / "linked.mp4")
    assert engagement("analyze", tmp_path / "linked.mp4", "-o", out, *FAST).status == 0
    assert listed()["linked"] == ["talk", "week1/talk"]
    # A copy has another time of change.
    shutil.copyfile(clip, tmp_path / "copied.mp4")
    assert engagement("analyze", tmp_path / "copied.mp4", "-o", out, *FAST).status == 0
    assert listed()["copied"] == ["linked", "talk", "week1/talk"]
    assert listed()["talk"] == ["copied", "linked", "week1/talk"]
    # What was taken away is not spoken of.
    for name in ("week1", "linked", "copied"):
        shutil.rmtree(out / name)
    assert engagement("report", out).status == 0
    assert "This is the same file as" not in (out / "index.html").read_text(encoding="utf-8")


def test_a_copy_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    data = os.urandom(5 * 2**20)
    other = [bytearray(data) for _ in range(3)]
    for changed, at in zip(other, (0, len(data) // 2, -1), strict=True):
        changed[at] ^= 1
    digests = []
    for number, content in enumerate((data, data, *other, data[:-1], b"", b"short")):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(content)
        digests.append(Folder(tmp_path).content(FoundVideo(path, Path(str(number)))))
    assert digests[0] == digests[1]
    assert len(set(digests)) == len(digests) - 1
    assert Folder(tmp_path).content(FoundVideo(tmp_path / "gone.mp4", Path("gone"))) == ""


def test_what_was_read_in_part_stays_so(tmp_path: Path, engagement: Command) -> None:
    cut = faulty_media.cut_mkv(tmp_path).path
    out = tmp_path / "out"
    assert [engagement("analyze", cut, "-o", out, *FAST).status for _ in range(2)] == [1, 1]
    video = json.loads((out / "run.json").read_text(encoding="utf-8"))["videos"][0]
    assert video["status"] == "partial"
    summary = summary_of(out / cut.stem)
    assert summary["video"]["reason"] in video["reason"]
    assert video["duration_s"] == summary["sampling"]["end_s"] < summary["video"]["duration_s"]
    page = (out / cut.stem / "session.html").read_text(encoding="utf-8")
    assert "Not all of the video could be read" in page


def test_a_result_that_lacks_a_file_is_made_again(tmp_path: Path, engagement: Command) -> None:
    clip = media.steady(tmp_path).path
    out = tmp_path / "out"
    assert engagement("analyze", clip, "-o", out, *FAST).status == 0
    (out / clip.stem / "timeline.parquet").unlink()
    assert engagement("analyze", clip, "-o", out, *FAST).status == 0
    video = json.loads((out / "run.json").read_text(encoding="utf-8"))["videos"][0]
    assert (video["status"], video["redone"]) == ("ok", "timeline.parquet was removed")
    assert (out / clip.stem / "timeline.parquet").is_file()


def test_links_to_nowhere_and_folders_without_videos_are_said(tmp_path: Path, engagement: Command) -> None:
    folder, empty = tmp_path / "in", tmp_path / "empty"
    folder.mkdir()
    empty.mkdir()
    shutil.move(media.steady(tmp_path).path, folder / "talk.mp4")
    (folder / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    (empty / "notes.txt").write_text("x")
    ended = engagement("analyze", folder, empty, folder / "gone.mp4", "-o", tmp_path / "out", *FAST)
    assert ended.status == 1
    found = {
        Path(v["input"]).name: v["status"]
        for v in json.loads((tmp_path / "out" / "run.json").read_text())["videos"]
    }
    assert found == {"talk.mp4": "ok", "gone.mp4": "failed", "empty": "failed"}


def test_folders_that_cannot_be_searched_are_failures_and_the_rest_is_analysed(
    tmp_path: Path, engagement: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, empty = tmp_path / "in", tmp_path / "empty"
    (folder / "locked").mkdir(parents=True)
    empty.mkdir()
    shutil.move(media.steady(tmp_path).path, folder / "talk.mp4")
    close(monkeypatch, "locked")
    ended = engagement("analyze", empty, folder, "made-up://x/y", "-o", tmp_path / "out", *FAST)
    assert ended.status == 1
    videos = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["videos"]
    found = {v["input"]: (v["status"], v["reason"]) for v in videos}
    assert found.pop(str(folder / "talk.mp4")) == ("ok", "")
    assert found.pop(str(folder / "locked")) == ("failed", "cannot be searched (Permission denied)")
    assert found.pop(str(empty)) == ("failed", "holds no video")
    ((address, (status, reason)),) = found.items()
    assert (address, status) == ("made-up://x/y", "failed") and "made-up://x/y" in reason
    assert "cannot be searched" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_an_empty_folder_beside_an_address_stops_nothing(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec", reason="needs the extra 'cluster'")
    fsspec.filesystem("memory").pipe_file("/there/a.mp4", b"x")
    (tmp_path / "empty").mkdir()
    found, failed = find_videos((str(tmp_path / "empty"), "memory://there"), (), str(tmp_path / "out"))
    fsspec.filesystem("memory").rm("/there", recursive=True)
    assert [video.url for video in found] == ["memory:///there/a.mp4"]
    assert [(s.input, s.reason) for s in failed] == [(str(tmp_path / "empty"), "holds no video")]
    with pytest.raises(ConfigError, match=r"No video found in .*empty"):
        find_videos((str(tmp_path / "empty"), "memory://nowhere"), (), str(tmp_path / "out"))


def test_a_name_that_is_no_utf_8_stops_nothing(tmp_path: Path, engagement: Command) -> None:
    clip = media.steady(tmp_path).path
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(clip, folder / "good.mp4")
    odd = os.fsdecode(os.fsencode(folder) + b"/caf\xe9.mp4")
    shutil.move(clip, odd)
    out = tmp_path / "out"
    assert engagement("analyze", folder, "-o", out, *FAST).status == 0
    videos = json.loads((out / "run.json").read_text(encoding="utf-8"))["videos"]
    assert sorted(v["input"] for v in videos) == sorted([str(folder / "good.mp4"), odd])
    assert "good.mp4" in (out / "index.html").read_text(encoding="utf-8")


def test_a_video_replaced_while_its_ranges_are_read_is_not_finished(tmp_path: Path) -> None:
    clip = media.steady(tmp_path).path
    (video,) = discover([clip])
    worker = work.VideoWorker(Setup(str(tmp_path / "out"), CONFIG, DEVICE))
    facts = worker.place.facts(video)
    segment = worker.analyzer.read(clip)
    with clip.open("ab") as file:
        file.write(b"more")
    done = worker.perform(Task(1, "finish", video, parts=(segment,), file=facts), lambda *_: None)
    assert isinstance(done, Ended)
    assert summary_of(tmp_path / "out" / clip.stem)["fingerprint"]["file_size"] == facts.size
    # A recording that still runs: what was read is a part of it, which nothing in the file may show.
    assert done.status.status == "partial" and "changed while it was read" in done.status.reason


def test_what_is_empty_is_not_the_current_folder(tmp_path: Path, engagement: Command) -> None:
    ended = engagement("analyze", "", "-o", tmp_path / "out")
    assert ended.status == 2 and "INPUT is empty" in ended.err
    ended = engagement("analyze", tmp_path, "-o", "")
    assert ended.status == 2 and "--output is empty" in ended.err
    for option in ("--workers", "--min-presence", "--backend", "--glob", "--checkpoint", "--weights"):
        ended = engagement("analyze", "x.mp4", "-o", tmp_path / "out", option, "")
        assert ended.status == 2 and f"{option} is empty" in ended.err


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (("analyze", "x.mp4", "-o", "out", "--calibration", ""), "--calibration"),
        (("report", ".", "--calibration", ""), "--calibration"),
        (("report", ".", "--names", ""), "--names"),
        (("faces", "capture", "x.mp4", "--label", "happy", "-o", ""), "--out"),
        (("faces", "capture", "", "--label", "happy", "-o", "out"), "VIDEOS"),
        (("faces", "split", ""), "FOLDER"),
        (("train", "base", "--data", ".", "-o", ""), "--out"),
        (("train", "personal", "--data", "", "-o", "out"), "the path of a data set"),
        (("evaluate", ""), "the path of a data set"),
        (("dataset", "inspect", ""), "the path of a data set"),
    ],
)
def test_an_empty_path_is_not_the_current_folder(
    command: tuple[str, ...], named: str, tmp_path: Path, engagement: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = engagement(*command)
    assert ended.status == 2
    assert ended.err == f"error: {named} is empty. Perhaps a variable that it comes from is not set.\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path, engagement: Command) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    ended = engagement("analyze", tmp_path / "pipe.mp4", "-o", tmp_path / "out", *FAST)
    said = (tmp_path / "out" / "run.json").read_text(encoding="utf-8")
    assert ended.status == 1 and "is not a regular file" in said


def test_squeezed_pictures_are_told_of(tmp_path: Path, engagement: Command) -> None:
    clip, out = media.oblong_pixels(tmp_path).path, tmp_path / "out"
    assert engagement("analyze", clip, "-o", out, "--min-face", 80).status == 0
    told = [text for text in summary_of(out / "oblong")["warnings"] if "squeezed" in text]
    assert len(told) == 1 and "2.00 times as wide as high" in told[0]
    # What it advises works, also where the new width would be odd (192 px become 279).
    wide, even = tmp_path / "wide.mp4", tmp_path / "even.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, "-vf", "setsar=16/11", wide], check=True)
    advice = shlex.split(told[0].split("`")[1])
    subprocess.run([{"VIDEO": wide, "OUT.mp4": even}.get(word, word) for word in advice], check=True)
    with open_video(even) as reader:
        assert reader.info.pixel_aspect == 1 and reader.info.width == 278


def test_pictures_that_grow_are_told_of(tmp_path: Path, engagement: Command) -> None:
    """As browsers record them while the connection gets better."""
    clip, out = faulty_media.changing_size(tmp_path).path, tmp_path / "out"
    for _ in ("analysed", "skipped"):
        ran = engagement("analyze", clip, "-o", out, "--min-face", 80)
        assert ran.status == 0 and "1 warning on its page" in " ".join(ran.err.split())
    (told,) = summary_of(out / "sizes")["warnings"]
    assert "have 384 × 256 px" in told and "192 × 128 px" in told
    even = tmp_path / "even.mp4"
    advice = shlex.split(told.split("`")[1])
    subprocess.run([{"VIDEO": clip, "OUT.mp4": even}.get(word, word) for word in advice], check=True)
    with open_video(even) as reader:
        assert {ticket.load().shape for ticket in reader.tickets()} == {(256, 384, 3)}
        assert reader.outcome.shrunk_from == (0, 0)


def test_a_second_camera_in_the_file_is_told_of(tmp_path: Path, engagement: Command) -> None:
    preview = media.write_video(tmp_path / "preview.mkv", [0])
    first, second = (media.write_video(tmp_path / f"{n}.mkv", range(n * 400, 3200, 80)) for n in (0, 1))
    out = tmp_path / "out"
    for name, files, count in (
        ("both.mp4", [preview, first, second], 1),
        ("three.mkv", [first, second, first], 2),
    ):
        given = [word for file in files for word in ("-i", file)]
        mapped = [word for k in range(len(files)) for word in ("-map", str(k))]
        subprocess.run(["ffmpeg", "-v", "error", *given, *mapped, "-c", "copy", tmp_path / name], check=True)
        assert engagement("analyze", tmp_path / name, "-o", out, "--min-face", 80).status == 0
        found = summary_of(out / Path(name).stem)["warnings"]
        told = [text for text in found if f"{count} further video stream" in text]
        assert len(told) == 1 and ("(then 0:2)" in told[0]) == (count == 2)
        taken_out = tmp_path / f"{count}.out.mkv"
        advice = shlex.split(told[0].split("`")[1])
        words = [{"VIDEO": tmp_path / name, "OUT.mkv": taken_out}.get(word, word) for word in advice]
        subprocess.run(words, check=True)
        with open_video(taken_out) as reader, open_video(tmp_path / name) as shown:
            assert [len(list(each.tickets())) for each in (shown, reader)] == [40, 35]
    assert engagement("analyze", first, "-o", out, "--min-face", 80).status == 0
    assert not summary_of(out / "0")["warnings"]


def test_a_hidden_file_and_a_pause_are_told_of(tmp_path: Path, engagement: Command) -> None:
    stamps = [*range(0, 1000, 40), *range(6000, 7000, 40)]
    clip = media.write_video(tmp_path / ".talk.mp4", stamps)
    out = tmp_path / "out"
    assert engagement("analyze", clip, "-o", out, "--min-face", 80).status == 0
    summary = summary_of(out / ".talk")
    assert summary["sampling"]["step_s"] == 0.2
    assert "The video has no pictures between 0:00.8 and 0:06." in summary["warnings"]
    assert engagement("report", out).status == 0


def test_videos_of_further_addresses_are_put_aside_where_names_are_taken(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec", reason="needs the extra 'cluster'")
    files = fsspec.filesystem("memory")
    (tmp_path / "A.mp4").write_bytes(b"x")
    for name in ("one/a.mp4", "one/c.mp4", "two/a.mp4", "three/b.mp4"):
        files.pipe_file(f"/{name}", b"x")
    named = (str(tmp_path / "A.mp4"), *(f"memory://{name}" for name in ("one", "three", "two", "missing")))
    found, failed = find_videos(named, (), str(tmp_path / "out"))
    for name in ("one", "two", "three"):
        files.rm(f"/{name}", recursive=True)
    # Some systems take A and a for one.
    assert [video.relative.as_posix() for video in found] == ["A", "input 2/a", "input 2/c", "b", "input 3/a"]
    assert [(status.input, status.status) for status in failed] == [("memory://missing", "failed")]
