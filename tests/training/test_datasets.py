"""Readers of every layout, and the errors that name the culprit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engagement.errors import ConfigError, DataError
from engagement.labels import EXPRESSIONS, LEARNER_STATES, LabelSet
from tests.training.made_up_faces import write_face
from training.datasets.registry import load, prepared
from training.held_out import require_disjoint
from training.samples.table import SampleTable, one_hot, read_rgb


def quiet(_: str) -> None:
    """No progress."""


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("rafdb", "{folder}"),
        ("rafdb", "{folder}:rafdb"),
        ("fer2013", "{folder}/fer2013.csv"),
        ("fer2013", "{folder}"),
        ("daisee", "{folder}"),
        ("wacv2016", "{folder}"),
    ],
)
def test_official_files_hold_what_the_parquet_files_hold(
    name: str, reference: str, shared_data: Path, unpacked: Callable[[str], Path]
) -> None:
    files = load(reference.format(folder=unpacked(name)))
    whole = load(f"{shared_data}:{name}")
    assert files.labels == whole.labels
    assert files.name == whole.name
    assert {s: int((files.split == s).sum()) for s in set(files.split.tolist())} == dict.fromkeys(
        set(whole.split.tolist()), 40
    )
    np.testing.assert_array_equal(files.box[0], whole.box[0])
    # The first rows of a split are the same pictures with the same labels.
    a, b = files.part("test"), whole.part("test")
    order = {str(i).removesuffix(".avi"): row for row, i in enumerate(b.sample_id)}
    for row in range(10):
        partner = order.get(str(a.sample_id[row]), row)
        np.testing.assert_array_equal(a.target[row], b.target[partner])
        # unpack.py makes WACV's pictures grey by another rounding.
        np.testing.assert_allclose(
            read_rgb(a.images[row]).astype(int),
            read_rgb(b.images[partner]).astype(int),
            atol=1 if name == "wacv2016" else 0,
        )


def test_class_folders_may_borrow_the_framing_of_a_known_set(expression_folders: Path) -> None:
    framed, plain = load(f"{expression_folders}:fer2013"), load(str(expression_folders))
    assert framed.name == "fer2013"
    assert not np.array_equal(framed.box[0], plain.box[0])


def test_class_folders_understand_other_names_of_the_expressions(tmp_path: Path) -> None:
    for i, name in enumerate(("Happiness", "anger", "sad")):
        write_face(tmp_path / name / "a.png", i, 0)
    table = load(str(tmp_path))
    assert table.labels == LabelSet("expression", ("angry", "happy", "sad"), "exclusive")
    assert table.target.argmax(axis=1).tolist() == [1, 0, 2]


def test_other_classes_are_named_after_their_folder(own_folders: Path) -> None:
    table = load(str(own_folders))
    assert table.labels == LabelSet("my classes", ("awake", "away", "tired"), "exclusive")
    assert len(table) == 24


def test_split_folders_become_splits(expression_folders: Path) -> None:
    table = load(str(expression_folders))
    assert table.labels == EXPRESSIONS
    assert len(table.part("train")) == 84
    assert len(table.part("test")) == 21


def test_split_folders_may_be_written_in_capitals(tmp_path: Path) -> None:
    for split in ("Train", "TEST", "Validation"):
        for kind, name in enumerate(("happy", "sad")):
            write_face(tmp_path / split / name / "a.png", kind, 0)
    table = load(str(tmp_path))
    assert table.labels.classes == ("happy", "sad")
    assert set(table.split.tolist()) == {"train", "val", "test"}


def test_a_list_may_name_pictures_elsewhere(tmp_path: Path) -> None:
    for kind, name in enumerate(("awake", "tired")):
        write_face(tmp_path / "pictures" / f"{name}.png", kind, 0)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "faces.csv").write_text(
        f"file,label\n{tmp_path / 'pictures' / 'awake.png'},awake\n../pictures/tired.png,tired\n"
    )
    table = load(str(tmp_path / "lists" / "faces.csv"))
    assert [read_rgb(image).ndim for image in table.images] == [3, 3]
    assert table.sample_id[0] == (tmp_path / "pictures" / "awake.png").as_posix()


def test_daisee_levels_become_states_and_subjects_groups(daisee_folder: Path) -> None:
    table = load(str(daisee_folder))
    assert table.labels == LEARNER_STATES
    assert set(table.part("val").group.tolist()) == {"400022", "400023"}
    assert table.target[0].tolist() == [0, 1, 0]


def test_a_manifest_gives_groups_and_boxes(tmp_path: Path) -> None:
    write_face(tmp_path / "a" / "1.png", 0, 0)
    write_face(tmp_path / "b" / "2.png", 1, 0)
    (tmp_path / "manifest.csv").write_text(
        "file,group,box_x1,box_y1,box_x2,box_y2\na/1.png,clip#3,0.2,0.1,0.8,0.9\nb/2.png,clip#4,,,,\n"
    )
    table = load(str(tmp_path))
    assert table.group.tolist() == ["clip#3", "clip#4"]
    np.testing.assert_allclose(table.box[0], [0.2, 0.1, 0.8, 0.9])
    assert not np.array_equal(table.box[0], table.box[1])


@pytest.mark.parametrize("column", ["label", "grade"])
def test_says_how_many_pictures_have_no_box(tmp_path: Path, column: str) -> None:
    for i in range(4):
        write_face(tmp_path / f"{i}.png", i, i)
    box = "0.2,0.1,0.8,0.9"
    for boxes, said in (([box, "", "", box], ["2 of 4"]), ([box] * 4, []), (["", "", "", ""], [])):
        rows = [f"{i}.png,{i % 2},{own or ',,,'}" for i, own in enumerate(boxes)]
        head = f"file,{column},box_x1,box_y1,box_x2,box_y2"
        (tmp_path / "faces.csv").write_text("\n".join([head, *rows]) + "\n")
        lines: list[str] = []
        prepared(str(tmp_path / "faces.csv"), None, False, lines.append)
        whole = "without a box of their own:"
        assert [line for line in lines if whole in line] == [f"faces: {whole} {n} pictures" for n in said]


def test_a_labelled_csv_is_a_data_set(tmp_path: Path) -> None:
    for i in range(3):
        write_face(tmp_path / "pictures" / f"{i}.png", i, 0)
    rows = [
        "file,label,split,person",
        *(
            f"pictures/{i}.png,{'up' if i else 'down'},{s},p{i}"
            for i, s in enumerate(("train", "val", "test"))
        ),
    ]
    (tmp_path / "faces.csv").write_text("\n".join(rows))
    table = load(str(tmp_path / "faces.csv"))
    assert table.labels.classes == ("down", "up")
    assert table.split.tolist() == ["train", "val", "test"]
    assert table.group.tolist() == ["p0", "p1", "p2"]
    # As a spreadsheet of another language saves it.
    (tmp_path / "other.csv").write_text("\n".join(rows).replace(",", ";"), encoding="utf-16")
    again = load(str(tmp_path / "other.csv"))
    assert again.split.tolist() == ["train", "val", "test"] and again.group.tolist() == ["p0", "p1", "p2"]


def test_columns_may_be_written_in_capitals(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_face(tmp_path / f"{name}.png", 0, 0)
    text = "File,Label,Split ,Person,Box_X1,box_y1,box_x2,box_y2\na.png,x,val,Ann,0.1,0.1,0.9,0.9\nb.png,y,train,ann,,,,\n"
    (tmp_path / "faces.csv").write_text(text)
    table = load(str(tmp_path / "faces.csv"))
    assert table.split.tolist() == ["val", "train"]
    assert table.group.tolist() == ["Ann", "Ann"]  # one person
    assert table.box[0].tolist() == pytest.approx([0.1, 0.1, 0.9, 0.9])


@pytest.mark.parametrize("name", ["expression", "learner_state"])
def test_a_set_never_takes_the_name_of_our_labels(name: str, own_folders: Path, tmp_path: Path) -> None:
    shutil.copytree(own_folders, tmp_path / name)
    assert load(str(tmp_path / name)).labels.name == f"own_{name}"


def test_a_copy_of_a_set_is_the_same_set(own_folders: Path, tmp_path: Path) -> None:
    first = Path(shutil.copytree(own_folders, tmp_path / "one" / "set", copy_function=shutil.copyfile))
    second = Path(shutil.copytree(own_folders, tmp_path / "two" / "set", copy_function=shutil.copy2))
    assert load(str(first)).digest() == load(str(second)).digest()
    picture = next(p for p in second.rglob("*") if p.is_file())
    write_face(picture.with_suffix(".png"), 9, 9)
    assert load(str(first)).digest() != load(str(second)).digest()


def test_what_is_learned_decides_whether_a_set_is_the_same() -> None:
    table = replace(table_of(["x", "y"], [0, 1]), images=[b"one", b"two"])
    others = (
        replace(table, images=[b"one", b"three"]),
        replace(table, target=table.target[::-1]),
        replace(table, box=table.box + 0.5),
        replace(table, split=np.array(["train", "val"])),
        replace(table, sample_id=table.sample_id[::-1]),
    )
    assert len({table.digest(), *(other.digest() for other in others)}) == 1 + len(others)


def test_only_a_column_group_tells_of_blocks() -> None:
    """``faces capture`` writes video#block there; somebody who is called so, or a video, is whole."""
    names = ["a#1", "a#2.3", "b#x", "#4"]
    table = table_of(names, [0, 1, 0, 1])
    assert table.source.tolist() == ["a", "a", "b#x", "#4"]
    assert replace(table, blocks=False).source.tolist() == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label\nx\n", "no column 'file'"),
        ("file,label\nmissing.png,x\n", r"line 2: .*missing\.png does not exist"),
        ("file,label\nface.png,\n", "line 2: no label"),
        ("file,label,split\nface.png,x,trian\n", "'trian' is none of train, val, test"),
        ("file,label,box_x1,box_y1,box_x2,box_y2\nface.png,x,0.5,0,0.1,1\n", "line 2: the face box"),
        ("file,label,box_x1,box_y1,box_x2,box_y2\nface.png,x,0.1,0.8,0.9,0.7\n", "line 2: the face box"),
        ("file,label,box_x1,box_y1,box_x2,box_y2\nface.png,x,0,0,nan,1\n", "line 2: the face box"),
        ("file,label,box_x1,box_y1,box_x2,box_y2\nface.png,x,a,0,1,1\n", "no four numbers"),
        ("file,label,box_x1,box_y1,box_x2,box_y2\nface.png,x,10,12,90,95\n", "divide pixels by its width"),
        ("file,label\n", "has no rows"),
        ("file,label\n,x\n", "line 2: no file"),
        ("label,file\nx\n", "line 2: no file"),
        ('file,label\n"face.png,x\n' + 200_000 * "x", "is not a readable CSV file"),
    ],
)
def test_a_faulty_csv_is_explained(tmp_path: Path, text: str, message: str) -> None:
    write_face(tmp_path / "face.png", 0, 0)
    (tmp_path / "faces.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        load(str(tmp_path / "faces.csv"))


@pytest.mark.parametrize(
    ("file", "reference", "text"),
    [
        ("faces.csv", "faces.csv", "file,label\né.png,x\n"),
        ("manifest.csv", ".", "file,group\nhappy/é.png,x\n"),
        ("fer2013.csv", ".", "emotion,pixels,Usage\n0,é,Training\n"),
        ("fer2013new.csv", ".:ferplus", "é"),
        ("training.csv", ".:affectnet7", "subDirectory_filePath\né\n"),
        ("EmoLabel/list_patition_label.txt", ".", "train_é.jpg 1\n"),
    ],
)
def test_a_list_in_another_encoding_is_named(tmp_path: Path, file: str, reference: str, text: str) -> None:
    write_face(tmp_path / "happy" / "0.png", 0, 0)
    (tmp_path / "Image" / "aligned").mkdir(parents=True)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text, encoding="latin-1")
    if file == "manifest.csv":
        shutil.rmtree(tmp_path / "Image")
    with pytest.raises(DataError, match=rf"{Path(file).name} is not UTF-8 text\. Save it"):
        load(f"{tmp_path}/{reference}")


