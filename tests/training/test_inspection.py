"""What an inspection finds: planted copies, known copies of real sets, and nothing where nothing is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from engagement.cli import cli
from engagement.errors import ConfigError, DataError
from engagement.labels import LEARNER_STATES, LabelSet
from engagement.types import ByteArray
from tests.training.made_up_faces import made_up_face, write_face
from training.datasets.registry import load
from training.inspection.leaks import KINDS, Relations, relations
from training.inspection.pictures import Pictures, collect
from training.inspection.similar import SIDE, SimilarOptions, altered, low_frequencies, near
from training.inspection.summary import conflicts, summary
from training.samples.table import SampleTable, joined, one_hot

OPTIONS = SimilarOptions()


def small(picture: ByteArray) -> ByteArray:
    return np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def grey(picture: ByteArray) -> ByteArray:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def turned(picture: ByteArray, angle: float) -> ByteArray:
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1)
    return np.asarray(cv2.warpAffine(picture, matrix, (width, height)), np.uint8)


def jpeg(picture: ByteArray, quality: int) -> ByteArray:
    coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_UNCHANGED), np.uint8)


ALIKE: dict[str, Callable[[ByteArray], ByteArray]] = {
    "brighter": lambda p: cv2.convertScaleAbs(p, alpha=0.8, beta=40),
    "gamma": lambda p: (255 * (p / 255) ** 1.5).astype(np.uint8),
    "compressed": lambda p: jpeg(p, 40),
    "larger": lambda p: cv2.resize(p, None, fx=2.1, fy=2.1),
}
ALTERED: dict[str, Callable[[ByteArray], ByteArray]] = {
    "mirrored": lambda p: np.ascontiguousarray(p[:, ::-1]),
    "turned 5": lambda p: turned(p, 5),
    "turned -8": lambda p: turned(p, -8),
    "turned 10": lambda p: turned(p, 10),
    "mirrored and turned": lambda p: turned(np.ascontiguousarray(p[:, ::-1]), -6),
}


@pytest.fixture(scope="module")
def faces(shared_data: Path) -> list[ByteArray]:
    """80 real faces, grey, 100 px."""
    table = load(f"{shared_data}:rafdb").part("test").limited(80)
    return [
        np.asarray(cv2.imdecode(np.frombuffer(i, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)
        for i in table.images
    ]


@pytest.mark.shared
@pytest.mark.parametrize("change", ALIKE)
def test_changed_copies_are_near(faces: list[ByteArray], change: str) -> None:
    n = len(faces)
    thumbs = np.stack([small(p) for p in faces] + [small(ALIKE[change](p)) for p in faces])
    pairs = near(thumbs, OPTIONS)
    assert set(zip(pairs.a.tolist(), pairs.b.tolist(), strict=True)) == {(i, i + n) for i in range(n)}


@pytest.mark.shared
@pytest.mark.parametrize("change", ALTERED)
def test_mirrored_and_turned_copies_are_found(faces: list[ByteArray], change: str) -> None:
    n = len(faces)
    thumbs = np.stack([small(p) for p in faces] + [small(ALTERED[change](p)) for p in faces])
    pairs = altered(thumbs, np.arange(n), np.arange(n, 2 * n), OPTIONS)
    found = set(zip(pairs.a.tolist(), pairs.b.tolist(), strict=True))
    assert found <= {(i, i + n) for i in range(n)}
    assert pairs.mirrored.all() == ("mirrored" in change)
    # Symmetric faces may pass as they are when mirrored; near() finds those.
    plain = near(thumbs, OPTIONS)
    found |= set(zip(plain.a.tolist(), plain.b.tolist(), strict=True))
    assert found == {(i, i + n) for i in range(n)}


@given(
    st.integers(0, 10_000),
    st.floats(0.4, 1.0),
    st.integers(0, 60),
)
@settings(max_examples=30, deadline=None)
def test_low_frequencies_ignore_brightness_and_contrast(seed: int, contrast: float, brightness: int) -> None:
    picture = np.clip(small(grey(made_up_face(seed % 7, seed))), 0, 180)
    changed = np.round(picture * contrast + brightness).astype(np.uint8)
    one, other = low_frequencies(np.stack([picture, changed]))
    assert float(one @ other) > 0.99


def test_flat_pictures_are_like_nothing() -> None:
    thumbs = np.stack([np.full((SIDE, SIDE), v, np.uint8) for v in (0, 90, 90, 255)])
    assert not len(near(thumbs, OPTIONS))


def test_other_pictures_of_the_same_kind_are_no_copies() -> None:
    thumbs = np.stack([small(grey(face(seed))) for seed in range(60)])
    assert not len(near(thumbs, OPTIONS))
    rows = np.arange(60)
    assert not len(altered(thumbs, rows[:30], rows[30:], OPTIONS))


def table_of(
    pictures: list[ByteArray],
    split: list[str],
    *,
    names: list[str] | None = None,
    groups: list[str] | None = None,
    classes: list[int] | None = None,
) -> SampleTable:
    n = len(pictures)
    ids = names or [f"{'abcdefghijklmnopqrstuvwxyz'[i]}" for i in range(n)]
    return SampleTable(
        "made up",
        LabelSet("made up", ("one", "two"), "exclusive"),
        [cv2.imencode(".png", p)[1].tobytes() for p in pictures],
        one_hot(np.array(classes or [0] * n), 2),
        np.array(split),
        np.array(groups or ids),
        np.zeros((n, 4), np.float32),
        np.array(ids),
    )


def inspected(*tables: SampleTable) -> tuple[Pictures, Relations]:
    pictures = collect(tables)
    return pictures, relations(pictures, OPTIONS)


def kinds(found: Relations) -> dict[str, list[int]]:
    return {f"{leak.kind}, {leak.split}": leak.affected.tolist() for leak in found.leaks}


def face(seed: int) -> ByteArray:
    """A picture unlike any other: random blobs of several sizes, as structure and as light."""
    rng = np.random.default_rng(seed)
    layers = [cv2.GaussianBlur(rng.normal(0, 1, (64, 64, 3)), (0, 0), sigma) * sigma for sigma in (2, 5, 12)]
    return np.clip(128 + 90 * np.sum(layers, axis=0), 0, 255).astype(np.uint8)


def test_each_kind_of_leak_is_told_from_the_others() -> None:
    mirrored = np.ascontiguousarray(face(3)[:, ::-1])
    pictures = [face(1), face(2), face(3), face(1), jpeg(face(2), 90), mirrored, face(9)]
    _, found = inspected(table_of(pictures, ["train"] * 3 + ["test"] * 2 + ["val", "test"]))
    assert kinds(found) == {
        f"{KINDS[0]}, test": [3],
        f"{KINDS[1]}, test": [4],
        f"{KINDS[2]}, val": [5],
    }
    assert {leak.kind: leak.partner.tolist() for leak in found.leaks} == {
        KINDS[0]: [0],
        KINDS[1]: [1],
        KINDS[2]: [2],
    }
    assert found.affected("test").tolist() == [3, 4]


def test_copies_within_a_split_do_not_leak() -> None:
    pictures, found = inspected(table_of([face(1), face(1), face(2), face(3)], ["train"] * 2 + ["test"] * 2))
    assert not found.leaks
    assert summary(pictures, found)["copies"] == {
        "groups_of_exact_copies": 1,
        "groups_across_splits": 0,
        "exact_surplus_within": {"train": 1},
        "near_copies_within": {},
    }


def test_a_copy_in_another_set_leaks_as_well() -> None:
    one = table_of([face(1), face(2)], ["train"] * 2)
    other = table_of([face(2), face(3)], ["test"] * 2)
    pictures, found = inspected(one, other)
    assert pictures.sets == ("made up", "made up (2)")
    assert kinds(found) == {f"{KINDS[0]}, test": [2]}


def moving(step: int) -> ByteArray:
    """Frames of one scene, each with noise of its own: alike, and no copies."""
    rng = np.random.default_rng(step)
    scene = cv2.GaussianBlur(face(0), (0, 0), 4).astype(float)
    own = cv2.GaussianBlur(rng.normal(0, 1, scene.shape), (0, 0), 1.5)
    return np.clip(scene + 60 * own, 0, 255).astype(np.uint8)


def test_neighbouring_frames_are_known_by_number_source_and_look() -> None:
    frames = [moving(i) for i in range(6)]
    split = ["train", "test", "train", "test", "train", "test"]
    by_number = table_of(frames, split, names=[f"walk_{i:03d}.png" for i in range(6)])
    assert kinds(inspected(by_number)[1]) == {f"{KINDS[3]}, test": [1, 3, 5]}
    far = [f"walk_{i:03d}.png" for i in (1, 2, 3, 4, 80, 160)]
    assert kinds(inspected(table_of(frames, split, names=far))[1]) == {f"{KINDS[3]}, test": [1, 3]}
    other_sources = [f"{'abcdef'[i]}_{i:03d}.png" for i in range(6)]
    assert not inspected(table_of(frames, split, names=other_sources))[1].leaks
    unlike = table_of([face(i) for i in range(6)], split, names=[f"walk_{i:03d}.png" for i in range(6)])
    assert not inspected(unlike)[1].leaks


@pytest.mark.parametrize(
    ("copy", "advice"), [("a_aug01.png", "augment afterwards"), ("b.png", "another video")]
)
def test_what_to_do_about_turned_copies_depends_on_whether_they_are_called_so(copy: str, advice: str) -> None:
    pictures = [face(0), np.ascontiguousarray(face(0)[:, ::-1]), face(3)]
    warnings = summary(
        *inspected(table_of(pictures, ["train", "val", "val"], names=["a.png", copy, "z.png"]))
    )["warnings"]
    (told,) = [text for text in warnings if "mirrored or turned copy in train" in text]
    assert advice in told and told.count("augment") == (advice == "augment afterwards")


def test_people_on_both_sides_are_named() -> None:
    table = table_of(
        [face(i) for i in range(5)],
        ["train", "train", "test", "test", "val"],
        groups=["ann", "bob", "ann", "cid", "cid"],
    )
    pictures, found = inspected(table)
    assert found.shared == ["made up: ann", "made up: cid"]
    assert kinds(found) == {f"{KINDS[4]}, test": [2]}
    assert not len(found.affected("test"))  # other pictures of a known person are no copies
    assert any(
        "2 persons or sources lie in more than one split" in w for w in summary(pictures, found)["warnings"]
    )


def test_copies_with_different_labels_are_conflicts() -> None:
    pictures, found = inspected(
        table_of([face(1), face(1), jpeg(face(1), 90), face(4)], ["train"] * 4, classes=[0, 1, 0, 1])
    )
    assert [(c.kind, c.rows.tolist()) for c in conflicts(pictures, found)] == [
        (KINDS[0], [0, 1]),
        (KINDS[1], [1, 2]),
    ]
    entry = summary(pictures, found)["conflicts"]["exact"][0]
    assert [p["label"] for p in entry] == ["one", "two"]


def test_counts_name_classes_that_a_split_lacks() -> None:
    table = table_of([face(i) for i in range(4)], ["train", "train", "test", "test"], classes=[0, 1, 0, 0])
    result = summary(*inspected(table))
    assert result["sets"][0]["counts"] == {"train": {"one": 1, "two": 1}, "test": {"one": 2, "two": 0}}
    assert result["sets"][0]["sizes"] == [{"width": 64, "height": 64, "pictures": 4}]
    assert result["warnings"] == ["made up: the test split has no picture of two."]


def test_a_picture_counts_for_each_of_its_states() -> None:
    table = SampleTable(
        "states", LEARNER_STATES, [cv2.imencode(".png", face(i))[1].tobytes() for i in range(3)],
        np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0]], np.float32), np.array(["train"] * 3),
        np.array(["a", "b", "c"]), np.zeros((3, 4), np.float32), np.array(["a", "b", "c"]),
    )  # fmt: skip
    entry = summary(*inspected(table))["sets"][0]
    assert entry["counts"]["train"] == {"boredom": 1, "engagement": 1, "confusion": 1, "none": 1}
    assert entry["totals"] == {"train": 3}


def test_damaged_pictures_are_listed_and_a_set_of_them_refused() -> None:
    table = table_of([face(1), face(2)], ["train"] * 2)
    broken = SampleTable(
        table.name, table.labels, [table.images[0], b"no picture"], table.target, table.split, table.group,
        table.box, table.sample_id,
    )  # fmt: skip
    pictures, found = inspected(broken)
    assert len(pictures) == 1 and pictures.damaged == ("b of 'made up'",)
    assert summary(pictures, found)["warnings"][-1].startswith("1 picture cannot be decoded")
    with pytest.raises(DataError, match="no picture of made up can be decoded"):
        collect([broken.rows(np.array([1]))])


def test_options_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"detail = 1\.5"):
        SimilarOptions(detail=1.5)


# Known facts of real sets.


@pytest.mark.shared
def test_fer2013s_known_copies_are_found_although_train_was_compressed(shared_data: Path) -> None:
    known = json.loads((shared_data / "fer2013_duplicates.json").read_text())
    table = load(f"{shared_data}:fer2013")
    rows = np.array([int(name[4:9]) for name in table.sample_id])
    test = np.array(known["private_test_rows_with_a_copy_in_training"])
    # All of the listed training pictures, and others among which they must be found.
    kept = (
        np.isin(rows, known["training_rows_with_a_copy_in_a_test_split"])
        | (rows < 2500)
        | np.isin(rows, test)
    )
    pictures, found = inspected(table.rows(kept))
    assert set(found.affected("test", KINDS[:2]).tolist()) == set(
        np.flatnonzero(pictures.split == "test").tolist()
    )


@pytest.mark.shared
def test_rafdbs_known_near_copies_are_found_and_no_exact_ones(shared_data: Path) -> None:
    table = load(f"{shared_data}:rafdb")
    number = np.array([int(re.findall(r"\d+", name)[0]) for name in table.sample_id])
    pictures, found = inspected(table.rows((table.split == "test") | ((number > 7500) & (number < 8600))))
    near_copies = next(leak for leak in found.leaks if leak.kind == KINDS[1])
    named = dict(
        zip(pictures.sample_id[near_copies.affected], pictures.sample_id[near_copies.partner], strict=True)
    )
    assert named["test_1938_aligned.jpg"] == "train_07956_aligned.jpg"
    assert KINDS[0] not in {leak.kind for leak in found.leaks}
    within = {tuple(sorted(pictures.sample_id[rows].tolist())) for rows in found.exact}
    assert within == {
        ("train_08539_aligned.jpg", "train_08540_aligned.jpg"),
        ("test_2809_aligned.jpg", "test_2810_aligned.jpg"),
    }


@pytest.mark.shared
def test_a_split_by_frame_leaks_and_one_by_person_does_not(shared_data: Path) -> None:
    _, frame = inspected(load(f"{shared_data}:student_states_demo"))
    pictures, person = inspected(load(f"{shared_data}:student_states_demo_subject"))
    assert len(frame.affected("test")) > 0.85 * 398
    assert len(frame.shared) == 4
    assert not person.leaks
    assert summary(pictures, person)["warnings"] == []


# The command.


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, ["dataset", "inspect", *map(str, words)])


def test_the_command_writes_a_page_and_figures(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for split in ("train", "test"):
        for kind, name in enumerate(("happy", "sad")):
            (folder / split / name).mkdir(parents=True)
            for i in range(4):
                seed = i + 10 * kind + 100 * (split == "test")
                assert cv2.imwrite(str(folder / split / name / f"{split}{i}.png"), face(seed))
    assert cv2.imwrite(str(folder / "test" / "sad" / "copy.png"), face(10))
    (folder / "train" / "sad" / "broken.png").write_bytes(b"\x89PNG")
    page, figures = tmp_path / "out" / "page.html", tmp_path / "out" / "figures.json"
    result = run(folder, "--html", page, "--json", figures)
    assert result.exit_code == 0, result.output
    assert "broken.png" in result.output
    assert "1 of 9 test pictures (11.1 %)" in " ".join(result.output.split())
    found = json.loads(figures.read_text())
    assert found["affected"]["test"] == {"pictures": 1, "of": 9, "share": pytest.approx(1 / 9)}
    assert found["leaks"][0]["pairs"][0]["picture"] == "test/sad/copy.png"
    assert found["leaks"][0]["pairs"][0]["in_train"] == "train/sad/train0.png"
    text = page.read_text()
    assert text.count("data:image/jpeg;base64,") >= 18
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)
    assert "exact copy" in text and "broken.png" in text


def test_names_on_the_page_are_escaped(tmp_path: Path) -> None:
    write_face(tmp_path / "set" / "<b>bold" / "a.png", 0, 0)
    write_face(tmp_path / "set" / "plain" / "b&c.png", 1, 0)
    assert run(tmp_path / "set", "--html", tmp_path / "page.html").exit_code == 0
    text = (tmp_path / "page.html").read_text()
    assert "<b>bold" not in text and "&lt;b&gt;bold" in text and "b&amp;c.png" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nosuch"], "'nosuch' does not exist"),
        (["{own}:ferplus"], "Looked for fer2013_train.parquet; fer2013new.csv"),
    ],
)
def test_mistakes_are_named(words: list[str], message: str, own_folders: Path) -> None:
    result = run(*(word.format(own=own_folders) for word in words))
    assert isinstance(result.exception, DataError)
    assert message in str(result.exception)


def test_joined_sets_are_told_apart_by_name() -> None:
    one = table_of([face(1), face(2)], ["train"] * 2)
    assert len(joined([one, one])) == len(collect([one, one]))
