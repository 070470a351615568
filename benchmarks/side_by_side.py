"""What a second run beside the first one costs, with threads that sleep while they wait and with threads that spin.

    python -m benchmarks.side_by_side [COMMAND...]

Runs a command (by default `engagement evaluate` on 150 faces, found by the detector) alone and twice at once, after a
first run that warms the disk. Two runs on cores that one keeps busy should take at most twice as long as one. Spinning
is what GNU's OpenMP does by itself; `engagement` has the threads sleep.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_DEFAULT = "evaluate ../shared/data:rafdb --split val --limit 150 --detect"
#: 300,000 turns are what libgomp takes where nothing is said.
_WAITING = {"asleep, as shipped": {}, "spinning": {"GOMP_SPINCOUNT": "300000"}}


def seconds(command: Sequence[str], runs: int, variables: dict[str, str]) -> float:
    """Wall time of so many runs at once."""
    start = time.perf_counter()
    children = [
        subprocess.Popen(
            command, env=os.environ | variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(runs)
    ]
    codes = [child.wait() for child in children]
    if any(codes):
        sys.exit(f"failed: {' '.join(command)}")
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, help=f"of engagement [default: {_DEFAULT}]")
    given = parser.parse_args().command or _DEFAULT.split()
    command = [str(Path(sys.executable).with_name("engagement")), *given]
    seconds(command, 1, {})
    print("| threads that wait are | alone, s | two at once, s | times |\n|---|---|---|---|")
    for name, variables in _WAITING.items():
        alone, both = seconds(command, 1, variables), seconds(command, 2, variables)
        print(f"| {name} | {alone:.1f} | {both:.1f} | {both / alone:.2f} |", flush=True)


if __name__ == "__main__":
    main()
