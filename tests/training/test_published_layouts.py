"""FER2013, FERPlus, AffectNet and RAF-DB in the forms in which they are published."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from engagement.errors import DataError
from engagement.labels import EXPRESSIONS, EXPRESSIONS_8, LabelSet
from tests.training.made_up_faces import made_up_face, write_face
from training.datasets.registry import SETS, load, prepared
from training.datasets.votes import FERPLUS_VOTES, soft_labels
from training.held_out import require_disjoint
from training.measuring.outcome import aligned
from training.samples.table import read_rgb

USAGES = ("Training", "PublicTest", "PrivateTest")


def grey(kind: int, seed: int) -> np.ndarray:
    return cv2.cvtColor(made_up_face(kind, seed), cv2.COLOR_RGB2GRAY)


def write_fer(folder: Path, seeds: dict[str, list[int]], votes: list[list[int]] | None = None) -> None:
    """fer2013.csv (kind = seed % 7) and, with votes, fer2013new.csv beside it."""
    rows = [(usage, seed) for usage in USAGES for seed in seeds[usage]]
    lines = ["emotion,pixels,Usage"]
    lines += [f"{s % 7},{' '.join(map(str, grey(s % 7, s).ravel()))},{usage}" for usage, s in rows]
    (folder / "fer2013.csv").write_text("\n".join(lines) + "\n")
    if votes is not None:
        with (folder / "fer2013new.csv").open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["Usage", "Image name", *FERPLUS_VOTES])
            for i, ((usage, _), v) in enumerate(zip(rows, votes, strict=True)):
                out.writerow([usage, f"fer{i:07d}.png", *v])


HAPPY = [0, 9, 0, 0, 0, 0, 0, 1, 0, 0]
SPLIT = [4, 0, 0, 4, 0, 0, 0, 0, 2, 0]
NOBODY = [1, 0, 0, 0, 0, 0, 0, 0, 2, 7]
CONTEMPT = [3, 0, 0, 0, 0, 0, 0, 7, 0, 0]


def test_votes_become_shares_and_pictures_without_expression_are_left_out() -> None:
    target, kept = soft_labels(np.array([HAPPY, SPLIT, NOBODY, CONTEMPT], np.float32))
    assert kept.tolist() == [True, True, False, False]
    assert target[0].tolist() == [0, 0, 0, 1, 0, 0, 0]  # one vote for contempt is a slip
    np.testing.assert_allclose(target[1][[EXPRESSIONS.index("neutral"), EXPRESSIONS.index("sad")]], 0.5)


@pytest.mark.shared
def test_ferplus_reads_alike_from_every_form(
    shared_data: Path, unpacked: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = unpacked("fer2013")
    by_csv = load(f"{folder}:ferplus")
    parquet = load(f"{shared_data}:ferplus").part("train")
    # The first 40 training rows of the Parquet file, less those that votes or copies leave out.
    listed = json.loads((shared_data / "fer2013_duplicates.json").read_text())
    copies = {r for r in listed["training_rows_with_a_copy_in_a_test_split"] if r < 40}
    rows = [int(name[3:]) for name in by_csv.part("train").sample_id]
    assert not copies  # so that both readers must agree on all forty
    np.testing.assert_allclose(by_csv.part("train").target, parquet.target[: len(rows)])
    assert [int(name[4:9]) for name in parquet.sample_id[: len(rows)]] == rows

    # FERPlus's own folders: pictures by the names of its list.
    own = tmp_path / "own"
    table = pd.read_csv(folder / "fer2013new.csv")
    pixels = load(str(folder / "fer2013.csv"))
    for row in table.itertuples():
        if isinstance(row[2], str):
            part = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}[
                row.Usage
            ]
            (own / part).mkdir(parents=True, exist_ok=True)
            (own / part / row[2]).write_bytes(pixels.images[row.Index])
    shutil.copy(folder / "fer2013new.csv", own)
    again = load(f"{own}:ferplus")
    assert again.sample_id.tolist() == by_csv.sample_id.tolist()
    np.testing.assert_array_equal(again.target, by_csv.target)
    np.testing.assert_array_equal(read_rgb(again.images[7]), read_rgb(by_csv.images[7]))


@pytest.mark.shared
def test_kaggles_folders_are_told_apart_by_their_names(
    unpacked: Callable[[str], Path], tmp_path: Path
) -> None:
    source = unpacked("fer2013")
    for part in ("train", "test"):
        shutil.copytree(source / part, tmp_path / part)
    folders, whole = load(str(tmp_path)), load(str(source / "fer2013.csv"))
    assert folders.name == "fer2013"
    for split in ("train", "val", "test"):
        np.testing.assert_array_equal(
            np.sort(folders.part(split).target.argmax(axis=1)),
            np.sort(whole.part(split).target.argmax(axis=1)),
        )
    (tmp_path / "test" / "happy" / "extra.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"extra\.png is not named Training_"):
        load(str(tmp_path))


def test_kaggles_folders_numbered_by_row_take_votes(tmp_path: Path) -> None:
    write_fer(
        tmp_path, {"Training": [3, 10], "PublicTest": [17], "PrivateTest": [24]}, [HAPPY, SPLIT, HAPPY, SPLIT]
    )
    (tmp_path / "fer2013.csv").unlink()
    for row, (part, usage) in enumerate(
        (("train", "Training"), ("train", "Training"), ("test", "PublicTest"), ("test", "PrivateTest"))
    ):
        write_face(tmp_path / part / "happy" / f"{usage}_{row}.png", 3, row)
    table = load(f"{tmp_path}:ferplus")
    assert table.split.tolist() == ["train", "train", "test", "val"]
    assert table.target.max(axis=1).tolist() == [1, 0.5, 0.5, 1]
    (tmp_path / "test" / "happy" / "PrivateTest_3.png").rename(
        tmp_path / "test" / "happy" / "PrivateTest_77.png"
    )
    with pytest.raises(DataError, match=r"PrivateTest_77\.png cannot be joined"):
        load(f"{tmp_path}:ferplus")


def test_exact_copies_leave_train_for_votes_and_all_splits_for_clean(tmp_path: Path) -> None:
    # Seed 3 lies in train and test, 17 in train and val, 38 in val and test.
    seeds = {"Training": [3, 10, 17, 3], "PublicTest": [17, 31, 38], "PrivateTest": [3, 24, 38]}
    write_fer(tmp_path, seeds, [HAPPY] * 10)
    whole, clean = load(str(tmp_path)), load(f"{tmp_path}:fer2013_clean")
    assert len(whole) == 10
    assert clean.name == "fer2013_clean"
    assert clean.sample_id.tolist() == ["row1", "row5", "row6", "row8", "row9"]
    votes = load(f"{tmp_path}:ferplus")
    assert votes.part("train").sample_id.tolist() == ["row1"]
    assert len(votes.part("test")) == 3


@pytest.mark.shared
def test_the_listed_copies_are_left_out_of_the_parquet_files(shared_data: Path) -> None:
    counts = {s: len(load(f"{shared_data}:fer2013_clean").part(s)) for s in ("train", "val", "test")}
    assert counts == {"train": 28709 - 703, "val": 3589 - 280, "test": 3589 - 288}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("9,1 2 3,Training", r"line 2: not a FER2013 row \(3 pixels instead of 2304\)"),
        (f"9,{' '.join(['0'] * 2304)},Training", "emotion 9 is none of 0-6"),
        (f"-1,{' '.join(['0'] * 2304)},Training", "emotion -1 is none of 0-6"),
        (f"1,{' '.join(['300'] * 2304)},Training", "line 2: not a FER2013 row"),
        (f"1,{' '.join(['0'] * 2304)},Trainig", "line 2: not a FER2013 row .*Trainig"),
        ("1", "line 2: not a FER2013 row"),
        ("", "has no rows"),
    ],
)
def test_a_faulty_fer_csv_is_explained(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "fer2013.csv").write_text(
        f"emotion,pixels,Usage\n{line}\n" if line else "emotion,pixels,Usage\n"
    )
    with pytest.raises(DataError, match=message):
        load(str(tmp_path / "fer2013.csv"))


def test_a_part_of_fer_by_itself_is_named_by_what_it_lacks(tmp_path: Path) -> None:
    """Kaggle's train.csv has no column for the parts, and its test.csv no labels either."""
    path = tmp_path / "test.csv"
    path.write_text(f"pixels\n{' '.join(['0'] * 2304)}\n")
    with pytest.raises(
        DataError, match=r"test\.csv has no column Usage and no column emotion\. .*icml_face_data"
    ):
        load(str(path))


