"""Pieces that figures are drawn from: lines, bands, labels, and rows over one axis of time.

Plain dictionaries in plotly's terms; ``figures`` has them checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engagement.reports.theme import GREY, with_alpha
from engagement.types import Floats

#: Time zero of the axis: 10 days after 1970. Plotly reads small whole numbers as years (5000 ms!), and
#: 32-bit whole numbers keep pages small. The page's script knows it, too.
ORIGIN_MS = 864_000_000
_ROW_GAP_PX = 24
_TOP_PX, _BOTTOM_PX = 26, 30
PERCENT = {
    "range": [-0.02, 1.02],
    "tickvals": [0, 0.5, 1],
    "ticktext": ["0\u202f%", "50\u202f%", "100\u202f%"],
}
BAND_OPACITY = 0.17
#: Of the figure's width: what a number above a moment takes.
_NUMBER_SHARE = 0.02


def widened(on: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """With the neighbours of every point, so that the thin line meets the full one."""
    return on | np.append(on[1:], False) | np.insert(on[:-1], 0, False)


def positions(times_s: Floats) -> NDArray[np.generic]:
    """Positions on the time axis; NaN only separates outlines."""
    ms = np.round(times_s * 1000) + ORIGIN_MS
    return ms if np.isnan(ms).any() else ms.astype(np.int32)


def rounded(values: Floats) -> NDArray[np.float32]:
    """Per cent in steps of five, for hovering."""
    return (np.floor(values * 20 + 0.5) * 5).astype(np.float32)


def rounded_outwards(low: Floats, high: Floats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Ends of an interval in the same steps: never narrower than it is, within a trifle."""
    down, up = np.floor(low * 20 + 0.01), np.ceil(high * 20 - 0.01)
    return (down * 5).astype(np.float32), (up * 5).astype(np.float32)


def line(times_s: Floats, values: Floats, color: str, width: float, axis: str = "y") -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": positions(times_s),
        "y": np.round(values, 3).astype(np.float32),
        "yaxis": axis,
        "line": {"color": color, "width": width},
        "connectgaps": False,
    }


def band(times_s: Floats, low: Floats, high: Floats, fill: str, axis: str) -> list[dict[str, Any]]:
    """Closed outlines, one per uninterrupted stretch: plotly's other ways of filling cross gaps."""
    known = np.isfinite(low) & np.isfinite(high)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], known.view(np.int8), [0]])))
    x: list[Floats] = []
    y: list[Floats] = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        x += [times_s[start:end], times_s[start:end][::-1], np.array([np.nan])]
        y += [low[start:end], high[start:end][::-1], np.array([np.nan])]
    if not x:
        return []
    outline = line(np.concatenate(x), np.concatenate(y), fill, 0, axis)
    return [{**outline, "fill": "toself", "fillcolor": fill, "hoverinfo": "skip"}]


def lighter(color: str) -> str:
    return with_alpha(color, 0.55) if color.startswith("#") else color.replace("0.6)", "0.35)")


def pushed_apart(labels: list[tuple[float, str]], distance: float = 0.085) -> list[tuple[float, str]]:
    """Labels at the ends of lines, moved so that none covers another."""
    placed: list[tuple[float, str]] = []
    for at, name in sorted(labels):
        placed.append((max(at, placed[-1][0] + distance) if placed else at, name))
    excess = placed[-1][0] - 0.97 if placed else 0.0
    return [(at - max(excess, 0.0), name) for at, name in placed]


def row_axis(row: int) -> str:
    return "y" if row == 0 else f"y{row + 1}"


def note(xref: str, x: float, yref: str, y: float, text: str) -> dict[str, Any]:
    return {"xref": xref, "x": x, "yref": yref, "y": y, "text": text, "showarrow": False}


def end_label(axis: str, at: float, color: str, text: str) -> dict[str, Any]:
    """Beside the end of a line; the script shows it on wide screens only."""
    shown = f'<span style="color:{color}">■</span> {text}' if color else text
    return {**note("paper", 1, axis, at, shown), "xanchor": "left", "xshift": 6, "name": "end"}


def row_title(axis: str, text: str, color: str = "") -> dict[str, Any]:
    """Above the left end of a row."""
    shown = f'<span style="color:{color}">■</span> {text}' if color else text
    title = note("paper", 0, f"{axis} domain", 1, shown)
    return {**title, "xanchor": "left", "yanchor": "bottom", "name": "row", "yshift": 1}


def rows_layout(rows: Sequence[tuple[str, int, dict[str, Any]]], duration_s: float) -> dict[str, Any]:
    """Rows from top to bottom over one time axis."""
    inner = sum(height for _, height, _ in rows) + _ROW_GAP_PX * (len(rows) - 1)
    end = ORIGIN_MS + max(1, int(duration_s * 1000))
    out: dict[str, Any] = {
        "template": "none",
        "height": inner + _TOP_PX + _BOTTOM_PX,
        "margin": {"l": 46, "r": 104, "t": _TOP_PX, "b": _BOTTOM_PX, "pad": 0},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "dragmode": "zoom",
        "hoverlabel": {"namelength": 0},
        # Dates from 1970 in UTC: the only axis of plotly that labels seconds as a clock.
        "xaxis": {
            "type": "date",
            "range": [ORIGIN_MS, end],
            "minallowed": ORIGIN_MS,
            "maxallowed": end,
            "ticks": "outside",
            "ticklen": 5,
            "tickcolor": "rgba(0,0,0,0)",
            "hoverformat": "%-H:%M:%S" if duration_s >= 3600 else "%-M:%S",
            "anchor": rows[-1][0],
            "showgrid": True,
            "zeroline": False,
            "tickangle": 0,
            "showspikes": True,
            "spikemode": "across",
            "spikethickness": 1,
            "spikedash": "solid",
            "spikecolor": GREY,
        },
    }
    top = inner
    for axis, height, extra in rows:
        out["yaxis" + axis[1:]] = {
            "domain": [max(0.0, (top - height) / inner), min(1.0, top / inner)],
            "anchor": "x",
            "fixedrange": True,
            "zeroline": False,
            "showgrid": True,
            **extra,
        }
        top -= height + _ROW_GAP_PX
    return out


def moment_marks(
    moments: Sequence[float], duration_s: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Lines through all rows at the moments (seconds, rising), and the numbers above them: of two people's moments that
    nearly coincide they stand beside each other."""
    places = [ORIGIN_MS + int(at * 1000) for at in moments]
    told: dict[int, str] = {}
    first = -1
    for number, place in enumerate(places, 1):
        if first < 0 or place - first >= _NUMBER_SHARE * duration_s * 1000:
            first = place
        told[first] = f"{told[first]}, {number}" if first in told else str(number)
    look = {"color": GREY, "width": 1, "dash": "3px,4px"}
    span = {"type": "line", "xref": "x", "yref": "paper", "y0": 0, "y1": 1, "line": look}
    numbers = [note("x", place, "paper", 1, text) for place, text in told.items()]
    return (
        [{**span, "x0": place, "x1": place} for place in places],
        [{**number, "yanchor": "bottom", "name": "moment"} for number in numbers],
    )
