"""What is kept of the frame model's outputs, and what is taken from the data anew."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from engagement.errors import ConfigError
from engagement.labels import EXPRESSIONS
from tests.training.tiny_models import write_model
from training.temporal import frame_outputs
from training.temporal.frame_outputs import load_frame_model, pool

PX = 16


def _faces(split: str, labels: tuple[str, ...]) -> pd.DataFrame:
    rng = np.random.default_rng(len(split))
    pictures = [rng.integers(0, 256, (40, 40, 3)).astype(np.uint8) for _ in labels]
    return pd.DataFrame(
        {
            "image": [cv2.imencode(".png", picture)[1].tobytes() for picture in pictures],
            "label": labels,
            "name": [f"{split}{i}" for i in range(len(labels))],
            "split": split,
        }
    )


def _write(folder: Path, labels: tuple[str, ...]) -> None:
    both = pd.concat([_faces("val", labels), _faces("train", EXPRESSIONS.classes)])
    both.to_parquet(folder / "rafdb_train.parquet")
    _faces("test", EXPRESSIONS.classes).to_parquet(folder / "rafdb_test.parquet")


def test_corrected_labels_count_though_the_outputs_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_frame_model(write_model(tmp_path / "frame.safetensors", states=True))
    _write(tmp_path, EXPRESSIONS.classes)
    first = pool(model, tmp_path, "rafdb", "val", tmp_path / "run", PX)
    _write(tmp_path, EXPRESSIONS.classes[::-1])
    # The pictures are the same, so they are not looked at again.
    monkeypatch.delattr(frame_outputs, "look_at")
    again = pool(model, tmp_path, "rafdb", "val", tmp_path / "run", PX)
    assert first.expression.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert again.expression.tolist() == [6, 5, 4, 3, 2, 1, 0]
    np.testing.assert_array_equal(again.logits, first.logits)


def test_a_limit_that_leaves_too_few_pictures_is_told_before_any_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_frame_model(write_model(tmp_path / "frame.safetensors", states=True))
    _write(tmp_path, EXPRESSIONS.classes * 3)
    monkeypatch.delattr(frame_outputs, "look_at")
    with pytest.raises(ConfigError, match=r"--limit 2 leaves fewer than two pictures of: \w+, ") as told:
        pool(model, tmp_path, "rafdb", "val", tmp_path / "run", PX, limit=2)
    assert "Give at least 14" in told.value.hint


def test_faces_go_through_the_network_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_frame_model(write_model(tmp_path / "frame.safetensors", states=True))
    chips = np.random.default_rng(0).integers(0, 256, (7, 48, 48, 3)).astype(np.uint8)
    whole = model.logits(chips)
    seen: list[int] = []
    model.opened.network.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    monkeypatch.setattr(frame_outputs, "_BATCH", 3)
    np.testing.assert_allclose(model.logits(chips), whole, atol=1e-5)
    assert seen == [3, 3, 1]
    assert model.logits(chips[:0]).shape == (0, 10)
