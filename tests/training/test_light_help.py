"""Help and option errors come at once: no command's surface loads a heavy library."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "pytorch_lightning", "pandas", "sklearn", "scipy", "cv2", "numpy")

PROBE = """
import sys
from click.testing import CliRunner
from engagement.cli import cli
result = CliRunner().invoke(cli, {words!r})
assert result.exit_code == {status}, result.output
print([m for m in {heavy!r} if m in sys.modules])
"""


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["train", "--help"], 0),
        (["train", "base", "--help"], 0),
        (["train", "states", "--help"], 0),
        (["train", "personal", "--help"], 0),
        (["train", "extension", "--help"], 0),
        (["train", "temporal", "--help"], 0),
        (["train", "identity", "--help"], 0),
        (["evaluate", "--help"], 0),
        (["faces", "capture", "--help"], 0),
        (["train", "base", "--data", "x", "--recipe", "rafdb", "-o", "y", "--max-steps", "0"], 2),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else "",
)
def test_help_loads_nothing_heavy(words: list[str], status: int) -> None:
    code = PROBE.format(words=words, status=status, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]"
