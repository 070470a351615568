"""Figures of the pages: the only file that imports plotly.

Every figure has one time axis and rows above one another, so zooming one row zooms all; the script of
the page carries the zoom on to the other figures and the bands. Colours of text and grid come from the
style sheet (light, dark, paper); only the colours of data are set here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engagement.reports.drawing import (
    BAND_OPACITY,
    PERCENT,
    band,
    end_label,
    lighter,
    line,
    moment_marks,
    positions,
    pushed_apart,
    rounded,
    rounded_outwards,
    row_axis,
    row_title,
    rows_layout,
    widened,
)
from engagement.reports.reading import Axis
from engagement.reports.theme import CLASS_COLORS, EXPRESSION_COLORS, FEW_PEOPLE, GREY, STATES, with_alpha
from engagement.reports.thinning import fewer, pick, spans, thin, with_gaps
from engagement.runs import LONGEST_STEPS
from engagement.timelines.curves import curve_of
from engagement.types import Floats

if TYPE_CHECKING:
    import pandas as pd


def session_figure(curves: Mapping[str, Any], duration_s: float, moments: Sequence[float]) -> str | None:
    """States of the class with their bands, and below them how many people each point rests on.

    Args:
        curves: the ``class`` part of summary.json. moments: times to mark and number.

    Returns:
        JSON of the figure, None when nobody's picture could ever be used.
    """
    times = curve_of(curves, "time_s")
    n_used, n_visible = curve_of(curves, "n_used"), curve_of(curves, "n_visible")
    if not len(times) or not len(n_visible) == len(n_used) == len(times) or not np.nanmax(n_used) > 0:
        return None
    step = float(curves.get("step_s") or 1.0)
    traces: list[dict[str, Any]] = []
    labels: list[tuple[float, str]] = []
    for name in STATES:
        mean, low, high = (curve_of(curves, f"{name}{end}") for end in ("", "_lo", "_hi"))
        if not len(mean) == len(low) == len(high) == len(times):
            continue
        traces += _class_traces(name, times + step / 2, np.stack([mean, low, high]), n_used)
        known = mean[np.isfinite(mean)]
        if len(known):
            labels.append((float(known[-6:].mean()), name))
    traces += _count_traces(times, step, n_visible, n_used)
    most = max(4.0, float(np.nanmax(n_visible)) * 1.15)
    rows = [
        ("y", 250, dict(PERCENT)),
        ("y2", 62, {"range": [0, most], "nticks": 3, "tickformat": "d", "rangemode": "tozero"}),
    ]
    marks, numbers = moment_marks(moments, duration_s)
    notes = [
        *(end_label("y", at, STATES[name].color, name) for at, name in pushed_apart(labels)),
        {**end_label("y2", most * 0.8, "", "visible"), "font": {"size": 11}},
        {**end_label("y2", most * 0.3, "", "used"), "font": {"size": 11}},
        row_title("y2", "people"),
        *numbers,
    ]
    return _json(traces, {**rows_layout(rows, duration_s), "shapes": marks, "annotations": notes})


def _class_traces(name: str, middle_s: Floats, curve: Floats, n_used: Floats) -> list[dict[str, Any]]:
    """One state of the class: its band, and its line in parts that look and speak differently.

    Args:
        middle_s: (n,) middles of the steps. curve: (3, n) mean, low and high. n_used: (n,) people it rests on.
    """
    look, enough = STATES[name], n_used >= FEW_PEOPLE
    mean, low, high = curve
    edges = np.where(enough, low, np.nan), np.where(enough, high, np.nan)
    traces = band(middle_s, *edges, with_alpha(look.color, BAND_OPACITY), "y")
    # Few people: the curve goes on, thin and without a band.
    few, full = np.where(enough, np.nan, mean), np.where(enough, mean, np.nan)
    joined = np.where(widened(~enough), mean, np.nan)
    # What joins the two says nothing of its own; a single point has no line.
    for values, width, hover in ((joined, 1.4, ""), (few, 0.0, _FEW_HOVER), (full, 2.6, _CLASS_HOVER)):
        if not np.isfinite(values).any():
            continue
        part = line(middle_s, values, with_alpha(look.color, 1.0), width)
        part["line"]["dash"] = look.dash
        part["meta"] = name  # whose label the script moves to where the line ends
        if hover:
            part["customdata"] = np.stack([rounded(values), *rounded_outwards(low, high), n_used], axis=1)
            part["hovertemplate"] = hover.format(name=name)
        else:
            part["hoverinfo"] = "skip"
        if values is few:
            part |= {"mode": "markers", "marker": {"size": 2.5, "color": look.color}}
        traces.append(part)
    return traces


def _count_traces(times_s: Floats, step_s: float, n_visible: Floats, n_used: Floats) -> list[dict[str, Any]]:
    """Steps of how many people are visible, and of how many are used, in front of them.

    Their points are the middles of the steps, as those of the states are: so hovering tells of one step alone.
    """
    ends = times_s[0], times_s[-1] + step_s
    return [
        {
            "type": "scatter",
            "x": positions(np.concatenate([ends[:1], times_s + step_s / 2, ends[1:]])),
            "y": np.concatenate([values[:1], values, values[-1:]]).astype(np.int16),
            "yaxis": "y2",
            "mode": "lines",
            "line": {"width": 0, "shape": "hvh"},
            "fill": "tozeroy",
            "fillcolor": with_alpha(GREY, alpha),
            "hovertemplate": f"people {name}: %{{y}}<extra></extra>",
        }
        for values, name, alpha in ((n_visible, "visible", 0.28), (n_used, "used", 0.62))
    ]


_CLASS_HOVER = (
    "apparent {name}: about %{{customdata[0]}}\u202f% (%{{customdata[1]}}–%{{customdata[2]}}\u202f%), "
    "n = %{{customdata[3]}}<extra></extra>"
)
_FEW_HOVER = "apparent {name}: about %{{customdata[0]}}\u202f%, only n = %{{customdata[3]}}<extra></extra>"


def states_figure(table: pd.DataFrame, shared: Axis) -> str | None:
    """One person's three states: raw estimates as dots, the smoothed line and its band; a row each."""
    view = _View(table, shared)
    if not view.usable:
        return None
    traces: list[dict[str, Any]] = []
    rows, notes = [], []
    for row, (name, look) in enumerate(STATES.items()):
        axis = row_axis(row)
        raw, smooth = view.column(f"p_{name}"), view.column(f"s_{name}")
        spread = _local_spread(raw - smooth, max(3, round(10 / shared.step_s)))
        times, values = view.thinned(np.stack([smooth, smooth - spread, smooth + spread], axis=1))
        traces += view.unusable_traces(axis)
        traces += view.dots(raw, look.color, axis)
        edges = np.clip(values[:, 1:], 0, 1)
        traces += band(times, edges[:, 0], edges[:, 1], with_alpha(look.color, BAND_OPACITY), axis)
        curve = line(times, values[:, 0], look.color, 1.8, axis)
        curve["customdata"] = rounded(values[:, 0])
        curve["hovertemplate"] = f"apparent {name}: about %{{customdata}}\u202f%<extra></extra>"
        traces.append(curve)
        rows.append((axis, 92, dict(PERCENT)))
        notes.append(row_title(axis, f"apparent {name}", look.color))
    return _json(traces, {**rows_layout(rows, shared.length_s), "annotations": notes})


