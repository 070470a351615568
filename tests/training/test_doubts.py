"""Data that look as if somebody meant otherwise: said in a sentence, and read as they are."""

from __future__ import annotations

import json
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from engagement.errors import DataError
from tests.closed_folders import close
from tests.training.invoking import error, ok
from tests.training.made_up_faces import write_face
from training.datasets.registry import load
from training.held_out import flattering


def folders(root: Path, *names: str) -> Path:
    """Two pictures in each of the folders, all of them different."""
    for kind, name in enumerate(names):
        for i in range(2):
            write_face(root / name / f"{i}.png", kind, i)
    return root


@pytest.mark.parametrize(
    ("names", "top", "inside"),
    [
        (("unpacked/happy", "unpacked/sad"), "unpacked", "happy, sad"),
        (("unpacked/train", "unpacked/test"), "unpacked", "test, train"),
        (("ann/Happy", "ann/sad", "bo/happy"), "ann, bo", "happy, sad"),
    ],
)
def test_class_folders_further_in_are_named(
    tmp_path: Path, names: tuple[str, ...], top: str, inside: str
) -> None:
    (note,) = load(str(folders(tmp_path, *names))).notes
    assert f"folders at the top ({top}); those inside them ({inside}) count for nothing" in note


@pytest.mark.parametrize(
    "names",
    [
        ("happy/monday", "happy/tuesday", "sad/monday"),
        ("happy", "sad/ann"),
        ("train/happy", "train/sad", "val/happy"),
        ("writing", "away", "happy"),
    ],
)
def test_folders_as_they_should_be_are_passed_over_in_silence(tmp_path: Path, names: tuple[str, ...]) -> None:
    assert load(str(folders(tmp_path, *names))).notes == ()


@pytest.mark.parametrize("split", ["", "train"])
def test_pictures_beside_the_class_folders_are_counted(tmp_path: Path, split: str) -> None:
    root = folders(tmp_path / "set", *(f"{split}/{name}".strip("/") for name in ("happy", "sad")))
    for name in ("a.png", "b.png", ".c.png"):
        write_face(root / split / name, 0, 9)
    (root / "notes.txt").write_text("")
    (note,) = load(str(root)).notes
    assert note == f"pictures beside the class folders are passed over: 2, first {root / split / 'a.png'}"


def test_a_list_beside_a_folder_of_pictures_is_named(tmp_path: Path) -> None:
    folders(tmp_path, "images")
    (tmp_path / "labels.csv").write_text("file,label\nimages/0.png,happy\n")
    (note,) = load(str(tmp_path)).notes
    assert note.startswith(f"{tmp_path / 'labels.csv'} is not read")
    folders(tmp_path, "others")
    assert load(str(tmp_path)).notes == ()


def test_a_list_beside_pictures_without_class_folders_is_named(tmp_path: Path) -> None:
    write_face(tmp_path / "0.png", 0, 0)
    (tmp_path / "labels.csv").write_text("file,label\n0.png,happy\n")
    with pytest.raises(DataError, match=r"no pictures in class folders\. Where .*labels\.csv says"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        (("happy", "suprise"), "'suprise' is 'surprise'"),
        (("sads", "neutrals"), "'neutrals' is 'neutral', 'sads' is 'sad'"),
    ],
)
def test_expressions_that_may_be_misspelled_are_named(
    tmp_path: Path, names: tuple[str, ...], meant: str
) -> None:
    table = load(str(folders(tmp_path, *names)))
    assert table.labels.classes == tuple(sorted(names))
    (note,) = table.notes
    assert meant in note


def test_faces_listed_more_than_once_are_counted_and_are_no_groups(tmp_path: Path) -> None:
    folders(tmp_path, "happy", "sad")
    lines = ["file,label,box_x1,box_y1,box_x2,box_y2", "happy/0.png,happy,,,,", "sad/0.png,sad,0,0,.5,.5"]
    lines += ["sad/0.png,sad,.5,.5,1,1", "sad/1.png,sad,,,,", "happy/1.png,happy,,,,"]
    (tmp_path / "faces.csv").write_text("\n".join(lines) + "\n")
    assert not any("earlier line" in note for note in load(str(tmp_path / "faces.csv")).notes)
    (tmp_path / "faces.csv").write_text("\n".join([*lines, "happy/0.png,sad,,,,"]) + "\n")
    (note,) = [note for note in load(str(tmp_path / "faces.csv")).notes if "earlier line" in note]
    assert "1 of 6 lines" in note and "line 7 (happy/0.png)" in note


def test_pictures_that_are_learned_from_and_validate_make_figures_doubtful(tmp_path: Path) -> None:
    root = folders(tmp_path, "train/happy", "train/sad", "val/happy", "val/sad")
    assert flattering(load(str(root))) == []
    shutil.copy(root / "train" / "sad" / "0.png", root / "val" / "sad" / "again.png")
    (said,) = flattering(load(str(root)))
    assert said.startswith("learned from as well, under this or another name: 1 of 5 pictures")


