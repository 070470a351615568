"""Moments: real shifts are found, noise and comings and goings are not taken for them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engagement.labels import LEARNER_STATES
from engagement.reports.moment_sentences import least_told, moment_text, stood_out
from engagement.reports.render import render_index, render_session
from engagement.timelines.curves import band_halfwidth, class_curves, halfwidths
from engagement.timelines.moments import (
    MAX_MOMENTS,
    Moment,
    Shift,
    find_moments,
    who_shifted,
    why_none,
    window_s,
)
from tests.engagement.report_data import fabricate, portraits, summary_of, write_folder, write_run


def curves(
    values: dict[str, np.ndarray], half: float = 0.067, n_used: np.ndarray | None = None, step: float = 5.0
):
    """The ``class`` part of a summary from means."""
    n = len(next(iter(values.values())))
    used = np.full(n, 12) if n_used is None else n_used
    out = {"step_s": step, "time_s": (np.arange(n) * step).tolist(), "n_used": used.tolist()}
    for state in LEARNER_STATES.classes:
        mean = values.get(state, np.full(n, 0.4))
        out[state] = [None if not np.isfinite(v) else float(v) for v in mean]
        out[f"{state}_lo"] = [None if v is None else v - half for v in out[state]]
        out[f"{state}_hi"] = [None if v is None else v + half for v in out[state]]
    return out


def step_at(n: int, at: int, before: float, after: float) -> np.ndarray:
    return np.where(np.arange(n) < at, before, after)


def test_finds_a_lasting_shift_where_it_is() -> None:
    found = find_moments(curves({"boredom": step_at(400, 150, 0.3, 0.6)}))
    assert len(found) == 1
    assert found[0].time_s == pytest.approx(150 * 5, abs=10)
    assert [(s.state, round(s.before, 1), round(s.after, 1), s.clear) for s in found[0].shifts] == [
        ("boredom", 0.3, 0.6, True)
    ]
    assert found[0].n_people == 12
    assert not found[0].other_people


def test_a_state_told_little_better_than_chance_needs_twice_the_change() -> None:
    """As it needs twice the lead before it is claimed."""
    small, large = ({"boredom": step_at(400, 150, 0.3, after)} for after in (0.45, 0.55))
    assert len(find_moments(curves(small))) == 1
    assert find_moments(curves(small), ("boredom", "confusion")) == []
    assert len(find_moments(curves(small), ("confusion",))) == 1
    (moment,) = find_moments(curves(large), ("boredom", "confusion"))
    assert moment.shifts[0].weak
    assert (
        "rose from about 30 to about 55\u202f% (a weak estimate): far more than differences between the 12"
        in (moment_text(moment))
    )


def test_the_page_says_by_how_much_each_state_must_shift() -> None:
    assert least_told(()) == "10 points"
    assert least_told(("boredom", "confusion")) == (
        "10 points (20 for boredom and confusion, told little better than chance)"
    )
    assert least_told(LEARNER_STATES.classes) == "20 points"


def test_states_that_shift_together_are_one_moment() -> None:
    both = {"boredom": step_at(400, 150, 0.3, 0.7), "engagement": step_at(400, 150, 0.7, 0.4)}
    (moment,) = find_moments(curves(both))
    assert [s.state for s in moment.shifts] == ["boredom", "engagement"]


@pytest.mark.parametrize("seed", range(5))
def test_noise_of_people_is_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    people = 0.5 + 0.15 * rng.normal(size=(12, 400))
    half = float(halfwidths(12)) * 0.15 / np.sqrt(12)
    assert find_moments(curves({"engagement": people.mean(axis=0)}, half)) == []


def test_a_shift_within_its_uncertainty_is_nothing() -> None:
    assert find_moments(curves({"boredom": step_at(400, 150, 0.3, 0.45)}, half=0.2)) == []


def test_a_band_cut_off_at_the_ends_of_the_scale_is_no_small_uncertainty() -> None:
    """Three people so different that their band covers the whole scale: nobody can say that their mean shifted."""
    times = np.arange(0, 120, 0.5)
    values = np.where(times[:, None] < 60, (0.0, 0.3, 0.9), (0.8, 0.9, 1.0))
    rows = [
        {"time_s": t, "person_id": f"P{i}", "observed": True} | {f"s_{s}": v for s in LEARNER_STATES.classes}
        for t, row in zip(times, values, strict=True)
        for i, v in enumerate(row)
    ]
    part = class_curves(pd.DataFrame(rows), times)
    assert part["boredom_lo"][0] == 0
    assert part["boredom_hi"][0] == 1
    assert find_moments(part) == []
    assert np.isnan(band_halfwidth(0.4, 0.0, 1.0))
    assert band_halfwidth(0.1, 0.0, 0.5) == pytest.approx(0.4)


def test_says_why_there_is_none() -> None:
    flat = {"boredom": np.full(400, 0.4)}
    assert why_none(curves(flat)) == "calm"
    assert why_none(curves(flat, n_used=np.full(400, 2))) == "few"
    assert why_none(curves({"boredom": np.full(16, 0.4)}, step=1.0)) == "short"
    assert why_none({}) == "short"
    # Three people all along, so unlike each other that their band covers the whole scale.
    apart = dict(curves(flat, n_used=np.full(400, 3)))
    for state in LEARNER_STATES.classes:
        apart |= {f"{state}_lo": [0.0] * 400, f"{state}_hi": [1.0] * 400}
    assert why_none(apart) == "unlike"


def test_stretches_have_three_steps_however_rarely_a_video_was_looked_at() -> None:
    assert window_s(curves({"boredom": np.full(10, 0.4)}, step=5.0)) == 15.0
    assert window_s(curves({"boredom": np.full(60, 0.4)}, step=10.0)) == 30.0
    assert window_s(curves({"boredom": np.full(3600, 0.4)}, step=1.0)) == 180.0


def test_a_short_spike_is_nothing() -> None:
    spike = np.full(400, 0.4)
    spike[200:204] = 0.9
    assert find_moments(curves({"boredom": spike})) == []


def test_few_people_and_gaps_give_nothing() -> None:
    shift = {"boredom": step_at(400, 150, 0.3, 0.7)}
    assert find_moments(curves(shift, n_used=np.full(400, 2))) == []
    shift["boredom"][130:170] = np.nan
    assert find_moments(curves(shift)) == []


def of_one(values: np.ndarray, step: float = 1.0) -> dict:
    """The ``class`` part of the summary of a session of one person: no bands."""
    others = dict.fromkeys(("engagement", "confusion"), np.where(np.isfinite(values), 0.4, np.nan))
    part = curves({**others, "boredom": values}, n_used=np.ones(len(values), int), step=step)
    return part | {f"{s}_{end}": [None] * len(values) for s in LEARNER_STATES.classes for end in ("lo", "hi")}


def wandering(seed: int, slow: float, n: int = 400) -> np.ndarray:
    """Estimates of one person that go up and down, as slowly as given, in steps."""
    kick, rng = np.exp(-1 / slow), np.random.default_rng(seed)
    out = np.zeros(n)
    for i in range(1, n):
        out[i] = kick * out[i - 1] + np.sqrt(1 - kick**2) * rng.normal()
    return 0.5 + 0.15 * out


def test_of_one_person_alone_a_lasting_shift_beyond_what_is_usual_is_found() -> None:
    part = of_one(np.where(np.arange(400) < 167, 0, 0.4) + 0.4 * wandering(3, 2), step=9.0)
    (moment,) = find_moments(part, alone=True)
    assert moment.time_s == pytest.approx(1503, abs=60)
    assert moment_text(moment).endswith(": far more than usual from one stretch to the next.")
    assert find_moments(part) == []  # of people one after another it would say nothing
    assert find_moments(part, ("boredom",), alone=True)
    small = of_one(np.where(np.arange(400) < 167, 0.3, 0.45), step=9.0)
    assert find_moments(small, alone=True)
    assert find_moments(small, ("boredom",), alone=True) == []


@pytest.mark.parametrize("slow", [2, 10, 40, 400])
def test_whoever_goes_up_and_down_all_the_time_has_no_moments(slow: float) -> None:
    found = [find_moments(of_one(wandering(seed, slow), step=9.0), alone=True) for seed in range(10)]
    assert sum(map(bool, found)) <= 1
    turning = of_one(0.5 + 0.3 * np.sign(np.sin(np.arange(240) / 3.2)))  # every ten seconds, for four minutes
    assert find_moments(turning, alone=True) == []
    assert why_none(turning, alone=True) == "calm"


def test_of_one_person_too_short_or_seldom_read_nothing_is_compared() -> None:
    shift = of_one(step_at(59, 30, 0.3, 0.8))
    assert (find_moments(shift, alone=True), why_none(shift, alone=True)) == ([], "short")
    assert find_moments(of_one(step_at(60, 30, 0.3, 0.8)), alone=True)
    seldom = np.where(np.arange(400) % 100 < 30, 0.4, np.nan)
    assert why_none(of_one(seldom), alone=True) == "few"


def test_the_page_of_one_person_has_moments_and_the_index_its_curve(tmp_path: Path) -> None:
    data = fabricate(1, 240)
    rows = data["timeline"]
    rows["s_engagement"] = np.where(rows["time_s"] < 120, 0.3, 0.7)
    summary = summary_of(data, "a.mp4") | {"class": class_curves(rows, data["times"]), "n_shown": 1}
    write_folder(tmp_path / "a", data, summary)
    page = render_session(tmp_path / "a", tmp_path, {})[0].read_text(encoding="utf-8")
    assert "One moment stood out" in page
    assert "differences between" not in page
    assert re.search(r'<span class="shifted"><a href="persons/P01\.html#t=\d+-\d+">', page)
    write_run(tmp_path, [{"input": "a.mp4", "output": "a", "status": "ok"}])
    index = render_index(tmp_path).read_text(encoding="utf-8")
    assert index.count('stroke="var(--engagement)" stroke-width="1.6"') == 1


def test_says_when_other_people_may_explain_it() -> None:
    used = np.where(np.arange(400) < 150, 12, 6)
    (moment,) = find_moments(curves({"boredom": step_at(400, 150, 0.3, 0.7)}, n_used=used))
    assert moment.other_people


def test_at_most_eight_apart_and_in_order() -> None:
    blocks = np.repeat(np.tile([0.2, 0.8], 10), 60)
    found = find_moments(curves({"engagement": blocks}))
    times = [m.time_s for m in found]
    assert len(found) == MAX_MOMENTS
    assert times == sorted(times)
    assert np.diff(times).min() >= window_s(curves({"engagement": blocks}))


def test_the_first_sentence_leads_to_the_largest_moments(tmp_path: Path) -> None:
    """Of many the largest three; of none nothing."""
    rise_and_fall = np.repeat([0.3, 0.6, 0.3], 130)
    intro, told = stood_out(find_moments(curves({"boredom": rise_and_fall}), ("boredom",)))
    assert intro == "Two moments stood out"
    assert [text for _, text in told] == ["apparent boredom rose (a weak estimate)", "it fell"]
    many = {"boredom": np.repeat([0.3, 0.6, 0.3, 0.7, 0.2], 80)}
    intro, told = stood_out(find_moments(curves(many)))
    assert intro == "Four moments stood out, the largest of them"
    assert len(told) == 3
    assert [round(m.time_s) for m, _ in told][1:] == [1200, 1600]
    assert stood_out([]) == ("", [])

    data = fabricate(3, 60)
    summary = summary_of(data, "a.mp4") | {"class": curves({"boredom": rise_and_fall}, step=60 / 390)}
    write_folder(tmp_path / "a", data, summary)
    page = render_session(tmp_path / "a", tmp_path, {})[0].read_text(encoding="utf-8")
    (lead,) = re.findall(r'<p class="lead">(.*?)</p>', page)
    assert re.search(
        r'Two moments stood out: <a href="#t=\d+-\d+">0:20</a> apparent boredom rose, <a href="#t=\d+-\d+">0:40</a> it fell\.$',
        lead,
    )


def _timeline(changes: dict[str, tuple[float, float]]) -> dict[str, pd.DataFrame]:
    """Boredom of people before and after 60 s of 120 s, twice a second; NaN where nobody could be read."""
    times = np.arange(0, 120, 0.5)
    return {
        person: pd.DataFrame({"time_s": times, "s_boredom": np.where(times < 60, before, after)})
        for person, (before, after) in changes.items()
    }


def test_those_are_named_who_shifted_themselves_in_order_of_appearance() -> None:
    moment = Moment(60.0, 0.0, 120.0, (Shift("boredom", 0.4, 0.6, True),), 5, False)
    tables = _timeline({"P01": (0.4, 0.55), "P02": (0.4, 0.41), "P03": (0.6, 0.3), "P04": (0.2, 0.7)})
    tables |= _timeline({"P05": (np.nan, 0.7)})
    assert who_shifted(moment, tables, 0.5) == ["P01", "P04"]
    assert who_shifted(moment, tables, 0.5, most=1) == ["P04"]
    assert who_shifted(moment, tables, 0.1) == []  # a fifth of the stretches alone is known
    weak = Moment(60.0, 0.0, 120.0, (Shift("boredom", 0.4, 0.6, True, True),), 5, False)
    assert who_shifted(weak, tables, 0.5) == ["P04"]
    fell = Moment(60.0, 0.0, 120.0, (Shift("boredom", 0.6, 0.4, True),), 5, False)
    assert who_shifted(fell, tables, 0.5) == ["P03"]


@pytest.mark.parametrize("pictures", [True, False])
def test_faces_at_a_moment_are_pictures_that_exist_and_lead_there(tmp_path: Path, pictures: bool) -> None:
    data = fabricate(3, 60)
    rows = data["timeline"]
    rows["s_boredom"] = np.where(rows["time_s"] < 30, 0.2, 0.8)
    data["persons"].loc[0, "name"] = "<b>Ana"
    summary = summary_of(data, "a.mp4") | {"class": class_curves(rows, data["times"])}
    write_folder(tmp_path / "a", data, summary)
    made = portraits(["P01", "P02", "P03"], 60) if pictures else {}
    page = render_session(tmp_path / "a", tmp_path, made)[0].read_text(encoding="utf-8")
    (named,) = re.findall(r'(?s)<span class="shifted">(.*?)</span></span></li>', page)
    assert set(re.findall(r'href="persons/(P\d\d)\.html#t=\d+-\d+"', named)) <= {"P01", "P02", "P03"}
    assert "&lt;b&gt;Ana" in named and "<b>" not in named
    assert named.count("<img") == (named.count("<a ") if pictures else 0)
    assert named.count("<a ") >= 2


@pytest.mark.parametrize(
    "broken", [{}, {"time_s": []}, {"time_s": [0, 1], "n_used": [3]}, {"time_s": [0, 1], "n_used": [3, 3]}]
)
def test_missing_parts_give_nothing(broken: dict) -> None:
    assert find_moments(broken) == []
