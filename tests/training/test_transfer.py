"""What transfer decides before it trains: who validates, what a head may be called."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engagement.classification.network import NetworkSpec
from engagement.errors import ConfigError
from engagement.labels import EXPRESSIONS, LabelSet
from engagement.weights.store import load_weights
from tests.training.captured import write_captured
from tests.training.invoking import error, ok
from tests.training.made_up_faces import made_up_face
from tests.training.tiny_models import write_model
from training.datasets.registry import load
from training.held_out import with_transfer_validation
from training.transfer import head_name


@pytest.mark.parametrize("videos", [2, 3])
@pytest.mark.parametrize("classes", [3, 7])
def test_every_class_is_learned_and_validated_where_its_videos_allow_it(
    tmp_path: Path, classes: int, videos: int
) -> None:
    names = [f"class{i}" for i in range(classes)]
    write_captured(tmp_path / "f", {name: {f"{name}_{v}.mp4": 4 for v in range(videos)} for name in names})
    table = with_transfer_validation(load(str(tmp_path / "f")))
    for split in ("train", "val"):
        assert (table.part(split).target.sum(axis=0) > 0).all(), split
    sides = {source: set(table.split[table.source == source].tolist()) for source in np.unique(table.source)}
    assert all(len(side) == 1 for side in sides.values())


@pytest.mark.parametrize("name", ["training", "items", "pop", "forward"])
def test_a_head_is_not_called_like_something_that_modules_have(name: str) -> None:
    with pytest.raises(ConfigError, match=f"--name '{name}' cannot be a head's name"):
        head_name(name)
    assert head_name(name, folder=True) == f"own_{name}"


def test_the_name_of_a_long_folder_is_cut() -> None:
    assert head_name("My recordings of the spring term, group B, 2026", folder=True).startswith(
        "my_recordings_of"
    )
    assert len(head_name("x" * 60, folder=True)) == 41


def test_classes_that_a_mirror_image_swaps_can_be_learned(tmp_path: Path) -> None:
    """Lit from the left or from the right; a flipped picture with its old label would teach the opposite."""
    for i in range(40):
        side = "left" if i % 2 else "right"
        face = made_up_face(i % 5, i, 96).astype(np.float32)
        light = np.linspace(0.4, 1.6, 96)[None, :, None]
        lit = np.clip(face * (light[:, ::-1] if side == "left" else light), 0, 255).astype(np.uint8)
        (tmp_path / "faces" / side).mkdir(parents=True, exist_ok=True)
        Image.fromarray(lit).save(tmp_path / "faces" / side / f"{i}.png")
    base = write_model(tmp_path / "base.safetensors", "efficientnet_b0", 48)
    words = [
        "train",
        "extension",
        "--data",
        tmp_path / "faces",
        "--name",
        "side",
        "--base",
        base,
        "--seed",
        1,
    ]
    ok(*words, "--sided", "-o", tmp_path / "out")
    loaded = load_weights(str(tmp_path / "out" / "model.safetensors"), "face_state")
    assert NetworkSpec.from_dict(loaded.record.network).heads["side"].sided
    assert loaded.record.metrics["side"]["val"]["accuracy"] > 0.8


def test_the_base_is_not_replaced_by_what_is_learned_from_it(tmp_path: Path) -> None:
    folder = write_captured(tmp_path / "own", {label: {f"{label}.mp4": 12} for label in ("a", "b")})
    base = write_model(tmp_path / "run" / "model.safetensors")
    before = base.read_bytes()
    words = ["train", "extension", "--data", folder, "--name", "mood", "--base", base, "-o", tmp_path / "run"]
    assert "is the folder of" in error(*words) and "would be replaced" in error(*words)
    assert base.read_bytes() == before


def test_says_what_the_base_knows_and_loses(tmp_path: Path) -> None:
    """A set learned from once more, of which the base held other faces out; a head of the same name."""
    folder = write_captured(tmp_path / "mood", {label: {f"{label}.mp4": 12} for label in ("a", "b")})
    words = ["train", "personal", "--data", folder, "--seed", 1]
    base = write_model(tmp_path / "base.safetensors")
    first = ok(*words, "--base", base, "-o", tmp_path / "one").output
    assert "learned from this set before" not in first and "is replaced" not in first
    again = ok(*words, "--base", tmp_path / "one" / "personal.safetensors", "-o", tmp_path / "two").output
    assert "learned from this set before" not in again and "its head 'mood' is replaced" in again
    other = write_model(tmp_path / "other.safetensors", data="mood", recipe={"validation_share": 0.3})
    assert "learned from this set before" in ok(*words, "--base", other, "-o", tmp_path / "three").output


def test_a_page_shows_no_curves_of_an_earlier_run(tmp_path: Path) -> None:
    folder = write_captured(tmp_path / "own", {label: {f"{label}.mp4": 12} for label in ("a", "b")})
    words = ["train", "personal", "--data", folder, "--base", write_model(tmp_path / "base.safetensors")]
    told = ok(*words, "-o", tmp_path / "out", "--unfreeze", 1, "--max-steps", 12).output
    assert "--set" not in told  # of which this command has none
    page = tmp_path / "out" / "report.html"
    asked = ["evaluate", folder, "--checkpoint", tmp_path / "out" / "personal.safetensors"]
    assert "is the folder of a training" in error(*asked, "--report", tmp_path / "out")
    assert "Learning curves" in page.read_text(encoding="utf-8")
    ok(*words, "-o", tmp_path / "out")
    assert "Learning curves" not in page.read_text(encoding="utf-8")


def write_list(folder: Path, columns: str, rows: list[str]) -> Path:
    """A CSV of made-up faces: the columns beside their files, and the cells of each."""
    for i in range(len(rows)):
        Image.fromarray(made_up_face(i % 5, i, 32)).save(folder / f"{i}.png")
    lines = [f"file,{columns}", *(f"{i}.png,{row}" for i, row in enumerate(rows))]
    (folder / "faces.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "faces.csv"


@pytest.mark.parametrize("grades", [3, 4])
def test_a_fifth_of_graded_faces_is_held_out_whatever_their_combinations(tmp_path: Path, grades: int) -> None:
    rng = np.random.default_rng(0)
    drawn = [",".join(map(str, rng.integers(0, 4, grades))) for _ in range(60)]
    listed = write_list(tmp_path, ",".join(f"g{i}" for i in range(grades)), drawn)
    table = with_transfer_validation(load(str(listed)))
    assert (table.split == "val").sum() == 12


def test_a_few_graded_faces_that_are_all_different_can_be_divided(tmp_path: Path) -> None:
    listed = write_list(tmp_path, "a,b", [f"{i % 4},{i // 4}" for i in range(16)])
    table = with_transfer_validation(load(str(listed)))
    assert 2 <= (table.split == "val").sum() <= 4


def test_a_number_behind_a_name_is_no_block_of_a_video(tmp_path: Path) -> None:
    rows = [f"pupil#{i // 2},{'ab'[i % 2]}" for i in range(12)]
    table = load(str(write_list(tmp_path, "person,label", rows)))
    assert len(np.unique(table.source)) == 6
    assert len(np.unique(table.rows(np.arange(4)).source)) == 2


def test_says_when_the_same_videos_are_on_both_sides(tmp_path: Path) -> None:
    """One video of each class: what validates are other seconds of what is learned from."""
    base = write_model(tmp_path / "base.safetensors")
    for name, videos, flatters in (("one", 1, True), ("three", 3, False)):
        own = {label: {f"{label}_{v}.mp4": 12 for v in range(videos)} for label in ("a", "b")}
        folder = write_captured(tmp_path / name, own)
        said = ok(
            "train", "personal", "--data", folder, "--base", base, "-o", tmp_path / f"{name}_out"
        ).output
        assert ("the figures flatter" in said) is flatters, said


def test_says_so_as_well_where_the_faces_were_divided_by_time(tmp_path: Path) -> None:
    base = write_model(tmp_path / "base.safetensors")
    for by, flatters in (("time", True), ("video", False)):
        own = {label: {f"{label}_{v}.mp4": 16 for v in range(2)} for label in ("a", "b")}
        folder = write_captured(tmp_path / by, own)
        ok("faces", "split", folder, "--by", by)
        ok("train", "personal", "--data", folder, "--base", base, "-o", tmp_path / f"{by}_out")
        found = json.loads((tmp_path / f"{by}_out" / "metrics.json").read_text())["val"]
        assert any("other seconds of the videos" in why for why in found.get("beware", ())) is flatters


def test_people_on_both_sides_are_refused_by_every_training(tmp_path: Path) -> None:
    parts = ["train", "train", "val"]
    rows = [f"{EXPRESSIONS.classes[i % 7]},{parts[i // 7]},p{i % 7}" for i in range(21)]
    listed = write_list(tmp_path, "label,split,person", rows)
    base = ("--base", write_model(tmp_path / "base.safetensors"))
    for words in (("base", "--recipe", "fer2013"), ("personal", *base)):
        said = error("train", *words, "--data", listed, "-o", tmp_path / "out")
        assert "7 people or sources stand in two splits" in said and "Split by person" in said


def test_a_class_that_only_validates_is_told_with_a_remedy(tmp_path: Path) -> None:
    rows = [f"{'ab'[i % 2]},train" for i in range(8)] + ["c,val", "a,val"]
    base = ("--base", write_model(tmp_path / "base.safetensors"))
    listed = write_list(tmp_path, "label,split", rows)
    said = error("train", "personal", *base, "--data", listed, "-o", tmp_path / "out")
    assert "no training picture of: c. Give some of its pictures the split train" in said


def test_a_base_from_faces_divided_by_time_says_that_the_figures_flatter(tmp_path: Path) -> None:
    folder = write_captured(tmp_path / "f", {name: {f"{name}.mp4": 16} for name in EXPRESSIONS.classes})
    ok("faces", "split", folder, "--by", "time")
    words = (
        "--data",
        folder,
        "--recipe",
        "fer2013",
        "--backbone",
        "cnn_bn",
        "--set",
        "size=48",
        "--init",
        "",
        "--max-steps",
        2,
    )
    said = ok("train", "base", *words, "--accelerator", "cpu", "-o", tmp_path / "out").output
    assert "beware: validates on other seconds of the videos" in said
    for file in ("metrics.json", "model_card.md", "report.html"):
        assert "other seconds of the videos" in (tmp_path / "out" / file).read_text(encoding="utf-8")


def test_no_two_classes_have_one_column(tmp_path: Path) -> None:
    write_captured(tmp_path / "f", {name: {f"{name}_{v}.mp4": 4 for v in range(3)} for name in ("a", "c")})
    labels = LabelSet("expression", ("own_a", "b"), "exclusive")
    base = write_model(tmp_path / "base.safetensors", labels=labels)
    words = ("train", "extension", "--data", tmp_path / "f", "--base", base, "-o", tmp_path / "out", "--name")
    said = error(*words, "expression_own")
    assert "class 'a' of 'expression_own' would be called in tables as 'own_a' of 'expression' is" in said


def test_why_figures_may_be_too_good_stands_beside_them(tmp_path: Path) -> None:
    for name in ("a", "c"):
        for i in range(10):
            (tmp_path / "f" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(made_up_face(i % 5, i, 48)).save(tmp_path / "f" / name / f"{i}.png")
    base = write_model(tmp_path / "base.safetensors")
    for out in ("one", "two"):
        words = ("--data", tmp_path / "f", "--base", base, "--name", "own", "-o", tmp_path / out)
        said = ok("train", "extension", *words).output
        assert "beware: nothing tells which person or recording the pictures are of (a manifest.csv" in said
        why = json.loads((tmp_path / out / "metrics.json").read_text())["val"]["beware"]
        for page in ("model_card.md", "report.html"):
            assert why[0] in (tmp_path / out / page).read_text(encoding="utf-8")
    both = [tmp_path / out / "model.safetensors" for out in ("one", "two")]
    ok("ensemble", *both, "--head", "own", "--fit", tmp_path / "f", "-o", tmp_path / "both.safetensors")
    assert why[0] in (tmp_path / "both.md").read_text(encoding="utf-8")
    for name in ("a", "c"):  # of other faces, which nobody has learned from
        for i in range(10):
            (tmp_path / "others" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(made_up_face(i % 5, 20 + i, 48)).save(tmp_path / "others" / name / f"{i}.png")
    said = ok(
        "ensemble", *both, "--head", "own", "--fit", tmp_path / "others", "-o", tmp_path / "o.safetensors"
    )
    assert "beware" not in said.output
    assert why[0] not in (tmp_path / "o.md").read_text(encoding="utf-8")
