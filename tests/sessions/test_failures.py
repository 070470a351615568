"""Bad input, refused output, interruption, what is done already: clear messages, right exit status, nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engagement.batch import work
from engagement.batch.tasks import Failure
from engagement.provenance import differences
from tests import faulty_media, media
from tests.sessions.command import Run
from tests.training.made_up_faces import write_face

Command = Callable[..., Run]
FAST = ("--sample-rate", 1, "--min-face", 80)


def statuses(out: Path) -> dict[str, dict[str, Any]]:
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    return {Path(v["input"]).name: v for v in run["videos"]}


def test_one_bad_file_stops_nothing(tmp_path: Path, engagement: Command) -> None:
    good = media.steady(tmp_path).path
    cut = faulty_media.cut_mkv(tmp_path).path
    bad = [faulty_media.empty(tmp_path), faulty_media.text(tmp_path), faulty_media.sound_only(tmp_path)]
    missing = tmp_path / "gone.mp4"
    out = tmp_path / "out"
    ended = engagement("analyze", *bad, missing, cut, good, "-o", out, *FAST)
    assert ended.status == 1
    found = statuses(out)
    assert found[good.name]["status"] == "ok"
    assert found[cut.name]["status"] == "partial"
    assert found[cut.name]["reason"]
    for path in [*bad, missing]:
        assert found[path.name]["status"] == "failed"
        assert found[path.name]["reason"]
        assert path.name in ended.err.replace("\n", "").replace(" ", "") or path.stem[:8] in ended.err
    assert "Traceback" not in ended.err
    kept = out / found[cut.name]["output"] / "summary.json"
    assert not json.loads(kept.read_text(encoding="utf-8"))["video"]["complete"]


def test_nothing_but_missing_paths_is_wrong_usage(tmp_path: Path, engagement: Command) -> None:
    ended = engagement("analyze", tmp_path / "gone.mp4", "-o", tmp_path / "out")
    assert ended.status == 2
    assert "gone.mp4" in ended.err
    assert "does not exist" in ended.err


def test_wrong_usage_leaves_no_output_folder(tmp_path: Path, engagement: Command) -> None:
    """Least of all one in the place of the video that is not there."""
    for output in ("out", "typo.mp4"):
        ended = engagement("analyze", tmp_path / "typo.mp4", "-o", tmp_path / output)
        assert ended.status == 2 and "typo.mp4 does not exist" in ended.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--device", "tpu"), "--device 'tpu' is unknown"),
        (("--device", "cuda"), "--device cuda: this machine has none"),
        (("--scheduler", "tcp://127.0.0.1:9", "--device", "tpu"), "--device 'tpu' is unknown"),
        (("--calibration", "nosuch"), "--calibration nosuch does not exist"),
        (("--min-face", "3", "--margin", "5"), "720p recording; --margin 5.0 is not within 0-1. 0.1 is"),
    ],
)
def test_nothing_is_made_before_the_options_are_looked_at(
    options: tuple[str, ...], said: str, tmp_path: Path, engagement: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    clip = media.single_frame(tmp_path).path
    ended = engagement("analyze", clip, tmp_path / "gone.mp4", "-o", tmp_path / "out", *options)
    assert ended.status == 2 and said in ended.err
    assert not (tmp_path / "out").exists()


def test_no_face_is_a_result(tmp_path: Path, engagement: Command) -> None:
    clip = media.steady(tmp_path).path
    out = tmp_path / "out"
    # A smoother that learned from other scores is no matter where there are none.
    assert (
        engagement("analyze", clip, "-o", out, *FAST, "--weights", "open", "--temporal", "lstm").status == 0
    )
    assert statuses(out)[clip.name]["n_warnings"] == 0
    page = (out / clip.stem / "session.html").read_text(encoding="utf-8")
    assert "--min-face" in page and "another model" not in page
    assert (out / clip.stem / "timeline.csv").read_text(encoding="utf-8").count("\n") == 1


def test_same_names_in_different_folders_stay_apart(tmp_path: Path, engagement: Command) -> None:
    clip = media.steady(tmp_path).path
    for room in ("a", "b"):
        (tmp_path / "in" / room).mkdir(parents=True)
        shutil.copy(clip, tmp_path / "in" / room / "talk.mp4")
    shutil.copy(clip, tmp_path / "in" / "a" / "talk.MOV")
    out = tmp_path / "out"
    assert engagement("analyze", tmp_path / "in", "-o", out, *FAST).status == 0
    assert len(list(out.rglob("summary.json"))) == 3


#: Root may read and write everything, unless it gives these rights up.
_AS_OTHERS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


@pytest.mark.skipif(bool(_AS_OTHERS) and shutil.which("setpriv") is None, reason="root without setpriv")
def test_unreadable_file_and_unwritable_output(tmp_path: Path) -> None:
    clip = media.steady(tmp_path).path
    clip.chmod(0)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    for out, said in ((tmp_path / "out", "cannot be read"), (locked / "out", "cannot be written")):
        command = [*_AS_OTHERS, sys.executable, "-m", "engagement", "analyze", clip, "-o", out, *FAST]
        ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        assert ended.returncode == 1
        assert said in ended.stderr + ended.stdout


def test_an_output_that_is_a_file_is_refused_before_any_work(tmp_path: Path, engagement: Command) -> None:
    clip = media.steady(tmp_path).path
    taken = tmp_path / "taken"
    taken.write_text("mine", encoding="utf-8")
    ended = engagement("analyze", clip, "-o", taken, *FAST)
    assert ended.status == 1
    assert str(taken) in ended.err.replace("\n", "")
    assert "it is a file" in ended.err
    assert taken.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("split", [(), ("--split", 1)])
def test_a_file_in_the_place_of_results_is_said_before_any_work(
    split: tuple[object, ...], tmp_path: Path, engagement: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = tmp_path / "talk"  # without a suffix, and the results go beside it
    shutil.move(media.steady(tmp_path).path, clip)
    reads: list[Path] = []
    monkeypatch.setattr(work.Analyzer, "read", lambda _, path, *__: reads.append(path))
    ended = engagement("analyze", clip, "-o", tmp_path, *split, *FAST)
    assert ended.status == 1 and reads == []
    said = statuses(tmp_path)["talk"]
    assert said["reason"] == f"{clip} is a file where a folder of results should go"
    assert said["hint"] == "Choose another folder with -o."


def test_files_of_others_are_not_replaced(tmp_path: Path, engagement: Command) -> None:
    clip = media.single_frame(tmp_path).path
    theirs = [tmp_path / name for name in ("single/persons/ann.txt", "single/persons.csv")]
    for path in theirs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine", encoding="utf-8")
    assert engagement("analyze", clip, "-o", tmp_path, "--overwrite", *FAST).status == 1
    assert (
        "single holds persons, persons.csv but no summary.json" in statuses(tmp_path)["single.mp4"]["reason"]
    )
    assert [path.read_text(encoding="utf-8") for path in theirs] == ["mine", "mine"]


@pytest.mark.parametrize(
    ("name", "text"), [("index.html", "<h1>My course</h1>"), ("run.json", '{"mine": 1}')]
)
def test_a_folder_of_others_is_no_output_folder(
    name: str, text: str, tmp_path: Path, engagement: Command
) -> None:
    clip, out = media.single_frame(tmp_path).path, tmp_path / "site"
    out.mkdir()
    (out / name).write_text(text, encoding="utf-8")
    ended = engagement("analyze", clip, "-o", out, *FAST)
    assert ended.status == 1 and f"{out / name} may be somebody else's" in ended.err
    assert [path.name for path in out.iterdir()] == [name]
    assert (out / name).read_text(encoding="utf-8") == text


def test_results_that_cannot_be_written_are_not_made_twice(
    tmp_path: Path, engagement: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = media.steady(tmp_path).path
    written: list[Path] = []

    def refuse(_: object, __: object, folder: Path, *___: object, **____: object) -> None:
        written.append(folder)
        raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setattr(work, "write_session", refuse)
    assert engagement("analyze", clip, "-o", tmp_path / "out", *FAST).status == 1
    assert len(written) == 1
    assert "No space left on device" in statuses(tmp_path / "out")[clip.name]["reason"]


def test_once_the_disk_is_full_no_other_video_is_begun(
    tmp_path: Path, engagement: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = media.steady(tmp_path).path, media.webm(tmp_path).path
    read, genuine = list[str](), work.Analyzer.read

    def reading(self: Any, path: Path, *more: Any) -> Any:
        read.append(path.name)
        return genuine(self, path, *more)

    def refuse(_: object, __: object, folder: Path, *___: object, **____: object) -> None:
        raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setattr(work.Analyzer, "read", reading)
    monkeypatch.setattr(work, "write_session", refuse)
    assert engagement("analyze", first, second, "-o", tmp_path / "out", *FAST).status == 1
    assert read == [first.name]
    found = statuses(tmp_path / "out")
    assert "No space left" in found[first.name]["reason"] and "disk" in found[second.name]["reason"]
    assert {v["status"] for v in found.values()} == {"failed"}
    assert all("run the same command again" in v["hint"] for v in found.values())


def test_a_full_disk_leaves_finished_videos_listed(
    tmp_path: Path, engagement: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished, new = media.steady(tmp_path).path, media.webm(tmp_path).path
    out = tmp_path / "out"
    assert engagement("analyze", finished, "-o", out, *FAST).status == 0

    def refuse(_: object, __: object, folder: Path, *___: object, **____: object) -> None:
        raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setattr(work, "write_session", refuse)
    assert engagement("analyze", new, finished, "-o", out, *FAST).status == 1
    assert {name: video["status"] for name, video in statuses(out).items()} == {
        new.name: "failed",
        finished.name: "ok",
    }
    assert f'href="{finished.stem}/session.html"' in (out / "index.html").read_text(encoding="utf-8")


def test_what_the_disk_refuses_is_no_fault_of_ours(tmp_path: Path, engagement: Command) -> None:
    write_face(tmp_path / "faces" / "happy" / "0.png", 0, 0)
    figures = tmp_path / "figures.json"
    figures.symlink_to(tmp_path / "gone" / "figures.json")
    ended = engagement("dataset", "inspect", tmp_path / "faces", "--json", figures)
    assert ended.status == 1
    assert f"error: {figures}: " in ended.err
    assert "Check the path" in ended.err
    assert "fault of ours" not in ended.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--sample-rate", 0), "--sample-rate"),
        (("--min-face", 3), "--min-face 3"),
        (("--temporal", "magic"), "none, box, hmm, lstm, cnn3d"),
        (("--temporal", "lstm", "--window", 4), "--window 4 cannot be used with --temporal lstm"),
        (("--margin", 2, "--min-face", 3), "--min-face 3"),
        (("--margin", 2, "--min-face", 3), "--margin 2"),
        (("--backend", "vlc"), "pyav"),
        (("--backend", "opencv", "--split", 10), "--split 10 cannot be used with --backend opencv"),
        (("--device", "tpu"), "--device"),
        (("--checkpoint", "nowhere.safetensors"), "nowhere.safetensors"),
    ],
)
def test_wrong_options_name_option_value_and_remedy(
    tmp_path: Path, engagement: Command, options: tuple[object, ...], words: str
) -> None:
    clip = media.steady(tmp_path).path
    ended = engagement("analyze", clip, "-o", tmp_path / "out", *options)
    assert ended.status in (1, 2)
    assert words in ended.err
    assert "Traceback" not in ended.err


def test_finished_videos_are_skipped_until_something_changes(tmp_path: Path, engagement: Command) -> None:
    clip = media.steady(tmp_path).path
    out = tmp_path / "out"
    engagement("analyze", clip, "-o", out, *FAST)
    before = (out / clip.stem / "timeline.parquet").stat().st_mtime_ns
    engagement("analyze", clip, "-o", out, *FAST)
    assert statuses(out)[clip.name]["status"] == "skipped"
    assert (out / clip.stem / "timeline.parquet").stat().st_mtime_ns == before
    ended = engagement("analyze", clip, "-o", out, *FAST, "--margin", 0.2)
    assert statuses(out)[clip.name]["status"] == "ok"
    assert statuses(out)[clip.name]["redone"] == "option episodes.state_margin: 0.1, now 0.2"
    assert "redone" in ended.err
    engagement("analyze", clip, "-o", out, *FAST, "--margin", 0.2, "--overwrite")
    assert statuses(out)[clip.name]["redone"] == "--overwrite"
    os.utime(clip, ns=(0, 0))
    engagement("analyze", clip, "-o", out, *FAST, "--margin", 0.2, "--resume")
    assert statuses(out)[clip.name]["redone"] == "the video file changed"


def test_what_changed_is_said_in_words() -> None:
    now = {
        "results_version": 2,
        "file_size": 10,
        "file_version": "7",
        "settings": {"a": {"b": 1, "c": None}, "d": 0},
        "weights": {"face_state": "ab", "lstm": "cd"},
    }
    assert differences(now, now) == []
    assert differences(now | {"results_version": 1}, now) == ["code: results version 1, now 2"]
    assert differences(now | {"file_version": "6"}, now) == ["the video file changed"]
    earlier = now | {"settings": {"a": {"b": 2, "c": None}}, "weights": {"face_state": "xy"}}
    assert differences(earlier, now) == [
        "option a.b: 2, now 1",
        "option d: absent, now 0",
        "weights face_state changed",
        "weights: absent, now lstm",
    ]
    mine = now | {"weights": {"mine": "ef", "lstm": "cd"}}
    assert differences(mine, now) == ["weights: mine, now face_state"]
    # Whatever an earlier version wrote there, something is said.
    for strange in ({}, now | {"more": 1}, {"settings": "hash", "weights": ["ab"]}):
        assert differences(strange, now)


def test_a_second_run_into_the_same_folder_keeps_the_first(tmp_path: Path, engagement: Command) -> None:
    first, second = media.steady(tmp_path).path, media.webm(tmp_path).path
    out = tmp_path / "out"
    engagement("analyze", first, "-o", out, *FAST)
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    run["videos"] += [{}, 5]  # somebody wrote into it: what is no video is passed over
    (out / "run.json").write_text(json.dumps(run), encoding="utf-8")
    assert engagement("analyze", second, "-o", out, *FAST).status == 0
    assert {name: v["status"] for name, v in statuses(out).items()} == {first.name: "ok", second.name: "ok"}
    index = (out / "index.html").read_text(encoding="utf-8")
    assert f"{first.stem}/session.html" in index
    assert f"{second.stem}/session.html" in index


def test_interruption_leaves_finished_videos_and_exits_130(
    tmp_path: Path, engagement: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = media.steady(tmp_path).path, media.webm(tmp_path).path
    genuine = work.Analyzer.read

    def interrupted(self: Any, path: Path, *more: Any) -> Any:
        if path.name == second.name:
            raise KeyboardInterrupt
        return genuine(self, path, *more)

    monkeypatch.setattr(work.Analyzer, "read", interrupted)
    out = tmp_path / "out"
    ended = engagement("analyze", first, second, "-o", out, *FAST)
    assert ended.status == 130
    assert (out / first.stem / "summary.json").is_file()
    assert statuses(out)[first.name]["status"] == "ok"
    assert not list(out.rglob(".engagement-partial*"))


def test_what_the_disk_refuses_a_worker_is_no_fault_of_ours_either() -> None:
    failure = Failure.of(OSError(28, "No space left on device", "/out/talk"))
    assert failure.message == "/out/talk: No space left on device"
    assert "space on the disk" in failure.hint
    assert "fault of ours" in Failure.of(OSError("no errno: not the system's")).hint


def test_what_to_do_when_memory_ran_out_is_true_of_one_process_too() -> None:
    failure = Failure.of(MemoryError())
    assert failure.message == "it ran out of memory"
    assert "--min-face" in failure.hint and "if there are several" in failure.hint


def test_a_fault_of_ours_is_one_line_and_the_others_go_on(
    tmp_path: Path, engagement: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = media.steady(tmp_path).path, media.webm(tmp_path).path
    genuine = work.Analyzer.read

    def broken(self: Any, path: Path, *more: Any) -> Any:
        if path.name == first.name:
            raise ZeroDivisionError("made up")
        return genuine(self, path, *more)

    monkeypatch.setattr(work.Analyzer, "read", broken)
    out = tmp_path / "out"
    ended = engagement("analyze", first, second, "-o", out, *FAST)
    assert ended.status == 1
    assert "Traceback" not in ended.err
    assert statuses(out)[first.name]["reason"].startswith("ZeroDivisionError")
    assert statuses(out)[second.name]["status"] == "ok"
    assert "Traceback" in engagement("analyze", first, "-o", out, *FAST, "--debug", "--overwrite").err
