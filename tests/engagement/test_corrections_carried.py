"""Corrections over a new analysis: people keep their ids, opt-outs stay in force, nothing is lost silently."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engagement.corrections.analysis import Corrections
from engagement.corrections.carry import Analysed, Carried
from engagement.corrections.file import OptOut, Video
from engagement.corrections.folder import correct_folder, plan_folder, state_of
from engagement.results import is_of_another
from engagement.timelines.presence import PresenceConfig
from engagement.timelines.session_summary import SessionSummary
from tests.engagement.corrected_sessions import PEOPLE, observations, tables_of, write_result

SAME, OTHER = {"settings": "one"}, {"settings": "two"}
#: The analysis numbers people by first appearance; another one may see them in another order.
RENUMBERED = {"P03": "P01", "P01": "P02", "P04": "P03", "P02": "P04"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An output folder with a result in ``talk``."""
    write_result(tmp_path / "out")
    return tmp_path / "out"


def name(root: Path, text: str) -> Corrections:
    """Put a names file there, and apply it as ``report`` does."""
    (root / "names.txt").write_text(text, encoding="utf-8")
    corrections = Corrections.of(root, root / "talk", "talk.mp4")
    plan, mistakes = plan_folder(root / "talk", corrections.lines)
    assert not mistakes
    correct_folder(root / "talk", root, plan, state=state_of(corrections.lines))
    return corrections


