"""What lines mean for the rows of a timeline: laws that hold for any people and any lines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from engagement.corrections.file import Hide, Line, Merge, Name, OptOut, Split
from engagement.corrections.notation import order
from engagement.corrections.plan import make_plan
from engagement.corrections.rebuild import Samples, rebuild
from engagement.corrections.rebuild import settings as settings_of
from engagement.timelines.columns import raw_scores, smoothed_scores
from engagement.timelines.session_summary import SessionSummary


def spans(count: int) -> st.SearchStrategy[dict[str, list[tuple[int, int]]]]:
    """When people are there, in samples; everybody at least once."""
    one = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 15)), min_size=1, max_size=3)
    return st.fixed_dictionaries({f"P{i + 1:02d}": one for i in range(count)})


def seen_rows(people: dict[str, list[tuple[int, int]]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids, times and frames of the observed rows of a timeline."""
    rows = [
        (name, at)
        for name, parts in people.items()
        for at in sorted({k for a, n in parts for k in range(a, a + n)})
    ]
    at = np.array([k for _, k in rows], np.int64)
    return np.array([name for name, _ in rows], object), at * 0.2, at * 5


SUMMARY: dict[str, Any] = {
    "sampling": {"step_s": 0.2},
    "limits": {"min_quality": 0.3, "state_margin": 0.1},
    "temporal": {"method": "box", "window_s": 1.0, "state_window_s": 2.0, "max_gap_s": 0.6},
}
LINES: st.SearchStrategy[Line] = st.one_of(
    st.builds(Name, st.just(1), st.sampled_from(["P01", "P02", "P03"]), st.sampled_from(["A", "B"])),
    st.builds(
        Merge, st.just(2), st.tuples(st.sampled_from(["P01", "P02", "P03"])), st.sampled_from(["P02", "P04"])
    ),
    st.builds(
        Split,
        st.just(3),
        st.sampled_from(["P01", "P02"]),
        st.floats(0, 11),
        st.sampled_from(["P01", "P02", "P08"]),
        st.sampled_from(["", "P04", "P09"]),
    ),
    st.builds(Hide, st.just(4), st.tuples(st.sampled_from(["P01", "P03"]))),
    st.builds(OptOut, st.just(5), st.tuples(st.sampled_from(["P02", "P03", "P09"]))),
)


@given(spans(3), st.lists(LINES, max_size=6))
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_lines_keep_one_row_per_person_and_time(
    people: dict[str, list[tuple[int, int]]], lines: list[Line]
) -> None:
    source, times, frames = seen_rows(people)
    plan, mistakes = make_plan(lines, source, times, frames)
    pairs = [(p, f) for p, f in zip(plan.label, frames, strict=True) if p]
    assert len(pairs) == len(set(pairs))
    labels = set(plan.label)
    assert set(plan.names) | plan.hidden <= labels
    assert not plan.opted_out & labels - {
        p for line in lines if isinstance(line, Split) for p in (line.second,)
    }
    if not any(isinstance(line, OptOut) for line in lines):
        assert not plan.erases.any()
    if mistakes:
        return
    # What remains after an opt-out plans to the same people.
    left = ~plan.erases
    again, mistakes = make_plan(lines, source[left], times[left], frames[left], plan.record())
    assert not mistakes
    assert again.label.tolist() == plan.label[left].tolist()
    assert again.record() == plan.record()
    assert not again.taken_back


@given(spans(3))
@settings(max_examples=30, deadline=None)
def test_a_merger_holds_the_rows_of_both(people: dict[str, list[tuple[int, int]]]) -> None:
    source, times, frames = seen_rows(people)
    plan, mistakes = make_plan([Merge(1, ("P03",), "P01")], source, times, frames)
    own = {p: set(frames[source == p].tolist()) for p in people}
    if own["P01"] & own["P03"]:
        assert "both are seen at" in mistakes[0].text
        assert plan.label.tolist() == source.tolist()
        return
    assert not mistakes
    figures = ["x1", "y1", "x2", "y2", "detection_score", "yaw_deg", "pitch_deg", "roll_deg", "quality"]
    value = np.array([order(p)[0] / 10 for p in source])
    rows = pd.DataFrame(dict.fromkeys((*figures, *raw_scores(), *smoothed_scores()), value))
    rows["frame_index"], rows["time_s"], rows["person_id"] = frames, times, source
    rows["observed"], rows["followed"], rows["frozen"] = True, False, False
    rows[["head_x1", "head_y1", "head_x2", "head_y2"]] = np.nan
    samples = Samples(np.arange(60) * 0.2, np.arange(60) * 5)
    tables = rebuild(rows, plan.label, {"P01"}, samples, settings_of(SessionSummary(SUMMARY), ()))
    seen: Any = tables.timeline[tables.timeline["observed"]]
    merged = seen[seen["person_id"] == "P01"]
    assert set(merged["frame_index"]) == own["P01"] | own["P03"]
    assert not merged["frame_index"].duplicated().any()
    known = {f: v for f, v, p in zip(frames, value, source, strict=True) if p != "P02"}
    assert np.allclose(merged["p_happy"], [known[f] for f in merged["frame_index"]])
    assert set(seen[seen["person_id"] == "P02"]["frame_index"]) == own["P02"]
    whole = tables.timeline[tables.timeline["person_id"] == "P01"]
    assert np.diff(whole["frame_index"]).tolist() == [5] * (len(whole) - 1)


