"""Split and copies of captured faces: nothing leaks, nothing is lost, and copies know their original."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engagement.cli.faces import faces
from engagement.errors import ConfigError, DataError, EngagementError, OutputError
from engagement.faces.capture import CaptureConfig, FaceCapture, Scene
from engagement.faces.manifest import read_manifest, write_manifest
from tests.training.captured import Videos, write_captured
from tests.training.made_up_faces import made_up_face, write_face
from tests.training.test_capture import Placed, frames
from training.cli import collection
from training.collection.augment import CopyOptions, augment_faces, varied
from training.collection.folder import read_faces
from training.collection.split import Division, SplitOptions, split_faces
from training.datasets.files import original_of
from training.datasets.registry import load
from training.samples.division import by_unit, held_units
from training.samples.table import read_rgb

TWO: Videos = {"happy": {"h1.mp4": 8, "h2.mp4": 8}, "sad": {"s1.mp4": 8, "s2.mp4": 8, "s3.mp4": 8}}
ONE: Videos = {"happy": {"h1.mp4": 20}, "sad": {"s1.mp4": 20}}


def splits(folder: Path, column: str = "source") -> dict[str, set[str]]:
    out: dict[str, set[str]] = {}
    for row in read_manifest(folder):
        out.setdefault(row[column], set()).add(row["split"])
    return out


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(faces, [str(w) for w in words])


def test_a_split_by_video_divides_no_video(tmp_path: Path) -> None:
    folder = write_captured(tmp_path / "f", TWO)
    found = split_faces(folder, SplitOptions())
    sides = splits(folder)
    assert all(len(side) == 1 for side in sides.values())
    assert Counter(side for own in sides.values() for side in own) == {"train": 3, "val": 2}
    assert found.units["val"] == {"happy": 1, "sad": 1}
    table = load(str(folder))
    assert Counter(table.split.tolist()) == {"train": 24, "val": 16}
    assert set(table.group[table.split == "val"].tolist()).isdisjoint(table.group[table.split == "train"])


def test_the_same_faces_get_the_same_split(tmp_path: Path) -> None:
    first, second = (write_captured(tmp_path / name, TWO) for name in "ab")
    split_faces(first, SplitOptions())
    split_faces(second, SplitOptions(by="time"))
    split_faces(second, SplitOptions())
    assert read_manifest(first) == read_manifest(second)


@pytest.mark.parametrize(("blocks", "held"), [(3, 1), (5, 1), (12, 2)])
def test_a_split_by_time_takes_the_end_of_each_video(tmp_path: Path, blocks: int, held: int) -> None:
    folder = write_captured(tmp_path / "f", {"happy": {"h1.mp4": 4 * blocks}, "sad": {"s1.mp4": 4 * blocks}})
    write_manifest(folder, read_manifest(folder)[::-1])  # the times count, not the order of the lines
    split_faces(folder, SplitOptions(by="time", test=0.2))
    assert all(len(side) == 1 for side in splits(folder, "group").values())
    order = ["train"] * 4 * (blocks - 2 * held) + ["val"] * 4 * held + ["test"] * 4 * held
    rows = sorted(read_manifest(folder), key=lambda row: (row["label"], float(row["time_s"])))
    assert [row["split"] for row in rows] == 2 * order


def test_a_split_by_person_holds_out_people(tmp_path: Path) -> None:
    people = {"h1.mp4": "Ann", "h2.mp4": "Bo", "s1.mp4": "Ann", "s2.mp4": "Bo", "s3.mp4": "Ann"}
    folder = write_captured(tmp_path / "f", TWO, people)
    # One recording may show several people, one after another.
    write_manifest(folder, [{**row, "source_id": "all of them"} for row in read_manifest(folder)])
    split_faces(folder, SplitOptions(by="person"))
    assert splits(folder, "person") == {"Ann": {"train"}, "Bo": {"val"}}


def test_one_recording_under_two_names_and_one_person_in_two_spellings_are_not_divided(
    tmp_path: Path,
) -> None:
    own = {label: {f"{label}_{v}.mp4": 6 for v in range(4)} for label in ("a", "b")}
    folder = write_captured(tmp_path / "f", own)
    rows = read_manifest(folder)
    for row in rows:
        label, number = row["label"], int(row["source"][2])
        row["source_id"] = f"{label}{number // 2}"  # _0 and _1, _2 and _3 are copies of each other
        row["person"] = (f"{label}nn", f"{label.upper()}nn ", f"{label}o", f"{label}o")[number]
    write_manifest(folder, rows)
    for by, unit in (("video", "source_id"), ("person", "person")):
        split_faces(folder, SplitOptions(by))
        sides: dict[str, set[str]] = {}
        for row in read_manifest(folder):
            sides.setdefault(row[unit].strip().casefold(), set()).add(row["split"])
        assert len(sides) == 4 and all(len(side) == 1 for side in sides.values()), sides
        assert {next(iter(side)) for side in sides.values()} == {"train", "val"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (SplitOptions(), "'happy' comes from one video (h1.mp4), 'sad' comes from one video (s1.mp4)"),
        (SplitOptions(by="person"), "names no person for 40 faces, first happy/h1.mp4_000000_0.png"),
    ],
)
def test_what_cannot_be_divided_is_said(tmp_path: Path, options: SplitOptions, said: str) -> None:
    folder = write_captured(tmp_path / "f", ONE)
    with pytest.raises(DataError) as caught:
        split_faces(folder, options)
    assert said in str(caught.value)
    assert caught.value.hint
    assert {row["split"] for row in read_manifest(folder)} == {""}


def test_pictures_of_unknown_source_are_not_split(tmp_path: Path) -> None:
    folder = write_captured(tmp_path / "f", TWO)
    write_face(folder / "happy" / "from_somewhere.png", 0, 99)
    with pytest.raises(DataError, match=r"1 picture is not in .*happy/from_somewhere.png"):
        split_faces(folder, SplitOptions())


def damaged(folder: Path, cell: str, written: str) -> Path:
    """Captured faces with other words in the manifest's cells."""
    manifest = write_captured(folder, TWO) / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(f",{cell},", f",{written},"))
    return folder