def test_a_manifest_that_says_something_else_than_the_folder_is_named(
    own_folders: Path, tmp_path: Path
) -> None:
    shutil.copytree(own_folders, tmp_path / "set")
    folder = next(p for p in sorted((tmp_path / "set").iterdir()) if p.is_dir())
    picture = next(folder.iterdir()).relative_to(tmp_path / "set").as_posix()
    (tmp_path / "set" / "manifest.csv").write_text(f"file,label\n{picture},{folder.name.upper()}\n")
    load(str(tmp_path / "set"))
    (tmp_path / "set" / "manifest.csv").write_text(f"file,label\n{picture},elsewhere\n")
    with pytest.raises(DataError, match=rf"line 2: {picture} is labelled 'elsewhere', but lies in .*review"):
        load(str(tmp_path / "set"))


def test_numbered_folders_agree_with_a_manifest_of_their_numbers(tmp_path: Path) -> None:
    for number in range(1, 8):
        write_face(tmp_path / "raf" / str(number) / "0.png", 0, 0)
    rows = "".join(f"{n}/0.png,{n},g{n}\n" for n in range(1, 8))
    (tmp_path / "raf" / "manifest.csv").write_text("file,label,group\n" + rows)
    assert sorted(load(f"{tmp_path / 'raf'}:rafdb").group.tolist()) == [f"g{n}" for n in range(1, 8)]


