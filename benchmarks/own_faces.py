"""What `train personal --equalize` and `--distil` bring, on few faces of FERPlus.

    python benchmarks/own_faces.py FOLDER:ferplus [--per-class 60] [--seeds 3]

Faces that most annotators agree on, three classes: so many per class to learn from (train split), 300 per class to measure
on (validation split), other ones for each seed. Each way is the command itself, run on class folders in a temporary
directory that goes when the script ends. Prints accuracy, macro F1 and calibration error of each, mean over seeds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from training.datasets.registry import prepared
from training.samples.table import SampleTable, read_rgb

CLASSES = ("happy", "neutral", "sad")
WAYS = {
    "plain": [],
    "--equalize": ["--equalize"],
    "--distil default": ["--distil", "default"],
    "both": ["--equalize", "--distil", "default"],
}
FIGURES = ("accuracy", "macro_f1", "ece")
_AGREED, _MEASURED = 0.7, 300


def write_folders(table: SampleTable, root: Path, per_class: int, seed: int) -> None:
    """train/class/*.png and test/class/*.png."""
    rng = np.random.default_rng(seed)
    for split, source, count in (("train", "train", per_class), ("test", "val", _MEASURED)):
        for name in CLASSES:
            share = table.target[:, table.labels.index(name)]
            rows = rng.permutation(np.flatnonzero((share > _AGREED) & (table.split == source)))[:count]
            folder = root / split / name
            folder.mkdir(parents=True)
            for row in rows.tolist():
                picture = cv2.cvtColor(read_rgb(table.images[row]), cv2.COLOR_RGB2BGR)
                cv2.imwrite(str(folder / f"{row}.png"), picture)


def measured(folders: Path, out: Path, words: list[str], seed: int) -> list[float]:
    """Figures of one run on its test folders."""
    command = [
        sys.executable,
        "-m",
        "engagement",
        "train",
        "personal",
        "--data",
        str(folders),
        "-o",
        str(out),
    ]
    subprocess.run([*command, "--test", "--seed", str(seed), *words], check=True, capture_output=True)
    found = json.loads((out / "metrics.json").read_text(encoding="utf-8"))["test"]
    return [found[key] for key in FIGURES]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data")
    parser.add_argument("--per-class", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    table = prepared(options.data, None, False, print)
    found: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for seed in range(1, options.seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            write_folders(table, Path(folder) / "faces", options.per_class, seed)
            for number, (way, words) in enumerate(WAYS.items()):
                found[way].append(
                    measured(Path(folder) / "faces", Path(folder) / f"run{number}", words, seed)
                )
    print("| | " + " | ".join(FIGURES) + " |\n" + "|---" * (len(FIGURES) + 1) + "|")
    for way, rows in found.items():
        middle, low, high = np.mean(rows, axis=0), np.min(rows, axis=0), np.max(rows, axis=0)
        cells = [f"{m:.3f} ({a:.3f}–{b:.3f})" for m, a, b in zip(middle, low, high, strict=True)]
        print(f"| {way} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
