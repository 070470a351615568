"""Moments of one or two people, each alone: whose they are, and how often they are none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.moments import curves, session, wandering
from engagement.labels import LEARNER_STATES
from engagement.reports.drawing import moment_marks
from engagement.reports.moment_sentences import moment_text, nothing_stood_out, stood_out
from engagement.reports.render import render_session
from engagement.timelines.curves import class_curves, person_curves
from engagement.timelines.moments import MAX_MOMENTS, find_own_moments
from engagement.timelines.presence import counts
from tests.engagement.report_data import fabricate, portraits, summary_of, write_folder

_NAMES = {"P01": "Ana", "P02": "Ben"}


def of_one(**shifts: tuple[int, float]) -> dict[str, Any]:
    """Of one person, almost still: state -> from which of 400 steps on it is by how much higher."""
    estimates = 0.4 + 0.02 * wandering(np.random.default_rng(0), 400, 2)
    for state, (at, by) in shifts.items():
        estimates[LEARNER_STATES.classes.index(state), at:] += by
    return curves(estimates, 9.0)


def test_each_of_two_people_has_moments_that_are_told_with_whose_they_are() -> None:
    people = {
        "P01": of_one(engagement=(120, 0.3)),
        "P02": of_one(boredom=(150, 0.35), engagement=(300, -0.2)),
    }
    found = find_own_moments(people, ("boredom",))
    assert [(m.person, m.shifts[0].state) for m in found] == [
        ("P01", "engagement"),
        ("P02", "boredom"),
        ("P02", "engagement"),
    ]
    assert [text for _, text in stood_out(found, _NAMES)[1]] == [
        "apparent engagement of Ana rose",
        "apparent boredom of Ben rose (a weak estimate)",
        "apparent engagement of Ben fell",
    ]
    assert moment_text(found[0], _NAMES).startswith("Ana: apparent engagement rose from about 40 to about 70")
    assert moment_text(found[0]).startswith("apparent engagement rose")


def test_it_is_the_same_state_of_the_same_person() -> None:
    found = find_own_moments({"P01": of_one(boredom=(120, 0.3)), "P02": of_one(boredom=(240, 0.3))})
    assert [text for _, text in stood_out(found, _NAMES)[1]] == [
        "apparent boredom of Ana rose",
        "apparent boredom of Ben rose",
    ]


def test_of_two_people_the_largest_are_kept() -> None:
    estimates = np.full((3, 400), 0.1)
    for i, at in enumerate(range(60, 360, 60)):
        estimates[i % 3, at:] += 0.2
    found = find_own_moments({"P01": curves(estimates, 9.0), "P02": curves(2 * estimates, 9.0)})
    assert [sum(m.person == person for m in found) for person in ("P01", "P02")] == [3, 5]
    assert len(found) == MAX_MOMENTS
    assert [m.time_s for m in found] == sorted(m.time_s for m in found)


@pytest.mark.parametrize("slow", [0.1, 1.0, 5.0])
def test_of_sessions_of_two_in_which_nothing_changed_few_have_moments(slow: float) -> None:
    rng = np.random.default_rng(1)
    assert sum(any(session(rng, 120, 1.0, 0.15, slow, 0.0)) for _ in range(100)) <= 4


def test_curves_of_one_person_lie_in_the_steps_of_the_class() -> None:
    data = fabricate(3, 90)
    rows, times = data["timeline"], data["times"]
    whole = class_curves(rows, times)
    own = rows[rows["person_id"] == "P02"]
    alone = person_curves(own, whole)
    assert alone["time_s"] == whole["time_s"]
    assert alone == class_curves(own, times)
    assert person_curves(own, {}) == class_curves(own, times[:0])


def test_numbers_of_moments_that_nearly_coincide_stand_beside_each_other() -> None:
    lines, numbers = moment_marks([100.0, 101.0, 300.0], 600.0)
    assert len(lines) == 3
    assert [number["text"] for number in numbers] == ["1, 2", "3"]


def test_why_one_or_two_people_have_none() -> None:
    calm, unread = of_one(), curves(np.full((3, 400), np.nan), 9.0)
    unread |= {state: [None] * 400 for state in LEARNER_STATES.classes}
    assert "far more than usual for this person" in nothing_stood_out(calm, (), [calm])
    assert "far more than usual for either person" in nothing_stood_out(calm, (), [calm, calm])
    assert "usual for the one person of whom enough is known" in nothing_stood_out(calm, (), [unread, calm])
    assert "in which the person can be read" in nothing_stood_out(unread, (), [unread])
    assert "in which the same person can be read" in nothing_stood_out(unread, (), [unread, unread])
    short = curves(np.full((3, 40), 0.4), 1.0)
    assert "Too short" in nothing_stood_out(short, (), [short, short])


def write_session(root: Path, data: dict[str, Any], pictures: bool = True) -> str:
    """The page of a fabricated session, as text."""
    shown = data["timeline"]["person_id"].isin(data["persons"].loc[data["persons"]["shown"], "person_id"])
    summary = summary_of(data, "a.mp4") | {"class": class_curves(data["timeline"][shown], data["times"])}
    write_folder(root / "a", data, summary | counts(data["persons"]))
    made = portraits(["P01", "P02"], 240) if pictures else {}
    return render_session(root / "a", root, made)[0].read_text(encoding="utf-8")


def shifting(n: int, rises: Mapping[str, float]) -> dict[str, Any]:
    """A session of four minutes: person -> by how much engagement rises in the middle."""
    data = fabricate(n, 240)
    rows, rng = data["timeline"], np.random.default_rng(0)
    for state in LEARNER_STATES.classes:
        values = np.asarray(0.3 + 0.02 * rng.normal(size=len(rows)))
        if state == "engagement":
            values += np.where(rows["time_s"] >= 100, rows["person_id"].map(rises).fillna(0.0), 0.0)
        rows[f"s_{state}"] = np.where(rows[f"s_{state}"].notna(), values, np.nan)
    return data


@pytest.mark.parametrize("pictures", [True, False])
def test_the_page_of_two_people_says_whose_moment_it_is(tmp_path: Path, pictures: bool) -> None:
    data = shifting(2, {"P01": 0.4})
    data["persons"].loc[0, "name"] = "<b>Ana"
    page = write_session(tmp_path, data, pictures)
    (lead,) = re.findall(r'<p class="lead">(.*?)</p>', page)
    assert "</a> apparent engagement of &lt;b&gt;Ana rose." in lead
    assert "<span>&lt;b&gt;Ana: apparent engagement rose from about 30 to about 70" in page
    (named,) = re.findall(r'(?s)<span class="shifted">(.*?)</span></span></li>', page)
    assert re.findall(r'href="persons/(P\d\d)\.html#t=\d+-\d+"', named) == ["P01"]
    assert named.count("<img") == pictures
    assert "times what is usual for that person from one stretch to the next" in page
    assert "differences between" not in page and "up to five whose" not in page
    assert "’" not in page.split('id="h-moments"')[1].split("</section>")[0]


def test_of_two_people_no_class_and_no_band_is_spoken_of(tmp_path: Path) -> None:
    """The figure has their mean alone, in which half of a moment of one of them shows."""
    data = shifting(3, {"P01": 0.4})
    two = {name: rows[rows["person_id"] != "P03"] for name, rows in data.items() if name != "times"}
    page = write_session(tmp_path, {**two, "times": data["times"]})
    assert ">The two people</h2>" in page
    curves = page.split('id="h-class"')[1].split("</section>")[0]
    assert "half of a shift in one of them" in curves
    assert "The band" not in curves and "bands" not in curves and "the class" not in curves
    data["persons"].loc[data["persons"]["person_id"] == "P03", "n_used"] = 0
    data["timeline"].loc[
        data["timeline"]["person_id"] == "P03", [f"s_{s}" for s in LEARNER_STATES.classes]
    ] = np.nan
    assert ">The two people who could be read for long</h2>" in write_session(tmp_path, data)
    assert ">The class</h2>" in write_session(tmp_path, shifting(3, {"P01": 0.4}))


def test_whoever_is_hidden_has_no_moments(tmp_path: Path) -> None:
    data = shifting(2, {"P01": 0.4})
    data["persons"].loc[0, "shown"] = False
    page = write_session(tmp_path, data)
    assert "usual for this person" in page and "moment stood out" not in page
    assert "P01" not in page