def test_a_set_without_train_split_says_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no 'train' split .* It has: test"):
        load(str(folders(tmp_path, "Test/happy", "Test/sad"))).with_validation(0.1)


def test_class_names_in_another_column_than_label_are_no_bad_grades_alone(tmp_path: Path) -> None:
    folders(tmp_path, "happy")
    (tmp_path / "faces.csv").write_text("file,emotion\nhappy/0.png,happy\n")
    said = error("personal", "--data", tmp_path / "faces.csv", "-o", tmp_path / "out")
    assert "'happy' is no grade of 'emotion'" in said and "A column of classes is called 'label'" in said


def test_links_are_followed_and_links_to_nowhere_are_named(tmp_path: Path) -> None:
    """What is linked counts as what lies there; what is lost must not be missing in silence."""
    root, other = folders(tmp_path / "set", "happy", "sad"), folders(tmp_path / "other", "ann")
    (root / "happy" / "more").symlink_to(other / "ann", target_is_directory=True)
    assert len(load(str(root))) == 6
    (root / "sad" / "lost.png").symlink_to(tmp_path / "nowhere.png")
    table = load(str(root))
    assert len(table) == 7
    with pytest.raises(DataError, match=r"lost\.png \(not there\) cannot be decoded"):
        table.readable(skip_bad=False)
    (root / "fear").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match="fear is a link to nowhere"):
        load(str(root))


def test_a_folder_that_cannot_be_searched_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its pictures would be missing without a word."""
    root = folders(tmp_path / "set", "happy", "sad", "sad/ann")
    close(monkeypatch, "ann")
    with pytest.raises(DataError, match="ann cannot be searched"):
        load(str(root))


def test_an_umlaut_that_two_systems_spell_differently_is_one_class(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "müde")
    root = folders(tmp_path, f"train/{apart}", "train/wach", "test/müde", "test/wach")
    (root / "manifest.csv").write_text(f"file,label\ntrain/{apart}/0.png,müde\n", encoding="utf-8")
    assert load(str(root)).labels.classes == ("müde", "wach")


def test_folders_that_systems_leave_are_nobody_s(tmp_path: Path) -> None:
    root = folders(tmp_path / "set", "happy", "sad", "happy/@eaDir/0.png", "__MACOSX/happy")
    table = load(str(root))
    assert table.labels.classes == ("happy", "sad") and len(table) == 4


def test_classes_that_no_head_knows_are_refused_before_every_picture_is_decoded(
    tmp_path: Path, base_file: Path
) -> None:
    root = folders(tmp_path / "set", "happy", "scorn")
    (root / "happy" / "bad.png").write_bytes(b"no picture")
    assert "it does not know scorn" in error("evaluate", root, "--checkpoint", base_file)


def test_contempt_and_what_nobody_could_name_are_left_out_of_what_the_seven_are_measured_on(
    tmp_path: Path, base_file: Path
) -> None:
    root = folders(tmp_path / "set", "happy", "sad", "Contempt", "NF")
    out = tmp_path / "found.json"
    said = ok(
        "evaluate", root, "--checkpoint", base_file, "--json", out, "--report", tmp_path / "page"
    ).output
    assert "2 pictures of contempt left out: the model has no such class" in said
    found = json.loads(out.read_text())
    assert found["left_out"] == {"contempt": 2, "nf": 2}
    assert found["pictures"] == found["n"] == 4 and np.sum(found["confusion"]) == 4
    page = (tmp_path / "page" / "report.html").read_text()
    assert "contempt (2 pictures), nf (2 pictures)" in page
    # Nothing is left out beside a class that may be misspelled, and nothing where nothing else is there.
    folders(root, "hapy")
    assert "does not know contempt, hapy, nf" in error("evaluate", root, "--checkpoint", base_file)
    alone = folders(tmp_path / "alone", "contempt", "unknown")
    assert "does not know contempt, unknown" in error("evaluate", alone, "--checkpoint", base_file)


@pytest.mark.parametrize(
    ("called", "split"),
    [("training", "train"), ("valid", "val"), ("validation", "val"), ("Testing", "test")],
)
def test_splits_have_other_names_too(called: str, split: str, tmp_path: Path) -> None:
    write_face(tmp_path / "set" / called / "happy" / "0.png", 0, 0)
    (tmp_path / "faces.csv").write_text(f"file,label,split\nset/{called}/happy/0.png,happy,{called}\n")
    assert load(str(tmp_path / "set")).split.tolist() == [split]
    assert load(str(tmp_path / "faces.csv")).split.tolist() == [split]
