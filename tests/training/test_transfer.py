"""What transfer decides before it trains: who validates, what a head may be called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engagement.classification.network import NetworkSpec
from engagement.errors import ConfigError
from engagement.weights.store import load_weights
from tests.training.captured import write_captured
from tests.training.made_up_faces import made_up_face
from tests.training.tiny_models import ok, write_model
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