@pytest.mark.parametrize("written", ["soon", "nan"])
def test_a_time_that_is_none_is_said(tmp_path: Path, written: str) -> None:
    folder = damaged(tmp_path / "f", "0.500", written)
    with pytest.raises(DataError, match=f"the time '{written}' is no number"):
        split_faces(folder, SplitOptions("time"))


def test_a_split_that_fails_is_not_said_to_have_replaced_another(tmp_path: Path) -> None:
    folder = write_captured(tmp_path / "f", TWO)
    split_faces(folder, SplitOptions())
    write_manifest(folder, [{**row, "box_x1": "left"} for row in read_manifest(folder)])
    said: list[str] = []
    with pytest.raises(DataError, match="no four numbers"):
        split_faces(folder, SplitOptions("time"), said.append)
    assert not said


def test_a_box_that_is_none_is_said(tmp_path: Path) -> None:
    folder = damaged(tmp_path / "f", "0.20000", "left")
    with pytest.raises(DataError, match="are no four numbers"):
        augment_faces(folder, tmp_path / "out", CopyOptions(1, flip=1.0))


def test_what_systems_leave_beside_class_folders_is_no_class(tmp_path: Path) -> None:
    folder = write_captured(tmp_path / "f", TWO)
    classes = {row["label"] for row in read_faces(folder).rows}
    small = folder / "@eaDir" / "happy.png"
    small.parent.mkdir()
    small.write_bytes(next((folder / "happy").glob("*.png")).read_bytes())
    assert {row["label"] for row in read_faces(folder).rows} == classes


def test_faces_that_come_after_a_split_ask_for_another(tmp_path: Path) -> None:
    folder = write_captured(tmp_path / "f", TWO)
    split_faces(folder, SplitOptions())
    work = FaceCapture(folder, CaptureConfig(), Placed([[100, 100, 180, 200]], [0.99]))
    work.add("h3.mp4", [Scene("happy")], frames(2))
    for refuse in (
        lambda: load(str(folder)),
        lambda: augment_faces(folder, tmp_path / "out", CopyOptions(1)),
    ):
        with pytest.raises(DataError, match=r"no split, first happy/h3\.mp4") as told:
            refuse()
        assert f"faces split {folder}`" in told.value.hint
    split_faces(folder, SplitOptions())
    assert len(load(str(folder))) == 42


@given(
    st.lists(st.lists(st.integers(1, 30), min_size=2, max_size=6), min_size=1, max_size=4),
    st.floats(0.1, 0.4),
)
@settings(max_examples=60, deadline=None)
def test_held_units_leave_every_class_on_both_sides(sizes: list[list[int]], share: float) -> None:
    counts = np.zeros((sum(map(len, sizes)), len(sizes)), np.float32)
    row = 0
    for c, own in enumerate(sizes):
        for size in own:
            counts[row, c] = size
            row += 1
    held = np.isin(np.arange(len(counts)), held_units(counts, share * counts.sum(axis=0), 1))
    assert (counts[held].sum(axis=0) > 0).all()
    assert (counts[~held].sum(axis=0) > 0).all()
    for c in range(len(sizes)):  # no single unit, added or removed, would come nearer
        own = counts[:, c]
        now = abs(own[held].sum() - share * own.sum())
        for i in np.flatnonzero(own):
            other = held.copy()
            other[i] = not other[i]
            if own[other].sum() and own[~other].sum():
                assert abs(own[other].sum() - share * own.sum()) >= now - 1e-3 * own.sum()


