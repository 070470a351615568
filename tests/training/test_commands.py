"""Each training command end to end on made-up faces: a few steps, files that load and say what they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result

from engagement.classification.classifier import build_network
from engagement.classification.network import HeadSpec
from engagement.labels import LEARNER_STATES
from engagement.weights.store import load_weights
from tests.training.invoking import ok
from tests.training.made_up_faces import write_face
from training.cli.options import command_line
from training.datasets.registry import load
from training.fitting.frozen import HeadFit, apply_head, fit_head
from training.measuring.metrics import auc
from training.states import Learned, held_out_logits

TRIAL = ["--max-steps", "2", "--set", "batch_size=16", "--set", "size=32", "--accelerator", "cpu"]


def card(folder: Path) -> str:
    return (folder / "model_card.md").read_text()


def trial(data: Path, out: Path, *more: str) -> Result:
    return ok("base", "--data", data, "--recipe", "fer2013", "-o", out, *TRIAL, *more)


@pytest.mark.parametrize("backbone", ["efficientnet_b0", "mobilenet_v2", "resnet18", "vgg16"])
def test_base(backbone: str, expression_folders: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = trial(expression_folders, out, "--backbone", backbone, "--test", "--init", "")
    assert "mean class accuracy" in result.output
    loaded = load_weights(str(out / "model.safetensors"), "face_state")
    record = loaded.record
    build_network(loaded)
    assert record.network["backbone"] == backbone
    assert record.chip["size"] == 32
    assert record.calibration["expression"]["temperature"] > 0
    assert set(record.metrics["expression"]) == {"val", "test"}
    assert record.origin["recipe"]["backbone"] == backbone
    assert record.licence
    figures = json.loads((out / "metrics.json").read_text())
    assert figures == record.metrics["expression"]
    # A shipped model is measured on several sets: each figure says which.
    assert {found["data"] for found in figures.values()} == {record.origin["data"]}
    assert f"expression, test split ({figures['test']['n']} faces of {record.origin['data']})" in card(out)
    low, high = figures["test"]["intervals"]["accuracy"]
    assert low <= figures["test"]["accuracy"] <= high
    for words in (
        "Article\n  5(1)(f)",
        "Must not be used for",
        "Known failures",
        "Data and terms",
        "| fear |",
    ):
        assert words in card(out)
    assert str(tmp_path) not in card(out) + json.dumps(record.origin)
    for name in ("best.ckpt", "last.ckpt", "log/metrics.csv", "recipe.json"):
        assert (out / name).is_file()


def test_the_recorded_command_names_files_and_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = "train base --data /data/of/me/faces:rafdb --data=/data/of/me/more/ --set init=/data/of/me/a.pth -o C:\\me\\run"
    monkeypatch.setattr("sys.argv", ["engagement", *typed.split(), "--init", "", "--name", "my faces"])
    recorded = "engagement train base --data faces:rafdb --data=more --set init=a.pth -o run --init '' --name 'my faces'"
    assert command_line() == recorded


def test_figures_are_those_of_the_file(expression_folders: Path, tmp_path: Path) -> None:
    trial(expression_folders, tmp_path, "--backbone", "mobilenet_v2", "--test")
    ok(
        "evaluate",
        expression_folders,
        "--checkpoint",
        tmp_path / "model.safetensors",
        "--json",
        tmp_path / "again.json",
    )
    again = json.loads((tmp_path / "again.json").read_text())
    said = json.loads((tmp_path / "metrics.json").read_text())["test"]
    assert {key: again[key] for key in said} == said


def test_the_test_split_is_left_alone_by_default(expression_folders: Path, tmp_path: Path) -> None:
    trial(expression_folders, tmp_path, "--backbone", "mobilenet_v2")
    assert list(json.loads((tmp_path / "metrics.json").read_text())) == ["val"]


def test_states(daisee_folder: Path, base_file: Path, tmp_path: Path) -> None:
    result = ok(
        "states", "--data", daisee_folder, "--base", base_file, "-o", tmp_path, "--test", "--views", "2"
    )
    assert "AUC" in result.output
    loaded = load_weights(str(tmp_path / "model.safetensors"), "face_state")
    heads = loaded.record.network["heads"]
    assert heads["state"]["labels"]["classes"] == ["boredom", "engagement", "confusion"]
    assert loaded.record.calibration["expression"] == {"temperature": 1.5}
    assert len(loaded.record.calibration["state"]["scale"]) == 3
    assert all(0 < share < 1 for share in loaded.record.calibration["state"]["often"])
    found = json.loads((tmp_path / "metrics.json").read_text())["test"]
    assert set(found["boredom"]) == {
        "auc",
        "balanced_accuracy",
        "ece",
        "ece_balanced",
        "n",
        "positive_share",
        "intervals",
        "reliability",
    }
    assert "balanced prior" in card(tmp_path)
    assert same_outputs(base_file, tmp_path / "model.safetensors", "expression")
    ok(
        "evaluate",
        daisee_folder,
        "--checkpoint",
        tmp_path / "model.safetensors",
        "--json",
        tmp_path / "again.json",
    )
    assert json.loads((tmp_path / "again.json").read_text())["head"] == "state"


def same_outputs(a: Path, b: Path, head: str) -> bool:
    torch.manual_seed(1)
    chips = torch.randn(4, 3, 32, 32)
    first, second = (build_network(load_weights(str(p), "face_state")) for p in (a, b))
    with torch.no_grad():
        return torch.equal(first(chips).logits[head], second(chips).logits[head])


@pytest.mark.parametrize(
    ("given", "stages", "width"),
    [
        ([], [5, 6], 9 * 304),
        (["--stages", "5,6", "--grid", "1"], [5, 6], 304),
        (["--stages", "5", "--grid", "2"], [5], 4 * 112),
    ],
)
def test_states_read_stages_before_the_last(
    daisee_folder: Path,
    make_base: Callable[..., Path],
    tmp_path: Path,
    given: list[str],
    stages: list[int],
    width: int,
) -> None:
    base = make_base("efficientnet_b0")
    ok("states", "--data", daisee_folder, "--base", base, "-o", tmp_path, "--views", "1", *given)
    loaded = load_weights(str(tmp_path / "model.safetensors"), "face_state")
    assert loaded.record.network["heads"]["state"]["stages"] == stages
    assert loaded.tensors["heads.state.1.weight"].shape == (3, width)
    assert loaded.record.metrics["state"]["folds"]["n"] == 6 * 8  # of train and validation, none of test
    card = (tmp_path / "model_card.md").read_text(encoding="utf-8")
    assert "people held out in turn, five folds (48 faces of daisee)" in card
    assert same_outputs(base, tmp_path / "model.safetensors", "expression")


def test_what_only_tells_who_it_is_says_nothing_of_people_held_out(daisee_folder: Path) -> None:
    table = load(str(daisee_folder))
    table = table.rows(np.flatnonzero(table.split != "test"))
    people, who = np.unique(table.group, return_inverse=True)
    target = np.repeat((who % 2)[:, None], 3, axis=1).astype(np.float32)
    table = replace(table, target=target, levels=target.astype(np.int64))
    features = np.eye(len(people), dtype=np.float32)[who][None]
    spec, fit = HeadSpec(LEARNER_STATES), HeadFit(weight_decay=0.01)
    known = apply_head(features[0], fit_head(features, target, spec, fit))
    assert auc(known[:, 0], target[:, 0] > 0.5) == 1
    (held,) = held_out_logits([Learned(features, table)], spec, fit)
    assert auc(held[:, 0], target[:, 0] > 0.5) < 0.6


def test_states_learned_with_hidden_units(daisee_folder: Path, base_file: Path, tmp_path: Path) -> None:
    ok(
        "states",
        "--data",
        daisee_folder,
        "--base",
        base_file,
        "-o",
        tmp_path,
        "--views",
        "1",
        "--hidden",
        "4",
    )
    heads = load_weights(str(tmp_path / "model.safetensors"), "face_state").record.network["heads"]
    assert heads["state"]["hidden"] == 16  # four seeds side by side


def test_personal_with_classes_of_ones_own(own_folders: Path, base_file: Path, tmp_path: Path) -> None:
    ok("personal", "--data", own_folders, "--base", base_file, "-o", tmp_path)
    record = load_weights(str(tmp_path / "personal.safetensors"), "face_state").record
    assert set(record.network["heads"]) == {"expression", "my_classes"}
    assert record.network["heads"]["my_classes"]["labels"]["classes"] == ["awake", "away", "tired"]
    assert same_outputs(base_file, tmp_path / "personal.safetensors", "expression")
    found = json.loads((tmp_path / "metrics.json").read_text())["val"]
    assert found["accuracy"] > 0.6  # stripes are easy, also for an untrained backbone


@pytest.fixture
def two_expressions(tmp_path: Path) -> Path:
    folder = tmp_path / "faces"
    for kind, name in enumerate(("happy", "sad")):
        for i in range(8):
            write_face(folder / name / f"{i}.png", kind, i)
    return folder


def test_personal_with_some_expressions_replaces_the_head(
    two_expressions: Path, base_file: Path, tmp_path: Path
) -> None:
    ok("personal", "--data", two_expressions, "--base", base_file, "-o", tmp_path / "out")
    heads = load_weights(str(tmp_path / "out/personal.safetensors"), "face_state").record.network["heads"]
    assert list(heads) == ["expression"]
    assert heads["expression"]["labels"]["classes"] == ["happy", "sad"]


def test_personal_with_even_light_and_a_teacher(
    two_expressions: Path, make_base: Callable[..., Path], tmp_path: Path
) -> None:
    teacher = make_base("mobilenet_v2")
    ok(
        "personal",
        "--data",
        two_expressions,
        "--base",
        teacher,
        "-o",
        tmp_path,
        "--equalize",
        "--distil",
        teacher,
    )
    record = load_weights(str(tmp_path / "personal.safetensors"), "face_state").record
    assert record.chip["equalize"] is True and list(record.network["heads"]) == ["expression"]
    assert record.origin["head"]["distil"] == [teacher.name]
    assert "equalize" not in load_weights(str(teacher), "face_state").record.chip


def test_personal_unfrozen_leaves_out_heads_that_would_be_wrong(
    two_expressions: Path, daisee_folder: Path, base_file: Path, tmp_path: Path
) -> None:
    ok("states", "--data", daisee_folder, "--base", base_file, "-o", tmp_path / "st", "--views", "1")
    base = tmp_path / "st/model.safetensors"
    ok(
        "personal",
        "--data",
        two_expressions,
        "--base",
        base,
        "-o",
        tmp_path / "out",
        "--unfreeze",
        "2",
        "--max-steps",
        "2",
    )
    before, after = (
        build_network(load_weights(str(p), "face_state"))
        for p in (base, tmp_path / "out/personal.safetensors")
    )
    assert list(after.spec.heads) == ["expression"]
    old, new = before.backbone.state_dict(), after.backbone.state_dict()
    moved = {k.split(".")[0] for k in new if not k.endswith("tracked") and not torch.equal(old[k], new[k])}
    assert moved == {"17", "18"}


def test_extension(own_folders: Path, daisee_folder: Path, base_file: Path, tmp_path: Path) -> None:
    ok("extension", "--data", own_folders, "--base", base_file, "--name", "attention", "-o", tmp_path)
    path = tmp_path / "model.safetensors"
    assert list(load_weights(str(path), "face_state").record.network["heads"]) == ["attention", "expression"]
    assert same_outputs(base_file, path, "expression")
    ok(
        "evaluate",
        own_folders,
        "--checkpoint",
        path,
        "--split",
        "all",
        "--head",
        "attention",
        "--json",
        tmp_path / "e.json",
    )
    assert json.loads((tmp_path / "e.json").read_text())["labels"] == ["awake", "away", "tired"]


def test_captured_faces_are_divided_by_video_not_by_frame(base_file: Path, tmp_path: Path) -> None:
    """Frames of one video stand on one side, and the box of the manifest is what the chip shows."""
    folder, rows = tmp_path / "faces", ["file,label,group"]
    for kind, name in enumerate(("on", "off")):
        for video in range(3):
            for frame in range(4):
                write_face(folder / name / f"{video}_{frame}.png", kind, 10 * video)
                rows.append(f"{name}/{video}_{frame}.png,{name},{name}{video}.mp4#{frame}")
    (folder / "manifest.csv").write_text("\n".join(rows))
    ok("personal", "--data", folder, "--base", base_file, "-o", tmp_path / "out")
    record = load_weights(str(tmp_path / "out/personal.safetensors"), "face_state").record
    assert record.origin["sources"] == 6
    assert record.metrics["faces"]["val"]["n"] % 4 == 0


@pytest.mark.shared
def test_base_on_real_faces(unpacked: Callable[[str], Path], tmp_path: Path) -> None:
    for i, name in enumerate(("rafdb", "fer2013")):
        folder = tmp_path / name
        shutil.copytree(
            unpacked(name) / "train", folder / "train"
        )  # pictures are added: not to the others' copy
        for kind, label in enumerate(("fear", "disgust", "surprise", "angry", "neutral", "sad", "happy")):
            write_face(folder / "train" / label / "extra.png", kind, 0)
        out = tmp_path / str(i)
        ok(
            "base",
            "--data",
            f"{folder / 'train'}:{name}" if name == "fer2013" else folder / "train",
            "--recipe",
            name,
            "--backbone",
            "mobilenet_v2",
            "-o",
            out,
            *TRIAL,
        )
        assert load_weights(str(out / "model.safetensors"), "face_state").record.metrics