def test_votes_that_do_not_fit_are_explained(tmp_path: Path) -> None:
    write_fer(tmp_path, {"Training": [3, 10], "PublicTest": [17], "PrivateTest": [24]}, [HAPPY] * 4)
    path = tmp_path / "fer2013new.csv"
    text = path.read_text()
    path.write_text("\n".join(text.splitlines()[:-1]))
    with pytest.raises(DataError, match=r"fer2013new\.csv \(3 rows\) does not go with .*\(4 rows\)"):
        load(f"{tmp_path}:ferplus")
    path.write_text(text.replace("contempt", "scorn"))
    with pytest.raises(DataError, match="has no column 'contempt'"):
        load(f"{tmp_path}:ferplus")
    path.write_text(text.replace(",9,", ",nine,", 1))
    with pytest.raises(DataError, match="line 2: votes are no numbers"):
        load(f"{tmp_path}:ferplus")


NUMBERS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")


def write_affectnet(folder: Path, form: str) -> None:
    """Eleven kinds of label, each once in train and once in validation."""
    lines: dict[str, list[str]] = {"training": [], "validation": []}
    for part, name in (("train_set", "training"), ("val_set", "validation")):
        for number in range(11 if form != "folders" else 8):
            if form == "sets":
                write_face(folder / part / "images" / f"{number}.jpg", number % 7, len(part))
                (folder / part / "annotations").mkdir(exist_ok=True)
                np.save(folder / part / "annotations" / f"{number}_exp.npy", np.array(str(number)))
                np.save(folder / part / "annotations" / f"{number}_val.npy", np.array("0.3"))
            elif form == "lists":
                relative = f"{number}/{name}.jpg"
                write_face(folder / "Manually_Annotated_Images" / relative, number % 7, len(part))
                lines[name].append(f"{relative},12,6,24,36,1;2,{number},0.1,-2")
            else:
                write_face(folder / part.removesuffix("_set") / str(number) / "a.jpg", number % 7, len(part))
    if form == "lists":
        head = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
        (folder / "training.csv").write_text("\n".join([head, *lines["training"]]) + "\n")
        (folder / "validation.csv").write_text(
            "\n".join(lines["validation"]) + "\n"
        )  # published without a header


