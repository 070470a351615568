"""Bands of the pages: what a person showed and when, as a few whole numbers for the page's script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from engagement.labels import UNCERTAIN
from engagement.reports.reading import Axis
from engagement.reports.theme import BAND_ORDER, FEW_PEOPLE, STATES, about
from engagement.reports.thinning import SCREEN_POINTS, fewer, filled, spans

if TYPE_CHECKING:
    import pandas as pd

_TENTHS = 10  # numbers in the page are tenths of a second


def person_lane(table: pd.DataFrame, events: pd.DataFrame, axis: Axis) -> dict[str, list[int]]:
    """One person's band.

    Returns:
        ``seen``, ``followed``, ``poor`` and ``frozen``: start, end, start, end …; ``events``: start, end, state (position in
        BAND_ORDER), per cent …; times in tenths of a second.
    """
    times = table["time_s"].to_numpy(np.float64)
    observed = table["observed"].to_numpy(bool)
    quality = table["quality"].to_numpy(np.float64, na_value=np.nan)
    bands = {
        "seen": observed,
        "followed": table["followed"].to_numpy(bool),
        "poor": observed & ~(quality >= axis.min_quality),
        "frozen": table["frozen"].to_numpy(bool),
    }
    return {
        **{name: _flat(fewer(spans(times, on, axis.step_s), axis.length_s)) for name, on in bands.items()},
        "events": _events(events, axis.length_s),
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
    if len(rows) > SCREEN_POINTS // 2:
        rows = _thinned(rows, duration_s)
    out: list[int] = []
    for begin, stop, which, value in rows:
        out += [round(begin * _TENTHS), round(stop * _TENTHS), int(which), about(float(value))]
    return out


def _thinned(rows: list[tuple[Any, ...]], duration_s: float) -> list[tuple[Any, ...]]:
    """A state for each stretch of the screen, or none: as in ``fewer``, so that each keeps its share of the time."""
    width = duration_s / SCREEN_POINTS
    held, weight = np.zeros((2, SCREEN_POINTS, len(BAND_ORDER)))
    for which in range(len(BAND_ORDER)):
        own = [row for row in rows if row[2] == which]
        held[:, which] = filled(own, width, SCREEN_POINTS)
        weight[:, which] = filled(own, width, SCREEN_POINTS, [row[3] for row in own])
    waiting, seconds, scores, mean = np.zeros((4, len(BAND_ORDER)))
    out: list[tuple[Any, ...]] = []
    for k in range(SCREEN_POINTS):
        waiting, seconds, scores = waiting + held[k], seconds + held[k], scores + weight[k]
        if waiting.sum() < width / 2:
            continue
        which = int(waiting.argmax())
        waiting[which] -= width
        if seconds[which]:
            mean[which] = scores[which] / seconds[which]
            scores[which] = seconds[which] = 0.0
        if out and out[-1][1] == k * width and out[-1][2] == which:
            begin, _, _, score = out.pop()
            share = width / ((k + 1) * width - begin)
            out.append((begin, (k + 1) * width, which, score + (mean[which] - score) * share))
        else:
            out.append((k * width, (k + 1) * width, which, mean[which]))
    return out


#: Size of the small curves in the list of sessions.
SPARK_WIDTH, SPARK_HEIGHT, _SPARK_POINTS = 200, 36, 100


def sparklines(curves: Mapping[str, Any], alone: bool = False) -> list[tuple[str, str]]:
    """Small curves of the class for the list of sessions: (state, SVG path) on a scale of 0-1.

    Stretches with fewer than a few usable people are left out, unless all is of one person (``alone``).
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
        values[n_used < (1 if alone else FEW_PEOPLE)] = np.nan
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