def test_a_split_of_ours_counts_beside_a_column_of_the_user_s(own_folders: Path, tmp_path: Path) -> None:
    shutil.copytree(own_folders, tmp_path / "set")
    files = sorted(p.relative_to(tmp_path / "set").as_posix() for p in (tmp_path / "set").rglob("*.png"))
    rows = "".join(f"{file},train,{'val' if i % 3 == 0 else 'train'}\n" for i, file in enumerate(files))
    (tmp_path / "set" / "manifest.csv").write_text("file,Split,split\n" + rows)
    assert (load(str(tmp_path / "set")).split == "val").sum() == len(files[::3])


def test_an_empty_class_folder_is_named(own_folders: Path, tmp_path: Path) -> None:
    shutil.copytree(own_folders, tmp_path / "set")
    (tmp_path / "set" / "bored").mkdir()
    with pytest.raises(DataError, match=r"class folder .*bored holds no picture"):
        load(str(tmp_path / "set"))


def test_what_is_no_data_set_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nosuch' does not exist"):
        load(str(tmp_path / "nosuch"))
    with pytest.raises(DataError, match="is no data set: 'nosuch' is the name of none"):
        load(f"{tmp_path}:nosuch")
    with pytest.raises(DataError, match=r"Do you mean .*:fer2013\?"):
        load(f"{tmp_path}:fre2013")
    with pytest.raises(DataError, match="holds no pictures"):
        load(str(tmp_path))
    with pytest.raises(DataError, match="does not exist"):
        load(f"{tmp_path / 'nosuch'}:rafdb")
    with pytest.raises(ConfigError, match="--limit 0 is below 1"):
        prepared(str(tmp_path), 0, False, quiet)


