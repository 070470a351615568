"""What cannot be written for want of space is named, wherever the draft lay."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engagement.errors import OutputError
from engagement.weights.store import WeightRecord, save_weights
from tests.training.invoking import invoke
from training.going_on import Checkpoint


def full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device", "/elsewhere/draft")


def test_weights_name_their_file_and_leave_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, record = tmp_path / "model.safetensors", WeightRecord("face_state", {}, {})
    save_weights(path, record, {"a": torch.ones(2)})
    before = path.read_bytes()
    write = Path.write_bytes

    def half(draft: Path, data: bytes) -> None:
        write(draft, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OutputError, match=r"model\.safetensors cannot be written \(No space left"):
        save_weights(path, record, {"a": torch.zeros(2)})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_names_the_run_and_not_its_draft(
    expression_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Checkpoint, "_save_checkpoint", full)
    out = tmp_path / "out"
    words = ["--recipe", "fer2013_cnn", "--set", "size=48", "--max-steps", "1", "--limit", "14"]
    result = invoke("base", "--data", expression_folders, *words, "-o", out)
    assert isinstance(result.exception, OutputError)
    assert f"{out} cannot be written (No space left" in str(result.exception)
    assert "elsewhere" not in str(result.exception) and "TMPDIR" in str(result.exception)