@given(
    st.lists(st.lists(st.integers(1, 30), min_size=3, max_size=6), min_size=1, max_size=3),
    st.floats(0.05, 0.4),
    st.floats(0.05, 0.5),
)
@example([[1, 1, 30]], 0.4, 0.2)
@settings(max_examples=40, deadline=None)
def test_what_tests_leaves_every_class_to_be_learned_and_validated(
    sizes: list[list[int]], test: float, val: float
) -> None:
    units = [f"{c}.{u}" for c, own in enumerate(sizes) for u, size in enumerate(own) for _ in range(size)]
    labels = [unit.partition(".")[0] for unit in units]
    sides = set(zip(units, by_unit(units, labels, {"test": test, "val": val}).tolist(), strict=True))
    assert len(sides) == len(set(units))
    there = {(unit.partition(".")[0], side) for unit, side in sides}
    assert len(there) == 3 * len(sizes)


def test_of_few_people_those_validate_whose_shares_fit_best() -> None:
    """Ann alone has every class, and most of the faces; Bo and Cy together have every class as well."""
    counts = np.array([[9, 9, 12], [9, 6, 0], [0, 0, 6]], np.float32)
    assert held_units(counts, 0.2 * counts.sum(axis=0), 1).tolist() == [1, 2]


def test_copies_are_of_training_faces_and_stay_with_their_original(tmp_path: Path) -> None:
    folder = write_captured(tmp_path / "f", TWO)
    split_faces(folder, SplitOptions())
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    out = tmp_path / "f_augmented"
    assert augment_faces(folder, out, CopyOptions(3)) == {"originals": 40, "copies": 72}
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    rows = {row["file"]: row for row in read_manifest(out)}
    for file, row in rows.items():
        assert (out / file).is_file()
        if row["original"]:
            original = rows[row["original"]]
            assert row["split"] == original["split"] == "train"
            assert [row[k] for k in ("source", "group", "label", "time_s")] == [
                original[k] for k in ("source", "group", "label", "time_s")
            ]
            assert original_of(file) == row["original"]
    table = load(str(out))
    assert set(table.group[table.split == "val"].tolist()).isdisjoint(table.group[table.split == "train"])
    again = tmp_path / "again"
    augment_faces(folder, again, CopyOptions(3))
    assert all((again / file).read_bytes() == (out / file).read_bytes() for file in rows)


def test_a_split_in_other_words_is_the_same_to_copies(tmp_path: Path) -> None:
    folder = write_captured(tmp_path / "f", TWO)
    split_faces(folder, SplitOptions())
    words = {"train": "Training", "val": "Valid"}
    write_manifest(folder, [{**row, "split": words[row["split"]]} for row in read_manifest(folder)])
    assert augment_faces(folder, tmp_path / "out", CopyOptions(1)) == {"originals": 40, "copies": 24}