_AGAIN, _BACK = Split(1, "P01", 1.0, "P01", ""), Merge(2, ("P04",), "P01")
#: What a teacher may find out: from a moment on it is somebody else, who is there under another id, too.
SPLITS: st.SearchStrategy[Line] = st.one_of(
    st.builds(
        Split, st.just(3), st.sampled_from(["P01", "P02"]), st.floats(1, 6), st.just("P01"), st.just("")
    ).map(lambda line: replace(line, first=line.person)),
    st.builds(
        Split, st.just(3), st.just("P02"), st.floats(1, 6), st.just("P02"), st.sampled_from(["P08", "P09"])
    ),
    st.builds(Merge, st.just(4), st.sampled_from([("P04",), ("P08",), ("P09",)]), st.just("P01")),
)


@given(
    spans(3), st.lists(SPLITS, min_size=1, max_size=4), st.sampled_from(["P01", "P02", "P04", "P08", "P09"])
)
@example({"P01": [(0, 15)], "P02": [(0, 1)], "P03": [(0, 1)]}, [_AGAIN, _BACK, _AGAIN], "P01")
@settings(max_examples=200, suppress_health_check=list(HealthCheck), deadline=None)
def test_the_same_lines_mean_the_same_after_somebody_opted_out(
    people: dict[str, list[tuple[int, int]]], lines: list[Line], out: str
) -> None:
    source, times, frames = seen_rows(people)
    lines = [*lines, OptOut(6, (out,))]
    first, mistakes = make_plan(lines, source, times, frames)
    assume(not mistakes)
    left = ~first.erases
    again, wrong = make_plan(lines, source[left], times[left], frames[left], first.record())
    assert not wrong and again.label.tolist() == first.label[left].tolist()
    # Another analysis finds everybody again.
    anew, wrong = make_plan(lines, source, times, frames, again.record())
    assert not wrong and anew.label.tolist() == first.label.tolist()


def test_an_id_that_a_split_had_before_is_given_again_unless_another_line_takes_it() -> None:
    source, times, frames = seen_rows({"P01": [(0, 9)], "P02": [(0, 9)]})
    record = {"splits": [{"person": "P02", "at_s": 1.0, "into": ["P02", "P07"]}]}
    split, other = Split(1, "P02", 1.0, "P02", ""), Split(2, "P01", 1.0, "P01", "P07")
    plan, mistakes = make_plan([split], source, times, frames, record)
    assert not mistakes and plan.splits == [("P02", 1.0, "P02", "P07")]
    plan, mistakes = make_plan([other, split], source, times, frames, record)
    assert not mistakes and plan.splits[1] == ("P02", 1.0, "P02", "P08")


def test_a_merger_refused_stays_refused_when_its_evidence_is_deleted() -> None:
    source, times, frames = seen_rows({"P01": [(0, 2)], "P02": [(0, 1)]})
    lines = [Merge(1, ("P01",), "P02"), OptOut(2, ("P02",))]
    plan, _ = make_plan(lines, source, times, frames)
    left = ~plan.erases
    again, (mistake,) = make_plan(lines, source[left], times[left], frames[left], plan.record())
    assert "cannot be one person" in mistake.text
    assert again.label.tolist() == ["P01", "P01"]


def test_people_sort_by_number() -> None:
    assert sorted(["P10", "P100", "P2", "P09"], key=order) == ["P2", "P09", "P10", "P100"]


def test_people_of_two_names_are_not_merged() -> None:
    source, times, frames = seen_rows({"P02": [(0, 5)], "P03": [(10, 5)]})
    lines = [Name(1, "P02", "Ana"), Name(2, "P03", "Ben"), Merge(3, ("P03",), "P02")]
    plan, mistakes = make_plan(lines, source, times, frames)
    assert [m.line for m in mistakes] == [3] and not plan.regroups
    assert dict(plan.names) == {"P02": "Ana", "P03": "Ben"}