@pytest.mark.parametrize("form", ["sets", "lists", "folders"])
@pytest.mark.parametrize(("classes", "labels"), [(7, EXPRESSIONS), (8, EXPRESSIONS_8)])
def test_affectnet_in_each_form_with_seven_or_eight_classes(
    tmp_path: Path, form: str, classes: int, labels: object
) -> None:
    write_affectnet(tmp_path, form)
    table = load(f"{tmp_path}:affectnet{classes}")
    assert table.labels == labels
    assert table.name == f"affectnet{classes}"
    # Its validation pictures are those that papers report on.
    assert set(table.split.tolist()) == {"train", "test"}
    train = table.part("train")
    for name, row in zip(train.sample_id, train.target, strict=True):
        number = int("".join(c for c in name if c.isdigit()))
        assert table.labels.classes[row.argmax()] == NUMBERS[number]
    assert len(train) == classes
    if form == "lists":
        np.testing.assert_allclose(train.box[0], [0.25, 0.125, 0.75, 0.875])


@pytest.mark.parametrize(("lacking", "split"), [("train_set", "test"), ("val_set", "train")])
def test_one_of_affectnets_two_sets_is_enough(tmp_path: Path, lacking: str, split: str) -> None:
    write_affectnet(tmp_path, "sets")
    shutil.rmtree(tmp_path / lacking)
    assert set(load(f"{tmp_path}:affectnet8").split.tolist()) == {split}


