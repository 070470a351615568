"""What a training held out can be found again afterwards, and what it may have learned is said."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from tests.training.captured import write_captured
from tests.training.invoking import ok
from tests.training.test_datasets import table_of
from tests.training.tiny_models import write_model
from training.datasets.registry import load, prepared
from training.evaluate import chosen_split
from training.held_out import (
    by_source,
    held_out,
    learned_from,
    record_of,
    require_disjoint,
    with_transfer_validation,
)
from training.measuring.opened import open_model, open_network


def names_of(path: Path, table: Any, *models: Path) -> tuple[list[str], list[str]]:
    said: list[str] = []
    found = held_out(table, [open_network(str(model)) for model in models], said.append)
    return sorted(found.sample_id.tolist()), said


def phase(data: str, share: float) -> dict[str, Any]:
    return {"data": data, "recipe": {"validation_share": share}}


@pytest.mark.parametrize("deep", [False, True])
def test_base_training_is_followed_through_later_phases(
    expression_folders: Path, tmp_path: Path, deep: bool
) -> None:
    table = load(str(expression_folders))
    own = phase(table.name, 0.3)
    origin = {"data": "others", "head": {"stages": [6]}, "base": own} if deep else own
    found, said = names_of(tmp_path, table, write_model(tmp_path / "m.safetensors", **origin))
    assert found == sorted(table.with_validation(0.3).part("val").sample_id.tolist()) and not said


def test_a_head_of_own_classes_held_out_whole_videos(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    write_captured(folder, {name: {f"{name}_{v}.mp4": 4 for v in range(3)} for name in ("awake", "tired")})
    table = load(str(folder))
    model = write_model(
        tmp_path / "m.safetensors", data=table.name, head={"name": "own"}, base=phase("others", 0.1)
    )
    found, said = names_of(tmp_path, table, model)
    wanted = with_transfer_validation(table).part("val")
    assert found == sorted(wanted.sample_id.tolist()) and not said
    assert not set(wanted.source.tolist()) & set(
        with_transfer_validation(table).part("train").source.tolist()
    )


@pytest.mark.parametrize("kind", ["exclusive", "independent"])
def test_of_faces_of_unknown_source_a_fifth_of_each_class_validates(kind: Literal["exclusive"]) -> None:
    table = table_of([str(i) for i in range(25)], [int(i % 5 == 3) for i in range(25)])
    table = replace(table, labels=replace(table.labels, kind=kind))
    assert with_transfer_validation(table).part("val").target.sum(axis=0).tolist() == [4, 1]


@pytest.mark.parametrize(
    ("videos", "groups"), [(("v", "w", "x", "y"), 4), (("v", "w", "x", "x"), 8), (("v", "v", "x", "x"), 8)]
)
def test_whole_videos_validate_where_each_class_has_two(videos: tuple[str, ...], groups: int) -> None:
    """Two recordings of each class, in two blocks of three faces each."""
    names = [f"{videos[i // 6]}#{i // 3}" for i in range(24)]
    table = table_of(names, [i // 12 for i in range(24)])
    assert len(set(by_source(table).group.tolist())) == groups
    divided = with_transfer_validation(table)
    require_disjoint(divided)
    assert (divided.part("val").target.sum(axis=0) > 0).all()


@pytest.mark.parametrize(
    "origin",
    [
        {},
        {"recipe": {}},
        {
            "data": "SET",
            "recipe": {"validation_share": None},
            "base": {"data": "SET", "recipe": {"validation_share": 0.3}},
        },
    ],
    ids=["nothing recorded", "an old recipe", "faces that no share finds again"],
)
def test_faces_that_may_have_been_learned_are_said(
    expression_folders: Path, tmp_path: Path, origin: dict[str, Any]
) -> None:
    table = load(str(expression_folders))
    named = json.loads(json.dumps(origin).replace("SET", table.name))
    found, said = names_of(tmp_path, table, write_model(tmp_path / "m.safetensors", **named))
    assert found and len(said) == 1 and "may have learned" in said[0]


def test_a_further_set_of_base_training_holds_its_share_out(expression_folders: Path, tmp_path: Path) -> None:
    table = load(str(expression_folders))
    origin = {"data": f"first+{table.name}", "recipe": {"validation_share": 0.3}}
    found, said = names_of(tmp_path, table, write_model(tmp_path / "m.safetensors", **origin))
    assert found == sorted(table.with_validation(0.3).part("val").sample_id.tolist()) and not said


def test_the_smallest_share_is_held_out_by_all(expression_folders: Path, tmp_path: Path) -> None:
    table = load(str(expression_folders))
    models = [
        write_model(tmp_path / f"{share}.safetensors", **phase(table.name, share)) for share in (0.4, 0.2)
    ]
    found, said = names_of(tmp_path, table, *models)
    assert found == sorted(table.with_validation(0.2).part("val").sample_id.tolist())
    assert set(found) <= set(table.with_validation(0.4).part("val").sample_id.tolist())
    assert len(said) == 1 and "held out different faces" in said[0]


def test_every_phase_on_a_set_counts(expression_folders: Path, tmp_path: Path) -> None:
    """A head of own classes held out a fifth; the network below it, trained on the same set, a tenth."""
    table = load(str(expression_folders))
    origin = {"data": table.name, "head": {"name": "own"}, "base": phase(table.name, 0.1)}
    found, said = names_of(tmp_path, table, write_model(tmp_path / "m.safetensors", **origin))
    assert len(said) == 1 and "held out different faces" in said[0]
    assert found == sorted(table.with_validation(0.1).part("val").sample_id.tolist())


def test_people_whom_a_head_was_fitted_to_as_well_are_said(expression_folders: Path, tmp_path: Path) -> None:
    table = load(str(expression_folders)).with_validation(0.2)
    first = {"data": table.name, "fit": ["train", "val"], "head": {"stages": [6]}}
    for splits, warned in ((["train", "val"], True), (["train"], False), (None, True)):
        origin = {"data": table.name, "fit": splits, "head": {"stages": [6]}, "base": first}
        model = write_model(tmp_path / "m.safetensors", **origin)
        _, said = names_of(tmp_path, table, model)
        assert bool(said) is warned and (not said or "validation split as well" in said[0])


def test_members_of_an_ensemble_know_what_they_learned(expression_folders: Path, tmp_path: Path) -> None:
    name = load(str(expression_folders)).name
    files = [write_model(tmp_path / f"{i}.safetensors", seed=i, **phase(name, 0.3)) for i in range(2)]
    out = tmp_path / "both.safetensors"
    ok("ensemble", *files, "-o", out)
    words = ["evaluate", expression_folders, "--checkpoint", out]
    assert "may have learned" not in ok(*words, "--split", "val").output
    model = open_model(str(out))
    assert all(learned_from(member, name) for member in model.networks)
    chosen = chosen_split(load(str(expression_folders)), "val", model)
    wanted = load(str(expression_folders)).with_validation(0.3).part("val")
    assert sorted(chosen.sample_id.tolist()) == sorted(wanted.sample_id.tolist())


def test_evaluate_looks_at_what_was_held_out(expression_folders: Path, tmp_path: Path) -> None:
    table = load(str(expression_folders))
    model = write_model(tmp_path / "m.safetensors", **phase(table.name, 0.3))
    ok("evaluate", expression_folders, "--checkpoint", model, "--split", "val", "--json", tmp_path / "e.json")
    assert json.loads((tmp_path / "e.json").read_text())["n"] == len(table.with_validation(0.3).part("val"))


def test_a_limit_takes_from_what_was_held_out(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    write_captured(folder, {name: {f"{name}_{v}.mp4": 8 for v in range(5)} for name in ("awake", "tired")})
    table = load(str(folder))
    model = write_model(tmp_path / "m.safetensors", data=table.name, head={"name": "own"})
    opened = open_network(str(model))
    wanted = set(with_transfer_validation(table).part("val").sample_id.tolist())
    for limit in (4, 6, 9):
        some = prepared(
            str(folder), limit, False, print, lambda whole: chosen_split(whole, "val", opened, print)
        )
        assert len(some) == min(limit, len(wanted)) and set(some.sample_id.tolist()) <= wanted


def test_faces_of_a_set_that_changed_since_are_said(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    videos = {name: {f"{name}_{v}.mp4": 4 for v in range(4)} for name in ("awake", "tired")}
    write_captured(folder, videos)
    out = tmp_path / "trained"
    base = write_model(tmp_path / "base.safetensors")
    ok("train", "personal", "--data", folder, "--base", base, "-o", out)
    model = out / "personal.safetensors"
    before, said = names_of(tmp_path, load(str(folder)), model)
    assert not said
    shutil.rmtree(folder)
    write_captured(folder, {name: {f"{name}_{v}.mp4": 4 for v in range(1, 6)} for name in videos})
    after, said = names_of(tmp_path, load(str(folder)), model)
    assert after != before and "is not as it was when personal learned from it" in said[0]


@pytest.mark.parametrize("name", ["mine", "CK+", "FER+", "a+b"])
def test_a_set_is_known_again_whatever_its_name(name: str, tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.safetensors", data=f"rafdb+{name}")
    assert learned_from(open_network(str(model)), name) and learned_from(open_network(str(model)), "rafdb")
    assert not learned_from(open_network(str(model)), "raf") and not learned_from(
        open_network(str(model)), "b+"
    )


def test_measuring_on_what_was_learned_from_is_said(
    expression_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without splits is measured whole by default: also by a model that learned from it."""
    flat = tmp_path / "mine"
    shutil.copytree(expression_folders / "train", flat)
    for name, taught in (("mine", True), ("others", False)):
        model = write_model(tmp_path / f"{name}.safetensors", data=name)
        said = ok("evaluate", flat, "--checkpoint", model).output
        with monkeypatch.context() as there:
            there.chdir(flat)
            assert ("learned from it" in ok("evaluate", ".", "--checkpoint", model).output) is taught
        assert ("learned from it" in said) is taught, said


