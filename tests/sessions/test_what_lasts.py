"""What outlives kills, other names and other places of the same thing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import pytest

from engagement import results
from engagement.batch import work
from engagement.batch.lock import LOCK
from engagement.batch.places import Folder
from engagement.errors import OutputError
from engagement.provenance import differences
from engagement.reports.templates import write as page
from engagement.results import INDEX, RUN, committed, write_json
from engagement.tracking.persons import PersonsConfig
from tests import media
from tests.sessions.runs import left_under_way
from tests.sessions.test_failures import FAST, Command, statuses


def test_results_that_no_run_lived_to_list_are_listed_by_the_next(
    tmp_path: Path, engagement: Command
) -> None:
    first, second, out = media.steady(tmp_path).path, media.webm(tmp_path).path, tmp_path / "out"
    engagement("analyze", first, "-o", out, *FAST)
    (out / RUN).unlink()
    (out / "index.html").unlink()
    engagement("analyze", first, "-o", out / "apart", *FAST)  # the results of a run of its own
    (out / "broken").mkdir()
    (out / "broken" / "summary.json").write_text("{}", encoding="utf-8")
    assert engagement("analyze", second, "-o", out, *FAST).status == 0
    assert {name: v["status"] for name, v in statuses(out).items()} == {first.name: "ok", second.name: "ok"}
    assert f"{first.stem}/session.html" in (out / "index.html").read_text(encoding="utf-8")
    # What belongs to another run has corrections of its own.
    (out / "broken" / "summary.json").unlink()
    page = out / "apart" / first.stem / "session.html"
    before = page.stat().st_mtime_ns
    told = engagement("report", out)
    assert told.status == 0 and "apart is an output folder of its own" in told.out
    assert page.stat().st_mtime_ns == before
    above = engagement("report", tmp_path)
    assert above.status == 1 and "holds output folders (out" in above.err


def test_a_result_that_names_all_widths_is_finished_as_well(tmp_path: Path, engagement: Command) -> None:
    clip, out = media.steady(tmp_path).path, tmp_path / "out"
    assert engagement("analyze", clip, "-o", out, *FAST, "--temporal", "hmm").status == 0
    summary = out / clip.stem / "summary.json"
    found = json.loads(summary.read_text(encoding="utf-8"))
    used = found["temporal"]
    assert set(used) == {"method", "weights", "hold_s", "state_hold_s", "max_gap_s"}
    # As earlier versions wrote it.
    found["temporal"] = {**used, "window_s": 3.0, "state_window_s": 5.0, "further_window_s": 3.0}
    summary.write_text(json.dumps(found), encoding="utf-8")
    assert engagement("analyze", clip, "-o", out, *FAST, "--temporal", "hmm").status == 0
    assert statuses(out)[clip.name]["status"] == "skipped"
    assert engagement("report", out).status == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind are not there")
@pytest.mark.parametrize("number", [signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_a_run_that_is_told_to_end_lists_what_is_finished(
    tmp_path: Path, engagement: Command, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    first, second = media.steady(tmp_path).path, media.webm(tmp_path).path
    genuine = work.Analyzer.read

    def told(self: Any, path: Path, *more: Any) -> Any:
        if path.name == second.name:
            os.kill(os.getpid(), number)
        return genuine(self, path, *more)

    monkeypatch.setattr(work.Analyzer, "read", told)
    out = tmp_path / "out"
    before = signal.signal(number, signal.SIG_DFL)  # below nohup it is ignored, and stays so
    try:
        assert engagement("analyze", first, second, "-o", out, *FAST).status == 130
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert statuses(out)[first.name]["status"] == "ok" and second.name not in statuses(out)


def test_how_videos_went_is_said_though_the_index_cannot_be_written(
    tmp_path: Path, engagement: Command
) -> None:
    bad, out = tmp_path / "bad.mp4", tmp_path / "out"
    bad.write_bytes(b"no video")
    (out / "index.html").mkdir(parents=True)
    write_json(out / RUN, {"engagement_version": "0"})  # a folder of ours, or it would be refused at once
    ended = engagement("analyze", bad, "-o", out, *FAST)
    assert ended.status == 1
    assert "the index of" in ended.err and "cannot be written" in ended.err
    assert "what happened" in ended.err and "failed" in ended.err
    assert [p.name for p in out.glob(".*")] == [LOCK]
    quiet = engagement("analyze", bad, "-o", out, *FAST, "-q")
    assert "the index of" in quiet.err
    assert f"{bad}: failed: cannot be read as a video" in quiet.err


def test_weights_are_what_is_in_them() -> None:
    settings = {"backend": "auto", "classifier": {"checkpoint": "face_state", "mirror": True}}
    now = {
        "results_version": 2,
        "file_size": 10,
        "file_version": "7",
        "settings": settings,
        "weights": {"face_state": "ab"},
    }
    other = {"backend": "pyav", "classifier": {"checkpoint": "/else/face_state.safetensors", "mirror": True}}
    assert differences(now | {"settings": other, "weights": {"renamed": "ab"}}, now) == []
    assert differences(now | {"weights": {"face_state": "cd"}}, now) == ["weights face_state changed"]
    assert differences(now | {"settings": settings | {"backend": "opencv"}}, now)
    # What was in facenet's cache is not known of an earlier result; another file that is named now is another one.
    before = now | {"settings": {"persons": {"identity_sha256": None, "identity_weights": None}}}
    for named, changed in ((None, False), ("/else/own.pt", True)):
        after = now | {"settings": {"persons": {"identity_sha256": "ab", "identity_weights": named}}}
        assert bool(differences(before, after)) is changed


def test_other_content_where_facenets_weights_are_kept_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert PersonsConfig(identity="facenet").identity_sha256 is None
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    known = set()
    for content in (b"one", b"another"):
        (folder / "20180402-114759-vggface2.pt").write_bytes(content)
        known.add(PersonsConfig(identity="facenet").identity_sha256)
    assert len(known) == 2 and None not in known


_FILES = ("summary.json", "calibration.json", "timeline.parquet", "session.html", "persons/P01.html")


def _old_and_new(folder: Path) -> tuple[Path, Path]:
    """A result with something of the user's own beside it, and what is to take its place."""
    target, new = folder / "talk", folder / "new"
    for place, word in ((target, "old"), (new, "new")):
        (place / "persons").mkdir(parents=True)
        for name in _FILES:
            (place / name).write_text(word, encoding="utf-8")
    (target / "unedited").mkdir()
    (target / "notes.txt").write_text("mine", encoding="utf-8")
    return target, new