def test_whoever_is_merged_on_counts_as_merged() -> None:
    source = np.array(["P01", "P02", "P03", "P04"], object)
    lines = [Merge(1, ("P04",), "P03"), Merge(2, ("P03",), "P02"), Merge(3, ("P02",), "P01")]
    plan, mistakes = make_plan(lines, source, np.arange(4) * 0.2, np.arange(4))
    assert not mistakes and plan.merged == {"P04": "P01", "P03": "P01", "P02": "P01"}


#: P01 in samples 0 to 9 (0 to 1.8 s), P02 in 20 to 29, P03 beside P01.
SEEN = {"P01": [(0, 10)], "P02": [(20, 10)], "P03": [(0, 10)]}


@pytest.mark.parametrize(
    ("lines", "names", "hidden"),
    [
        ([Name(1, "P02", "Ben"), Merge(2, ("P02",), "P01")], {"P01": "Ben"}, ""),
        ([Name(1, "P02", "A"), Name(2, "P01", "A"), Merge(3, ("P02",), "P01")], {"P01": "A"}, ""),
        ([Name(1, "P01", "Ana"), Split(2, "P01", 1.0, "P08", "P09")], {"P08": "Ana"}, ""),
        ([Name(1, "P01", "Ana"), Split(2, "P01", 1.0, "P01", "P09")], {"P01": "Ana"}, ""),
        ([Name(1, "P01", "Ana"), OptOut(2, ("P01",))], {}, ""),
        ([Hide(1, ("P01",)), Split(2, "P01", 1.0, "P08", "")], {}, "P08 P04"),
        ([Hide(1, ("P02",)), Split(2, "P01", 1.0, "P01", "")], {}, "P02"),
        # No id is given twice, whoever had it.
        ([Merge(1, ("P03",), "P02"), Hide(2, ("P01",)), Split(3, "P01", 1.0, "P01", "")], {}, "P01 P04"),
        ([OptOut(1, ("P03",)), Hide(2, ("P01",)), Split(3, "P01", 1.0, "P01", "")], {}, "P01 P04"),
        ([Hide(1, ("P02",)), Merge(2, ("P02",), "P01")], {}, ""),
        ([Hide(1, ("P01",)), Merge(2, ("P02",), "P01")], {}, "P01"),
        ([Hide(1, ("P02", "P03")), OptOut(2, ("P03",)), Hide(3, ("P03",))], {}, "P02"),
    ],
)
def test_names_and_hiding_follow_their_people(lines: list[Line], names: dict[str, str], hidden: str) -> None:
    plan, mistakes = make_plan(lines, *seen_rows(SEEN))
    assert not mistakes
    assert dict(plan.names) == names and plan.hidden == set(hidden.split())


@pytest.mark.parametrize(
    "line",
    [
        Split(1, "P01", 0.0, "P01", ""),
        Split(1, "P01", 1.9, "P01", ""),
        Split(1, "P01", 1.0, "P01", "P02"),
        Split(1, "P01", 1.0, "P03", ""),
        Hide(1, ("P07",)),
        OptOut(1, ("P07",)),
        Name(1, "P07", "Ana"),
        Merge(1, ("P07",), "P01"),
    ],
)
def test_lines_that_cannot_be_change_nothing(line: Line) -> None:
    source, times, frames = seen_rows(SEEN)
    plan, mistakes = make_plan([line], source, times, frames)
    assert [m.line for m in mistakes] == [1]
    assert plan.label.tolist() == source.tolist() and not plan.record()


def test_a_picture_is_whose_face_it_shows() -> None:
    lines = [Split(1, "P01", 1.0, "P01", "P05"), Merge(2, ("P05",), "P02"), OptOut(3, ("P03",))]
    plan, mistakes = make_plan(lines, *seen_rows(SEEN))
    assert not mistakes and plan.regroups
    # What is seen at the very time of a split is of the later part; a picture lies at or near a sample.
    assert [plan.owner("P01", t) for t in (-1.0, 0.8, 0.89, 0.95, 1.0, 9.0)] == ["P01"] * 3 + ["P02"] * 3
    assert [plan.owner(p, 1.0) for p in ("P02", "P03", "P05")] == ["P02", "", ""]
    for line in (Name(1, "P01", "Ana"), Hide(1, ("P01",)), OptOut(1, ("P01",))):
        assert not make_plan([line], *seen_rows(SEEN))[0].regroups