def analysed(seed_of: dict[str, str] | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, records and persons of a new analysis; old id -> id that it would give."""
    times, _, rows, person = observations(PEOPLE, 60.0)
    ids = [(seed_of or {}).get(p, p) for p in PEOPLE]
    return times, rows, np.array([int(i[1:]) - 1 for i in ids])[person]


def carried(
    corrections: Corrections, fingerprint: dict[str, Any], given: dict[str, str] | None
) -> tuple[Carried, np.ndarray]:
    times, rows, person = analysed(given)
    return corrections.carry_over(Analysed(fingerprint, times, rows, person)), person


def test_people_keep_their_ids_when_another_analysis_numbers_them_otherwise(root: Path) -> None:
    corrections = name(root, "P03: Ana")
    who, person = carried(corrections, OTHER, RENUMBERED)
    assert {who.names[who.index_of[int(new[1:]) - 1]]: old for old, new in RENUMBERED.items()} == {
        p: p for p in PEOPLE
    }
    assert who.person.tolist() == [who.index_of[p] for p in person]
    assert who.names == list(PEOPLE)  # in order of first appearance, as ever
    assert who.left_out == 0


@pytest.mark.parametrize(("text", "fingerprint"), [("", OTHER), ("P03: Ana", SAME)])
def test_ids_are_left_alone_without_need(root: Path, text: str, fingerprint: dict[str, Any]) -> None:
    who, person = carried(name(root, text), fingerprint, RENUMBERED)
    assert who.names == ["P01", "P02", "P03", "P04"]
    assert who.person is not None and who.person.tolist() == person.tolist()


def test_who_is_new_gets_a_new_id(root: Path) -> None:
    corrections = name(root, "split P02 at 0:21 into P02 and P07")
    times, rows, person = analysed()
    rows["box"][person == 0] += 2000  # somebody elsewhere
    who = corrections.carry_over(Analysed(OTHER, times, rows, person))
    assert who.names == ["P02", "P08", "P03", "P04"]


def test_several_who_are_new_get_ids_of_their_own(root: Path) -> None:
    corrections = name(root, "P03: Ana")
    times, rows, person = analysed()
    rows["box"][(person == 0) | (person == 3)] += 2000
    person[-3:] = -1
    who = corrections.carry_over(Analysed(OTHER, times, rows, person))
    assert (who.person == -1).tolist() == (person == -1).tolist()
    assert sorted(who.names) == ["P02", "P03", "P05", "P06"]
    first = [int(np.flatnonzero(who.person == i)[0]) for i in range(4)]
    assert rows["sample"][first].tolist() == sorted(rows["sample"][first].tolist())


@pytest.mark.parametrize(("share", "known"), [(0.4, True), (0.6, False)])
def test_whose_faces_lie_elsewhere_most_of_the_time_is_somebody_else(
    root: Path, share: float, known: bool
) -> None:
    corrections = name(root, "P03: Ana")
    times, rows, person = analysed()
    own = np.flatnonzero(person == 0)
    rows["box"][own[: int(share * len(own))]] += 2000
    who = corrections.carry_over(Analysed(OTHER, times, rows, person))
    assert ("P01" in who.names) is known


def test_who_sits_there_at_another_time_is_somebody_else(root: Path) -> None:
    corrections = name(root, "P03: Ana")
    times, rows, person = analysed()
    who = corrections.carry_over(Analysed(OTHER, times + 60, rows, person))
    assert who.names == ["P05", "P06", "P07", "P08"]


def test_where_nobody_is_found_nobody_is_carried(root: Path) -> None:
    times, rows, person = analysed()
    who = name(root, "P03: Ana").carry_over(Analysed(OTHER, times, rows[:0], person[:0]))
    assert who.names == [] and not len(who.person)


def test_whoever_it_may_be_stays_out_where_the_earlier_people_cannot_be_read(root: Path) -> None:
    """The line would else take out whoever has that id now, and bring back who opted out."""
    name(root, "opt out P02")
    (root / "talk" / "timeline.parquet").write_bytes(b"damaged")
    who, _ = carried(Corrections.of(root, root / "talk", "talk.mp4"), OTHER, RENUMBERED)
    assert who.names == [] and who.left_out == len(RENUMBERED)


def test_a_merger_meets_the_people_as_analysed(root: Path) -> None:
    """What is compared with is the unedited timeline: the merge line still finds both."""
    corrections = name(root, "merge P03 into P02")
    who, _ = carried(corrections, OTHER, RENUMBERED)
    assert sorted(who.names) == list(PEOPLE)


def test_who_opted_out_does_not_come_back_by_another_analysis(root: Path) -> None:
    corrections = name(root, "P01: Ana\nopt out P02")
    who, person = carried(corrections, OTHER, RENUMBERED)
    assert sorted(who.names) == ["P01", "P03", "P04"]
    assert (who.person[person == 3] == -1).all()
    assert who.left_out == 1
    assert who.record == {"opted_out": ["P02"]}
    # The new result, written and corrected on its way to the disk.
    written = write_result(root.parent / "new", whose=lambda p, _: "" if p == "P02" else p)
    summary, _ = corrections.apply(written, who, None, {"P01": [], "P03": []})
    assert summary.corrections["opted_out"] == ["P02"]
    assert "mistakes" not in summary.corrections
    assert summary.warnings == ()
    assert "P02" not in (written / "timeline.csv").read_text()


def test_who_may_have_opted_out_is_left_out_and_the_page_says_so(root: Path) -> None:
    corrections = name(root, "opt out P02")
    times, rows, person = analysed()
    rows["box"][person == 3] += 2000  # somebody elsewhere
    who = corrections.carry_over(Analysed(OTHER, times, rows, person))
    assert who.names == ["P01", "P03"]
    written = write_result(root.parent / "new", whose=lambda p, _: p if p in who.names else "")
    summary, _ = corrections.apply(written, who, None, {})
    assert "left out: 2 people whom the earlier result does not know" in summary.warnings[0]


def test_when_everybody_opted_out_nobody_comes_back(root: Path) -> None:
    corrections = name(root, "opt out P01, P02, P03, P04")
    who, _ = carried(corrections, OTHER, RENUMBERED)
    assert who.names == [] and (who.person == -1).all()
    written = write_result(root.parent / "new", whose=lambda *_: "")
    summary, _ = corrections.apply(written, who, None, {})
    assert summary.n_persons == 0
    assert "mistakes" not in summary.corrections


def test_an_opt_out_taken_back_brings_everybody(root: Path) -> None:
    name(root, "opt out P02")
    (root / "names.txt").write_text("P01: Ana")
    who, _ = carried(Corrections.of(root, root / "talk", "talk.mp4"), OTHER, None)
    assert (who.person >= 0).all()
    assert who.record == {} and who.left_out == 0
    assert sorted(who.names) == ["P01", "P03", "P04", "P05"]


def test_fresh_results_are_corrected_before_they_are_seen(root: Path, tmp_path: Path) -> None:
    known = tmp_path / "known"
    shutil.copytree(root, known)
    name(known, "P01: Ana\nmerge P03 into P02\nopt out P04")
    fresh = tmp_path / "fresh"
    write_result(fresh)
    (fresh / "names.txt").write_text("P01: Ana\nmerge P03 into P02\nopt out P04")
    corrections = Corrections.of(fresh, tmp_path / "fresh" / "talk", "talk.mp4")
    who, _ = carried(corrections, SAME, None)
    summary, _ = corrections.apply(fresh / "talk", who, None, {})
    assert tables_of(fresh / "talk") == tables_of(known / "talk")
    for folder in (fresh, known):
        unedited = pd.read_parquet(folder / "talk" / "unedited" / "timeline.parquet")
        assert set(unedited["person_id"]) == {"P01", "P02", "P03"}
    assert summary.n_persons == 2


def test_a_wrong_line_does_not_throw_an_analysis_away(root: Path) -> None:
    (root / "names.txt").write_text("P01: Ana\nmerge P04 into P01\nP09: Ben\n")
    corrections = Corrections.of(root, root / "talk", "talk.mp4")
    who, _ = carried(corrections, SAME, None)
    summary, _ = corrections.apply(root / "talk", who, None, {})
    wrong = summary.corrections["mistakes"]
    assert [text.split(":")[0] for text in wrong] == ["names.txt, line 2", "names.txt, line 3"]
    assert summary.corrections["names"] == {"P01": "Ana"}


def test_min_presence_of_the_earlier_result_holds(root: Path) -> None:
    corrections = Corrections.of(root, root / "talk", "talk.mp4")
    plan, _ = plan_folder(root / "talk", [])
    correct_folder(root / "talk", root, plan, PresenceConfig(min_s=10))
    who, _ = carried(corrections, OTHER, None)
    for place, given, shown in (("new", None, 3), ("newer", PresenceConfig(), 4)):
        fresh = write_result(root.parent / place)
        assert corrections.apply(fresh, who, given, {})[0].n_shown == shown


def test_the_same_analysis_again_keeps_carried_ids(root: Path) -> None:
    corrections = name(root, "P03: Ana")
    who, _ = carried(corrections, OTHER, RENUMBERED)
    summary, _ = corrections.apply(root / "talk", who, None, {})
    changed = {**summary.data, "fingerprint": OTHER}
    (root / "talk" / "summary.json").write_text(json.dumps(changed), encoding="utf-8")
    again, person = carried(corrections, OTHER, RENUMBERED)
    assert {again.names[again.index_of[int(new[1:]) - 1]]: old for old, new in RENUMBERED.items()} == {
        p: p for p in PEOPLE
    }
    assert again.person.tolist() == [again.index_of[p] for p in person]


@pytest.mark.parametrize(("text", "left"), [("P01: Ana\nopt out P09", 1), ("P01: Ana", 0)])
def test_who_was_left_out_after_an_opt_out_stays_so_until_it_is_taken_back(
    root: Path, text: str, left: int
) -> None:
    (root / "names.txt").write_text(text, encoding="utf-8")
    corrections = Corrections.of(root, root / "talk", "talk.mp4")
    result = root / "talk" / "summary.json"
    summary = json.loads(result.read_text(encoding="utf-8"))
    summary |= {
        "fingerprint": OTHER,
        "numbering": ["P02", None, "P01", "P03"],
        "corrections": {"opted_out": ["P09"]},
    }
    result.write_text(json.dumps(summary), encoding="utf-8")
    who, _ = carried(corrections, OTHER, None)
    assert who.left_out == left and (who.person < 0).any() == bool(left)
    ids = [who.names[i] if i >= 0 else None for i in who.index_of]
    assert ids == ["P02", None if left else "P04", "P01", "P03"]


def test_a_names_file_saved_half_written_does_not_throw_an_analysis_away(root: Path) -> None:
    (root / "names.txt").write_text("P01: Ana\nopt out P02\nmerge P03 int", encoding="utf-8")
    corrections = Corrections.of(root, root / "talk", "talk.mp4")
    who, _ = carried(corrections, SAME, None)
    summary, _ = corrections.apply(root / "talk", who, None, {})
    assert summary.corrections["names"] == {"P01": "Ana"}
    assert summary.corrections["opted_out"] == ["P02"]
    assert [text.split(":")[0] for text in summary.corrections["mistakes"]] == ["names.txt, line 3"]


def test_lines_of_one_video_do_not_reach_another_of_its_name(root: Path) -> None:
    (root / "names.txt").write_text("[talk.mp4]\nopt out P01", encoding="utf-8")
    here, other = Video("week 2/talk", "talk.mp4"), Video("talk", "talk.mp4")
    assert Corrections.of(root, root / "week 2/talk", "talk.mp4", known=[other, here]).lines == []
    assert Corrections.of(root, root / "talk", "talk.mp4", known=[other, here]).lines == [OptOut(2, ("P01",))]


def test_nothing_is_carried_from_another_video(root: Path) -> None:
    corrections = name(root, "P03: Ana")
    fresh = Corrections.of(root, root / "talk", "talk.mp4", afresh=True)
    who, person = carried(fresh, OTHER, RENUMBERED)
    assert who.person.tolist() == person.tolist() and who.names == list(PEOPLE) and not who.numbering
    assert carried(corrections, OTHER, RENUMBERED)[0].person.tolist() != person.tolist()


@pytest.mark.parametrize(
    ("source", "size", "version", "other"),
    [
        ("a", 1, "x", False),
        ("a", 2, "y", False),
        ("b", 1, "x", False),  # it was moved
        ("b", 2, "x", True),
        ("b", 1, "y", True),  # cameras cut long recordings into files of one size
    ],
)
def test_another_video_is_told_by_place_size_and_time(
    source: str, size: int, version: str, other: bool
) -> None:
    now = {"file_size": size, "file_version": version}
    before = {"video": {"source": "a"}, "fingerprint": {"file_size": 1, "file_version": "x"}}
    assert is_of_another(SessionSummary(before), source, now) == other
    assert not is_of_another(SessionSummary({"video": {}}), source, now) and not is_of_another(
        SessionSummary({}), source, now
    )
