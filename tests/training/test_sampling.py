"""Orders of rows: reproducible, shared out without overlap, balanced where asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engagement.errors import DataError
from tests.training.made_up_faces import SMALL
from training.datasets.registry import load
from training.samples import sampling
from training.samples.chip_dataset import ChipDataset
from training.samples.sampling import EpochSampler, ShareSampler, balanced_chance
from training.samples.table import one_hot


@pytest.fixture
def dataset(expression_folders: Path) -> ChipDataset:
    return ChipDataset(load(str(expression_folders)).part("train"), SMALL)


def shares(
    monkeypatch: pytest.MonkeyPatch, sampler: EpochSampler | ShareSampler, processes: int
) -> list[list[int]]:
    out = []
    for rank in range(processes):
        monkeypatch.setattr(sampling, "own_rank", lambda rank=rank: rank)
        out.append(list(sampler))
        assert len(sampler) == len(out[-1])
    return out


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
def test_each_process_sees_its_share(
    dataset: ChipDataset, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = EpochSampler(dataset, 1, processes)
    sampler.set_epoch(3)
    found = shares(monkeypatch, sampler, processes)
    assert len({len(share) for share in found}) == 1  # else one process would wait for the others forever
    seen = [row for share in found for row in share]
    assert len(set(seen)) == len(seen) >= len(dataset) - processes + 1
    # Batches taken together are those of one process.
    whole = EpochSampler(dataset, 1)
    whole.set_epoch(3)
    together = [row for group in zip(*found, strict=True) for row in group]
    monkeypatch.setattr(sampling, "own_rank", lambda: 0)
    assert together == list(whole)[: len(together)]
    assert dataset.epoch == 3


@pytest.mark.parametrize("n", [1, 2, 7, 12])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_validation_sees_every_row_once(n: int, processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = shares(monkeypatch, ShareSampler(n, processes), processes)
    assert sorted(row for share in found for row in share) == list(range(n))


def test_orders_depend_on_seed_and_epoch(dataset: ChipDataset) -> None:
    def order(seed: int, epoch: int, balanced: bool) -> list[int]:
        sampler = EpochSampler(dataset, seed, balanced=balanced)
        sampler.set_epoch(epoch)
        return list(sampler)

    for balanced in (False, True):
        assert order(1, 2, balanced) == order(1, 2, balanced)
        assert order(1, 2, balanced) != order(1, 3, balanced)
        assert order(1, 2, balanced) != order(2, 2, balanced)


def test_balanced_sampling_draws_classes_alike() -> None:
    target = np.eye(3, dtype=np.float32)[[0] * 900 + [1] * 90 + [2] * 10]
    chance = balanced_chance(target)
    np.testing.assert_allclose(chance @ target, [1 / 3] * 3, rtol=1e-5)
    votes = np.array([[1, 0], [0.5, 0.5], [1, 0]], np.float32)
    assert balanced_chance(votes)[1] > balanced_chance(votes)[0]
    with pytest.raises(DataError, match="not independent states"):
        balanced_chance(np.array([[1, 1, 0], [0, 0, 0]], np.float32))


def test_a_balanced_epoch_has_as_many_of_each_class(dataset: ChipDataset) -> None:
    """Of a set of which all but one face are of one class, half are that one face."""
    n = len(dataset)
    rare = np.zeros(n, np.int64)
    rare[2] = 1
    table = replace(dataset.table, target=one_hot(rare, len(dataset.table.labels)))
    sampler, drawn = EpochSampler(ChipDataset(table, SMALL), 1, balanced=True), []
    for epoch in range(50):
        sampler.set_epoch(epoch)
        drawn += list(sampler)
    assert len(drawn) == 50 * n
    assert np.mean(np.array(drawn) == 2) == pytest.approx(0.5, abs=3 * 0.5 / np.sqrt(50 * n))
