"""Small made-up faces and base models, so that a training test lasts seconds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from engagement.classification.network import FaceStateNet, HeadSpec, NetworkSpec
from engagement.faces.chips import normalize_chips
from engagement.labels import EXPRESSIONS
from tests.training.made_up_faces import SMALL, made_up_face, write_face
from training.delivery import write_network


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
    for split, subjects in (
        ("Train", range(110001, 110005)),
        ("Validation", (400022, 400023)),
        ("Test", (500044, 500045)),
    ):
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
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # plain averages: else the features of an untrained network die out
        with torch.no_grad():
            for i in range(4):
                faces = np.stack([made_up_face(kind, 50 + i, SMALL.size) for kind in range(7)])
                network(torch.from_numpy(normalize_chips(faces, SMALL)))
        path = tmp_path_factory.mktemp("base") / f"{backbone}.safetensors"
        calibration = {"expression": {"temperature": 1.5}}
        write_network(path, network.eval(), SMALL, calibration, {}, {"data": "made up"}, "made up: none")
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