@pytest.mark.parametrize("classes", [7, 8])
def test_copies_in_class_folders_of_affectnet_stay_with_their_original(tmp_path: Path, classes: int) -> None:
    for number in (1, 2, 7):
        for name in ("a", "a_aug01", "b", "b_aug01"):
            write_face(tmp_path / str(number) / f"{name}.png", number - 1, 0)
    table = load(f"{tmp_path}:affectnet{classes}")
    assert sorted(set(table.group.tolist())) == [
        f"{number}/{name}.png" for number in (1, 2, 7)[: classes - 5] for name in "ab"
    ]
    require_disjoint(table.with_validation(0.3))


def test_affectnet_must_be_named_with_its_number_of_classes(tmp_path: Path) -> None:
    write_affectnet(tmp_path, "sets")
    with pytest.raises(DataError, match=r"seven or eight classes.*:affectnet7 .*:affectnet8"):
        load(str(tmp_path))


def test_eight_and_seven_classes_meet_explicitly(tmp_path: Path) -> None:
    write_affectnet(tmp_path, "sets")
    eight, seven = load(f"{tmp_path}:affectnet8"), load(f"{tmp_path}:affectnet7")
    assert EXPRESSIONS_8.classes[:7] == EXPRESSIONS.classes
    with pytest.raises(DataError, match="does not know: contempt"):
        aligned(eight, EXPRESSIONS)
    widened = aligned(seven, EXPRESSIONS_8)
    assert widened.target[:, -1].max() == 0
    np.testing.assert_array_equal(widened.target[:, :7], seven.target)


def test_class_folders_with_contempt_are_expressions_of_the_eight(tmp_path: Path) -> None:
    for kind, name in enumerate(("Anger", "contempt", "Happiness")):
        write_face(tmp_path / name / "a.png", kind, 0)
    assert load(str(tmp_path)).labels == LabelSet("expression8", ("angry", "happy", "contempt"), "exclusive")


def test_faulty_annotations_are_explained(tmp_path: Path) -> None:
    write_affectnet(tmp_path, "sets")
    annotation = tmp_path / "train_set" / "annotations" / "3_exp.npy"
    np.save(annotation, np.array("17"))
    with pytest.raises(DataError, match=r"3_exp\.npy: expression 17 is none"):
        load(f"{tmp_path}:affectnet8")
    annotation.write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"3_exp\.npy is not a readable annotation"):
        load(f"{tmp_path}:affectnet8")
    annotation.unlink()
    with pytest.raises(DataError, match=r"3\.jpg has no annotation 3_exp\.npy"):
        load(f"{tmp_path}:affectnet8")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("9/none.jpg,1,1,9,9,,3,0,0", "line 1: 9/none.jpg lies in none of"),
        ("0/training.jpg,1,1,9,9,,x,0,0", "line 1: not a row of AffectNet"),
        ("0/training.jpg,1,1,0,9,,3,0,0", "line 1: the face box 0 x 9 is empty"),
        ("0/training.jpg,1,1,9,9,,12,0,0", "line 1: expression 12 is none"),
    ],
)
def test_faulty_lists_are_explained(tmp_path: Path, line: str, message: str) -> None:
    write_affectnet(tmp_path, "lists")
    (tmp_path / "validation.csv").write_text(line + "\n")
    with pytest.raises(DataError, match=message):
        load(f"{tmp_path}:affectnet7")
    with (tmp_path / "training.csv").open("a") as file:  # line 13, after the names of the columns
        file.write(line + "\n")
    with pytest.raises(DataError, match=rf"training.csv, {message.replace('line 1:', 'line 13:')}"):
        load(f"{tmp_path}:affectnet7")