def test_damaged_pictures_stop_or_are_left_out_by_name(own_folders: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    shutil.copytree(own_folders, folder)
    (folder / "awake" / "0.png").write_bytes(b"no picture")
    (folder / "tired" / "1.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"0\.png, .*1\.png cannot be decoded.*--skip-bad"):
        prepared(str(folder), None, False, quiet)
    said: list[str] = []
    table = prepared(str(folder), None, True, said.append)
    assert len(table) == 22
    damaged = [line for line in said if "too few pictures" not in line]
    assert [Path(line.split(": ")[1]).name for line in damaged] == ["0.png", "1.png"]


def table_of(groups: list[str], classes: list[int], count: int = 2) -> SampleTable:
    n = len(groups)
    names = tuple("abcdefg"[:count])
    return SampleTable(
        "made up",
        LabelSet("made up", names, "exclusive"),
        [b""] * n,
        one_hot(np.array(classes), count),
        np.array(["train"] * n),
        np.array(groups),
        np.zeros((n, 4), np.float32),
        np.array([str(i) for i in range(n)]),
    )


def test_validation_never_divides_a_group() -> None:
    groups = [f"video{i % 9}" for i in range(90)]
    table = table_of(groups, [i % 2 for i in range(90)]).with_validation(0.2)
    held = set(table.group[table.split == "val"].tolist())
    assert held
    assert not held & set(table.group[table.split == "train"].tolist())
    assert set(table.part("val").target.argmax(axis=1).tolist()) == {0, 1}
    assert 0.1 < (table.split == "val").mean() < 0.4


@pytest.mark.parametrize("lone", range(4))
def test_one_clear_vote_divides_no_group(lone: int) -> None:
    """A single picture is called b by most: it stays with its group, wherever that goes."""
    table = table_of([f"p{i // 2}" for i in range(8)], [0] * 8)
    votes = np.full((8, 2), (0.75, 0.25), np.float32)
    votes[2 * lone] = [0.25, 0.75]
    require_disjoint(replace(table, target=votes).with_validation(0.3))


def test_a_picture_keeps_its_side_when_others_join() -> None:
    few = table_of([f"p{i}" for i in range(50)], [i % 2 for i in range(50)]).with_validation(0.2)
    many = table_of([f"p{i}" for i in range(80)], [i % 2 for i in range(80)]).with_validation(0.2)
    assert few.split.tolist() == many.split[:50].tolist()


def test_one_source_cannot_be_validated() -> None:
    with pytest.raises(DataError, match="comes from one source"):
        table_of(["same"] * 6, [0, 1] * 3).with_validation(0.2)
    with pytest.raises(DataError, match="all pictures of a and of b come from one source"):
        table_of(["x", "x", "z", "z"], [0, 0, 1, 1]).with_validation(0.2)


def test_a_class_from_one_source_is_learned_even_if_it_cannot_be_validated() -> None:
    table = table_of(["x", "y", "z", "z"], [0, 0, 1, 1]).with_validation(0.2)
    assert table.part("train").target.sum(axis=0).tolist() == [1, 2]


def test_an_empty_split_is_named() -> None:
    with pytest.raises(DataError, match=r"'made up' has no 'test' split.*It has: train"):
        table_of(["a", "b"], [0, 1]).part("test")


def test_a_trial_takes_some_of_each_split(expression_folders: Path) -> None:
    small = load(str(expression_folders)).limited(5)
    assert [int((small.split == s).sum()) for s in ("train", "test")] == [5, 5]


def test_a_trial_and_its_validation_leave_no_class_out() -> None:
    classes = [0] * 200 + [1] * 2
    for i in range(20):
        table = (
            table_of([f"{i}/{row}" for row in range(202)], classes).limited(10, seed=i).with_validation(0.3)
        )
        assert (table.part("train").target.sum(axis=0) > 0).all()
