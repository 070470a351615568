"""Networks that average a face and its mirror image."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engagement.classification.classifier import FaceClassifier, build_network
from engagement.classification.network import FaceStateNet, HeadSpec, NetworkSpec
from engagement.classification.options import ClassifierConfig
from engagement.labels import EXPRESSIONS, LEARNER_STATES, LabelSet
from engagement.types import FloatArray
from engagement.weights.store import load_weights
from tests.training.invoking import ok
from tests.training.made_up_faces import made_up_face
from tests.training.tiny_models import write_model
from training.explain.gradcam import grad_cam
from training.measuring.opened import open_network

SIDES = LabelSet("sides", ("left", "right"), "exclusive")
HEADS = {
    "expression": HeadSpec(EXPRESSIONS),
    "state": HeadSpec(LEARNER_STATES, 0, (5, 6)),
    "sides": HeadSpec(SIDES, sided=True),
}


def pair(backbone: str, identity: int) -> tuple[FaceStateNet, FaceStateNet]:
    """The same weights without and with mirroring."""
    torch.manual_seed(0)
    heads = {name: head for name, head in HEADS.items() if backbone == "efficientnet_b0" or not head.stages}
    spec = NetworkSpec(backbone, heads, identity)
    plain, mirrored = FaceStateNet(spec), FaceStateNet(replace(spec, mirror=True)).eval()
    # With the statistics of a fresh BatchNorm what is deep in a network no longer depends on the picture.
    for module in plain.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        plain.train()(faces(8))
    mirrored.load_state_dict(plain.eval().state_dict())
    return plain, mirrored


def faces(n: int = 3, size: int = 48) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("backbone", ["efficientnet_b0", "cnn_bn", "mobilenet_v2"])
@torch.inference_mode()
def test_logits_are_the_mean_of_both_views_but_of_one_for_heads_of_one_look(backbone: str) -> None:
    plain, mirrored = pair(backbone, 0)
    x = faces()
    one, other, out = plain(x), plain(x.flip(3)), mirrored(x)
    for name, values in out.logits.items():
        mean = (one.logits[name] + other.logits[name]) / 2
        wanted = one.logits[name] if plain.spec.heads[name].once else mean
        assert (one.logits[name] - other.logits[name]).abs().max() > 1e-2  # else any of the three would do
        torch.testing.assert_close(values, wanted, rtol=1e-4, atol=1e-5)
    turned = mirrored(x.flip(3))
    torch.testing.assert_close(turned.features, out.features, rtol=1e-3, atol=1e-4)


@torch.inference_mode()
def test_identity_is_between_those_of_both_views() -> None:
    plain, mirrored = pair("efficientnet_b0", 16)
    x = faces(size=64)
    one, other = plain(x).identity, plain(x.flip(3)).identity
    assert (one - other).abs().max() > 1e-2
    wanted = torch.nn.functional.normalize(one + other, dim=1)
    torch.testing.assert_close(mirrored(x).identity, wanted, rtol=1e-3, atol=1e-4)


def test_training_looks_once() -> None:
    plain, mirrored = (network.train() for network in pair("cnn_bn", 0))
    x = faces()
    torch.manual_seed(3)
    first = plain(x).features
    torch.manual_seed(3)
    torch.testing.assert_close(mirrored(x).features, first)


def test_it_travels_with_the_weights(tmp_path: Path) -> None:
    file = write_model(tmp_path / "m.safetensors", mirror=True)
    spec = build_network(load_weights(str(file), "face_state")).spec
    assert spec.mirror
    assert NetworkSpec.from_dict(spec.to_dict()) == spec
    assert "mirror" not in replace(spec, mirror=False).to_dict()


def test_a_classifier_scores_a_face_and_its_mirror_image_alike_by_default(tmp_path: Path) -> None:
    file = write_model(tmp_path / "m.safetensors", states=True)
    classifier = FaceClassifier(ClassifierConfig(checkpoint=str(file)))

    def scores(turned: bool) -> FloatArray:
        sizes = [spec.size for spec in classifier.chip_specs]
        chips = [np.stack([made_up_face(2, 5, size)]) for size in sizes]
        return classifier.score([c[:, :, ::-1].copy() if turned else c for c in chips]).expression_prob

    np.testing.assert_allclose(scores(turned=True), scores(turned=False), atol=1e-5)


def test_looking_twice_is_an_option_of_any_weights(tmp_path: Path, expression_folders: Path) -> None:
    plain = write_model(tmp_path / "plain.safetensors", states=True)
    both = write_model(tmp_path / "both.safetensors", states=True, mirror=True)
    chips = [np.stack([made_up_face(2, 5, 48)])]

    def scores(file: Path, mirror: bool) -> FloatArray:
        config = ClassifierConfig(checkpoint=str(file), mirror=mirror)
        classifier = FaceClassifier(config)
        return classifier.score([chips[0]] * len(classifier.chip_specs)).expression_prob

    np.testing.assert_allclose(scores(plain, mirror=True), scores(both, mirror=False), atol=1e-6)
    assert np.abs(scores(plain, mirror=True) - scores(plain, mirror=False)).max() > 1e-4
    found = {}
    for name, file, words in (
        ("once", plain, ["--no-mirror"]),
        ("twice", plain, []),
        ("both", both, ["--no-mirror"]),
    ):
        ok("evaluate", expression_folders, "--checkpoint", file, "--json", tmp_path / name, *words)
        found[name] = json.loads((tmp_path / name).read_text(encoding="utf-8"))
    assert found["twice"]["ece"] == found["both"]["ece"] != found["once"]["ece"]
    assert [found[name]["mirror"] for name in ("once", "twice")] == [False, True]


def test_a_report_says_that_its_cost_is_of_two_looks(tmp_path: Path, expression_folders: Path) -> None:
    one, other = (write_model(tmp_path / f"{i}.safetensors", "lenet", 48, i) for i in range(2))
    ok("ensemble", one, other, "-o", tmp_path / "e.safetensors")
    for file in (one, tmp_path / "e.safetensors"):
        spent = []
        for words in ([], ["--no-mirror"]):
            out = tmp_path / f"{file.stem}{len(words)}"
            ok("evaluate", expression_folders, "--checkpoint", file, "--report", out, *words)
            page = (out / "report.html").read_text(encoding="utf-8")
            assert ("Each face is looked at twice" in page) == (not words)
            spent.append(json.loads((out / "cost.json").read_text(encoding="utf-8"))["gflops"])
        assert spent[0] == pytest.approx(2 * spent[1], rel=1e-4)


def test_an_explanation_is_turned_back(tmp_path: Path) -> None:
    pytest.importorskip("captum")
    opened = open_network(str(write_model(tmp_path / "m.safetensors", mirror=True)))
    face = made_up_face(1, 3, 48)[None]
    target = np.zeros(1, np.int64)
    own = grad_cam(opened.network, "expression", 1, face, opened.chip, target)
    turned = grad_cam(opened.network, "expression", 1, face[:, :, ::-1].copy(), opened.chip, target)
    assert own.shape == (1, 48, 48)
    np.testing.assert_allclose(turned[:, :, ::-1], own, atol=1e-4)