def _content(target: Path) -> set[str]:
    assert (target / "notes.txt").is_file()
    return {(target / name).read_text(encoding="utf-8") for name in _FILES}


@pytest.mark.parametrize("step", range(13))
@pytest.mark.parametrize("killed", [True, False])
def test_a_result_is_whole_however_its_replacement_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, killed: bool
) -> None:
    target, new = _old_and_new(tmp_path)
    left, genuine = step, Path.rename

    def rename(self: Path, other: Path) -> Path:
        nonlocal left
        left -= 1
        if left == -1 or (killed and left < 0):
            raise PermissionError(13, "Permission denied", str(self))
        return genuine(self, other)

    refused = False
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", rename)
        try:
            results._replace(new, target)
        except PermissionError:
            refused = True
    assert refused is (step < 11)
    if killed:  # not even putting back was possible
        results.sweep(tmp_path)
    assert _content(target) == ({"old"} if refused else {"new"})
    assert (target / "unedited").is_dir() is refused
    assert not left_under_way(tmp_path)


def _killed_after(step: int, new: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace a result as a process does that dies after so many steps; nothing is put back."""
    left, genuine = step, Path.rename

    def rename(self: Path, other: Path) -> Path:
        nonlocal left
        left -= 1
        if left < 0:
            raise PermissionError(13, "Permission denied", str(self))
        return genuine(self, other)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", rename)
        with contextlib.suppress(PermissionError):
            results._replace(new, target)


@pytest.mark.parametrize("step", range(6))
def test_a_first_result_beside_others_that_was_killed_is_not_taken_for_somebody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    target, new = _old_and_new(tmp_path)
    for name in (*_FILES[2:], "summary.json"):
        (target / name).unlink()
    other = target / "part1"
    other.mkdir()
    (other / "summary.json").write_text("another's", encoding="utf-8")
    _killed_after(step, new, target, monkeypatch)
    results.sweep(tmp_path)
    results.require_no_others(target)
    assert (other / "summary.json").is_file() and (target / "calibration.json").is_file()
    assert not left_under_way(tmp_path)


@pytest.mark.parametrize("step", range(14))
def test_what_somebody_put_among_the_pages_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    target, new = _old_and_new(tmp_path)
    for name in ("persons/notes.txt", "unedited/mine/of ann.csv"):
        (target / name).parent.mkdir(exist_ok=True)
        (target / name).write_text("mine", encoding="utf-8")
    (target / "persons" / "P02.html").touch()
    _killed_after(step, new, target, monkeypatch)
    results.sweep(tmp_path)
    assert (target / "persons" / "notes.txt").is_file() and (target / "unedited/mine/of ann.csv").is_file()
    assert (target / "persons" / "P02.html").exists() is (step < 11)
    assert not left_under_way(tmp_path)


@pytest.mark.parametrize("step", range(13))
def test_who_comes_after_a_worker_that_died_finds_the_result_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """In the same run, before anything is swept: with the labels that lay there, and not as somebody else's."""
    target, new = _old_and_new(tmp_path)
    _killed_after(step, new, target, monkeypatch)
    place = Folder(tmp_path)
    place.fetch(PurePath("talk"))
    place.require_room(PurePath("talk"))
    assert _content(target) == ({"old"} if step < 11 else {"new"})
    assert not left_under_way(tmp_path)


def test_a_file_that_cannot_be_replaced_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, _ = _old_and_new(tmp_path)
    genuine = Path.rename

    def rename(self: Path, other: Path) -> Path:
        if self == target / "timeline.parquet":
            raise PermissionError(13, "Permission denied", str(self))
        return genuine(self, other)

    monkeypatch.setattr(Path, "rename", rename)
    with (
        pytest.raises(OutputError, match=r"talk/timeline\.parquet cannot be written .*Close it"),
        committed(target) as out,
    ):
        (out / "summary.json").write_text("new", encoding="utf-8")
    assert _content(target) == {"old"}


def test_videos_in_a_folder_called_like_one_of_ours_are_left_alone(tmp_path: Path) -> None:
    target, _ = _old_and_new(tmp_path)
    other = target / "persons" / "talk2"
    other.mkdir()
    (other / "summary.json").write_text("another's", encoding="utf-8")
    with contextlib.suppress(OutputError), committed(target) as out:
        (out / "persons").mkdir()
        (out / "summary.json").write_text("new", encoding="utf-8")
    assert (other / "summary.json").is_file()


def test_what_results_may_go_beside(tmp_path: Path) -> None:
    """Other videos' results, folders that those who failed left empty, and a calibration for the analysis to come."""
    target = tmp_path / "talk"
    results.require_no_others(target)
    for folder in ("persons/talk2", "unedited/empty"):
        (target / folder).mkdir(parents=True)
    for name in ("persons/talk2/summary.json", "unedited/.DS_Store", "calibration.json", "notes.txt"):
        (target / name).write_text("{}", encoding="utf-8")
    results.require_no_others(target)
    (target / "unedited" / "empty" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match=r"talk holds unedited but no summary\.json"):
        results.require_no_others(target)


def test_an_output_folder_within_is_not_swept(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / RUN).write_text("{}", encoding="utf-8")
    with committed(inner / "talk") as out, committed(tmp_path / "talk") as ours:
        results.sweep(tmp_path)
        assert out.is_dir() and not ours.is_dir()
        ours.mkdir()


@pytest.mark.parametrize(
    "write", [lambda root: write_json(root / RUN, {}), lambda root: page(root / INDEX, "")]
)
def test_a_file_that_a_killed_command_was_writing_goes(
    write: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(Path, "replace", lambda *_: sys.exit())
        killed.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(SystemExit):
            write(tmp_path)
    (tmp_path / ".notes.json").touch()
    assert len(list(tmp_path.iterdir())) == 2
    results.sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".notes.json"]


def test_what_the_new_result_lacks_goes(tmp_path: Path) -> None:
    target = tmp_path / "talk"
    (target / "persons").mkdir(parents=True)
    for name in ("summary.json", "calibration.json", "persons/P02.html", "mine.txt"):
        (target / name).write_text("old", encoding="utf-8")
    with committed(target) as folder:
        (folder / "persons").mkdir()
        for name in ("summary.json", "persons/P01.html"):
            (folder / name).write_text("new", encoding="utf-8")
    there = {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()}
    assert there == {"summary.json", "persons/P01.html", "mine.txt"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["talk"]


def test_names_that_are_no_utf8(tmp_path: Path, sample_videos: Path, engagement: Command) -> None:
    folder = tmp_path / os.fsdecode(b"Gr\xfc\xdfe")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system has no such names")
    clip = folder / os.fsdecode(b"h\xe4.mp4")
    clip.write_bytes((sample_videos / "crossing.mp4").read_bytes())
    out = tmp_path / os.fsdecode(b"r\xe9sult")
    ended = engagement("analyze", folder, "-o", out, *FAST[:2])
    assert ended.status == 0, ended.err
    assert engagement("report", out).status == 0
    (out / "names.txt").write_text("opt out P01\n", encoding="utf-8")
    told = engagement("report", out)
    assert told.status == 0, told.err
    again = engagement("analyze", folder, "-o", out, *FAST[:2])
    assert again.status == 0 and "skipped" in again.err, again.err
    assert not list(out.rglob("P01.html")) and list(out.rglob("P02.html"))


def test_a_run_that_no_model_could_be_had_for_leaves_nothing(tmp_path: Path, engagement: Command) -> None:
    clip, broken = media.single_frame(tmp_path).path, tmp_path / "broken.pt"
    broken.write_bytes(b"")
    (tmp_path / "mine").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for out in ("new/deep", "mine/new"):
        options = ("--identity", "facenet", "--identity-weights", broken)
        ended = engagement("analyze", clip, "-o", tmp_path / out, *options)
        assert ended.status == 1 and "broken.pt holds no weights" in ended.err
    assert sorted(tmp_path.rglob("*")) == before


def test_pages_of_a_folder_without_results_put_nothing_into_it(tmp_path: Path, engagement: Command) -> None:
    ended = engagement("report", tmp_path)
    assert ended.status == 1 and "holds no results" in ended.err
    assert not list(tmp_path.iterdir())


def test_an_output_folder_is_known_by_its_index_where_run_json_is_gone(
    tmp_path: Path, engagement: Command
) -> None:
    clip, out = media.single_frame(tmp_path).path, tmp_path / "out"
    assert engagement("analyze", clip, "-o", out, *FAST).status == 0
    (out / RUN).unlink()
    assert engagement("analyze", clip, "-o", out, *FAST).status == 0
    assert (out / RUN).is_file()
    (out / RUN).unlink()
    (out / INDEX).write_bytes((out / "single" / "session.html").read_bytes())  # somebody's own front page
    ended = engagement("analyze", clip, "-o", out, *FAST)
    assert ended.status == 1 and f"{out / INDEX} may be somebody else's" in ended.err
