"""What cannot be written for want of space is named, wherever the draft lay."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engagement.drafts import is_draft
from engagement.errors import OutputError
from engagement.weights.store import WeightRecord, save_weights
from tests.training.invoking import ok, run
from training.fitting.run_folder import steps_done


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


def test_a_checkpoint_that_finds_no_room_leaves_the_earlier_one(
    expression_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    last = out / "last.ckpt"
    write = Path.write_bytes

    def half(draft: Path, data: bytes) -> None:
        if last.exists():
            write(draft, bytes(data)[: len(data) // 2])
            raise OSError(28, "No space left on device", str(draft))
        write(draft, data)

    monkeypatch.setattr(Path, "write_bytes", half)
    words = ["--recipe", "fer2013_cnn", "--set", "size=48", "--set", "epochs=2", "--limit", "14"]
    result = run("base", "--data", expression_folders, *words, "-o", out)
    assert isinstance(result.exception, OutputError)
    told = (
        f"{out} cannot be written (No space left on device). Make space there; the same command goes on after"
    )
    assert told in str(result.exception)
    assert steps_done(last) > 0 and not [path for path in out.iterdir() if is_draft(path.name)]
    killed = out / ".0123abcd.part"
    killed.touch()
    monkeypatch.undo()
    assert "goes on after step" in ok("base", "--data", expression_folders, *words, "-o", out).output
    assert not killed.exists()
