"""Laws of MixUp and CutMix, and of the policies by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engagement.errors import ConfigError
from training.fitting.mixing import Mixture, draw_mixture
from training.samples.augment import POLICIES, Augmentation, policy

CPU = torch.device("cpu")


def drawn(seed: int, n: int, side: int, **how: float) -> Mixture:
    mixture = draw_mixture(Augmentation(**how), n, side, np.random.default_rng(seed), CPU)  # type: ignore[arg-type]
    assert mixture is not None
    return mixture


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 9),
    side=st.integers(8, 50),
    alpha=st.floats(0.1, 5),
    kind=st.sampled_from(["mixup", "cutmix"]),
)
def test_mixed_batches_stay_in_range_and_their_targets_sum_to_one(
    seed: int, n: int, side: int, alpha: float, kind: str
) -> None:
    mixture = drawn(seed, n, side, **{kind: alpha})
    chips = torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    target = torch.softmax(torch.randn(n, 7, generator=torch.Generator().manual_seed(seed)), 1)
    mixed, soft = mixture.pictures(chips), mixture.targets(target)
    assert mixed.shape == chips.shape
    assert chips.min() - 1e-6 <= mixed.min() and mixed.max() <= chips.max() + 1e-6
    torch.testing.assert_close(soft.sum(1), torch.ones(n))
    assert float(soft.min()) >= 0
    again = drawn(seed, n, side, **{kind: alpha})
    assert torch.equal(again.pictures(chips), mixed) and torch.equal(again.targets(target), soft)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), side=st.integers(8, 50))
def test_cutmix_weighs_the_target_by_the_pixels_that_are_seen(seed: int, side: int) -> None:
    mixture = drawn(seed, 2, side, cutmix=1.0)
    chips = torch.stack([torch.zeros(3, side, side), torch.ones(3, side, side)])
    mixed = mixture.pictures(chips)
    assert set(mixed.unique().tolist()) <= {0.0, 1.0}  # a piece is put in, nothing shines through
    if int(mixture.partner[0]) == 1:
        assert 1 - float(mixed[0].mean()) == pytest.approx(mixture.share, abs=1e-5)


def test_mixup_weighs_pictures_as_it_weighs_targets() -> None:
    mixture = Mixture(torch.tensor([1, 0]), 0.75)
    chips = torch.stack([torch.zeros(3, 4, 4), torch.ones(3, 4, 4)])
    assert mixture.pictures(chips)[:, 0, 0, 0].tolist() == [0.25, 0.75]
    assert mixture.targets(torch.eye(2)).tolist() == [[0.75, 0.25], [0.25, 0.75]]


def test_cutmix_takes_a_square_from_anywhere_of_the_share_that_was_drawn() -> None:
    """So narrow a distribution always draws one half: a side of 0.71, less what lies beyond the chip."""
    chips = torch.stack([torch.zeros(3, 96, 96), torch.ones(3, 96, 96)])
    boxes = []
    for seed in range(60):
        mixture = drawn(seed, 2, 96, cutmix=1e6)
        assert mixture.box is not None
        boxes.append(mixture.box)
        if int(mixture.partner[0]) == 1:
            mixed = mixture.pictures(chips)[0, 0].nonzero()
            edges = [*mixed.min(dim=0).values.flip(0), *mixed.max(dim=0).values.flip(0) + 1]
            np.testing.assert_allclose(np.array(edges), np.array(mixture.box) * 96, atol=0.51)
    x1, y1, x2, y2 = np.array(boxes).T
    for low, high in ((x1, x2), (y1, y2)):
        assert low.min() == 0 and high.max() == 1
        assert (high - low).max() == pytest.approx(0.5**0.5, abs=0.01)
        # Each square lies around a point of the chip.
        inside = (low > 0) & (high < 1)
        assert inside.any() and (high - low >= 0.5**0.5 / 2 - 1e-3).all()
        assert ((low + high) / 2).std() > 0.1


def test_both_kinds_are_drawn_and_other_policies_mix_nothing() -> None:
    kinds = {drawn(seed, 4, 48, mixup=0.2, cutmix=1.0).box is None for seed in range(20)}
    assert kinds == {True, False}
    assert drawn(0, 4, 48, mixup=0.2).box is None and drawn(0, 4, 48, cutmix=1.0).box is not None
    rng = np.random.default_rng(0)
    mixing = {name for name in POLICIES if draw_mixture(policy(name), 4, 48, rng, CPU) is not None}
    assert mixing == {"mix", "moderate_mix"}


def coded(side: int = 48) -> np.ndarray:
    """A chip whose first two channels say where a pixel comes from."""
    y, x = np.mgrid[:side, :side]
    return np.stack([x, y, np.full((side, side), 200)], axis=2).astype(np.uint8)


def test_the_padded_crop_moves_by_whole_pixels_up_to_four() -> None:
    moves = set()
    for seed in range(300):
        chip = Augmentation(crop_px=4).vary(coded(), np.random.default_rng(seed))
        dx, dy = int(chip[24, 24, 0]) - 24, int(chip[24, 24, 1]) - 24
        moves |= {dx, dy}
        x = np.clip(np.arange(48) + dx, 0, 47)
        np.testing.assert_array_equal(chip[0, :, 0], x)
    assert moves == set(range(-4, 5))


def test_cutout_erases_half_of_the_faces_by_one_to_eleven_percent() -> None:
    p, shares = policy("crp_cutout"), []
    only = Augmentation(erase=p.erase, erase_share=p.erase_share)
    flat = np.full((96, 96, 3), 7, np.uint8)
    for seed in range(400):
        shares.append(float((only.vary(flat, np.random.default_rng(seed)) != 7).any(axis=2).mean()))
    erased = np.array([s for s in shares if s])
    assert 0.4 < len(erased) / len(shares) < 0.6
    # Whole pixels: a side is cut down by less than one, and a side at most the chip's less one.
    assert 0.007 < erased.min() < 0.02 and 0.09 < erased.max() <= 0.11


def test_colour_varies_under_its_policy_alone() -> None:
    grey = np.repeat(np.full((48, 48, 1), 90, np.uint8), 3, axis=2)
    for seed in range(20):
        varied = policy("crp_color").vary(grey, np.random.default_rng(seed))
        assert np.ptp(varied.astype(int), axis=2).max() <= 1  # grey stays grey
    colour = np.broadcast_to(np.array([200, 90, 60], np.uint8), (48, 48, 3)).copy()
    spread = {
        int(np.ptp(policy("crp_color").vary(colour, np.random.default_rng(s))[0, 0])) for s in range(20)
    }
    plain = {int(np.ptp(policy("crp").vary(colour, np.random.default_rng(s))[0, 0])) for s in range(20)}
    assert len(spread) > 5 and plain == {140}


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(list(POLICIES)), seed=st.integers(0, 10**6), side=st.sampled_from([32, 48, 96]))
def test_every_policy_gives_chips_again(name: str, seed: int, side: int) -> None:
    chip = np.random.default_rng(seed).integers(0, 256, (side, side, 3)).astype(np.uint8)
    before = chip.copy()
    varied = policy(name).vary(chip, np.random.default_rng(seed))
    assert varied.shape == chip.shape and varied.dtype == np.uint8
    np.testing.assert_array_equal(chip, before)  # a table's picture is never written into
    if name == "none":
        np.testing.assert_array_equal(varied, chip)


def test_an_unknown_policy_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="none, mild, moderate, crp, crp_color, crp_cutout, mix, faces"):
        policy("wild")
