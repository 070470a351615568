"""Several processes train as one: real processes on this machine's CPU, joined by gloo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from engagement.classification.network import FaceStateNet, HeadSpec, NetworkSpec
from engagement.errors import ConfigError
from engagement.labels import EXPRESSIONS
from tests.conftest import ROOT
from training.fitting.lightning import pl
from training.fitting.trainer import Limits, make_trainer
from training.recipes.recipe import Recipe

RECIPE = """
backbone = "lenet"
size = 48
augmentation = "faces"
epochs = 2
mode = "feature_extraction"
unfreeze_epoch = 1
batch_size = {batch}
learning_rate = 0.05
schedule = "constant"
optimizer = "sgd"
dropout = 0.0
ema = 0.0
validation_share = 0.3
"""


def train(data: Path, out: Path, processes: int, batch: int) -> subprocess.CompletedProcess[str]:
    recipe = out.with_suffix(".toml")
    recipe.write_text(RECIPE.format(batch=batch))
    command = [
        *(sys.executable, "-m", "engagement", "train", "base", "--data", str(data), "--recipe", str(recipe)),
        *("-o", str(out), "--accelerator", "cpu", "--devices", str(processes)),
        *(("--strategy", "ddp") if processes > 1 else ()),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


@pytest.mark.slow
def test_two_processes_train_what_one_does(expression_folders: Path, tmp_path: Path) -> None:
    """Without BatchNorm and dropout, two with a batch of 8 see and learn what one with 16 does.

    That can only be if each has its own half of every step's rows, gradients are averaged, and the
    validation figures are those of all rows.
    """
    one = train(expression_folders, tmp_path / "one", 1, 16)
    two = train(expression_folders, tmp_path / "two", 2, 8)
    for done in (one, two):
        assert done.returncode == 0, done.stderr[-2000:]
    a, b = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=False)["state_dict"] for name in ("one", "two")
    )
    pl.seed_everything(Recipe().seed, verbose=False)
    start = FaceStateNet(NetworkSpec("lenet", {"expression": HeadSpec(EXPRESSIONS)})).state_dict()
    # What thawed in the second epoch has moved, so its gradients too were averaged.
    for key, value in start.items():
        one_way, other_way = (state[f"network.{key}"] - value for state in (a, b))
        assert float(one_way.norm()) > 1e-3, key
        assert float((one_way - other_way).norm()) < 0.02 * float(one_way.norm()), key
    rows = [(tmp_path / name / "log/metrics.csv").read_text().splitlines() for name in ("one", "two")]
    assert rows[0][0] == rows[1][0] and len(rows[0]) == len(rows[1]) == 3
    for first, second in zip(rows[0][1:], rows[1][1:], strict=True):
        pairs = zip(first.split(","), second.split(","), strict=True)
        assert all(float(x) == pytest.approx(float(y), abs=5e-3) for x, y in pairs)
    figures = [
        json.loads((tmp_path / name / "metrics.json").read_text())["val"]["n"] for name in ("one", "two")
    ]
    assert figures[0] == figures[1]
    # The one that leads speaks and writes, once.
    assert two.stderr.count("epoch 1:") == two.stderr.count("model.safetensors written") == 1
    # A run of two is not gone on with by one: its epochs have other steps.
    again = train(expression_folders, tmp_path / "two", 1, 8)
    assert again.returncode == 2
    assert "differs in: processes" in again.stderr


@pytest.mark.parametrize(
    ("limits", "part"),
    [
        (Limits(strategy="magic", accelerator="cpu"), "--strategy magic"),
        (Limits(accelerator="gpu", devices=64), "--devices 64"),
        (Limits(accelerator="warp"), "--accelerator warp"),
        (Limits(accelerator="cpu", devices="two"), "--devices two"),
    ],
)
def test_what_lightning_cannot_do_is_one_line(limits: Limits, part: str) -> None:
    with pytest.raises(ConfigError, match="Lightning cannot train with") as caught:
        make_trainer(Recipe(), limits)
    assert part in str(caught.value) and "\n" not in str(caught.value)


def test_options_reach_lightning() -> None:
    trainer = make_trainer(Recipe(precision="bf16-mixed"), Limits(-1, 2, "ddp", 3, "cpu"))
    assert (trainer.num_devices, trainer.num_nodes, trainer.world_size) == (2, 3, 6)
    assert trainer.precision == "bf16-mixed"
    assert type(trainer.strategy).__name__ == "DDPStrategy"
    for strategy in ("ddp", "auto"):
        thawing = make_trainer(Recipe(freeze=2, unfreeze_epoch=1), Limits(-1, 2, strategy, 1, "cpu"))
        assert thawing.strategy._ddp_kwargs["find_unused_parameters"] is True  # type: ignore[attr-defined]
