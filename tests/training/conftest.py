"""Small made-up faces and base models, so that a training test lasts seconds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from engagement.classification.network import FaceStateNet, HeadSpec, NetworkSpec
from engagement.labels import EXPRESSIONS
from engagement.types import ByteArray, ChipSpec
from training.run import export

HALF = (0.5, 0.5, 0.5)
SMALL = ChipSpec(32, 0.9, HALF, HALF)


def made_up_face(kind: int, seed: int, side: int = 48) -> ByteArray:
    """A picture whose stripes tell its class; uint8 (side, side, 3)."""
    rng = np.random.default_rng((kind, seed))
    y, x = np.mgrid[:side, :side] / side
    wave = np.sin(2 * np.pi * (1 + kind) * (x if kind % 2 else y) + rng.uniform(0, 0.5))
    colour = 40 + 25 * np.array([kind % 3, (kind + 1) % 3, (kind + 2) % 3])
    noisy = 110 + 60 * wave[..., None] + colour + rng.normal(0, 12, (side, side, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def write_face(path: Path, kind: int, seed: int) -> None:
    """A made-up face as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(made_up_face(kind, seed), cv2.COLOR_RGB2BGR))


@pytest.fixture(scope="session")
def expression_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``train|test/<seven expressions>``: 12 and 3 pictures each."""
    folder = tmp_path_factory.mktemp("expressions")
    for kind, name in enumerate(EXPRESSIONS.classes):
        for i in range(12):
            write_face(folder / "train" / name / f"{i}.png", kind, i)
        for i in range(3):
            write_face(folder / "test" / name / f"{i}.png", kind, 100 + i)
    return folder


@pytest.fixture(scope="session")
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of one's own, 8 pictures each, without splits."""
    folder = tmp_path_factory.mktemp("own") / "my classes"
    for kind, name in enumerate(("awake", "tired", "away")):
        for i in range(8):
            write_face(folder / name / f"{i}.png", kind, i)
    return folder


@pytest.fixture(scope="session")
def daisee_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DAiSEE's official layout with made-up faces: 4, 2 and 2 subjects of 8 clips."""
    folder = tmp_path_factory.mktemp("daisee")
    (folder / "Labels").mkdir()
    for split, subjects in (("Train", range(110001, 110005)), ("Validation", (400022, 400023)), ("Test", (500044, 500045))):
        lines = ["ClipID,Boredom,Engagement,Confusion,Frustration "]
        for subject in subjects:
            for clip in range(8):
                kind = clip % 2
                name = f"{subject}{clip:04d}"
                write_face(folder / split / str(subject) / f"{name}.jpg", kind, subject + clip)
                lines.append(f"{name}.avi,{kind},{3 - 2 * kind},{clip // 4},0")
        (folder / "Labels" / f"{split}Labels.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def make_base(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A weight file of an untrained network with an expression head; its BatchNorm has seen noise."""

    def make(backbone: str = "mobilenet_v2") -> Path:
        torch.manual_seed(0)
        network = FaceStateNet(NetworkSpec(backbone, {"expression": HeadSpec(EXPRESSIONS)}))
        network.train()
        with torch.no_grad():
            for _ in range(4):
                network(torch.randn(8, 3, SMALL.size, SMALL.size))
        path = tmp_path_factory.mktemp("base") / f"{backbone}.safetensors"
        calibration = {"expression": {"temperature": 1.5}}
        export(path, network.eval(), SMALL, calibration, {}, {"data": "made up"}, "made up: none")
        return path

    return make


@pytest.fixture(scope="session")
def base_file(make_base: Callable[..., Path]) -> Path:
    """A base model for tests that read it only."""
    return make_base()


@pytest.fixture(scope="session")
def unpacked(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A set of the shared data as ordinary files, 40 pictures per split."""
    done: dict[str, Path] = {}

    def unpack(name: str) -> Path:
        if name not in done:
            done[name] = tmp_path_factory.mktemp(name)
            command = [sys.executable, str(shared_data / "unpack.py"), name, str(done[name]), "--limit", "40"]
            subprocess.run(command, check=True, capture_output=True)
        return done[name]

    return unpack
