"""Mistakes in a names file: all told at once, and nothing is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engagement.corrected_sessions import Report, everything


def refused(out: Path, report: Report, text: str) -> list[str]:
    """What is said of a text that is refused, line by line."""
    before = everything(out)
    done = report(text)
    assert done.status == 2
    assert everything(out) == before
    return done.err.splitlines()


def test_mistakes_are_reported_together_and_nothing_changes(out: Path, report: Report) -> None:
    first, *lines = refused(
        out,
        report,
        "P01: Ana\nP12: Ben\nmerge P04 into P03\nsplit P02 at 0:45\nmerge P03 into P02\nP03: C\nP01: D\n[x]\nhide P01",
    )
    assert "6 mistakes" in first and "nothing was changed" in first
    for number, text in (
        (2, "there is no P12. Known: P01 (Ana), P02, P03, P04."),
        (3, "P04 and P03 cannot be one person: both are seen at 0:40 and in 9 further pictures."),
        (4, "P02 is seen from 0:00 to 0:29.8, not on both sides of 0:45. Write a time in between."),
        (6, "P03 was merged into P02 in line 5."),
        (7, "P01 is called 'Ana' in line 1 already."),
        (8, "there is no video [x]. Known: talk.mp4."),
    ):
        assert any(f"my names.txt, line {number}: {text}" in line for line in lines), (number, lines)


def test_mistakes_of_form_and_of_meaning_are_reported_together(out: Path, report: Report) -> None:
    first, *lines = refused(
        out,
        report,
        "what\nP12: Ben\n[talk.mp4]\nsplit P02 at 1:99 into P02 and P09\nP09: C\nhide P03\nP44: D\n",
    )
    assert "5 mistakes" in first
    known = "Known: P01, P02, P03, P04."
    for line, (number, text) in zip(
        lines,
        (
            (1, "'what' is not understood."),
            (2, f"there is no P12. {known} It may follow from line 1."),  # 'what' may have been a heading
            (4, "'1:99' is no time."),
            (5, f"there is no P09. {known} It may follow from line 4."),
            (7, f"there is no P44. {known} It may follow from line 4."),  # whom a split makes may be anybody
        ),
        strict=True,
    ):
        assert f"my names.txt, line {number}: {text}" in line, lines
    # A line that speaks of somebody else brings nothing about.
    done = report("P03:\nP12: Ben")
    assert f"line 2: there is no P12. {known}\n" in done.err
    assert "line 1: no name follows P03" in done.err


def test_what_stands_below_a_misspelled_heading_is_checked_as_well(out: Path, report: Report) -> None:
    """As of the video that may be meant; what is wrong elsewhere does not rest on it."""
    first, *lines = refused(
        out, report, "P01: Ana\n[tolk.mp4]\nP12: Ben\nP01: Bea\n[qqq]\nP13: C\n[talk.mp4]\nP02: D"
    )
    assert "4 mistakes" in first, lines
    for line, text in zip(
        lines,
        (
            "line 2: there is no video [tolk.mp4]. Do you mean [talk.mp4]? Known: talk.mp4.",
            "line 3: there is no P12. Known: P01 (Ana), P02 (D), P03, P04. This is so if line 2 means talk.mp4.",
            "line 4: P01 is called 'Ana' in line 1 already. Keep one. This is so if line 2 means talk.mp4.",
            "line 5: there is no video [qqq]. Known: talk.mp4.",
        ),
        strict=True,
    ):
        assert line.endswith(text), lines


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (
            "split P01 at 0:10 into P01 and P02",
            "P02 exists already. Give the new person a free id, such as P05",
        ),
        ("P02: A\nP03: B\nmerge P03 into P02", "P03 is called 'B' (line 2) and P02 'A' (line 1)"),
        ("opt out P02\nmerge P03 into P02", "P02 opts out in line 1"),
        ("split P01 at 0:10 into P06 and P07\nhide P01", "P01 was split into P06 and P07 in line 1"),
    ],
)
def test_other_mistakes(report: Report, text: str, wrong: str) -> None:
    done = report(text)
    assert done.status == 2
    assert wrong in done.err
