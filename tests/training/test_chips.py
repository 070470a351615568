"""Law: one crop and one normalisation, shared by training and inference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engagement.faces.chips import cut_chips, normalize_chips
from tests.training.made_up_faces import SMALL
from training.datasets.registry import load
from training.samples.augment import POLICIES, policy
from training.samples.chip_dataset import ChipDataset, pixel_box
from training.samples.table import SampleTable, read_rgb


@pytest.fixture
def table(own_folders: Path) -> SampleTable:
    whole = load(str(own_folders))
    roll = np.linspace(-30, 30, len(whole)).astype(np.float32)
    return replace(whole, roll_deg=roll)


def test_training_sees_what_inference_cuts_bit_for_bit(table: SampleTable) -> None:
    dataset = ChipDataset(table, SMALL)
    assert table.roll_deg is not None
    for row in range(len(table)):
        rgb = read_rgb(table.images[row])
        box = pixel_box(table.box[row], rgb)[None]
        chips = cut_chips(rgb, box, table.roll_deg[[row]], SMALL)
        np.testing.assert_array_equal(dataset[row][0].numpy(), normalize_chips(chips, SMALL)[0])


def test_even_light_is_part_of_the_spec_and_lessens_what_light_changes(table: SampleTable) -> None:
    even = replace(SMALL, equalize=True)
    assert type(even).from_dict(even.to_dict()) == even and type(even).from_dict(SMALL.to_dict()) == SMALL
    chips = np.stack([ChipDataset(table, SMALL).chip(row) for row in range(4)])
    dark = (chips * 0.4).astype(np.uint8)
    apart = [np.abs(normalize_chips(chips, s) - normalize_chips(dark, s)).mean() for s in (SMALL, even)]
    assert apart[1] < 0.8 * apart[0]
    assert normalize_chips(chips[:0], even).shape == (0, 3, SMALL.size, SMALL.size)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["rafdb", "fer2013", "daisee", "wacv2016"])
def test_so_do_the_real_sets(shared_data: Path, name: str) -> None:
    table = load(f"{shared_data}:{name}").limited(4)
    for row in range(len(table)):
        rgb = read_rgb(table.images[row])
        chips = cut_chips(rgb, pixel_box(table.box[row], rgb)[None], np.zeros(1, np.float32), SMALL)
        np.testing.assert_array_equal(
            ChipDataset(table, SMALL, policy("none"))[row][0].numpy(), normalize_chips(chips, SMALL)[0]
        )


@pytest.mark.parametrize("name", list(POLICIES))
def test_augmentation_depends_on_seed_epoch_and_row_alone(table: SampleTable, name: str) -> None:
    def chips(seed: int, epoch: int) -> list[np.ndarray]:
        dataset = ChipDataset(table, SMALL, policy(name), seed)
        dataset.epoch = epoch
        return [dataset.chip(row) for row in (3, 1, 2)]

    first = chips(1, 2)
    for a, b in zip(first, chips(1, 2), strict=True):
        np.testing.assert_array_equal(a, b)
    other = [np.array_equal(a, b) for a, b in zip(first, chips(1, 3), strict=True)]
    assert all(other) if name == "none" else not all(other)
    assert all(c.shape == (32, 32, 3) and c.dtype == np.uint8 for c in first)


def test_a_circle_stays_a_circle_under_augmentation() -> None:
    """Places change, proportions do not: width and height of the box are scaled alike."""
    rng = np.random.default_rng(0)
    box = np.array([10, 20, 50, 90], np.float32)
    for _ in range(50):
        moved, roll = policy("faces").place(box, rng)
        ratio = (moved[2] - moved[0]) / (moved[3] - moved[1])
        assert abs(ratio - 40 / 70) < 1e-3
        assert abs(roll) <= policy("faces").roll_deg
