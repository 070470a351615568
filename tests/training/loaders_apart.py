"""What processes that prepare faces do, compared with none: run by test_loading in a process of its own.

The tests' own process holds the threads and files of all tests before; a training has one to itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from engagement.classification.network import HeadSpec, NetworkSpec
from engagement.labels import EXPRESSIONS
from training.datasets.registry import load
from training.fitting.run import train_head
from training.fitting.trainer import Limits
from training.recipes.recipe import Recipe
from training.samples.augment import policy
from training.samples.chip_dataset import ChipDataset
from training.samples.loading import measuring_batches, training_batches
from training.samples.sampling import EpochSampler

RECIPE = Recipe(backbone="cnn_bn", size=48, epochs=2, batch_size=16, ema=0.0, validation_share=0.3)


def same_faces_in_every_epoch(faces: str, _: Path) -> None:
    def epochs(loaders: int) -> list[list[torch.Tensor]]:
        dataset = ChipDataset(load(faces), RECIPE.chip, policy("faces"), RECIPE.seed)
        sampler = EpochSampler(dataset, RECIPE.seed)
        batches = training_batches(dataset, RECIPE.batch_size, sampler, loaders)
        found = []
        for epoch in range(3):
            sampler.set_epoch(epoch)
            found.append([part for batch in batches for part in batch])
        return found

    here, elsewhere = epochs(0), epochs(2)
    for own, other in zip(here, elsewhere, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(own, other, strict=True))
    assert not torch.equal(here[0][0], here[1][0])


def same_run(faces: str, out: Path) -> None:
    def weights(loaders: int) -> dict[str, torch.Tensor]:
        spec = NetworkSpec("cnn_bn", {"expression": HeadSpec(EXPRESSIONS)})
        limits = Limits(accelerator="cpu", devices=1, loaders=loaders)
        return train_head(load(faces), "expression", spec, RECIPE, out / str(loaders), limits=limits)[
            0
        ].state_dict()

    alone, helped = weights(0), weights(2)
    assert all(torch.equal(alone[key], helped[key]) for key in alone)


def every_face_once(faces: str, _: Path) -> None:
    dataset = ChipDataset(load(faces), RECIPE.chip)
    rows = [row for _, _, rows in measuring_batches(dataset, loaders=2) for row in rows.tolist()]
    assert rows == list(range(len(dataset)))


CHECKS = {check.__name__: check for check in (same_faces_in_every_epoch, same_run, every_face_once)}

if __name__ == "__main__":
    CHECKS[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
