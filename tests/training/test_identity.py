"""The identity head imitates a face embedding: with few faces it learns as well, or says that it cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engagement.errors import ConfigError, DataError
from engagement.weights.store import load_weights
from tests.training.made_up_faces import made_up_face
from tests.training.tiny_models import write_model
from training.datasets.registry import load
from training.identity import IdentityOptions, train_identity
from training.samples.table import SampleTable


@pytest.fixture
def faces(expression_folders: Path) -> SampleTable:
    """Faces enough to learn from: the few of the fixture again and again."""
    table = load(str(expression_folders)).part("train")
    return table.rows(np.arange(120) % len(table))


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A teacher that says of a face how bright its parts are."""

    def embed(_: object, chips: np.ndarray) -> np.ndarray:
        parts = chips.reshape(len(chips), 16, 8, 16, 8, 3).mean(axis=(2, 4, 5)).reshape(len(chips), -1)
        parts = parts - parts.mean(axis=1, keepdims=True) + 1e-3
        return (parts / np.linalg.norm(parts, axis=1, keepdims=True)).astype(np.float32)

    monkeypatch.setattr("training.identity.load_teacher", lambda _: None)
    monkeypatch.setattr("training.identity.embed", embed)
    return tmp_path / "teacher.safetensors"


def test_fewer_faces_than_a_batch_are_learned_from(teacher: Path, faces: SampleTable, tmp_path: Path) -> None:
    base = write_model(tmp_path / "base.safetensors", "efficientnet_b0", 48)
    said: list[str] = []
    options = IdentityOptions(epochs=10)
    path, figures = train_identity(teacher, [faces], str(base), tmp_path / "out", options, said.append)
    first = next(float(text.rsplit(" ", 1)[1]) for text in said if text.startswith("epoch 5"))
    assert figures["identity_teacher_cosine"] > max(first, 0.3)
    loaded = load_weights(str(path), "face_state")
    assert faces.name in loaded.record.licence  # of the faces it learned from, too
    kept = load_weights(str(base), "face_state").tensors
    assert all(torch.equal(loaded.tensors[k], v) for k, v in kept.items())


def test_too_few_faces_and_the_bases_own_folder_are_refused(
    teacher: Path, faces: SampleTable, tmp_path: Path
) -> None:
    base = write_model(tmp_path / "run" / "model.safetensors", "efficientnet_b0", 48)
    few = replace(faces.rows(np.arange(20)), images=[*map(_png, range(20))])
    with pytest.raises(DataError, match="20 faces are too few"):
        train_identity(teacher, [few], str(base), tmp_path / "out")
    assert not (tmp_path / "out" / "model.safetensors").exists()
    with pytest.raises(ConfigError, match="would be replaced"):
        train_identity(teacher, [faces], str(base), tmp_path / "run")


def _png(i: int) -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", made_up_face(i % 5, i, 48))[1])
