"""facenet-pytorch's embedding as evidence: with weights of its shape, and what is said without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engagement.compat import load_torchvision
from engagement.config import AnalysisConfig
from engagement.errors import ConfigError, WeightsError
from engagement.provenance import differences, fingerprint, weights_record
from engagement.tracking.facenet import EMBEDDING, FILE_NAME, FacenetEmbedder, cached_file
from engagement.tracking.persons import PersonsConfig
from engagement.weights.store import LoadedWeights, WeightRecord


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


def test_another_weight_file_is_another_setting(tmp_path: Path) -> None:
    file = tmp_path / "facenet.pt"
    found = []
    for content in (b"one", b"two"):
        file.write_bytes(content)
        found.append(AnalysisConfig(persons=PersonsConfig(identity="facenet", identity_weights=str(file))))
    before, after = (fingerprint(1, "v", config, []) for config in found)
    assert differences(before, after) == [
        f"option persons.identity_sha256: {found[0].persons.identity_sha256}, "
        f"now {found[1].persons.identity_sha256}"
    ]
    with pytest.raises(ConfigError, match=r"absent\.pt cannot be read"):
        PersonsConfig(identity="facenet", identity_weights=str(tmp_path / "absent.pt"))


def test_weight_files_of_one_name_are_told_apart() -> None:
    def loaded(kind: str, digest: str) -> LoadedWeights:
        return LoadedWeights("model", digest, WeightRecord(kind, {}), {})

    pair = [loaded("face_state", "a" * 64), loaded("lstm", "b" * 64)]
    assert {m["kind"]: m["sha256"][0] for m in weights_record(pair).values()} == {
        "face_state": "a",
        "lstm": "b",
    }
    changed = [loaded("face_state", "c" * 64), pair[1]]
    config = AnalysisConfig()
    assert differences(fingerprint(1, "v", config, pair), fingerprint(1, "v", config, changed)) == [
        "weights model (face_state) changed"
    ]
