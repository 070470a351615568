"""facenet-pytorch's embedding as evidence: with weights of its shape, and what is said without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engagement.compat import load_torchvision
from engagement.errors import ConfigError, WeightsError
from engagement.tracking.facenet import EMBEDDING, FILE_NAME, FacenetEmbedder, cached_file
from engagement.tracking.persons import PersonsConfig


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    load_torchvision()
    from facenet_pytorch.models.inception_resnet_v1 import InceptionResnetV1

    torch.manual_seed(0)
    tensors = InceptionResnetV1(pretrained=None, classify=False).state_dict()
    # The published file has the classifier it was trained with.
    tensors["logits.weight"], tensors["logits.bias"] = torch.zeros(8631, 512), torch.zeros(8631)
    path = tmp_path_factory.mktemp("facenet") / "weights.pt"
    torch.save(tensors, path)
    return path


def test_embeddings_are_of_unit_length_and_depend_on_the_face_alone(weights: Path) -> None:
    embedder = FacenetEmbedder(weights)
    picture = np.random.default_rng(0).integers(0, 255, (200, 300, 3)).astype(np.uint8)
    boxes = np.array([[20, 30, 80, 110], [150, 40, 230, 150], [-30, 150, 40, 260]], np.float32)
    together = embedder.embed(picture, boxes)
    assert together.shape == (3, EMBEDDING) and together.dtype == np.float32
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    alone = np.concatenate([embedder.embed(picture, box[None]) for box in boxes])
    assert together == pytest.approx(alone, abs=1e-4)
    assert not np.allclose(together[0], together[1], atol=1e-3)


def test_no_faces_no_embeddings(weights: Path) -> None:
    nothing = FacenetEmbedder(weights).embed(np.zeros((10, 10, 3), np.uint8), np.zeros((0, 4), np.float32))
    assert nothing.shape == (0, EMBEDDING)


def test_missing_weights_say_where_to_put_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert cached_file() == tmp_path / "checkpoints" / FILE_NAME
    with pytest.raises(WeightsError, match=r"--identity-weights FILE") as caught:
        FacenetEmbedder()
    assert str(cached_file()) in str(caught.value) and "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_cache_of_facenet_pytorch_is_found(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached_file().parent.mkdir()
    cached_file().symlink_to(weights)
    assert FacenetEmbedder().path == cached_file()


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    torch.save({"weight": torch.zeros(3)}, other)
    with pytest.raises(WeightsError, match="InceptionResnetV1"):
        FacenetEmbedder(other)


def test_weights_without_facenet_are_a_mistake() -> None:
    with pytest.raises(ConfigError, match="--identity-weights"):
        PersonsConfig(identity="auto", identity_weights="x.pt")
