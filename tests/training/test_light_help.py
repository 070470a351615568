"""Help and option errors come at once: no command's surface loads a heavy library."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "torchvision", "pytorch_lightning", "pandas", "sklearn", "scipy", "cv2", "numpy")
COMMANDS = [
    ("train --help", 0),
    *(
        (f"train {name} --help", 0)
        for name in ("base", "states", "personal", "extension", "temporal", "identity", "matrix")
    ),
    *((f"{name} --help", 0) for name in ("evaluate", "ensemble", "explain", "export")),
    *((f"faces {name} --help", 0) for name in ("capture", "review", "split", "augment")),
    ("dataset --help", 0),
    ("dataset inspect --help", 0),
    ("dataset inspect", 2),
    ("train base --data x --recipe rafdb -o y --max-steps 0", 2),
    ("train base --data x --recipe rafdb -o y --backbone alexnet", 2),
    ("evaluate", 2),
    ("ensemble a b", 2),
    ("ensemble a b -o e.safetensors --weights x", 2),
    ("explain", 2),
    ("export default -o m.onnx", 2),
    ("train matrix --data x", 2),
]

PROBE = """
import sys
from click.testing import CliRunner
from engagement.cli import cli
for words, status in {commands!r}:
    result = CliRunner().invoke(cli, words.split())
    assert result.exit_code == status, (words, result.output)
    heavy = [m for m in {heavy!r} if m in sys.modules]
    assert not heavy, (words, heavy)
"""


def test_help_and_wrong_options_load_nothing_heavy() -> None:
    code = PROBE.format(commands=COMMANDS, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
