"""Each shipped recipe does a few steps, and what it writes can be used: the ancestors' workflows in small."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engagement.classification.classifier import FaceClassifier
from engagement.classification.options import ClassifierConfig
from engagement.labels import EXPRESSIONS, EXPRESSIONS_8
from engagement.weights.store import load_weights
from tests.training.invoking import error, ok
from tests.training.made_up_faces import write_face

TRIAL = ("--max-steps", "2", "--set", "batch_size=16", "--accelerator", "cpu")
SMALL_CNNS = ("fer2013_grey", "fer2013_lenet", "fer2013_cnn")


def train(data: str | Path, recipe: str, out: Path, *more: str | Path) -> dict[str, object]:
    """The record of what came out."""
    ok("base", "--data", data, "--recipe", recipe, "-o", out, *TRIAL, *more)
    record = load_weights(str(out / "model.safetensors"), "face_state").record
    assert np.isfinite(json.loads((out / "metrics.json").read_text())["val"]["accuracy"])
    return {
        "backbone": record.network["backbone"],
        "size": record.chip["size"],
        "heads": record.network["heads"],
    }


@pytest.mark.parametrize("recipe", ["feature_extraction", "finetune"])
@pytest.mark.parametrize("backbone", ["efficientnet_b0", "mobilenet_v2", "resnet18", "vgg16"])
def test_transfer_learning(
    recipe: str, backbone: str, expression_folders: Path, make_base: Callable[..., Path], tmp_path: Path
) -> None:
    initial = make_base(backbone)
    found = train(
        *(expression_folders, recipe, tmp_path, "--backbone", backbone, "--init", initial, "--set", "size=32")
    )
    assert found["backbone"] == backbone
    # Two steps are of the head alone: the backbone is still the one it started from.
    before, after = (
        load_weights(str(path), "face_state").tensors for path in (initial, tmp_path / "model.safetensors")
    )
    assert all((after[k] == before[k]).all() for k in before if k.startswith("backbone."))
    assert any((after[k] != before[k]).any() for k in before if k.startswith("heads."))


@pytest.mark.parametrize("recipe", SMALL_CNNS)
def test_small_networks(recipe: str, expression_folders: Path, tmp_path: Path) -> None:
    assert train(expression_folders, recipe, tmp_path)["size"] == 48


def test_the_file_of_a_small_network_analyses_faces(expression_folders: Path, tmp_path: Path) -> None:
    train(expression_folders, "fer2013_cnn", tmp_path)
    classifier = FaceClassifier(ClassifierConfig(str(tmp_path / "model.safetensors")))
    own, shipped = classifier.chip_specs  # states and identity come from the shipped network
    assert own.size == 48
    rng = np.random.default_rng(0)
    chips = [rng.integers(0, 256, (3, s.size, s.size, 3)).astype(np.uint8) for s in (own, shipped)]
    np.testing.assert_allclose(classifier.score(chips).expression_prob.sum(axis=1), 1, rtol=1e-5)


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AffectNet's class folders, made up: eight classes, few of some."""
    folder = tmp_path_factory.mktemp("affectnet")
    for kind, name in enumerate(EXPRESSIONS_8.classes):
        for i in range(8 if kind % 2 else 4):
            write_face(folder / "train" / name / f"{i}.png", kind, i)
        for i in range(2):
            write_face(folder / "test" / name / f"{i}.png", kind, 100 + i)
    return folder


def test_eight_classes_are_one_more_head_of_analyze(eight: Path, tmp_path: Path) -> None:
    found = train(f"{eight}:affectnet8", "affectnet_cnn", tmp_path, "--test")
    assert found["backbone"] == "cnn_dropblock"
    heads = found["heads"]
    assert isinstance(heads, dict) and list(heads) == ["expression8"]
    assert heads["expression8"]["labels"]["classes"] == list(EXPRESSIONS_8.classes)
    classifier = FaceClassifier(ClassifierConfig(str(tmp_path / "model.safetensors")))
    assert classifier.extra_columns[-1] == "expression8_contempt"
    assert classifier.expression_classes == EXPRESSIONS.classes
    ok(
        *("evaluate", f"{eight}:affectnet8", "--checkpoint", tmp_path / "model.safetensors"),
        *("--no-mirror", "--json", tmp_path / "again.json"),
    )
    again = json.loads((tmp_path / "again.json").read_text())
    said = json.loads((tmp_path / "metrics.json").read_text())["test"]
    assert {key: again[key] for key in said} == said
    assert again["head"] == "expression8"


def test_a_recipe_that_does_not_suit_the_backbone_is_one_message(
    expression_folders: Path, tmp_path: Path
) -> None:
    said = error(
        "base", "--data", expression_folders, "--recipe", "rafdb", "--backbone", "lenet", "-o", tmp_path
    )
    assert "size 96 does not fit the backbone 'lenet', which is made for 48 px" in said


@pytest.mark.shared
@pytest.mark.parametrize("name", ["rafdb", "fer2013"])
@pytest.mark.parametrize("recipe", ["feature_extraction", "finetune"])
def test_transfer_learning_on_real_faces(
    name: str, recipe: str, shared_data: Path, shared_weights: Path, tmp_path: Path
) -> None:
    initial = shared_weights / "mobilenet_v2_imagenet.safetensors"
    train(
        *(f"{shared_data}:{name}", recipe, tmp_path, "--limit", "60", "--backbone", "mobilenet_v2"),
        *("--init", initial, "--set", "size=48"),
    )


@pytest.mark.shared
@pytest.mark.parametrize("recipe", SMALL_CNNS)
def test_small_networks_on_real_faces(recipe: str, shared_data: Path, tmp_path: Path) -> None:
    train(f"{shared_data}:fer2013", recipe, tmp_path, "--limit", "60")