def expressions_figure(table: pd.DataFrame, expressions: Sequence[str], shared: Axis) -> str | None:
    """Thin areas above one another, one per expression that the model in use can name."""
    shown = [(c, f"s_{c}", color) for c, color in EXPRESSION_COLORS.items() if c in expressions]
    return _areas(_View(table, shared), shown)


def further_figure(table: pd.DataFrame, head: str, classes: Sequence[str], shared: Axis) -> str | None:
    """The same of the classes of a further head."""
    shown = [(c, f"s_{head}_{c}", _class_color(i)) for i, c in enumerate(classes)]
    return _areas(_View(table, shared), shown)


def _areas(view: _View, shown: Sequence[tuple[str, str, str]]) -> str | None:
    """Thin areas above one another: (class, its column, colour) each."""
    if not view.usable:
        return None
    times, values = view.thinned(np.stack([view.column(name) for _, name, _ in shown], axis=1))
    traces: list[dict[str, Any]] = []
    rows, notes = [], []
    for row, (name, _, color) in enumerate(shown):
        axis = row_axis(row)
        area = line(times, values[:, row], color, 1.2, axis)
        area["customdata"] = rounded(values[:, row])
        area["hovertemplate"] = f"apparent {_plain(name)}: about %{{customdata}}\u202f%<extra></extra>"
        fill = band(times, np.zeros(len(times)), values[:, row], lighter(color), axis)
        traces += [*view.unusable_traces(axis), *fill, area]
        rows.append((axis, 34, _scale(row)))
        notes.append(row_title(axis, _plain(name), color))
    return _json(traces, {**rows_layout(rows, view.shared.length_s), "annotations": notes})


