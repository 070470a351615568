"""Small plots as coordinates: the template draws them as SVG, in the page's own colours."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 520, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 10, 26

#: Values that differ by so small a part are as good as one: there is no room for ticks that would tell them apart.
_ALIKE = 2e-3
_NOTHING = 1e-6

#: Panels of the learning curves: title -> columns of log/metrics.csv and what they are called.
_PANELS: Mapping[str, Mapping[str, str]] = {
    "Loss": {"train_loss": "train", "val_loss": "validation"},
    "Validation": {
        "val_accuracy": "accuracy",
        "val_mean_class": "mean class accuracy",
        "val_auc": "AUC",
        "val_score": "score by which the epoch is chosen",
    },
}


def read_history(file: Path) -> list[dict[str, float]]:
    """Rows of ``log/metrics.csv``; empty when there is none. Cells that are no numbers are left out."""
    if not file.is_file():
        return []
    rows: list[dict[str, float]] = []
    with file.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            numbers: dict[str, float] = {}
            for key, text in row.items():
                try:
                    numbers[str(key)] = float(text)
                except (TypeError, ValueError):
                    continue
            rows.append(numbers)
    return rows


def learning_curves(rows: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    """Panels of lines over epochs; a panel without any value is left out."""
    panels = []
    for title, columns in _PANELS.items():
        lines = {name: points for column, name in columns.items() if (points := _points(rows, column))}
        if lines:
            panels.append(_panel(title, lines))
    return panels


def _points(rows: Sequence[Mapping[str, float]], column: str) -> list[tuple[float, float]]:
    """Epochs and finite values: a run that diverged has a page too."""
    there = [(row["epoch"], row[column]) for row in rows if column in row and "epoch" in row]
    return [(epoch, value) for epoch, value in there if math.isfinite(value)]


def _panel(title: str, lines: Mapping[str, Sequence[tuple[float, float]]]) -> dict[str, Any]:
    points = [point for line in lines.values() for point in line]
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    y_ticks = ticks(min(y for _, y in points), max(y for _, y in points))
    y_low, y_high = y_ticks[0], y_ticks[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / (x_high - x_low) if x_high > x_low else 0.5
        up = (y - y_low) / (y_high - y_low)
        return (
            round(_LEFT + across * (WIDTH - _LEFT - _RIGHT), 1),
            round(HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM), 1),
        )

    step = max(1, math.ceil((x_high - x_low) / 10))
    epochs = range(int(x_low), int(x_high) + 1, step)
    return {
        "title": title,
        "width": WIDTH,
        "height": HEIGHT,
        "left": _LEFT,
        "right": WIDTH - _RIGHT,
        "bottom": HEIGHT - _BOTTOM,
        "y_ticks": [(f"{y:g}", place(x_low, y)[1]) for y in y_ticks],
        "x_ticks": [(str(x), place(x, y_low)[0]) for x in epochs],
        "lines": [
            {
                "name": name,
                "points": [place(x, y) for x, y in line],
                "last": f"{line[-1][1]:.3f}",
            }
            for name, line in lines.items()
        ],
    }


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers that enclose a range, at most ``most`` + 1 of them, at least two."""
    largest = max(abs(low), abs(high))
    if high - low <= max(_ALIKE * largest, _NOTHING):
        around = largest / 10 if largest > _NOTHING else 0.5
        low, high = low - around, high + around
    raw = (high - low) / (most - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 10) for k in range(first, max(last, first + 1) + 1)]


def confusion(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the confusion matrix (truth) with counts and shares of the row; classes without a face are left out."""
    names, rows = found["labels"], found["confusion"]
    return [
        {
            "name": name,
            "n": sum(row),
            "cells": [
                {"n": n, "share": n / sum(row), "right": i == j, "said": names[j]} for j, n in enumerate(row)
            ],
        }
        for i, (name, row) in enumerate(zip(names, rows, strict=True))
        if sum(row)
    ]


def diagram(bins: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Reliability bins as bars in a square, with the share of the predictions in each."""
    total = sum(b["n"] for b in bins) or 1
    side, edge = 240, 30
    span = side - edge - 10
    return {
        "side": side,
        "edge": edge,
        "span": span,
        "bars": [
            {
                "x": round(edge + b["low"] * span, 1),
                "width": round((b["high"] - b["low"]) * span - 1, 1),
                "y": round(10 + (1 - b["accuracy"]) * span, 1),
                "height": round(b["accuracy"] * span, 1),
                "at": round(edge + b["confidence"] * span, 1),
                "share": b["n"] / total,
                "words": f"said {b['confidence']:.2f}, right {b['accuracy']:.2f}, {b['n']} faces",
            }
            for b in bins
        ],
    }
