"""Processes that read and vary faces: another way to the same pictures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.training.loaders_apart import CHECKS
from training.samples.loading import fitting_loaders

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("check", list(CHECKS))
def test_other_processes_prepare_the_same_faces(check: str, expression_folders: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.training.loaders_apart", check]
    done = subprocess.run(
        [*command, str(expression_folders), str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("cores", "processes", "count"), [(2, 1, 1), (1, 1, 1), (16, 1, 8), (16, 4, 3)])
def test_a_gpu_is_fed_by_the_cores_that_are_there(
    cores: int, processes: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.samples.loading.cores", lambda: cores)
    assert fitting_loaders(torch.device("cuda"), processes) == count
    assert fitting_loaders(torch.device("cpu"), processes) == 0