def test_numbered_folders_of_rafdb_are_named(tmp_path: Path) -> None:
    for number in range(1, 8):
        write_face(tmp_path / "train" / str(number) / "a.jpg", number - 1, 0)
    table = load(f"{tmp_path}:rafdb")
    order = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
    assert [table.labels.classes[i] for i in table.target.argmax(axis=1)] == list(order)
    write_face(tmp_path / "train" / "0" / "a.jpg", 0, 0)
    with pytest.raises(DataError, match=r"train.0 is no class of 'rafdb'. Its numbers are 1 surprise"):
        load(f"{tmp_path}:rafdb")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train_00001.jpg 8\n", "line 1: expected"),
        ("picture.jpg 3\n", "line 1: 'picture.jpg' begins with neither train nor test"),
        ("", "is empty"),
    ],
)
def test_a_faulty_list_of_rafdb_is_explained(
    unpacked: Callable[[str], Path], tmp_path: Path, text: str, message: str
) -> None:
    shutil.copytree(unpacked("rafdb"), tmp_path / "set")
    (tmp_path / "set" / "EmoLabel" / "list_patition_label.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        load(str(tmp_path / "set"))


@pytest.mark.shared
def test_listed_pictures_that_are_missing_are_named_or_skipped(
    unpacked: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(unpacked("rafdb"), folder)
    (folder / "Image" / "aligned" / "train_00003_aligned.jpg").unlink()
    (folder / "Image" / "aligned" / "test_0002_aligned.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(
        DataError, match=r"train_00003_aligned\.jpg \(not there\).*test_0002_aligned\.jpg cannot be decoded"
    ):
        prepared(str(folder), None, False, lambda _: None)
    said: list[str] = []
    assert len(prepared(str(folder), None, True, said.append)) == 78
    assert len(said) == 2


@pytest.mark.parametrize("name", list(SETS))
def test_what_was_looked_for_is_said(name: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(DataError, match=rf"does not hold the data set '{name}'. Looked for \w"):
        load(f"{tmp_path}:{name}")


@pytest.mark.parametrize("name", ["", ":rafdb"])
@pytest.mark.parametrize("inside", ["basic", "RAF-DB/basic"])
def test_the_folder_above_a_published_set_is_not_one_of_classes(
    tmp_path: Path, inside: str, name: str
) -> None:
    for part in (inside, "compound"):  # as RAF-DB is handed out
        write_face(tmp_path / part / "Image" / "aligned" / "train_00001_aligned.jpg", 1, 1)
    lists = tmp_path / inside / "EmoLabel" / "list_patition_label.txt"
    lists.parent.mkdir()
    lists.write_text("train_00001.jpg 4\n", encoding="utf-8")
    with pytest.raises(DataError) as error:
        load(f"{tmp_path}{name}")
    assert error.value.hint == f"Give the set's own folder, such as {tmp_path / inside}."
    assert len(load(f"{tmp_path / inside}{name}")) == 1


def test_a_split_folder_without_classes_is_named(tmp_path: Path) -> None:
    write_face(tmp_path / "train" / "happy" / "a.png", 0, 0)
    write_face(tmp_path / "test" / "a.png", 0, 0)
    with pytest.raises(DataError, match=r"split folder .*test holds no class folder"):
        load(str(tmp_path))


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "rafdb_train.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "rafdb_test.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"rafdb_train\.parquet is not a readable Parquet file"):
        load(f"{tmp_path}:rafdb")
