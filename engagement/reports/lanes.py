"""Bands of the pages: what a person showed and when, as a few whole numbers for the page's script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from engagement.labels import UNCERTAIN
from engagement.reports.theme import BAND_ORDER, FEW_PEOPLE, STATES, about
from engagement.reports.thinning import merged, spans

if TYPE_CHECKING:
    import pandas as pd

#: Spans of a band beyond which it is thinned to what a screen can show apart.
_MOST = 600
_SCREEN = 1200
_TENTHS = 10  # numbers in the page are tenths of a second


def person_lane(
    table: pd.DataFrame, events: pd.DataFrame, duration_s: float, step_s: float, min_quality: float
) -> dict[str, list[int]]:
    """One person's band.

    Returns:
        ``seen``, ``followed`` and ``poor``: start, end, start, end …; ``events``: start, end, state (position in
        BAND_ORDER), per cent …; times in tenths of a second.
    """
    times = table["time_s"].to_numpy(np.float64)
    observed = table["observed"].to_numpy(bool)
    quality = table["quality"].to_numpy(np.float64, na_value=np.nan)
    finest = duration_s / _SCREEN
    close = finest if len(times) > _SCREEN else 0.0
    return {
        "seen": _flat(merged(spans(times, observed, step_s), close)),
        "followed": _flat(merged(spans(times, table["followed"].to_numpy(bool), step_s), close)),
        "poor": _flat(merged(spans(times, observed & ~(quality >= min_quality), step_s), close)),
        "events": _events(events, duration_s),
    }


def _flat(parts: list[tuple[float, float]]) -> list[int]:
    return [round(edge * _TENTHS) for part in parts for edge in part]


def _events(events: pd.DataFrame, duration_s: float) -> list[int]:
    start = events["start_s"].to_numpy(np.float64)
    end = events["end_s"].to_numpy(np.float64)
    score = events["mean_prob"].to_numpy(np.float64)
    last = BAND_ORDER.index(UNCERTAIN)
    known = {name: i for i, name in enumerate(BAND_ORDER)}
    state = np.array([known.get(str(s), last) for s in events["state"]], dtype=np.int64)
    order = np.argsort(start, kind="stable")
    rows = list(zip(start[order], end[order], state[order], score[order], strict=True))
    if len(rows) > _MOST:
        rows = _thinned(rows, duration_s)
    out: list[int] = []
    for begin, stop, which, value in rows:
        out += [round(begin * _TENTHS), round(stop * _TENTHS), int(which), about(float(value))]
    return out


def _thinned(rows: list[tuple[Any, ...]], duration_s: float) -> list[tuple[Any, ...]]:
    """The state that fills most of each stretch of the screen; stretches without any stay empty."""
    width = duration_s / _SCREEN
    held = np.zeros((_SCREEN + 1, len(BAND_ORDER)))
    weight = np.zeros((_SCREEN + 1, len(BAND_ORDER)))
    for begin, stop, which, value in rows:
        first, last = int(begin // width), min(int(stop // width), _SCREEN)
        for k in range(first, last + 1):
            inside = min(stop, (k + 1) * width) - max(begin, k * width)
            if inside > 0:
                held[k, which] += inside
                weight[k, which] += inside * value
    best = held.argmax(axis=1)
    filled = held.sum(axis=1) >= width / 2
    out: list[tuple[Any, ...]] = []
    k = 0
    while k <= _SCREEN:
        if not filled[k]:
            k += 1
            continue
        begin = k
        while k <= _SCREEN and filled[k] and best[k] == best[begin]:
            k += 1
        which = int(best[begin])
        mean = weight[begin:k, which].sum() / max(held[begin:k, which].sum(), 1e-9)
        out.append((begin * width, min(k * width, duration_s), which, mean))
    return out


#: Size of the small curves in the list of sessions.
SPARK_WIDTH, SPARK_HEIGHT, _SPARK_POINTS = 200, 36, 100


def sparklines(curves: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Small curves of the class for the list of sessions: (state, SVG path) on a scale of 0-1.

    Stretches with fewer than a few usable people are left out.
    """
    n_used = np.array(curves.get("n_used") or [], dtype=np.float64)
    size = -(-len(n_used) // _SPARK_POINTS) or 1
    out: list[tuple[str, str]] = []
    for name in STATES:
        values = np.array(
            [np.nan if v is None else float(v) for v in curves.get(name) or []], dtype=np.float64
        )
        if not len(values) or len(values) != len(n_used):
            continue
        values[n_used < FEW_PEOPLE] = np.nan
        path, pen = "", "M"
        for k in range(0, len(values), size):
            part = values[k : k + size]
            if not np.isfinite(part).any():
                pen = "M"
                continue
            x = SPARK_WIDTH * (k + len(part) / 2) / len(values)
            path += f"{pen}{x:.1f} {SPARK_HEIGHT * (1 - float(np.nanmean(part))):.1f}"
            pen = "L"
        if path:
            out.append((name, path))
    return out
