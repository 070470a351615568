"""The figure of the class: what its lines show, and that one of them speaks at a time."""

from __future__ import annotations

import json

import numpy as np

from engagement.reports import theme
from engagement.reports.drawing import ORIGIN_MS, rounded_outwards
from engagement.reports.figures import session_figure
from tests.engagement.test_reports import numbers


def test_the_class_curve_is_thin_where_few_people_are() -> None:
    n = 20
    used = np.where(np.arange(n) < 10, 5, 2)
    part = {"step_s": 1.0, "time_s": list(range(n)), "n_used": used.tolist(), "n_visible": used.tolist()}
    for state in theme.STATES:
        part |= {state: [0.5] * n, f"{state}_lo": [0.4] * n, f"{state}_hi": [0.6] * n}
    figure = json.loads(session_figure(part, 20.0, []) or "")
    told = [t for t in figure["data"] if t.get("hovertemplate", "").startswith("apparent engagement")]
    few, full = (next(t for t in told if ("only" in t["hovertemplate"]) is thin) for thin in (True, False))
    assert np.isfinite(numbers(full["y"])).tolist() == [True] * 10 + [False] * 10
    assert (
        np.isfinite(numbers(few["y"])).tolist() == [False] * 10 + [True] * 10
    )  # one of them speaks, never both
    joined = next(t for t in figure["data"] if t["line"]["width"] == 1.4)
    assert np.isfinite(numbers(joined["y"])).tolist() == [False] * 9 + [True] * 11
    assert joined["hoverinfo"] == "skip" and full["line"]["width"] == 2.6
    assert {t["meta"] for t in told} == {"engagement"}  # the script moves the label of that name on zooming
    (band, *_) = [t for t in figure["data"] if t.get("fill") == "toself"]
    assert np.nanmax((numbers(band["x"]) - ORIGIN_MS) / 1000) < 10.5


def test_an_interval_is_never_told_narrower_than_it_is() -> None:
    low, high = rounded_outwards(np.array([0.594, 0.6, 0.0, np.nan]), np.array([0.606, 0.65, 1.0, np.nan]))
    assert np.nan_to_num(low, nan=-1).tolist() == [55, 60, 0, -1]
    assert np.nan_to_num(high, nan=-1).tolist() == [65, 65, 100, -1]


def test_hovering_tells_how_many_people_were_there_at_the_same_time() -> None:
    """Points nearest to the pointer speak: those of the people must lie where those of the states do."""
    used = [5, 3, 4, 6]
    part = {"step_s": 2.0, "time_s": [0.0, 2.0, 4.0, 6.0], "n_used": used, "n_visible": [n + 1 for n in used]}
    for state in theme.STATES:
        part |= {state: [0.5] * 4, f"{state}_lo": [0.4] * 4, f"{state}_hi": [0.6] * 4}
    traces = json.loads(session_figure(part, 8.0, []) or "")["data"]
    (state, *_) = [t for t in traces if t.get("hovertemplate", "").startswith("apparent engagement")]
    for name, more in (("visible", 1), ("used", 0)):
        (people,) = [t for t in traces if t.get("hovertemplate", "").startswith(f"people {name}: ")]
        seconds = (numbers(people["x"]) - ORIGIN_MS) / 1000
        assert seconds.tolist() == [0.0, 1.0, 3.0, 5.0, 7.0, 8.0] and people["line"]["shape"] == "hvh"
        assert numbers(people["x"])[1:-1].tolist() == numbers(state["x"]).tolist()
        assert numbers(people["y"]).tolist() == [n + more for n in (5, *used, 6)]
