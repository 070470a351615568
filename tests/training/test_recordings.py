"""What videos show, as folders, lists and options of ``faces capture`` say it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagement import collection
from engagement.errors import ConfigError, DataError
from engagement.faces.capture import Scene
from engagement.types import Frame
from tests import media
from tests.closed_folders import close


def test_folders_and_lists_say_what_videos_show(tmp_path: Path) -> None:
    for name in (
        "happy/monday.mp4",
        "happy/deep/tuesday.MOV",
        "sad_2.mp4",
        "sad/.hidden.mp4",
        "sad/notes.txt",
    ):
        (tmp_path / "clips" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clips" / name).write_bytes(b"x")
    found = {r.path.name: r.scenes[0].label for r in collection.recordings([tmp_path / "clips"])}
    assert found == {"monday.mp4": "happy", "tuesday.MOV": "happy", "sad_2.mp4": "sad"}
    one = collection.recordings([tmp_path / "clips"], "away", "Ann")
    assert {(r.scenes[0].label, r.scenes[0].person) for r in one} == {("away", "Ann")}
    listing = tmp_path / "list.csv"
    listing.write_text("video, start, end, label\na.mp4,,0:10,happy\na.mp4,1:00.5,,sad\nsub/b.mp4,,,sad\n")
    a, b = collection.recordings([listing])
    assert (a.path, b.path) == (tmp_path / "a.mp4", tmp_path / "sub" / "b.mp4")
    assert [(s.label, s.start_s, s.end_s) for s in a.scenes] == [("happy", 0, 10), ("sad", 60.5, None)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("video,label\na.mp4,happy\na.mp4,sad\n", "line 3: overlaps line 2"),
        ("video,start,end,label\na.mp4,5,4,happy\n", "line 2: a stretch from 5 s to 4 s"),
        ("video,start,end,label\na.mp4,five,,happy\n,,,sad\n", "line 2: 'five' is no time; line 3: no video"),
        ("video,label\na.mp4,../up\n", "line 2: label '../up' cannot name a folder"),
        ("film,label\na.mp4,x\n", "columns film, label"),
        ("video,label,mood\na.mp4,x,y\n", "columns video, label, mood"),
        ("video,start\na.mp4,1\n", "columns video, start"),
        ("video,label\n", "no rows"),
        ("video,start,end,label\na.mp4,0,1,5,happy\n", "line 2: more cells than columns (write 1.5, not 1,5"),
        ("video,start,end,label\n\n\na.mp4,five,,happy\n", "line 4: 'five' is no time. Times are"),
        ("video,label\n,,\na.mp4,happy,\nb.mp4,sad,x\n", "line 4: more cells than columns"),
        ("video|label\na.mp4|happy\n", "columns video|label. Expected video,start,end,label"),
    ],
)
def test_a_list_with_mistakes_names_its_lines(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        collection.recordings([tmp_path / "list.csv"])
    assert said in str(caught.value)
    assert ("Times are" in str(caught.value)) == ("no time" in said)


STRETCH = st.tuples(st.integers(0, 6), st.integers(1, 6) | st.none())


@given(STRETCH, STRETCH)
def test_stretches_overlap_where_a_moment_would_show_two_classes(
    a: tuple[int, int | None], b: tuple[int, int | None]
) -> None:
    one, two = (
        Scene(label, begin, None if length is None else begin + length)
        for label, (begin, length) in zip(("happy", "sad"), (a, b), strict=True)
    )
    both = any(one.holds(time) and two.holds(time) for time in np.arange(0, 20, 0.5))
    lines = [f"a.mp4,{s.start_s},{'' if s.end_s is None else s.end_s},{s.label}" for s in (one, two)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.csv"
        path.write_text("\n".join(["video,start,end,label", *lines]))
        if both:
            with pytest.raises(DataError, match="line 3: overlaps line 2"):
                collection.recordings([path])
        else:
            (found,) = collection.recordings([path])
            assert found.scenes == (one, two)


class Looked:
    """Stands for what saves faces: remembers which frames it was given."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def name_for(self, name: str, longer: str, source_id: str) -> str:
        return name

    def add(self, source: str, scenes: object, frames: Iterable[Frame], *_: object) -> int:
        self.times += [round(frame.time_s, 3) for frame in frames]
        return len(self.times)


def test_frames_are_those_of_the_stretches_and_stretches_beyond_the_end_are_told(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "a.mp4", range(0, 4000, 200))  # the last picture is at 3.8 s

    def looked(every: int, *scenes: Scene) -> tuple[list[float], list[str]]:
        work, said = Looked(), list[str]()
        recording = collection.Recording(path, scenes)
        assert collection.capture([recording], every, work, said.append) == []  # type: ignore[arg-type]
        return work.times, said

    times, said = looked(2, Scene("happy", 0, 1), Scene("sad", 2, 4.5))
    assert times == [0, 0.4, 0.8, 2, 2.4, 2.8, 3.2, 3.6] and said == ["a.mp4: 8 faces of happy, sad"]
    _, said = looked(1, Scene("happy", 0, 9), Scene("sad", 3, 5), Scene("calm", 3.8), Scene("away", 10, 12))
    assert said[1:] == [
        "a.mp4: ends at 3.8 s, before the beginning of 1 of its stretches",
        "a.mp4: ends at 3.8 s, before the end of 2 of its stretches",
    ]


def test_a_list_as_a_spreadsheet_of_another_language_saves_it(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("Video;Start;End;Label\na.mp4;0:01;2,5;happy\n", encoding="utf-8-sig")
    (found,) = collection.recordings([tmp_path / "list.csv"])
    assert found.path.name == "a.mp4"
    assert [(s.label, s.start_s, s.end_s) for s in found.scenes] == [("happy", 1.0, 2.5)]


def test_rows_that_a_spreadsheet_leaves_empty_are_none(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("video,start,end,label\na.mp4,0,1,happy\n,,,\n , ,,\n")
    (found,) = collection.recordings([tmp_path / "list.csv"])
    assert found.path.name == "a.mp4"


def test_a_linked_folder_is_searched_and_one_that_is_closed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "monday.mp4").write_bytes(b"x")
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "happy").symlink_to(tmp_path / "elsewhere")
    (found,) = collection.recordings([tmp_path / "clips"])
    assert (found.path.name, found.scenes[0].label) == ("monday.mp4", "happy")
    close(monkeypatch, "happy")
    with pytest.raises(ConfigError, match=r"happy cannot be searched \(Permission denied\)"):
        collection.recordings([tmp_path / "clips"])


def test_a_folder_whose_name_cannot_be_a_label_is_named(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "x.mp4").write_bytes(b"")
    with pytest.raises(
        ConfigError, match=r"x.mp4: label 'test' would be taken for a split.*Rename the folder"
    ):
        collection.recordings([tmp_path])


def test_nothing_says_what_a_video_shows(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a.mp4 does not exist"):
        collection.recordings([tmp_path / "a.mp4"])
    (tmp_path / "a.mp4").touch()
    with pytest.raises(ConfigError, match="nothing says what"):
        collection.recordings([tmp_path / "a.mp4"])
    (tmp_path / "a.mp4").unlink()
    (tmp_path / "list.csv").write_text("video,label\na.mp4,happy\n")
    with pytest.raises(ConfigError, match="has labels"):
        collection.recordings([tmp_path / "list.csv"], "sad")
    with pytest.raises(ConfigError, match="holds no video"):
        collection.recordings([tmp_path])
