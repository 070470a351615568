"""torchvision beside a torch it was not built for; what sets OpenCV's log level, old and new."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from engagement import compat
from engagement.geometry import suppress

#: As if torchvision's library could not be loaded.
REFUSED = """
from engagement import compat
import torch
def refuse(path): raise OSError("built for another torch")
torch.ops.load_library = refuse
"""


def printed_by(code: str) -> str:
    """What code prints in a process of its own, where nobody has imported torchvision yet."""
    command = [sys.executable, "-c", REFUSED + code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_stand_in_agrees_with_plain_suppression() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 80, (60, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 40, (60, 2))], axis=1).astype(np.float32)
    score = rng.permutation(60).astype(np.float32)
    for threshold in (0.2, 0.5, 0.8):
        kept = compat._nms(torch.from_numpy(boxes), torch.from_numpy(score), threshold)
        assert kept.tolist() == suppress(boxes, score, threshold).tolist()
    empty = compat._nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert empty.shape == (0,)
    assert empty.dtype == torch.int64


def test_torchvision_imports_when_its_operators_do_not_load() -> None:
    """In a process of its own, as if the library could not be loaded."""
    code = (
        "assert not compat.operators_load()\n"
        "vision = compat.load_torchvision()\n"
        "boxes = torch.tensor([[0., 0., 10., 10.], [1., 1., 10., 10.], [20., 20., 30., 30.]])\n"
        "print(vision.ops.nms(boxes, torch.tensor([0.5, 0.9, 0.1]), 0.5).tolist())\n"
    )
    assert printed_by(code) == "[1, 2]"


def test_threads_that_need_torchvision_at_the_same_time_share_one_import() -> None:
    """In a process of its own, where nobody has imported it yet, and with the stand-in as well."""
    code = (
        "import threading\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "together = threading.Barrier(4)\n"
        "def load(_):\n"
        "    together.wait()\n"
        "    return compat.load_torchvision()\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    print(len(set(map(id, pool.map(load, range(4))))))\n"
    )
    assert printed_by(code) == "1"


@pytest.mark.parametrize("name", ["_C.so", "_C_stable.so", "_C.pyd", "renamed.dylib"])
def test_the_library_of_operators_is_found_as_each_torchvision_calls_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).touch()
    (tmp_path / "image.so").touch()
    torchvision = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: torchvision)
    operators = SimpleNamespace()

    def load(path: str) -> None:
        if path == str(tmp_path / name):
            operators.nms = "its own"

    monkeypatch.setattr(torch.ops, "torchvision", operators)
    monkeypatch.setattr(torch.ops, "load_library", load)
    monkeypatch.setattr(compat, "_libraries", [])
    assert compat.operators_load()
    operators.__dict__.clear()
    (tmp_path / name).unlink()
    assert not compat.operators_load()


class _Log:
    """OpenCV's log level; setting it gives the level before."""

    level = 3

    def setLogLevel(self, level: int) -> int:  # noqa: N802 - OpenCV's name
        before, self.level = self.level, level
        return before


@pytest.mark.parametrize("since_4_13", [True, False])
def test_opencv_is_quiet_for_a_while_wherever_its_log_level_is_set(
    monkeypatch: pytest.MonkeyPatch, since_4_13: bool
) -> None:
    log = _Log()
    monkeypatch.setattr(cv2, "utils", SimpleNamespace(logging=log) if since_4_13 else SimpleNamespace())
    monkeypatch.setattr(cv2, "setLogLevel", None if since_4_13 else log.setLogLevel, raising=False)
    with contextlib.suppress(ValueError), compat.quiet_opencv():
        assert log.level == 0
        raise ValueError("no such file")
    assert log.level == 3