def test_only_the_split_that_is_measured_is_decoded(expression_folders: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for split in ("train", "test"):
        for source in (expression_folders / split).rglob("*.png"):
            place = folder / split / source.parent.name / source.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(source.read_bytes())
    (folder / "train" / "happy" / "0.png").write_bytes(b"no picture")
    table = prepared(str(folder), None, False, lambda _: None, lambda whole: whole.part("test"))
    assert set(np.unique(table.split)) == {"test"}


def test_pictures_that_are_called_otherwise_now_are_said(expression_folders: Path, tmp_path: Path) -> None:
    """Each picture is a group of its own, so its name alone decides on its side."""
    folder = tmp_path / "faces"
    shutil.copytree(expression_folders / "train", folder)
    before = load(str(folder))
    own = phase("faces", 0.3) | record_of(before.with_validation(0.3).part("val"))
    model = write_model(tmp_path / "m.safetensors", **own)
    assert names_of(tmp_path, before, model)[1] == []
    for picture in list((folder / "happy").iterdir())[:2]:  # a few that have gone change nobody's side
        picture.unlink()
    assert names_of(tmp_path, load(str(folder)), model)[1] == []
    shutil.move(folder, tmp_path / "moved")
    (tmp_path / "moved").rename(tmp_path / "train")
    folder.mkdir()
    shutil.move(tmp_path / "train", folder / "train")
    _, said = names_of(tmp_path, load(str(folder)), model)
    assert "is not as it was when m learned from it" in said[0]


@pytest.mark.parametrize(
    ("split", "flatters"), [("train", True), ("all", True), ("test", False), ("val", False)]
)
def test_faces_that_taught_a_model_are_told(
    split: str, flatters: bool, expression_folders: Path, tmp_path: Path
) -> None:
    table = load(str(expression_folders)).with_validation(0.3)
    said: list[str] = []
    taught = open_model(str(write_model(tmp_path / "m.safetensors", **phase(table.name, 0.3))))
    chosen_split(table, split, taught, said.append)
    assert len(said) == flatters
    assert all(
        f"--split {split} of '{table.name}' has training faces, and m learned" in text for text in said
    )
    other = open_model(str(write_model(tmp_path / "o.safetensors", **phase("others", 0.3))))
    said.clear()
    chosen_split(table, split, other, said.append)
    assert not said


def test_a_set_without_splits_is_told_of_too(expression_folders: Path, tmp_path: Path) -> None:
    table = load(str(expression_folders))
    table = table.rows(table.split == "train")
    said: list[str] = []
    chosen_split(
        table,
        "test",
        open_model(str(write_model(tmp_path / "m.safetensors", **phase(table.name, 0.3)))),
        said.append,
    )
    assert "has no test split, and m learned" in said[0]
