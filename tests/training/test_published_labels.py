"""What the labels of published sets become, number by number."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from engagement.errors import DataError
from engagement.labels import EXPRESSIONS
from tests.training.made_up_faces import write_face
from training.datasets.copies import without_copies
from training.datasets.daisee import present
from training.datasets.framing import boxes_for
from training.datasets.registry import load
from training.datasets.votes import FERPLUS_VOTES, soft_labels
from training.samples.table import SampleTable


def test_levels_of_daisee_from_which_a_state_is_there() -> None:
    """Boredom, engagement, confusion, each graded 0 to 3: most are engaged, few bored or confused at all."""
    levels = np.repeat(np.arange(4)[:, None], 3, axis=1)
    assert present(levels).T.tolist() == [[0, 1, 1, 1], [0, 0, 1, 1], [0, 1, 1, 1]]


def test_clips_of_daisee_are_joined_with_their_grades_by_name(tmp_path: Path) -> None:
    (tmp_path / "Labels").mkdir()
    lines = "ClipID,Boredom,Engagement,Confusion,Frustration \n1100012.avi,3,1,0,2\n1100011.avi,0,2,1,0\n"
    (tmp_path / "Labels" / "TrainLabels.csv").write_text(lines)
    for name in ("1100011.jpg", "1100012.PNG", "1100013.jpg"):  # nobody graded the last
        write_face(tmp_path / "Train" / "110001" / name, 0, 1)
    (tmp_path / "Train" / "110001" / "1100011.txt").touch()
    table = load(f"{tmp_path}:daisee")
    assert table.sample_id.tolist() == ["1100011", "1100012"]
    assert table.levels is not None and table.levels.tolist() == [[0, 2, 1], [3, 1, 0]]
    assert table.target.tolist() == [[0, 1, 1], [1, 0, 0]]
    assert set(table.split) == {"train"} and set(table.group) == {"110001"}
    shutil.rmtree(tmp_path / "Train")
    with pytest.raises(DataError, match="holds no face pictures of labelled clips"):
        load(f"{tmp_path}:daisee")


def test_numbers_of_fer2013_in_the_order_of_its_columns_or_another(tmp_path: Path) -> None:
    """``icml_face_data.csv`` of the same set has blanks and another order."""
    pixels = " ".join(["7"] * 48**2)
    path, expected = (
        tmp_path / "fer2013.csv",
        ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"],
    )
    for heading, line in (
        ("emotion,pixels,Usage", "{},{},Training"),
        ("emotion, Usage, pixels", '{}, Training, "{}"'),
    ):
        path.write_text("\n".join([heading, *(line.format(i, pixels) for i in range(7))]) + "\n")
        table = load(str(path))
        assert [table.labels.classes[i] for i in table.target.argmax(axis=1)] == expected


@pytest.mark.parametrize("place", [0, *range(2, 10)])
def test_a_single_vote_is_a_slip_and_two_are_not(place: int) -> None:
    """Eight found the face happy; the order is FERPlus's, whose last three name no expression of ours."""
    order = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", None, None, None)
    for n in (1, 2):
        votes = np.zeros((1, 10), np.float32)
        votes[0, 1], votes[0, place] = 8, n
        target, kept = soft_labels(votes)
        named = {"happy": 8.0} | ({str(order[place]): float(n)} if n > 1 and order[place] else {})
        expected = [named.get(name, 0) / sum(named.values()) for name in EXPRESSIONS.classes]
        np.testing.assert_allclose(target[0], expected)
        assert kept.tolist() == [True]


