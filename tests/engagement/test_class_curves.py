"""Figures of a session by hand: steps of the curves, the band over people, who is visible, shares of expressions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from engagement.labels import EXPRESSIONS, LEARNER_STATES
from engagement.timelines.curves import class_curves, expression_share, halfwidths, visibility


def rows(scores: dict[str, list[float]], step_s: float = 0.5) -> pd.DataFrame:
    """Engagement of people from the beginning on, NaN where they cannot be read; the other states are always 0.2."""
    people = []
    for person, values in scores.items():
        of = {f"s_{state}": np.where(np.isnan(values), np.nan, 0.2) for state in LEARNER_STATES.classes}
        of |= {"time_s": np.arange(len(values)) * step_s, "frame_index": np.arange(len(values))}
        people.append(pd.DataFrame(of | {"person_id": person, "observed": True, "s_engagement": values}))
    return pd.concat(people, ignore_index=True)


@pytest.mark.parametrize(
    ("times", "step_s", "n"),
    [
        (np.arange(50) * 0.2, 1.0, 10),  # to 9.8 s
        (np.arange(51) * 0.2, 1.0, 11),  # to 10 s, with which an eleventh second begins
        (np.arange(2001) * 0.5, 3.0, 334),  # 1000 s: no more than 400 steps
        (np.arange(20) * 3.0, 6.0, 10),  # two samples in each
        (np.arange(5) * 0.6, 2.0, 2),  # of whole seconds
        (np.array([0.0, 0.8]), 2.0, 1),
        (np.array([0.0, 0.5, 1.0, 30.0, 30.5, 31.0]), 1.0, 32),  # a pause makes them no longer
        (np.array([0.0]), 1.0, 1),
        (np.zeros(0), 1.0, 0),
    ],
)
def test_steps_are_whole_seconds_and_few(times: np.ndarray, step_s: float, n: int) -> None:
    curves = class_curves(rows({"P01": [0.5]}), times)
    assert curves["step_s"] == step_s
    assert curves["time_s"] == (np.arange(n) * step_s).tolist()
    for name in ("n_visible", "n_used", *LEARNER_STATES.classes):
        assert len(curves[name]) == n, name


def test_the_band_is_student_s_interval_over_people() -> None:
    assert halfwidths([1, 2, 3, 11]) == pytest.approx([np.nan, 12.706, 4.303, 2.228], abs=1e-3, nan_ok=True)
    nan = float("nan")
    table = rows(
        {
            "P01": [0.4, 0.4, 0.3, 0.5, 0.9, 0.9],
            "P02": [0.3, 0.7, 0.5, 0.5, nan, nan],
            "P03": [0.6, nan, nan, nan, nan, nan],
        }
    )
    table.loc[(table["person_id"] == "P03") & (table["time_s"] >= 2), "observed"] = False
    curves = class_curves(table, np.arange(8) * 0.5)
    assert curves["n_visible"] == [3, 3, 2, 0] and curves["n_used"] == [3, 2, 1, 0]
    # Means of 0.4, 0.5 and 0.6: 0.1 apart on average, so 4.303 x 0.1 / sqrt(3) to either side.
    assert curves["engagement"] == [0.5, 0.45, 0.9, None]
    assert curves["engagement_lo"][0] == pytest.approx(0.5 - 0.2484, abs=1e-4)
    assert curves["engagement_hi"][0] == pytest.approx(0.5 + 0.2484, abs=1e-4)
    # Of 0.4 and 0.5: 12.706 x 0.0707 / sqrt(2), cut off at the end of the scale.
    assert (curves["engagement_lo"][1], curves["engagement_hi"][1]) == (0.0, 1.0)
    assert (curves["engagement_lo"][2], curves["engagement_hi"][2]) == (None, None)
    assert curves["boredom_lo"][:2] == curves["boredom_hi"][:2] == [0.2, 0.2]  # all alike


def test_who_is_visible_is_counted_by_frames() -> None:
    table = rows({"P01": [0.5] * 4, "P02": [0.5] * 3, "P03": [0.5] * 2})
    table.loc[(table["person_id"] == "P01") & (table["frame_index"] == 3), "observed"] = False
    # 3, 3, 2 and 0 people in four of the six frames.
    assert visibility(table, 6) == {"coverage": 0.5, "mean_visible": 1.33, "max_visible": 3}
    assert visibility(table, 0)["coverage"] == 0.0


def test_shares_of_expressions_are_means_of_what_was_read() -> None:
    table = pd.DataFrame({f"s_{c}": [0.0, 0.0, np.nan] for c in EXPRESSIONS.classes})
    table["s_happy"], table["s_sad"] = [1.0, 0.5, np.nan], [0.0, 0.5, np.nan]
    share = expression_share(table)
    assert (share["happy"], share["sad"]) == (0.75, 0.25) and sum(share.values()) == 1
    assert list(share) == list(EXPRESSIONS.classes)
    assert expression_share(table[2:]) == {}
