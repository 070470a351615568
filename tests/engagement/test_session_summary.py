"""A summary reads whatever a version wrote: what is missing or of another form is nothing, and nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engagement.batch.index import take_up
from engagement.reports.sentences import warnings
from engagement.timelines.presence import PresenceConfig
from engagement.timelines.session_summary import NOTHING, SessionSummary

PARTS = {
    "video": ("file", "width", "duration_s", "complete", "reason"),
    "sampling": ("rate_hz", "step_s", "n_samples", "last_s", "end_s"),
    "limits": ("min_face_px", "min_quality", "state_margin", "wide_margin"),
    "left_out": ("samples",),
    "temporal": ("method",),
    "presence": ("min_s", "min_share"),
    "calibration": ("persons", "state", "problems"),
    "corrections": ("names", "mistakes"),
}
ALONE = (
    "n_persons",
    "n_shown",
    "n_read",
    "coverage",
    "mean_visible",
    "warnings",
    "expressions",
    "numbering",
    "class",
)
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()) | st.just({})
)
READ = [name for name, value in vars(SessionSummary).items() if isinstance(value, property)]


def strange() -> st.SearchStrategy[dict[str, Any]]:
    parts = {
        name: VALUES | st.fixed_dictionaries({}, optional=dict.fromkeys(keys, VALUES))
        for name, keys in PARTS.items()
    }
    return st.fixed_dictionaries({}, optional=parts | dict.fromkeys(ALONE, VALUES))


@given(strange())
def test_a_summary_of_any_form_can_be_read(data: dict[str, Any]) -> None:
    summary = SessionSummary(data)
    for name in READ:
        getattr(summary, name)
    assert all(isinstance(text, str) for text in warnings(summary))
    assert summary.data is data


def test_what_a_summary_does_not_say_stays_in_the_list_of_the_run(tmp_path: Path) -> None:
    video = {"output": "a", "status": "ok", "n_persons": 3, "coverage": 0.9, "n_warnings": 0}
    (tmp_path / "run.json").write_text(json.dumps({"videos": [video]}))
    (tmp_path / "a").mkdir()
    for said in ({}, {"n_persons": 2}, {"coverage": 0.5}):
        (tmp_path / "a" / "summary.json").write_text(json.dumps(said))
        take_up(tmp_path)
        video |= said
        assert json.loads((tmp_path / "run.json").read_text())["videos"] == [video]


def test_one_that_says_nothing_claims_nothing() -> None:
    assert NOTHING.length_s == 0 and NOTHING.n_persons == NOTHING.n_shown == NOTHING.n_behind == 0
    assert NOTHING.coverage is None and NOTHING.limits.state_margin is None and not NOTHING.limits.wide_margin
    assert NOTHING.presence == PresenceConfig() and NOTHING.video.complete and not NOTHING.calibrated


def test_who_is_counted() -> None:
    """Earlier versions told neither who is shown nor who could be read."""
    assert [
        SessionSummary({"n_persons": 5} | more).n_behind for more in ({}, {"n_shown": 4}, {"n_read": 3})
    ] == [5, 4, 3]
    assert SessionSummary({"n_persons": 5, "n_shown": 0}).n_shown == 0


def test_where_a_session_ends() -> None:
    """At the end that the analysis found, else a step after the last sample."""
    told = SessionSummary({"sampling": {"end_s": 9.9, "last_s": 9.8, "step_s": 0.2}}).sampling
    assert told.until_s == 9.9 and told.slow is False
    assert SessionSummary({"sampling": {"last_s": 9.8, "step_s": 0.2}}).sampling.until_s == 10.0
    assert SessionSummary({"sampling": {"last_s": 9.8}}).sampling.until_s is None
    assert SessionSummary({"sampling": {"rate_hz": 5, "step_s": 0.5}}).sampling.slow
