"""What every smoother promises, the networks untrained, with random weights, and as shipped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from engagement.errors import ConfigError
from engagement.smoothing import SmoothingConfig, load_smoother
from engagement.weights.store import load_weights
from temporal import SMOOTHERS, build_smoother
from temporal.base import EXPRESSION_COUNT, SCORE_COUNT, ScoreRun, TemporalSmoother, from_logits, to_logits
from temporal.box import BoxSmoother
from temporal.conv3d import Conv3dConfig, Conv3dNet, Conv3dSmoother
from temporal.hmm import HmmSmoother
from temporal.lstm import LstmConfig, LstmNet, LstmSmoother

E = EXPRESSION_COUNT
PX = Conv3dConfig().chip_px


def _shaken(net: torch.nn.Module) -> None:
    """Random weights in every layer, the last too: corrections of the size of their bound."""
    generator = torch.Generator().manual_seed(3)
    for parameter in net.parameters():
        if parameter.ndim >= 2:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3


def _lstm(shaken: bool) -> TemporalSmoother:
    torch.manual_seed(0)
    net = LstmNet(LstmConfig(hidden=8, window_s=6.0, hop_s=3.0))
    if shaken:
        _shaken(net)
    return LstmSmoother(net)


def _cnn3d(shaken: bool) -> TemporalSmoother:
    torch.manual_seed(0)
    net = Conv3dNet(Conv3dConfig(channels=(4, 6, 8), hidden=8))
    if shaken:
        _shaken(net)
    return Conv3dSmoother(net)


def _shipped(kind: str) -> TemporalSmoother:
    loaded = load_weights(kind, kind)
    return build_smoother(kind, (loaded.record.network, loaded.tensors))


MAKERS: dict[str, Callable[[], TemporalSmoother]] = {
    "none": lambda: build_smoother("none"),
    "box": lambda: build_smoother("box", window_s=2.0),
    "box states 5 s": lambda: build_smoother("box", window_s=1.0, state_window_s=5.0),
    "hmm": lambda: build_smoother("hmm", hold_s=0.5, state_hold_s=3.0),
    "hmm slow": lambda: build_smoother("hmm", hold_s=2.0, state_hold_s=10.0),
    "lstm untrained": lambda: _lstm(False),
    "lstm random": lambda: _lstm(True),
    "lstm shipped": lambda: _shipped("lstm"),
    "cnn3d untrained": lambda: _cnn3d(False),
    "cnn3d random": lambda: _cnn3d(True),
    "cnn3d shipped": lambda: _shipped("cnn3d"),
}


@pytest.fixture(params=MAKERS)
def smoother(request: pytest.FixtureRequest) -> TemporalSmoother:
    return MAKERS[request.param]()


def _run(count: int = 60, seed: int = 0, rate_hz: float = 5.0, invalid: float = 0.1) -> ScoreRun:
    """Random scores at irregular times."""
    rng = np.random.default_rng(seed)
    times = 3.0 + np.cumsum(rng.uniform(0.5, 1.5, count)) / rate_hz
    valid = rng.random(count) >= invalid
    valid[0] = True
    return ScoreRun(
        times,
        from_logits(rng.normal(0, 2, (count, SCORE_COUNT))),
        valid,
        rng.integers(0, 256, (count, PX, PX)).astype(np.uint8),
    )


def _constant(count: int = 40) -> ScoreRun:
    """One expression at 0.9, engagement at 0.9, a still picture."""
    prob = np.full((count, SCORE_COUNT), 0.1 / (E - 1), np.float32)
    prob[:, 3] = 0.9
    prob[:, E:] = [0.2, 0.9, 0.5]
    chip = np.random.default_rng(1).integers(0, 256, (PX, PX)).astype(np.uint8)
    return ScoreRun(
        np.arange(count, dtype=np.float64) * 0.2,
        prob,
        np.ones(count, np.bool_),
        np.repeat(chip[None], count, 0),
    )


def test_every_smoother_is_held_to_the_contract() -> None:
    assert {kind.split()[0] for kind in MAKERS} == set(SMOOTHERS)


def test_the_options_know_the_smoothers_there_are() -> None:
    for name, needs_weights in SMOOTHERS.items():
        assert SmoothingConfig(name).method == name
        if needs_weights:
            assert SmoothingConfig(name, "own.safetensors").weights
            continue
        assert load_smoother(SmoothingConfig(name))[0].name == name
        with pytest.raises(ConfigError, match=r"Add --temporal lstm or --temporal cnn3d\."):
            SmoothingConfig(name, "own.safetensors")
    with pytest.raises(ConfigError, match="Choose one of: none, box, hmm, lstm, cnn3d"):
        SmoothingConfig("kalman")


def test_expressions_and_states_have_widths_of_their_own() -> None:
    times = {"window_s": 1.5, "state_window_s": 7.0, "hold_s": 0.25, "state_hold_s": 9.0}
    box, _ = load_smoother(SmoothingConfig("box", **times))
    hmm, _ = load_smoother(SmoothingConfig("hmm", **times))
    assert isinstance(box, BoxSmoother) and (box.window_s, box.state_window_s) == (1.5, 7.0)
    assert isinstance(hmm, HmmSmoother) and (hmm.hold_s, hmm.state_hold_s) == (0.25, 9.0)


def test_keeps_the_protocol(smoother: TemporalSmoother) -> None:
    assert isinstance(smoother, TemporalSmoother)
    assert smoother.name in SMOOTHERS
    assert smoother.needs_chips == (smoother.chip_px > 0)
    assert smoother.context_s >= 0


@pytest.mark.parametrize("rate_hz", [0.7, 5.0, 12.0])
def test_shape_and_ranges(smoother: TemporalSmoother, rate_hz: float) -> None:
    run = _run(rate_hz=rate_hz)
    out = smoother.smooth(run)
    assert out.shape == run.prob.shape
    assert out.dtype == np.float32
    good = out[run.valid]
    assert np.isfinite(good).all()
    np.testing.assert_allclose(good[:, :E].sum(axis=1), 1, atol=1e-5)
    assert ((out[~np.isnan(out)] >= 0) & (out[~np.isnan(out)] <= 1)).all()
    # A row has scores or has none.
    assert (np.isnan(out).all(axis=1) | np.isfinite(out).all(axis=1)).all()


def test_leaves_its_input_alone(smoother: TemporalSmoother) -> None:
    run = _run()
    before = run.prob.copy()
    smoother.smooth(run)
    np.testing.assert_array_equal(run.prob, before)


def test_a_single_sample(smoother: TemporalSmoother) -> None:
    out = smoother.smooth(_run(1))
    assert out.shape == (1, SCORE_COUNT)
    assert np.isfinite(out).all()


def test_an_empty_run(smoother: TemporalSmoother) -> None:
    assert smoother.smooth(_run().rows(slice(0, 0))).shape == (0, SCORE_COUNT)


def test_nothing_valid_gives_nan(smoother: TemporalSmoother) -> None:
    run = _run(12)
    out = smoother.smooth(ScoreRun(run.times_s, run.prob, np.zeros(12, np.bool_), run.chips))
    assert np.isnan(out).all()


def test_a_constant_stays(smoother: TemporalSmoother) -> None:
    run = _constant()
    out = smoother.smooth(run)
    if smoother.name in ("none", "box"):
        np.testing.assert_allclose(out, run.prob, atol=1e-6)
        return
    if smoother.name == "hmm":
        # Less sure towards the ends, of which one side is not seen.
        np.testing.assert_allclose(out[20], run.prob[20], atol=0.05)
        assert (out[:, [3, E + 1]] < 0.94).all() and (out[:, :E].argmax(axis=1) == 3).all()
        return
    # The networks may move each logit by their bound: the leading expression and a clear state stay.
    assert (out[:, :E].argmax(axis=1) == 3).all()
    assert (out[:, E + 1] > 0.6).all()
    assert np.abs(to_logits(out) - to_logits(run.prob))[:, E:].max() <= 1.5 + 1e-3
    middle = out[12:-12]
    assert np.ptp(middle, axis=0).max() < 0.25


@pytest.mark.parametrize("shift_s", [0.1, 3600.0, 1e5 / 3])
def test_knows_no_absolute_time(smoother: TemporalSmoother, shift_s: float) -> None:
    # A regular grid: samples lie exactly on the windows' edges, where rounding would show.
    run = _run()
    run = ScoreRun(np.arange(len(run), dtype=np.float64) * 0.2, run.prob, run.valid, run.chips)
    moved = ScoreRun(run.times_s + shift_s, run.prob, run.valid, run.chips)
    np.testing.assert_allclose(smoother.smooth(moved), smoother.smooth(run), atol=1e-5)


def test_same_again_and_after_others(smoother: TemporalSmoother) -> None:
    run = _run(seed=1)
    first = smoother.smooth(run)
    smoother.smooth(_run(200, seed=2))
    np.testing.assert_array_equal(smoother.smooth(run), first)


def test_invalid_samples_have_no_say(smoother: TemporalSmoother) -> None:
    run = _run(invalid=0.3)
    assert run.chips is not None
    prob, chips = run.prob.copy(), run.chips.copy()
    prob[~run.valid] = np.nan
    chips[~run.valid] = 255
    other = ScoreRun(run.times_s, prob, run.valid, chips)
    np.testing.assert_array_equal(smoother.smooth(other), smoother.smooth(run))


def test_depends_on_its_context_alone(smoother: TemporalSmoother) -> None:
    at = 200 + int(6 * smoother.context_s)
    run = _run(2 * at)
    far = np.abs(run.times_s - run.times_s[at]) > smoother.context_s + 1e-6
    assert far.any()
    prob = run.prob.copy()
    prob[far] = prob[far][:, [1, 2, 3, 4, 5, 6, 0, 8, 9, 7]]
    changed = smoother.smooth(replace(run, prob=prob))
    np.testing.assert_allclose(changed[at], smoother.smooth(run)[at], atol=1e-6)
    assert np.nanmax(np.abs(changed - smoother.smooth(run))) > 0.01


def test_flickers_less_than_its_input(smoother: TemporalSmoother) -> None:
    rng = np.random.default_rng(4)
    truth = np.where((np.arange(150) // 30) % 2, 3, 4)
    logits = np.eye(SCORE_COUNT)[truth] * 1.5 + rng.normal(0, 1.5, (150, SCORE_COUNT))
    chips = np.full((150, PX, PX), 100, np.uint8)
    run = ScoreRun(np.arange(150, dtype=np.float64) * 0.2, from_logits(logits), np.ones(150, np.bool_), chips)
    out = smoother.smooth(run)

    def changes(prob: np.ndarray) -> int:
        return int((np.diff(prob[:, :E].argmax(axis=1)) != 0).sum())

    if smoother.name == "none":
        assert changes(out) == changes(run.prob) > 0
        return
    assert changes(out) < 0.6 * changes(run.prob)
    assert np.abs(np.diff(out, axis=0)).mean() < 0.6 * np.abs(np.diff(run.prob, axis=0)).mean()


@pytest.mark.parametrize("kind", ["lstm", "cnn3d"])
def test_an_untrained_network_is_the_box(kind: str) -> None:
    smoother = MAKERS[f"{kind} untrained"]()
    run = _run()
    box = build_smoother("box", window_s=2.0).smooth(run)
    np.testing.assert_allclose(smoother.smooth(run), box, atol=2e-4)
    assert np.nanmax(np.abs(MAKERS[f"{kind} random"]().smooth(run) - box)) > 0.05
