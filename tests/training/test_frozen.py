"""Heads on features that hardly vary, or not at all."""

from __future__ import annotations

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
