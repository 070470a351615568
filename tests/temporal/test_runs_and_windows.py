"""Runs, windows, chips, and the door of the package."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
import torch

from temporal import SMOOTHERS, build_smoother
from temporal.base import SCORE_COUNT, ScoreRun, from_logits, to_logits
from temporal.chips import grey_chips
from temporal.conv3d import Conv3dConfig, Conv3dNet, cut_clips
from temporal.lstm import LstmConfig, LstmNet, LstmSmoother
from temporal.windows import overlap_add, spans, taper

PROB = np.full((3, SCORE_COUNT), 1 / 7, np.float32)
VALID = np.ones(3, np.bool_)


@pytest.mark.parametrize(
    ("times", "prob", "valid", "chips", "message"),
    [
        ([0, 1], PROB, VALID, None, "prob has shape"),
        ([0, 1, 1], PROB, VALID, None, "strictly increasing"),
        ([0, 1, np.nan], PROB, VALID, None, "finite"),
        ([0, 1, 2], PROB, np.ones(3), None, "valid must be bool"),
        ([0, 1, 2], PROB * np.nan, VALID, None, "not finite"),
        ([0, 1, 2], PROB, VALID, np.zeros((3, 4, 5), np.uint8), "chips must be"),
    ],
)
def test_a_run_is_checked_at_birth(times, prob, valid, chips, message) -> None:
    with pytest.raises(ValueError, match=message):
        ScoreRun(np.array(times, np.float64), prob, valid, chips)


def test_logits_and_back() -> None:
    prob = from_logits(np.random.default_rng(0).normal(0, 2, (20, SCORE_COUNT)))
    np.testing.assert_allclose(from_logits(to_logits(prob)), prob, atol=1e-3)
    assert np.isfinite(to_logits(np.eye(SCORE_COUNT))).all()


@pytest.mark.parametrize("count", [1, 2, 7, 300])
def test_windows_cover_every_sample_and_none_is_too_long(count: int) -> None:
    times = np.cumsum(np.random.default_rng(count).uniform(0.02, 0.5, count))
    parts = spans(times, 5.0, 2.5)
    assert set().union(*(range(a, b) for a, b in parts)) == set(range(count))
    assert all(times[b - 1] - times[a] <= 5.0 + 1e-6 for a, b in parts)


@pytest.mark.parametrize("start_s", [0.0, 100.0])
def test_windows_begin_every_hop_and_hold_both_ends(start_s: float) -> None:
    times = start_s + np.arange(10.0)
    assert spans(times, 4.0, 2.0) == [(0, 5), (2, 7), (4, 9), (6, 10)]
    assert spans(times, 9.0, 2.0) == [(0, 10)]
    assert spans(times, 3.0, 3.0) == [(0, 4), (3, 7), (6, 10)]
    # Where nothing was seen there is no window, and none twice.
    assert spans(start_s + np.array([0.0, 1.0, 20.0]), 4.0, 2.0) == [(0, 2), (2, 3)]


def test_the_middle_of_a_window_counts_most() -> None:
    assert taper(np.array([0.0, 0.25, 0.5, 0.75, 1.0])).tolist() == pytest.approx([0.02, 0.5, 1, 0.5, 0.02])
    rows = [np.array([0, 1]), np.array([1, 2])]
    values = [np.array([[1.0], [1.0]], np.float32), np.array([[4.0], [np.nan]], np.float32)]
    weights = [np.array([1.0, 1.0], np.float32), np.array([0.5, 0.0], np.float32)]
    # (1 x 1 + 0.5 x 4) / 1.5; what has no weight says nothing, though it be no number.
    assert overlap_add(4, rows, values, weights).ravel().tolist() == pytest.approx([1, 2, 0, 0])


def test_windows_of_nothing_and_of_nonsense() -> None:
    assert spans(np.zeros(0), 5.0, 2.0) == []
    with pytest.raises(ValueError, match="hop"):
        spans(np.arange(3.0), 2.0, 3.0)


def test_overlapping_windows_of_one_signal_give_it_back() -> None:
    signal = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    parts = spans(np.arange(40.0), 9.0, 4.0)
    rows = [np.arange(a, b) for a, b in parts]
    weights = [taper(np.linspace(0, 1, b - a)) for a, b in parts]
    np.testing.assert_allclose(overlap_add(40, rows, [signal[r] for r in rows], weights), signal, atol=1e-5)


def test_grey_chips_average_areas() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    grey = rgb @ np.array([0.299, 0.587, 0.114])
    expected = grey.reshape(2, 4, 2, 4, 2).mean(axis=(2, 4))
    assert np.abs(grey_chips(rgb, 4) - expected).max() <= 0.51
    flat = np.full((1, 96, 96, 3), 77, np.uint8)
    assert (grey_chips(flat, 40) == 77).all()
    with pytest.raises(ValueError, match="cannot reduce"):
        grey_chips(flat, 97)


def _weights() -> tuple[dict, dict]:
    net = LstmNet(LstmConfig(hidden=4))
    return asdict(net.config), dict(net.state_dict())


def test_the_door_names_what_is_wrong() -> None:
    config, tensors = _weights()
    with pytest.raises(ValueError, match="choose one of none, box"):
        build_smoother("hmmm")
    with pytest.raises(ValueError, match="needs weights"):
        build_smoother("lstm")
    with pytest.raises(ValueError, match="takes no weights"):
        build_smoother("box", (config, tensors))
    with pytest.raises(ValueError, match="window"):
        build_smoother("none", window=3)
    with pytest.raises(ValueError, match="hidden"):
        build_smoother("lstm", ({k: v for k, v in config.items() if k != "hidden"}, tensors))
    with pytest.raises(ValueError, match="do not fit"):
        build_smoother("lstm", (config, {k: v for k, v in tensors.items() if "head" not in k}))
    assert build_smoother("lstm", (config, tensors)).name == "lstm"


def test_the_door_loads_no_torch_for_the_plain_smoothers() -> None:
    code = (
        "import sys, temporal; temporal.build_smoother('none'), temporal.build_smoother('box', window_s=3);"
        "temporal.build_smoother('hmm', hold_s=1, state_hold_s=1);"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert list(SMOOTHERS) == ["none", "box", "hmm", "lstm", "cnn3d"]


def test_padding_does_not_reach_the_lstm() -> None:
    torch.manual_seed(0)
    net = LstmNet(LstmConfig(hidden=6)).eval()
    torch.nn.init.normal_(net.head.linear.weight)
    long, short = torch.randn(1, 20, 22), torch.randn(1, 9, 22)
    padded = torch.cat([long, torch.nn.functional.pad(short, (0, 0, 0, 11), value=9.0)])
    with torch.inference_mode():
        both = net(padded, torch.tensor([20, 9]))
        alone = net(short, torch.tensor([9]))
    torch.testing.assert_close(both[1:, :9], alone)
    assert not both[1, 9:].any()


def _chip_run(times: np.ndarray, valid: np.ndarray | None = None, px: int = 40) -> ScoreRun:
    n = len(times)
    prob = np.full((n, SCORE_COUNT), 1 / 7, np.float32)
    chips = np.repeat(np.arange(n, dtype=np.uint8)[:, None, None], px, 1).repeat(px, 2)
    return ScoreRun(times, prob, np.ones(n, np.bool_) if valid is None else valid, chips)


def test_the_grid_shows_the_nearest_valid_sample_or_nothing() -> None:
    valid = np.array([True, False, True, True])
    run = _chip_run(np.array([0.0, 0.2, 0.45, 1.8]), valid)
    clips = cut_clips(run, run.prob, Conv3dConfig())
    assert clips.seen.shape == (1, 10)
    np.testing.assert_array_equal(np.flatnonzero(clips.seen[0]), [0, 2, 9])
    np.testing.assert_array_equal(clips.chips[0, [0, 2, 9], 0, 0], [0, 2, 3])
    assert not clips.chips[0, [1, 3, 4, 5, 6, 7, 8]].any()


def test_the_3d_network_needs_chips_of_its_size() -> None:
    run = _chip_run(np.arange(3.0), px=32)
    with pytest.raises(ValueError, match="40 px"):
        cut_clips(run, run.prob, Conv3dConfig())
    with pytest.raises(ValueError, match="None"):
        cut_clips(ScoreRun(run.times_s, run.prob, run.valid), run.prob, Conv3dConfig())


def test_the_3d_network_sees_the_pictures_but_not_their_light() -> None:
    torch.manual_seed(0)
    net = Conv3dNet(Conv3dConfig(channels=(4, 4, 4), hidden=8)).eval()
    torch.nn.init.normal_(net.head.linear.weight)
    chips = torch.randint(60, 120, (1, 10, 40, 40), dtype=torch.uint8)
    zeros = torch.zeros(1, 10, SCORE_COUNT)
    seen = torch.ones(1, 10, dtype=torch.bool)
    with torch.inference_mode():
        plain = net(chips, zeros, zeros, seen)
        brighter = net(chips + 50, zeros, zeros, seen)
        other = net(chips.flip(3), zeros, zeros, seen)
        unseen = net(chips.flip(3), zeros, zeros, ~seen)
        unseen_too = net(chips, zeros, zeros, ~seen)
    torch.testing.assert_close(brighter, plain, atol=1e-4, rtol=1e-4)
    assert (other - plain).abs().max() > 1e-3
    torch.testing.assert_close(unseen, unseen_too)


def test_long_runs_do_not_depend_on_how_many_windows_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    import temporal.lstm as module

    torch.manual_seed(0)
    net = LstmNet(LstmConfig(hidden=6, window_s=3.0, hop_s=1.5))
    torch.nn.init.normal_(net.head.linear.weight)
    rng = np.random.default_rng(0)
    prob = from_logits(rng.normal(0, 2, (120, SCORE_COUNT)))
    run = ScoreRun(np.cumsum(rng.uniform(0.1, 0.3, 120)), prob, np.ones(120, np.bool_))
    whole = LstmSmoother(net).smooth(run)
    monkeypatch.setattr(module, "BATCH", 1)
    np.testing.assert_allclose(LstmSmoother(net).smooth(run), whole, atol=1e-5)
