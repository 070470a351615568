from __future__ import annotations

import os
import unicodedata
from itertools import permutations
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagement.corrections.file import NAMES_FILE
from engagement.corrections.names import EARLIER_NAMES
from engagement.errors import ConfigError
from engagement.reports.templates import ASSETS
from engagement.results import INDEX, RUN
from engagement.video.discover import RESERVED, _Candidate, _distinct_names, _key, discover, distinct_names
from tests import media
from tests.closed_folders import close


def fill(folder: Path, *names: str) -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")


def outputs(*inputs: Path, globs: tuple[str, ...] = (), exclude: Path | None = None) -> list[str]:
    return [found.relative.as_posix() for found in discover(inputs, globs, exclude)]


def test_folders_are_searched_in_order_and_files_taken_as_given(tmp_path: Path) -> None:
    fill(tmp_path / "in", "b.MP4", "a.mov", "sub/c.MkV", "notes.txt", "x.mp4.part", "B2.webm")
    fill(tmp_path, "odd.dat")
    assert outputs(tmp_path / "odd.dat", tmp_path / "in") == ["odd", "a", "b", "B2", "sub/c"]


def test_every_listed_suffix_is_found(tmp_path: Path) -> None:
    suffixes = ["mp4", "mov", "mkv", "avi", "webm", "m4v", "mts", "wmv", "mpg", "m2ts", "mpeg", "flv", "3gp"]
    fill(tmp_path, *(f"{suffix}_clip.{suffix}" for suffix in suffixes))
    assert outputs(tmp_path) == sorted(f"{suffix}_clip" for suffix in suffixes)


def test_patterns_add_to_the_suffixes(tmp_path: Path) -> None:
    fill(tmp_path, "front.mp4", "old.ts", "room/Side.ts", "notes.txt")
    assert outputs(tmp_path, globs=("*.TS",)) == ["front", "old", "room/Side"]
    assert outputs(tmp_path, globs=("room/*",)) == ["front", "room/Side"]


def test_recordings_called_as_typescript_sources_are_told_by_their_content(tmp_path: Path) -> None:
    fill(tmp_path, "GGG.ts", "short.TS")
    (tmp_path / "source.ts").write_text("GameBoard = 1;\n" * 50)
    media.transport_stream(tmp_path).path.rename(tmp_path / "tuner.TS")
    os.mkfifo(tmp_path / "pipe.ts")
    assert outputs(tmp_path) == ["tuner"]


def test_hidden_files_are_skipped_unless_named(tmp_path: Path) -> None:
    fill(tmp_path, "x.mp4", "._x.mp4", ".Trash/y.mp4", "@eaDir/x.mp4/FILM.mp4", "__MACOSX/z.mp4")
    assert outputs(tmp_path) == ["x"]
    assert outputs(tmp_path / "._x.mp4") == ["._x"]


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    fill(tmp_path, "x.mp4")
    with pytest.raises(ConfigError, match=r"gone\.mp4 does not exist"):
        discover([tmp_path / "x.mp4", tmp_path / "gone.mp4"])


def test_nothing_found_is_an_error_that_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mp4, mov") as caught:
        discover([tmp_path])
    assert str(tmp_path) in caught.value.message
    assert discover([]) == []


def test_the_same_file_twice_is_one(tmp_path: Path) -> None:
    fill(tmp_path, "in/a.mp4")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "in" / "a.mp4")
    ways = ("in", "in/a.mp4", "in/../in/a.mp4", "link.mp4")
    found = discover([tmp_path / way for way in ways])
    assert [each.relative for each in found] == [PurePath("a")]


def test_links_in_a_circle_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "in", "sub/a.mp4")
    (tmp_path / "in/sub/up").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in/self.mp4").symlink_to(tmp_path / "in/self.mp4")
    scandir, entered = os.scandir, []

    def count(path: str) -> object:
        entered.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", count)
    assert outputs(tmp_path / "in") == [
        "self",
        "sub/a",
    ]  # the former cannot be read, which its analysis will say
    assert len(entered) == 2


def test_a_linked_folder_is_searched(tmp_path: Path) -> None:
    fill(tmp_path, "elsewhere/a.mp4")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert outputs(tmp_path / "in") == ["linked/a"]


def test_the_output_folder_is_not_searched(tmp_path: Path) -> None:
    fill(tmp_path, "a.mp4", "out/a/annotated.mp4")
    assert outputs(tmp_path, exclude=tmp_path / "out") == ["a"]
    assert outputs(tmp_path, exclude=tmp_path / "sub" / ".." / "out") == ["a"]
    # An output folder that is the input folder cannot be left out.
    assert outputs(tmp_path / "out", exclude=tmp_path / "out") == ["a/annotated"]


def test_two_suffixes_of_one_name_keep_them(tmp_path: Path) -> None:
    fill(tmp_path, "a.mp4", "a.avi", "b.mp4")
    assert outputs(tmp_path) == ["a.avi", "a.mp4", "b"]