def heads_figure(curves: Mapping[str, Any], duration_s: float) -> str | None:
    """The class's means of a further head's classes with their bands, a row each.

    Args:
        curves: of a head in the ``heads`` part of summary.json.

    Returns:
        JSON of the figure, None when nobody's picture could ever be used.
    """
    times, n_used = curve_of(curves, "time_s"), curve_of(curves, "n_used")
    if not len(times) or not np.nanmax(n_used) > 0:
        return None
    middle = times + float(curves.get("step_s") or 1.0) / 2
    traces: list[dict[str, Any]] = []
    rows, notes = [], []
    for row, name in enumerate(curves["mean"]):
        axis, color = row_axis(row), _class_color(row)
        mean, low, high = (curve_of(curves[end], name) for end in ("mean", "low", "high"))
        enough = n_used >= FEW_PEOPLE
        edges = np.where(enough, low, np.nan), np.where(enough, high, np.nan)
        # Thin without a band where few people are; a single point has no line, so each is a dot as well.
        curve = line(middle, mean, color, 1.6 if enough.any() else 1.0, axis)
        curve |= {"mode": "lines+markers", "marker": {"size": 2.5, "color": color}}
        curve["customdata"] = np.stack([rounded(mean), n_used], axis=1)
        curve["hovertemplate"] = (
            f"apparent {_plain(name)}: about %{{customdata[0]}}\u202f%, n = %{{customdata[1]}}<extra></extra>"
        )
        traces += [*band(middle, *edges, with_alpha(color, BAND_OPACITY), axis), curve]
        rows.append((axis, 46, _scale(row)))
        notes.append(row_title(axis, _plain(name), color))
    return _json(traces, {**rows_layout(rows, duration_s), "annotations": notes})


def _scale(row: int) -> dict[str, Any]:
    """Of one of many rows: as often the same scale would only be noise."""
    ticks = ["0", "100\u202f%"] if row == 0 else ["", ""]
    return {**PERCENT, "tickvals": [0, 1], "ticktext": ticks}


def _class_color(place: int) -> str:
    return CLASS_COLORS[place % len(CLASS_COLORS)]


def _plain(name: str) -> str:
    """A class's name where plotly would read mark-up and placeholders."""
    from markupsafe import escape

    return str(escape(name)).replace("%{", "%&#123;")


def head_figure(table: pd.DataFrame, shared: Axis) -> str | None:
    """Where the head pointed, and how usable the picture of the face was."""
    view = _View(table, shared)
    if not len(view.times):
        return None
    columns = ("yaw_deg", "pitch_deg", "quality")
    times, values = view.thinned(np.stack([view.column(c) for c in columns], axis=1))
    words = ("turned (+: to the right of the picture)", "raised (+) or lowered (−)")
    traces: list[dict[str, Any]] = []
    for k, dash in ((0, "solid"), (1, "3px,2px")):
        curve = line(times, values[:, k], GREY if k else "#5B6470", 1.5, row_axis(k))
        curve["hovertemplate"] = f"head {words[k]}: %{{y:+.0f}}°<extra></extra>"
        curve["line"]["dash"] = dash
        traces.append(curve)
    quality = line(times, values[:, 2], "#5B6470", 1.2, "y3")
    quality["hovertemplate"] = "quality %{y:.1f}<extra></extra>"
    below = band(times, np.zeros(len(times)), values[:, 2], with_alpha(GREY, 0.25), "y3")
    traces += [*view.unusable_traces("y3"), *below, quality]
    degrees = {"range": [-80, 80], "tickvals": [-45, 0, 45], "ticktext": ["−45°", "0°", "45°"]}
    rows = [
        ("y", 62, dict(degrees)),
        ("y2", 62, dict(degrees)),
        ("y3", 50, {**PERCENT, "tickvals": [0, 1], "ticktext": ["0", "1"]}),
    ]
    notes = [
        row_title("y", "head turned (up: to the right of the picture)"),
        row_title("y2", "head raised (up) or lowered"),
        row_title("y3", f"quality of the picture (used from {shared.min_quality:g})"),
    ]
    least = shared.min_quality
    limit = {"type": "line", "xref": "paper", "yref": "y3", "x0": 0, "x1": 1, "y0": least, "y1": least}
    limit |= {"line": {"color": GREY, "width": 1, "dash": "dot"}}
    return _json(traces, {**rows_layout(rows, shared.length_s), "annotations": notes, "shapes": [limit]})


