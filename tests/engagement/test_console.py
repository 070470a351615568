"""The table at the end of a run can be read in a terminal of usual width."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from engagement.batch.status import VideoStatus
from engagement.cli.console import below_common, print_statuses, say_statuses

FOLDER = "/recordings of this school/2026/autumn term/mathematics/class 8b/"


def test_names_are_told_below_the_folder_that_all_share() -> None:
    assert below_common(["/a/b/c.mp4"]) == ["c.mp4"]
    assert below_common(["/a/b/c.mp4", "/a/b/d/c.mp4"]) == ["c.mp4", "d/c.mp4"]
    assert below_common(["s3://x/week 1/c.mp4", "s3://x/week 2/c.mp4"]) == ["week 1/c.mp4", "week 2/c.mp4"]
    assert below_common(["c.mp4", "/a/d.mp4"]) == ["c.mp4", "/a/d.mp4"]
    assert below_common(["/a/same.mp4", "/a/same.mp4"]) == ["same.mp4", "same.mp4"]
    assert below_common(["s3://x/week 1/", "s3://x/week 1/c.mp4"]) == ["week 1", "week 1/c.mp4"]
    assert below_common([]) == []


def test_no_path_is_folded_in_the_middle_of_a_word() -> None:
    written = io.StringIO()
    statuses = [
        VideoStatus(
            f"{FOLDER}monday_third_lesson.mp4", "a", "ok", duration_s=90.0, n_persons=4, elapsed_s=30.0
        ),
        VideoStatus(
            f"{FOLDER}broken.mp4", "b", "failed", f"{FOLDER}broken.mp4 is no video that can be read", "Look."
        ),
    ]
    print_statuses(Console(file=written, width=80), statuses)
    text = written.getvalue()
    assert "monday_third_lesson.mp4" in text
    assert "mathematics" not in text
    assert "is no video" in " ".join(text.split())


def test_a_name_that_stands_before_is_not_said_again(capsys: pytest.CaptureFixture[str]) -> None:
    in_full = Path("broken.mp4").absolute()
    for named in (in_full, "broken.mp4"):
        status = VideoStatus("broken.mp4", "broken", "failed", f"{named} is empty", "Copy it again.")
        written = io.StringIO()
        print_statuses(Console(file=written, width=200), [status])
        assert "is empty" in written.getvalue() and str(in_full.parent) not in written.getvalue()
        say_statuses(Console(quiet=True), [status])
        assert capsys.readouterr().err == "broken.mp4: failed: is empty. Copy it again.\n"