def test_names_that_differ_in_case_only_are_told_apart() -> None:
    spellings = ("A.mp4", "a.mp4", "a.MP4", "Löwe.mp4", "Lo\u0308we.mp4")
    names = distinct_names([PurePath(name) for name in spellings], "in")
    assert len({unicodedata.normalize("NFC", str(name)).casefold() for name in names}) == 5


def test_the_same_name_from_two_folders_gets_the_folders_name(tmp_path: Path) -> None:
    fill(tmp_path, "monday/lesson.mp4", "tuesday/lesson.mp4", "tuesday/extra.mp4")
    assert outputs(tmp_path / "monday", tmp_path / "tuesday") == [
        "monday/lesson.mp4",
        "extra",
        "tuesday/lesson.mp4",
    ]
    assert outputs(tmp_path / "monday/lesson.mp4", tmp_path / "tuesday/lesson.mp4") == [
        "monday/lesson.mp4",
        "tuesday/lesson.mp4",
    ]


def test_folders_of_the_same_name_are_numbered(tmp_path: Path) -> None:
    fill(tmp_path, "1/cam/a.mp4", "2/cam/a.mp4", "3/cam/a.mp4")
    inputs = [tmp_path / n / "cam" for n in "123"]
    assert outputs(*inputs) == ["cam/a.mp4", "cam/a.mp4 (2)", "cam/a.mp4 (3)"]


def test_no_result_is_called_what_a_run_writes_beside_it(tmp_path: Path) -> None:
    assert {RUN, INDEX, NAMES_FILE, EARLIER_NAMES, ASSETS} == RESERVED
    fill(tmp_path / "in", *(f"{name}.mp4" for name in sorted(RESERVED)), "Run.JSON.avi", "b/run.json.mp4")
    assert outputs(tmp_path / "in") == [
        *("b/run.json", "index.html.mp4", "names-before.txt.mp4", "names.txt.mp4"),
        *("report_assets.mp4", "Run.JSON.avi", "run.json.mp4"),
    ]
    fill(tmp_path / "report_assets", "report_assets/a.mp4")
    assert outputs(tmp_path / "report_assets") == ["report_assets (2)/report_assets/a.mp4"]


def test_results_never_lie_inside_those_of_another_video(tmp_path: Path) -> None:
    fill(tmp_path, "a.mp4", "a/persons.mp4")
    assert outputs(tmp_path) == ["a.mp4", "a/persons"]


@pytest.mark.parametrize(
    "name", ["-o.mp4", "a b  c.mp4", "雪 Löwe.mp4", "v1.2.final.mp4", "%d*?[x].mp4", "'q\".mp4"]
)
def test_hostile_names_keep_their_stem(tmp_path: Path, name: str) -> None:
    fill(tmp_path / "in", name)
    assert outputs(tmp_path / "in") == [name.removesuffix(".mp4")]
    assert outputs(tmp_path / "in" / name) == [name.removesuffix(".mp4")]


def test_no_name_leads_out_of_the_output_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "in/...mp4", "in/x.mp4", "other/x.mp4")
    monkeypatch.chdir(tmp_path / "other")
    names = outputs(tmp_path / "in" / "...mp4", tmp_path / "in", Path("../other"), Path(".."))
    assert all(".." not in PurePath(name).parts for name in names)
    assert names == ["...mp4", "in/x.mp4", "other/x.mp4"]


def test_an_unreadable_folder_is_reported_and_the_rest_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "a.mp4", "locked/b.mp4")
    close(monkeypatch, "locked")
    told: list[tuple[Path, str]] = []
    found = discover([tmp_path, tmp_path], complain=lambda folder, why: told.append((folder, why)))
    assert [each.relative for each in found] == [PurePath("a")]
    assert told == [(tmp_path / "locked", "Permission denied")]
    with pytest.raises(ConfigError, match=r"locked \(Permission denied\) cannot be searched"):
        discover([tmp_path / "locked"])


def test_a_file_that_nobody_may_look_at_is_a_video_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "a.mp4", "b.mp4")
    stat = Path.stat

    def refuse(path: Path, **options: bool) -> os.stat_result:
        if path.name == "b.mp4":
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    assert outputs(tmp_path) == ["a", "b"]


parts = st.sampled_from(
    ["run.json", "RUN.json ", "run.json (2)", "a", "A", "b", "a.mp4", "a.MP4", "a.avi", "a (2)", "a. "]
)
paths = st.builds(
    lambda folders, stem, suffix: PurePath(*folders, stem + suffix),
    st.lists(parts, max_size=2),
    parts,
    st.sampled_from([".mp4", ".avi", ".MP4", ""]),
)


@given(st.lists(st.tuples(paths, st.sampled_from(["in", "a", "IN"])), max_size=8))
def test_names_are_distinct_and_none_holds_another(entries: list[tuple[PurePath, str]]) -> None:
    candidates = [_Candidate(Path(f"{k}"), inside, name) for k, (inside, name) in enumerate(entries)]
    keys = [_key(name) for name in _distinct_names(candidates)]
    assert not any(key[0] in RESERVED for key in keys)
    for one, other in permutations(keys, 2):
        assert one != other[: len(one)]