class _View:
    """One person's rows, with what all rows of a figure share."""

    def __init__(self, table: pd.DataFrame, shared: Axis) -> None:
        self._table = table
        self.shared = shared
        self.times: Floats = table["time_s"].to_numpy(np.float64)
        self._quality = self.column("quality")
        self._unusable: NDArray[np.bool_] = table["observed"].to_numpy(bool) & ~(
            self._quality >= shared.min_quality
        )
        self._unusable |= table["frozen"].to_numpy(bool)
        self.usable = bool(np.isfinite(self.column("s_engagement")).any())

    def column(self, name: str) -> Floats:
        return self._table[name].to_numpy(np.float64, na_value=np.nan)

    def thinned(self, values: Floats) -> tuple[Floats, Floats]:
        """Few enough points for a screen; an empty one wherever rows are missing."""
        return thin(*with_gaps(self.times, values, LONGEST_STEPS * self.shared.step_s))

    def unusable_traces(self, axis: str) -> list[dict[str, Any]]:
        """Hatched grey where the picture was too poor to use, or stood still."""
        parts = fewer(spans(self.times, self._unusable, self.shared.step_s), self.shared.length_s)
        if not parts:
            return []
        x = np.array([[a, a, b, b, np.nan] for a, b in parts]).ravel()
        y = np.tile([0.0, 1.0, 1.0, 0.0, np.nan], len(parts))
        trace = line(x, y, GREY, 0, axis)
        pattern = {"shape": "/", "fgcolor": GREY, "fgopacity": 0.6, "size": 6, "solidity": 0.12}
        return [
            {
                **trace,
                "fill": "tozeroy",
                "fillcolor": "rgba(0,0,0,0)",
                "fillpattern": pattern,
                "hoverinfo": "skip",
            }
        ]

    def dots(self, raw: Floats, color: str, axis: str) -> list[dict[str, Any]]:
        """Raw estimates, faint; grey where nothing is claimed of them."""
        out = []
        known = np.flatnonzero(np.isfinite(raw))
        known = known[pick(len(known))]  # of both kinds together, so that neither looks denser than it is
        for unusable in (True, False):
            rows = known[self._unusable[known] == unusable]
            if not len(rows):
                continue
            dot = {"size": 2.6, "color": with_alpha(GREY if unusable else color, 0.32)}
            points = line(self.times[rows], raw[rows], color, 0, axis)
            out.append({**points, "mode": "markers", "marker": dot, "hoverinfo": "skip"})
        return out


def _local_spread(residual: Floats, width: int) -> Floats:
    """Standard deviation of raw around smoothed within ``width`` samples; NaN where nothing is known."""
    known = np.isfinite(residual)
    kernel = np.ones(min(width, len(residual)))
    square = np.convolve(np.where(known, residual, 0.0) ** 2, kernel, "same")
    n = np.convolve(known.astype(float), kernel, "same")
    return np.where(known, np.sqrt(square / np.maximum(n, 1)), np.nan)


def _json(traces: Sequence[dict[str, Any]], layout: dict[str, Any]) -> str:
    """JSON of a checked figure; arrays travel as base64 of their numbers."""
    import plotly.graph_objects as go
    from plotly.io import to_json

    text = to_json(go.Figure(data=list(traces), layout=layout), engine="json")
    assert text is not None
    return text


def script_name() -> str:
    """File name of the script that draws the figures."""
    from importlib.metadata import version

    return f"plotly-{version('plotly')}.min.js"


def script_text() -> str:
    """That script, from the installed package."""
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()
