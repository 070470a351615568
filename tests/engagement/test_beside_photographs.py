"""Photographs beside somebody: of them nothing is read, so they are no people to count where curves are spoken of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from engagement.reports.render import render_index, render_session
from engagement.reports.sentences import session_sentence
from engagement.timelines.curves import class_curves
from engagement.timelines.presence import counts
from engagement.timelines.session_summary import SessionSummary
from tests.engagement.report_data import fabricate, summary_of, write_folder, write_run


def rising(n: int, *photographs: str) -> dict[str, Any]:
    """A session of four minutes: everybody's engagement rises in the middle, but for those who are photographs."""
    data = fabricate(n, 240)
    rows, persons, rng = data["timeline"], data["persons"], np.random.default_rng(0)
    still, scores = rows["person_id"].isin(photographs), [c for c in rows if c.startswith("s_")]
    known = rows["s_engagement"].notna()
    rows[["s_boredom", "s_confusion", "s_engagement"]] = 0.3 + 0.02 * rng.normal(size=(len(rows), 3))
    rows["s_engagement"] += np.where(rows["time_s"] >= 100, 0.4, 0.0)
    rows.loc[still | ~known, scores] = np.nan
    rows.loc[still & rows["observed"], "frozen"] = True
    photograph = persons["person_id"].isin(photographs)
    persons.loc[photograph, "n_used"] = 0
    persons.loc[photograph, "frozen_s"] = persons.loc[photograph, "observed_s"]
    return data


def pages(root: Path, data: dict[str, Any]) -> tuple[str, str]:
    """Of the session and of the index, as text."""
    summary = summary_of(data, "a.mp4") | counts(data["persons"])
    write_folder(root / "a", data, summary | {"class": class_curves(data["timeline"], data["times"])})
    page = render_session(root / "a", root, {})[0].read_text(encoding="utf-8")
    write_run(root, [{"input": "a.mp4", "output": "a", "status": "ok"}])
    return page, render_index(root).read_text(encoding="utf-8")


def test_a_photograph_beside_somebody_is_no_person_to_count(tmp_path: Path) -> None:
    page, index = pages(tmp_path, rising(2, "P02"))
    assert "One moment stood out" in page and ">The person who could be read for long</h2>" in page
    (lead,) = re.findall(r'<p class="lead">(.*?)</p>', page)
    assert "2 people were found" in lead
    assert "the one person who could be read for long looked more engaged" in lead
    assert "</a> apparent engagement rose." in lead
    assert index.count('stroke="var(--engagement)" stroke-width="1.6"') == 1


def test_a_face_that_a_slide_shows_for_a_moment_takes_nothing_from_the_lecture(tmp_path: Path) -> None:
    data = rising(2)
    rows, persons = data["timeline"], data["persons"]
    first = rows.loc[rows["person_id"] == "P02", "time_s"].min()
    data["timeline"] = rows[(rows["person_id"] == "P01") | (rows["time_s"] < first + 4)].reset_index(
        drop=True
    )
    persons.loc[persons["person_id"] == "P02", "n_used"] = 20
    page, index = pages(tmp_path, data)
    assert "One moment stood out" in page and ">The person who could be read for long</h2>" in page
    assert index.count('stroke="var(--engagement)" stroke-width="1.6"') == 1


def test_of_photographs_alone_there_is_no_curve(tmp_path: Path) -> None:
    page, index = pages(tmp_path, rising(2, "P01", "P02"))
    assert "in which the same person can be read" in page
    assert "No curve" in page and "no curve of two people here: see its page" in index


def test_whoever_is_hidden_says_nothing_of_the_photograph_that_is_left(tmp_path: Path) -> None:
    data = rising(2, "P02")
    data["persons"].loc[data["persons"]["person_id"] == "P01", "shown"] = False
    rows, shown = data["timeline"], data["timeline"]["person_id"] == "P02"
    curves = class_curves(rows[shown], data["times"])
    write_folder(
        tmp_path / "a", data, summary_of(data, "a.mp4") | counts(data["persons"]) | {"class": curves}
    )
    page = render_session(tmp_path / "a", tmp_path, {})[0].read_text(encoding="utf-8")
    assert "picture moved. Of photographs" in page and "--min-quality 0.2" not in page


def test_beside_a_photograph_three_people_are_a_class(tmp_path: Path) -> None:
    data = rising(4, "P04")
    page, _ = pages(tmp_path, data)
    assert "more than differences between people explain" in page
    assert counts(data["persons"]) == {"n_persons": 4, "n_shown": 4, "n_read": 3}


def test_a_result_that_does_not_tell_who_was_read_counts_who_is_shown() -> None:
    data = rising(1)
    summary = summary_of(data, "a.mp4")
    assert "the person looked more engaged" in session_sentence(SessionSummary(summary))
    assert "the person looked more engaged" in session_sentence(
        SessionSummary(summary | counts(data["persons"]))
    )


def test_the_page_says_how_whoever_is_seen_briefly_is_left_out(tmp_path: Path) -> None:
    """Photographs on slides are read where they are shown for seconds alone, and make a class of one person."""
    data = rising(2)
    advice = "<code>engagement report OUT --min-presence 10%</code> leaves out"
    assert advice not in pages(tmp_path, data)[0]
    data["persons"].loc[data["persons"]["person_id"] == "P02", "session_share"] = 0.02
    assert advice in pages(tmp_path, data)[0]