def test_names_of_kaggles_files_say_where_they_belong(tmp_path: Path) -> None:
    for name in ("train/happy/Training_3", "test/happy/PublicTest_1", "test/sad/PrivateTest_2"):
        write_face(tmp_path / f"{name}.png", 0, 1)
    table = load(str(tmp_path))
    assert table.name == "fer2013" and table.split.tolist() == ["train", "val", "test"]
    assert [EXPRESSIONS.classes[i] for i in table.target.argmax(axis=1)] == ["happy", "happy", "sad"]
    write_face(tmp_path / "train" / "happy" / "Zoe.png", 0, 1)
    with pytest.raises(DataError, match=r"Zoe\.png is not named Training_"):
        load(str(tmp_path))
    # Where a folder's first file is called otherwise, it is nobody's but the user's own.
    write_face(tmp_path / "train" / "calm" / "a.png", 0, 1)
    assert load(str(tmp_path)).split.tolist() == ["train"] * 3 + ["test"] * 2


def test_ferplus_knows_its_own_folders_by_the_names_of_its_list(tmp_path: Path) -> None:
    """Those without a name show no face; two pictures may be called alike."""
    happy, sad, nobody = "0,9,0,1,0,0,0,0,0,0", "0,0,0,9,0,0,0,0,0,1", "0,0,0,0,0,0,0,0,0,10"
    heading = ",".join(["Usage", "Image name", *FERPLUS_VOTES])
    rows = (
        *("PublicTest,a.png," + sad, "Training,," + nobody, "Training,b.png," + happy),
        *("PrivateTest,b.png," + sad, "Training,c.png," + nobody),
    )
    (tmp_path / "fer2013new.csv").write_text("\n".join([heading, *rows]) + "\n")
    for i, name in enumerate(("FER2013Valid/a", "FER2013Train/b", "FER2013Test/b", "FER2013Train/c")):
        write_face(tmp_path / f"{name}.png", i, i)
    table = load(f"{tmp_path}:ferplus")
    assert table.split.tolist() == ["val", "train", "test"]
    assert [EXPRESSIONS.classes[i] for i in table.target.argmax(axis=1)] == ["sad", "happy", "sad"]
    assert [Path(str(image)).parent.name for image in table.images] == [
        *("FER2013Valid", "FER2013Train", "FER2013Test"),
    ]
    (tmp_path / "fer2013new.csv").write_text(f"{heading}\nTraining,c.png,{nobody}\n")
    with pytest.raises(DataError, match="no picture has votes for one of angry"):
        load(f"{tmp_path}:ferplus")
    (tmp_path / "fer2013new.csv").write_text(f"{heading}\nTraining,,{happy}\n")
    with pytest.raises(DataError, match="names no picture of FER2013Train"):
        load(f"{tmp_path}:ferplus")


ROWS = {"train": (0, 28708), "val": (28709, 32297), "test": (32298, 35886)}


def numbered(rows: dict[str, tuple[int, ...]]) -> SampleTable:
    """Pictures that differ, named by their row of fer2013.csv."""
    names = np.array([f"{part}/Training_{row}.jpg" for part, own in rows.items() for row in own])
    return SampleTable(
        "fer2013",
        EXPRESSIONS,
        images=[cv2.imencode(".png", np.full((8, 8), i, np.uint8))[1].tobytes() for i in range(len(names))],
        target=np.eye(7, dtype=np.float32)[np.arange(len(names)) % 7],
        split=np.array([part for part, own in rows.items() for _ in own]),
        group=names,
        box=np.zeros((len(names), 4), np.float32),
        sample_id=names,
    )


def listed_copies(folder: Path, rows: dict[str, list[int]]) -> None:
    names = {
        "train": "training_rows_with_a_copy_in_a_test_split",
        "val": "public_test_rows_with_a_copy_in_training",
        "test": "private_test_rows_with_a_copy_in_training",
    }
    lists = {name: rows.get(part, []) for part, name in names.items()}
    (folder / "fer2013_duplicates.json").write_text(json.dumps(lists))


