"""Runs: schedules of any length, killed and resumed runs, folders that hold another run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engagement.classification.network import FaceStateNet, HeadSpec, NetworkSpec
from engagement.errors import ConfigError, DataError
from engagement.labels import EXPRESSIONS
from training.datasets.registry import load
from training.lightning_module import HeadTrainer, class_weights
from training.recipe import Recipe
from training.run import Limits, expression_spec, train_head

SPEC = expression_spec("mobilenet_v2", HeadSpec(EXPRESSIONS))
RECIPE = Recipe(backbone="mobilenet_v2", size=32, epochs=3, batch_size=16, ema=0.5, validation_share=0.3)
LIMITS = Limits(accelerator="cpu", devices=1)


class KilledError(Exception):
    """Stands for a kill at a moment of our choice."""


def run(
    folders: Path, out: Path, say: Callable[[str], None] = lambda _: None, **changes: object
) -> FaceStateNet:
    recipe = replace(RECIPE, **changes)
    return train_head(load(str(folders)), "expression", SPEC, recipe, out, limits=LIMITS, say=say)[0]


def test_a_killed_run_goes_on_as_if_nothing_had_happened(expression_folders: Path, tmp_path: Path) -> None:
    unbroken = run(expression_folders, tmp_path / "a")

    def killer(text: str) -> None:
        if text.startswith("epoch 2"):
            raise KilledError

    with pytest.raises(KilledError):
        run(expression_folders, tmp_path / "b", killer)
    said: list[str] = []
    resumed = run(expression_folders, tmp_path / "b", said.append)
    assert [line.split(":")[0] for line in said if line.startswith("epoch")] == ["epoch 2", "epoch 3"]
    assert (tmp_path / "a/log/metrics.csv").read_text() == (tmp_path / "b/log/metrics.csv").read_text()
    for key, value in unbroken.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


def test_a_finished_run_is_not_trained_again(expression_folders: Path, tmp_path: Path) -> None:
    first = run(expression_folders, tmp_path, epochs=1)
    said: list[str] = []
    second = run(expression_folders, tmp_path, said.append, epochs=1)
    assert not [line for line in said if line.startswith("epoch")]
    assert all(torch.equal(v, second.state_dict()[k]) for k, v in first.state_dict().items())


def test_a_folder_with_another_run_is_refused(expression_folders: Path, tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"")
    asked = {"recipe": RECIPE.to_dict(), "data": {}, "max_steps": -1}
    (tmp_path / "run.json").write_text(json.dumps(asked))
    with pytest.raises(ConfigError, match=r"differs in: data, .*learning_rate.*--no-resume"):
        run(expression_folders, tmp_path, learning_rate=0.5)


def test_a_class_without_training_pictures_is_named(expression_folders: Path, tmp_path: Path) -> None:
    table = load(str(expression_folders))
    fear = EXPRESSIONS.index("fear")
    table = table.rows((table.target[:, fear] == 0) | (table.split != "train"))
    with pytest.raises(DataError, match="no training picture of: fear"):
        train_head(table, "expression", SPEC, RECIPE, tmp_path, limits=LIMITS)


@pytest.mark.parametrize("steps", [1, 2, 5, 10, 20])
def test_a_run_of_any_length_has_a_schedule(steps: int) -> None:
    """OneCycleLR stops with a division by zero when its rise is exactly one step long."""
    recipe = Recipe(backbone="mobilenet_v2", warmup=0.5 if steps == 2 else 0.1)
    network = FaceStateNet(NetworkSpec("mobilenet_v2", {"expression": HeadSpec(EXPRESSIONS)}))
    made = HeadTrainer(network, "expression", recipe, torch.ones(7), steps).configure_optimizers()
    rates = []
    for step in range(steps):
        rates.append(made["optimizer"].param_groups[0]["lr"])
        made["optimizer"].step()
        if step + 1 < steps:
            made["lr_scheduler"]["scheduler"].step()
    assert np.isfinite(rates).all()
    assert max(rates) <= recipe.learning_rate * 1.0001


def test_class_weights_count_as_one_on_average() -> None:
    target = np.eye(2, dtype=np.float32)[[0] * 90 + [1] * 10]
    for balance in (0.0, 0.5, 1.0):
        weight = class_weights(target, balance).numpy()
        assert (target @ weight).mean() == pytest.approx(1.0)
    assert class_weights(target, 0.0).tolist() == [1.0, 1.0]
    equal = class_weights(target, 1.0)
    assert float(equal[1] / equal[0]) == pytest.approx(9.0)
