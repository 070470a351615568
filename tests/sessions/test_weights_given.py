"""Weights that ``analyze`` is given and cannot use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import media
from tests.sessions.command import Run

Command = Callable[..., Run]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--checkpoint", "nosuch"),
            "--checkpoint: 'nosuch' is neither a file nor shipped weights. Shipped: ",
        ),
        (("--weights", "nosuch"), "--weights: 'nosuch' is neither a file nor shipped weights. Shipped: "),
        (("--temporal", "lstm", "--temporal-weights", "nosuch"), "--temporal-weights: 'nosuch' is neither "),
        (("--weights", "lstm"), "'lstm', but 'face_state' or 'ensemble' is needed here. Shipped: default"),
        (("--checkpoint", "{damaged}"), "damaged.safetensors is not a readable safetensors file"),
        (
            ("--temporal", "cnn3d", "--temporal-weights", "lstm"),
            "'lstm', but 'cnn3d' is needed here. Shipped: cnn3d",
        ),
        (("--identity", "facenet"), "--identity facenet needs the file "),
    ],
)
def test_weights_of_no_use_are_wrong_usage(
    options: tuple[str, ...], said: str, tmp_path: Path, engagement: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is made, though a path that leads nowhere would be listed."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"")
    clip = media.single_frame(tmp_path).path
    given = tuple(option.format(damaged=damaged) for option in options)
    ended = engagement("analyze", clip, tmp_path / "gone.mp4", "-o", tmp_path / "out", *given)
    assert ended.status == 2 and said in ended.err
    assert ended.err.startswith(f"error: {options[-2]}") and ended.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