def test_without_a_manifest_the_name_keeps_copies_together(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    for kind, label in enumerate(("happy", "sad")):
        for i in range(6):
            write_face(folder / label / f"{i}.jpg", kind, i)
    out = tmp_path / "plain_augmented"
    said: list[str] = []
    augment_faces(folder, out, CopyOptions(2), said.append)
    assert "faces split" in said[0]
    for listed in (True, False):
        if not listed:
            (out / "manifest.csv").unlink()
        table = load(str(out)).with_validation(0.3, stratified=True)
        sides: dict[str, set[str]] = {}
        for name, side in zip(table.sample_id.tolist(), table.split.tolist(), strict=True):
            sides.setdefault(original_of(name) or name, set()).add(side)
        assert len(sides) == 12
        assert all(len(side) == 1 for side in sides.values())
        assert {"train", "val"} == set(table.split.tolist())


def test_a_copy_is_the_training_code_s_variation() -> None:
    rgb = made_up_face(0, 1, 120)
    still, mirrored = varied(
        rgb, CopyOptions(1, flip=1, rotation_deg=0, light=0).policy, np.random.default_rng(0)
    )
    assert mirrored
    assert np.array_equal(still, rgb[:, ::-1])
    wide = np.ascontiguousarray(rgb[20:100])
    same, mirrored = varied(
        wide, CopyOptions(1, flip=0, rotation_deg=0, light=0).policy, np.random.default_rng(0)
    )
    assert not mirrored
    assert np.array_equal(same, wide)
    lit, _ = varied(rgb, CopyOptions(1, flip=0, rotation_deg=0, light=0.5).policy, np.random.default_rng(2))
    assert abs(float(lit.mean()) - float(rgb.mean())) > 2


def test_the_box_of_a_mirrored_copy_is_mirrored(tmp_path: Path) -> None:
    folder = write_captured(tmp_path / "f", TWO)
    augment_faces(folder, tmp_path / "out", CopyOptions(1, flip=1, rotation_deg=0, light=0))
    rows = read_manifest(tmp_path / "out")
    boxes = {bool(r["original"]): (float(r["box_x1"]), float(r["box_x2"])) for r in rows}
    assert boxes == {False: (0.2, 0.7), True: (0.3, 0.8)}


@pytest.mark.parametrize("listed", [True, False])
def test_a_folder_of_copies_is_neither_split_nor_reviewed(tmp_path: Path, listed: bool) -> None:
    out = tmp_path / "f_augmented"
    augment_faces(write_captured(tmp_path / "f", TWO), out, CopyOptions(1))
    if not listed:
        (out / "manifest.csv").unlink()
    for words in (["split", out], ["augment", out], ["review", out]):
        error = call(*words).exception
        assert isinstance(error, DataError)
        assert "40 augmented copies, first happy/h1.mp4_000000_0_aug01.png" in error.message
        assert str(tmp_path / "f") in error.hint


def test_the_folder_may_be_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_captured(tmp_path / "f", TWO)
    monkeypatch.chdir(folder)
    for command in ("split", "review", "augment"):
        done = call(command, ".")
        assert done.exception is None, done.output
    assert (tmp_path / "f_augmented" / "manifest.csv").is_file()
    monkeypatch.chdir(tmp_path / "f_augmented")
    for command in ("split", "review", "augment"):
        error = call(command, ".").exception
        assert isinstance(error, DataError)
        assert str(folder) in error.hint


def test_an_existing_folder_is_not_written_into(tmp_path: Path) -> None:
    folder = write_captured(tmp_path / "f", TWO)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="there already"):
        augment_faces(folder, tmp_path / "out", CopyOptions(1))
    (folder / "happy" / "h1.mp4_000000_0.png").write_bytes(b"damaged")
    with pytest.raises(DataError, match="not a readable picture"):
        augment_faces(folder, tmp_path / "new", CopyOptions(1))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f", "out"]  # nothing half-written stays


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["split", "FOLDER", "--val", "0"], "--val 0 is not above 0"),
        (["split", "FOLDER", "--test", "0.9"], "--test 0.9 is not within"),
        (["augment", "FOLDER", "-n", "0"], "--copies 0 is not within"),
        (["augment", "FOLDER", "--rotation", "90"], "--rotation 90"),
    ],
)
def test_options_out_of_range_are_named(tmp_path: Path, words: list[str], said: str) -> None:
    folder = write_captured(tmp_path / "f", {"a": {"v.mp4": 2}})
    error = call(*[str(folder) if w == "FOLDER" else w for w in words]).exception
    assert isinstance(error, ConfigError)
    assert said in str(error)


def test_folders_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_face(tmp_path / "divided" / "train" / "happy" / "a.png", 0, 1)
    for name, said in (
        ("nope", "does not exist"),
        ("empty", "holds no pictures"),
        ("divided", "divided already"),
    ):
        error = call("split", tmp_path / name).exception
        assert isinstance(error, EngagementError)
        assert said in str(error)


def test_the_commands_say_what_they_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_captured(tmp_path / "f", TWO)
    done = call("split", folder)
    assert done.exception is None
    assert "With a near copy in train: " in done.output
    for near in (0, 30):  # of 40
        collection._show(
            Division(
                {"train": {"a": 8}, "val": {"a": 40}}, {"train": {"a": 1}, "val": {"a": 2}}, {"val": near}
            ),
            "video",
        )
        told = capsys.readouterr().out.strip().splitlines()[-1]
        assert told[-1] in ".?" and told[-2] not in ".?"
    assert "40 faces and 48 copies written to" in call("augment", folder, "-n", "2").output
    assert (tmp_path / "f_augmented" / "manifest.csv").is_file()
    assert "--apply review.json" in call("review", folder).output
    assert (
        read_rgb(tmp_path / "f_augmented" / "sad" / "s1.mp4_000000_0.png").shape
        == cv2.imread(str(folder / "sad" / "s1.mp4_000000_0.png")).shape
    )  # type: ignore[union-attr]
