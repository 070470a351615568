"""Faces with a manifest written by hand: what a split decides is what training holds together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engagement.errors import DataError
from engagement.faces.manifest import read_manifest
from tests.training.made_up_faces import write_face
from training.collection.augment import CopyOptions, augment_faces
from training.collection.split import By, SplitOptions, split_faces
from training.datasets.registry import load
from training.held_out import require_disjoint
from training.samples.table import SampleTable

PEOPLE = {"h1": "Ann", "h2": "Bo", "s1": "Ann", "s2": "Bo"}


def listed(folder: Path, *columns: str) -> Path:
    """Two videos of each class, each of one person, eight faces each; the manifest has these columns."""
    lines = [",".join(columns)]
    for n, (source, person) in enumerate(PEOPLE.items()):
        label = "happy" if source.startswith("h") else "sad"
        for i in range(8):
            cells = {"file": f"{label}/{source}{i}.png", "source": f"{source}.mp4", "person": person}
            cells["time_s"] = str(i)
            write_face(folder / cells["file"], n // 2, 10 * n + i)
            lines.append(",".join(cells[c] for c in columns))
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def sides(table: SampleTable) -> dict[str, set[str]]:
    """Video -> splits of its faces."""
    out: dict[str, set[str]] = {}
    for name, side in zip(table.sample_id.tolist(), table.split.tolist(), strict=True):
        out.setdefault(str(name).partition("/")[2][:2], set()).add(str(side))
    return out


@pytest.mark.parametrize(
    ("columns", "by", "groups"),
    [
        (("file", "source", "time_s"), "time", {f"{s}.mp4#{k}" for s in PEOPLE for k in range(4)}),
        (("file", "source", "person", "time_s"), "time", {f"{s}.mp4#{k}" for s in PEOPLE for k in range(4)}),
        (("file", "source", "person"), "video", {f"{s}.mp4" for s in PEOPLE}),
        (("file", "source", "person"), "person", {"Ann", "Bo"}),
    ],
)
def test_training_takes_every_split_of_a_manifest_written_by_hand(
    tmp_path: Path, columns: tuple[str, ...], by: By, groups: set[str]
) -> None:
    folder = listed(tmp_path / "f", *columns)
    split_faces(folder, SplitOptions(by))
    table = load(str(folder))
    require_disjoint(table)
    assert set(table.split.tolist()) == {"train", "val"}
    assert set(table.group.tolist()) == groups
    augment_faces(folder, tmp_path / "out", CopyOptions(1))
    require_disjoint(load(str(tmp_path / "out")))


def test_a_split_does_not_depend_on_the_one_before(tmp_path: Path) -> None:
    columns = ("file", "source", "person", "time_s")
    for by in ("time", "person", "video"):
        straight = listed(tmp_path / f"straight_{by}", *columns)
        again = listed(tmp_path / f"again_{by}", *columns)
        split_faces(again, SplitOptions("video"))
        split_faces(straight, SplitOptions(by))
        split_faces(again, SplitOptions(by))
        assert read_manifest(again) == read_manifest(straight)


def test_what_the_manifest_says_of_groups_stays(tmp_path: Path) -> None:
    folder = listed(tmp_path / "f", "file", "source")
    text = (folder / "manifest.csv").read_text()
    (folder / "manifest.csv").write_text(text.replace("source", "source,group").replace("h1.mp4", "h1.mp4,x"))
    split_faces(folder, SplitOptions())
    found = {row["source"]: row["group"] for row in read_manifest(folder)}
    assert found == {"h1.mp4": "x", "h2.mp4": "h2.mp4", "s1.mp4": "s1.mp4", "s2.mp4": "s2.mp4"}


def test_a_split_by_video_needs_no_time(tmp_path: Path) -> None:
    folder = listed(tmp_path / "f", "file", "source", "time_s")
    text = (folder / "manifest.csv").read_text()
    (folder / "manifest.csv").write_text(text.replace(".mp4,", ".mp4,0:0"))
    split_faces(folder, SplitOptions())
    require_disjoint(load(str(folder)))


def test_copies_of_faces_without_group_stay_with_their_video(tmp_path: Path) -> None:
    augment_faces(listed(tmp_path / "f", "file", "source"), tmp_path / "out", CopyOptions(1))
    table = load(str(tmp_path / "out")).with_validation(0.5, stratified=True)
    assert set(table.split.tolist()) == {"train", "val"}
    assert all(len(side) == 1 for side in sides(table).values())


def test_copies_that_a_manifest_does_not_list_stay_with_their_original(tmp_path: Path) -> None:
    """Originals may be listed with or without a source; their copies lie beside them."""
    for source in ("", "a.mp4"):
        folder = tmp_path / f"f{source}"
        for name in ("1", "1_aug01", "2", "2_aug01"):
            write_face(folder / "happy" / f"{name}.png", 0, 0)
        lines = ["file,source", *(f"happy/{name}.png,{source}" for name in "12")]
        (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
        group = dict(zip((t := load(str(folder))).sample_id.tolist(), t.group.tolist(), strict=True))
        for name in "12":
            own = source or f"happy/{name}.png"
            assert group[f"happy/{name}.png"] == group[f"happy/{name}_aug01.png"] == own


@pytest.mark.parametrize("labels", [("label", "happy", "sad"), ("boredom", "0", "1")])
def test_copies_stay_with_the_original_that_a_csv_lists_beside_them(
    tmp_path: Path, labels: tuple[str, str, str]
) -> None:
    column, *said = labels
    lines = [f"file,{column},group"]
    for number, (label, group) in enumerate(zip(said, ("", "ana"), strict=True)):
        for name in (f"{number}", f"{number}_aug01"):
            write_face(tmp_path / f"{name}.png", 0, 0)
            lines.append(f"{name}.png,{label},{group if 'aug' not in name else ''}")
    (tmp_path / "faces.csv").write_text("\n".join(lines) + "\n")
    assert load(str(tmp_path / "faces.csv")).group.tolist() == ["0.png", "0.png", "ana", "ana"]


def test_folders_that_differ_in_capitals_or_synonyms_are_one_class(tmp_path: Path) -> None:
    """Of two videos one lies in each folder: together they can be learned and checked."""
    for by in ("video", "time"):
        lines = ["file,source,time_s"]
        for folder, source in (("Happy", "h1"), ("happiness", "h2"), ("Sad", "s1"), ("sad", "s2")):
            for i in range(8):
                write_face(tmp_path / by / folder / f"{source}{i}.png", len(folder), i)
                lines.append(f"{folder}/{source}{i}.png,{source}.mp4,{i}")
        (tmp_path / by / "manifest.csv").write_text("\n".join(lines) + "\n")
        division = split_faces(tmp_path / by, SplitOptions(by))  # type: ignore[arg-type]
        assert all(set(counts) == {"happy", "sad"} for counts in division.counts.values())
        table = load(str(tmp_path / by))
        assert table.labels.classes == ("happy", "sad")
        for split, counts in division.counts.items():
            assert table.part(split).target.sum(axis=0).tolist() == list(counts.values())


def test_the_last_blocks_of_each_video_test_and_those_before_them_validate(tmp_path: Path) -> None:
    """A face a second in blocks of two; of a video too short for three splits everything is learned."""
    lines = ["file,source,time_s"]
    for kind, label in enumerate(("happy", "sad")):
        for source, faces in (("long", 24), ("three", 6), ("two", 4)):
            for i in range(faces):
                write_face(tmp_path / label / f"{source}{i}.png", kind, 100 * faces + i)
                lines.append(f"{label}/{source}{i}.png,{label}_{source}.mp4,{i}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    split_faces(tmp_path, SplitOptions("time", val=0.2, test=0.2))
    found: dict[str, list[str]] = {}
    for row in sorted(read_manifest(tmp_path), key=lambda row: int(row["time_s"])):
        found.setdefault(row["source"], []).append(row["split"])
    for label in ("happy", "sad"):
        assert found[f"{label}_long.mp4"] == ["train"] * 16 + ["val"] * 4 + ["test"] * 4
        assert found[f"{label}_three.mp4"] == ["train"] * 2 + ["val"] * 2 + ["test"] * 2
        assert found[f"{label}_two.mp4"] == ["train"] * 4


def test_hidden_files_are_no_pictures(tmp_path: Path) -> None:
    folder = listed(tmp_path / "f", "file", "source")
    before = load(str(folder)).sample_id.tolist()
    (folder / "happy" / "._h10.png").write_bytes(b"what macOS leaves")
    write_face(folder / "sad" / ".trash" / "old.png", 1, 1)
    assert load(str(folder)).readable(skip_bad=False).sample_id.tolist() == before
    said: list[str] = []
    split_faces(folder, SplitOptions(), said.append)
    assert not said


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        (
            "file,label\nface.png,\nlost.png,x\nface.png,y\nface.png,\n",
            ["line 2: no label", r"line 3: \S+lost\.png does not exist", "line 5: no label"],
        ),
        (
            "file,tired\nface.png,very\nface.png,1\nface.png,-1\n",
            ["line 2: 'very' is no grade of 'tired'", "line 4: '-1' is no grade of 'tired'"],
        ),
        (
            "file,label,box_x1,box_y1,box_x2,box_y2\n,x,,,,\nface.png,x,1,1,0,0\nface.png,x,a,0,1,1\n",
            ["line 2: no file", "line 3: the face box", "line 4: .* are no four numbers"],
        ),
    ],
)
def test_all_mistakes_of_a_csv_are_told_at_once(tmp_path: Path, text: str, mistakes: list[str]) -> None:
    write_face(tmp_path / "face.png", 0, 0)
    (tmp_path / "faces.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        load(str(tmp_path / "faces.csv"))
    first, *told = str(caught.value).split("\n")
    assert first == f"{len(mistakes)} mistakes in {tmp_path / 'faces.csv'}:"
    assert len(told) == len(mistakes)
    for line, mistake in zip(told, mistakes, strict=True):
        assert re.search(mistake, line), line


def test_of_many_mistakes_the_first_are_told_and_how_many_follow(tmp_path: Path) -> None:
    (tmp_path / "faces.csv").write_text("file,label\n" + "lost.png,x\n" * 3000)
    with pytest.raises(DataError) as caught:
        load(str(tmp_path / "faces.csv"))
    lines = str(caught.value).split("\n")
    assert lines[0].startswith("3000 mistakes") and len(lines) == 22
    assert lines[-1] == "  and 2980 more"
