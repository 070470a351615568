"""Processes that read and vary faces: another way to the same pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engagement.classification.network import HeadSpec, NetworkSpec
from engagement.labels import EXPRESSIONS
from training.augment import policy
from training.chip_dataset import ChipDataset
from training.datasets.registry import load
from training.loading import helpers, measuring_batches, training_batches
from training.recipe import Recipe
from training.run import Limits, train_head
from training.sampling import EpochSampler

RECIPE = Recipe(backbone="cnn_bn", size=48, epochs=2, batch_size=16, ema=0.0, validation_share=0.3)


def test_other_processes_prepare_the_same_faces_in_every_epoch(expression_folders: Path) -> None:
    def epochs(loaders: int) -> list[list[torch.Tensor]]:
        dataset = ChipDataset(load(str(expression_folders)), RECIPE.chip, policy("faces"), RECIPE.seed)
        sampler = EpochSampler(dataset, RECIPE.seed)
        batches = training_batches(dataset, RECIPE, sampler, loaders)
        found = []
        for epoch in range(3):
            sampler.set_epoch(epoch)
            found.append([part for batch in batches for part in batch])
        return found

    here, elsewhere = epochs(0), epochs(2)
    for own, other in zip(here, elsewhere, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(own, other, strict=True))
    assert not torch.equal(here[0][0], here[1][0])


def test_a_run_with_loaders_is_the_run_without(expression_folders: Path, tmp_path: Path) -> None:
    def weights(loaders: int) -> dict[str, torch.Tensor]:
        spec = NetworkSpec("cnn_bn", {"expression": HeadSpec(EXPRESSIONS)})
        limits = Limits(accelerator="cpu", devices=1, loaders=loaders)
        table = load(str(expression_folders))
        return train_head(table, "expression", spec, RECIPE, tmp_path / str(loaders), limits=limits)[
            0
        ].state_dict()

    alone, helped = weights(0), weights(2)
    assert all(torch.equal(alone[key], helped[key]) for key in alone)


def test_every_face_is_measured_once_whoever_prepares_it(expression_folders: Path) -> None:
    dataset = ChipDataset(load(str(expression_folders)), RECIPE.chip)
    rows = [row for _, _, rows in measuring_batches(dataset, loaders=2) for row in rows.tolist()]
    assert rows == list(range(len(dataset)))


@pytest.mark.parametrize(("cores", "processes", "count"), [(2, 1, 1), (1, 1, 1), (16, 1, 8), (16, 4, 3)])
def test_a_gpu_is_fed_by_the_cores_that_are_there(
    cores: int, processes: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert helpers(torch.device("cuda"), processes) == count
    assert helpers(torch.device("cpu"), processes) == 0
