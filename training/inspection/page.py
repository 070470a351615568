"""The inspection as one page that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engagement.reports.page import write_page
from training.inspection.leaks import Relations
from training.inspection.pictures import Pictures
from training.inspection.similar import SimilarOptions
from training.inspection.summary import conflicts, percent
from training.samples.table import read_rgb

#: Longer side of a picture on the page, pixels.
_SIDE = 96
_PER_CLASS = 10
_CLASSES = 24
_PAIRS = 12


def write(
    path: Path, pictures: Pictures, found: Relations, figures: Mapping[str, Any], options: SimilarOptions
) -> Path:
    """Write the page.

    Args:
        path: of the HTML file.
        pictures, found: what was looked at and what is related.
        figures: of :func:`training.inspection.summary.summary`.
        options: for the words on how it was made.
    """
    sets = [
        {
            **entry,
            "most": max(1, *next(iter(entry["counts"].values())).values()),
            "samples": _samples(pictures, k),
        }
        for k, entry in enumerate(figures["sets"])
    ]
    examples = [
        {
            "kind": leak.kind,
            "split": leak.split,
            "affected": len(leak.affected),
            "more": len(leak.affected) > _PAIRS,
            "pairs": _sides(pictures, zip(*(_spread(v) for v in (leak.affected, leak.partner)), strict=True)),
        }
        for leak in found.leaks
    ]
    differing = [c.rows[_different(pictures.label[c.rows])] for c in conflicts(pictures, found)[:_PAIRS]]
    return write_page(
        path,
        "dataset.html",
        names=", ".join(pictures.sets),
        found={**figures, "sets": sets},
        examples=examples,
        differing=_sides(pictures, differing),
        options=options,
        percent=percent,
    )


def _samples(pictures: Pictures, k: int) -> dict[str, list[dict[str, str]]]:
    """Random pictures of each class, of the first split there is."""
    rng = np.random.default_rng(0)
    own = np.flatnonzero(pictures.set_index == k)
    out: dict[str, list[dict[str, str]]] = {}
    present = dict.fromkeys([*pictures.classes[k], *sorted(set(pictures.label[own].tolist()))])
    for name in list(present)[:_CLASSES]:
        rows = rng.permutation(own[pictures.label[own] == name])[:_PER_CLASS]
        if len(rows):  # a state may occur only together with others
            out[name] = [_shown(pictures, int(row)) for row in rows]
    return out


def _spread(rows: np.ndarray) -> np.ndarray:
    """Up to _PAIRS of the rows, evenly over all of them."""
    return rows[np.linspace(0, len(rows) - 1, min(_PAIRS, len(rows))).round().astype(int)]


def _different(labels: np.ndarray) -> list[int]:
    """Two places with different labels."""
    return [0, int(np.flatnonzero(labels != labels[0])[0])]


def _sides(pictures: Pictures, pairs: Iterable[Any]) -> list[tuple[dict[str, str], dict[str, str]]]:
    return [(_shown(pictures, int(a)), _shown(pictures, int(b))) for a, b in pairs]


def _shown(pictures: Pictures, row: int) -> dict[str, str]:
    import cv2

    rgb = read_rgb(pictures.images[row])
    scale = min(1.0, _SIDE / max(rgb.shape[:2]))
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    jpeg = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return {
        "src": "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode(),
        "label": str(pictures.label[row]),
        "split": str(pictures.split[row]),
        "name": str(pictures.sample_id[row]),
    }
