"""Heads on features that hardly vary, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engagement.classification.network import HeadSpec
from engagement.errors import WeightsError
from engagement.labels import LabelSet
from engagement.weights.store import WeightRecord, load_weights, save_weights
from tests.training.invoking import error
from tests.training.made_up_faces import write_face
from tests.training.tiny_models import write_model
from training.fitting.frozen import HeadFit, apply_head, fit_head

SPEC = HeadSpec(LabelSet("kind", ("a", "b"), "exclusive"))


@pytest.mark.parametrize("scale", [1e-9, 1e-5, 1.0])
def test_features_that_hardly_vary_do_not_blow_up(scale: float) -> None:
    rng = np.random.default_rng(0)
    kind = np.arange(40) % 2
    features = (1 + scale * (rng.normal(size=(40, 6)) + kind[:, None])).astype(np.float32)[None]
    tensors = fit_head(features, np.eye(2, dtype=np.float32)[kind], SPEC, HeadFit(weight_decay=1e-3))
    assert tensors["1.weight"].abs().max() < 1e4
    assert torch.isfinite(tensors["1.weight"].half()).all()
    if scale == 1.0:  # what varies is learned as ever
        assert (apply_head(features[0], tensors).argmax(axis=1) == kind).mean() > 0.8


def test_a_base_that_says_the_same_of_every_face_is_named(tmp_path: Path) -> None:
    for i in range(24):
        write_face(tmp_path / "faces" / "ab"[i % 2] / f"{i}.png", i % 2, i)
    path = write_model(tmp_path / "dead.safetensors")
    loaded = load_weights(str(path), "face_state")
    dead = {k: torch.zeros_like(v) if k.startswith("backbone.") else v for k, v in loaded.tensors.items()}
    save_weights(path, loaded.record, dead)
    said = error("train", "personal", "--data", tmp_path / "faces", "--base", path, "-o", tmp_path / "out")
    assert "the features of dead are the same for all" in said
    assert "Give another --base" in said
    assert not (tmp_path / "out" / "personal.safetensors").exists()


@pytest.mark.parametrize("value", [float("nan"), 1e6])
def test_weights_that_are_not_finite_are_not_written(tmp_path: Path, value: float) -> None:
    path = tmp_path / "model.safetensors"
    tensors = {"a.weight": torch.ones(2, 2), "heads.x.weight": torch.tensor([[1.0, value]])}
    with pytest.raises(
        WeightsError, match=r"'heads\.x\.weight' would hold values that are not finite"
    ) as told:
        save_weights(path, WeightRecord("face_state", {}), tensors)
    assert str(path) in str(told.value)
    assert "lower the learning rate" in told.value.hint
    assert list(tmp_path.iterdir()) == []


def made_up(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 5), and of which of two kinds each is; the first feature tells a little."""
    rng = np.random.default_rng(3)
    kind = np.arange(n) % 2
    features = rng.normal(size=(n, 5)).astype(np.float32)
    features[:, 0] += kind
    return features, kind


def test_units_of_features_and_where_they_begin_do_not_matter() -> None:
    features, kind = made_up()
    target = np.eye(2, dtype=np.float32)[kind]
    scale, shift = np.array([1, 5, 0.2, 1, 3], np.float32), np.array([0, -3, 1, 2, 0], np.float32)
    other = features * scale + shift
    here, there = (
        apply_head(f, fit_head(f[None], target, SPEC, HeadFit(weight_decay=0.05))) for f in (features, other)
    )
    np.testing.assert_allclose(here, there, atol=2e-3)
    assert np.ptp(here[:, 1] - here[:, 0]) > 0.5


def test_members_side_by_side_say_the_mean_of_what_each_says_alone() -> None:
    features, kind = made_up()
    target = np.eye(2, dtype=np.float32)[kind]
    fit = HeadFit(hidden=4, members=3, steps=20, seed=5)
    each = [replace(fit, members=1, seed=seed) for seed in (5, 6, 7)]
    alone = [apply_head(features, fit_head(features[None], target, SPEC, one)) for one in each]
    together = fit_head(features[None], target, SPEC, fit)
    assert together["1.weight"].shape == (fit.units, 5)
    np.testing.assert_allclose(apply_head(features, together), np.mean(alone, axis=0), atol=1e-5)
    assert np.abs(alone[0] - alone[1]).max() > 1e-2


def test_varied_views_are_further_faces_of_the_same_answers() -> None:
    features, kind = made_up()
    target = np.eye(2, dtype=np.float32)[kind]
    views = np.stack([features, features + 0.1])
    whole = fit_head(views.reshape(1, -1, 5), np.concatenate([target, target]), SPEC, HeadFit())
    for name, tensor in fit_head(views, target, SPEC, HeadFit()).items():
        torch.testing.assert_close(tensor, whole[name])


def test_steps_of_a_grade_share_a_direction_and_have_thresholds_of_their_own() -> None:
    features, kind = made_up()
    grade = kind + (features[:, 0] > 1)
    target = np.stack([grade >= 1, features[:, 1] > 0, grade >= 2], axis=1).astype(np.float32)
    spec = HeadSpec(LabelSet("states", ("a_1", "b", "a_2"), "independent"))
    tied = fit_head(features[None], target, spec, HeadFit(tied=((0, 2),)))
    assert torch.equal(tied["1.weight"][0], tied["1.weight"][2])
    assert not torch.equal(tied["1.weight"][0], tied["1.weight"][1])
    logits = apply_head(features, tied)
    assert (logits[:, 0] > logits[:, 2]).all()  # who is at the second step is at the first
    assert ((logits[:, 1] > 0) == (target[:, 1] > 0)).mean() > 0.9


def test_balance_decides_how_readily_a_rare_class_is_named() -> None:
    features, _ = made_up(400)
    rare = (np.arange(400) % 10 == 0).astype(int)
    features[:, 0] += rare
    named = [
        (
            apply_head(
                features, fit_head(features[None], np.eye(2, dtype=np.float32)[rare], SPEC, fit)
            ).argmax(1)
        ).mean()
        for fit in (HeadFit(balance=0.0), HeadFit(balance=1.0))
    ]
    assert named[0] < 0.1 < 0.3 < named[1]