@pytest.mark.parametrize("copied", [row for own in ROWS.values() for row in own])
def test_listed_copies_are_known_by_their_row(tmp_path: Path, copied: int) -> None:
    split = next(part for part, own in ROWS.items() if copied in own)
    listed_copies(tmp_path, {split: [copied]})
    left = without_copies(numbered(ROWS), tmp_path, ("train", "val", "test"))
    assert [name for name in left.sample_id if f"_{copied}." in name] == [] and len(left) == 5
    # Of the splits that are asked for.
    others = tuple(part for part in ROWS if part != split)
    assert len(without_copies(numbered(ROWS), tmp_path, others)) == 6
    # Numbers that lie in no such row's split are others: only what is seen counts.
    moved = numbered({**ROWS, split: (*ROWS[split], 40000)})
    assert len(without_copies(moved, tmp_path, ("train", "val", "test"))) == 7


@pytest.mark.parametrize(
    ("part", "beyond"), [("train", 28709), ("val", 28708), ("val", 32298), ("test", 32297)]
)
def test_numbers_that_are_no_rows_of_their_split_leave_nothing_out(
    tmp_path: Path, part: str, beyond: int
) -> None:
    listed_copies(tmp_path, {part: [beyond]})
    assert len(without_copies(numbered({part: (beyond,)}), tmp_path, (part,))) == 1


def test_a_list_of_ones_own_beside_class_folders_is_none_of_affectnets(tmp_path: Path) -> None:
    for name in ("happy", "sad"):
        write_face(tmp_path / name / "a.png", 0, 1)
    (tmp_path / "training.csv").write_text("epoch,loss\n1,0.5\n")
    assert load(str(tmp_path)).labels.classes == ("happy", "sad")


def test_pictures_and_empty_boxes_of_affectnets_lists(tmp_path: Path) -> None:
    """A damaged picture, which is said once all are looked at, stands for a whole face."""
    write_face(tmp_path / "a.jpg", 0, 1)
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    path = tmp_path / "validation.csv"
    path.write_text("a.jpg,12,6,1,1,,1,0,0\nb.jpg,12,6,24,36,,2,0,0\n")
    table = load(f"{tmp_path}:affectnet7")
    np.testing.assert_allclose(table.box[0] * 48, [12, 6, 13, 7], atol=1e-5)
    np.testing.assert_array_equal(table.box[1], boxes_for("folder", 1)[0])
    path.write_text("a.jpg,12,6,24,0,,1,0,0\n")
    with pytest.raises(DataError, match="line 1: the face box 24 x 0 is empty"):
        load(f"{tmp_path}:affectnet7")


WACV = "subject,frame,engagement,split\n"


def test_frames_of_wacv_are_in_the_order_of_people_and_time(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(WACV + "10,2,0,test\n2,7,2,train\n2,5,1,validation\n")
    table = load(str(tmp_path))
    assert table.labels.classes[2] == "very_engaged"
    assert table.sample_id.tolist() == ["p02/00005", "p02/00007", "p10/00002"]
    assert table.split.tolist() == ["val", "train", "test"] and table.group.tolist() == ["2", "2", "10"]
    assert table.target.argmax(axis=1).tolist() == [1, 2, 0]
    assert [Path(str(i)).relative_to(tmp_path).as_posix() for i in table.images] == [
        *("2/00005_1.png", "2/00007_2.png", "10/00002_0.png"),
    ]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("1,2,0,train\n1,2,3,train\n", "line 3: engagement 3 is none of 0, 1, 2"),
        ("1,2,-1,train\n", "line 2: engagement -1 is none of 0, 1, 2"),
        ("1,2,0,dev\n", "line 2: not a row of WACV-2016"),
        ("", "has no rows"),
    ],
)
def test_faulty_lines_of_wacv_are_named(tmp_path: Path, lines: str, said: str) -> None:
    (tmp_path / "labels.csv").write_text(WACV + lines)
    with pytest.raises(DataError, match=said):
        load(str(tmp_path))


def test_labels_of_ones_own_are_none_of_wacvs(tmp_path: Path) -> None:
    write_face(tmp_path / "calm" / "a.png", 0, 1)
    for heading in ("file,label", "subject,frame,engagement", "é"):
        (tmp_path / "labels.csv").write_bytes(heading.encode("latin-1") + b"\n")
        assert load(str(tmp_path)).labels.classes == ("calm",)
