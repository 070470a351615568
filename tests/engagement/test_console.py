"""The table at the end of a run can be read in a terminal of usual width."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from engagement.batch.status import VideoStatus
from engagement.cli.console import ProgressReporter, below_common, print_statuses, say_statuses

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


def cells(*statuses: VideoStatus) -> list[list[str]]:
    """Rows of the table at the end, below its headings."""
    written = io.StringIO()
    print_statuses(Console(file=written, width=300), statuses)
    headings, *rows = written.getvalue().splitlines()
    ends = [headings.index(h) + len(h) for h in ("persons", "length", "speed")]
    starts = [0, headings.index("status"), headings.index("status") + 8, *ends]
    return [[row[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)] for row in rows]


def test_the_table_says_of_each_video_how_it_went() -> None:
    good = VideoStatus("a.mp4", "a", "ok", duration_s=90.0, n_persons=4, elapsed_s=30.0)
    empty = replace(good, input="b.mp4", n_persons=0, n_warnings=2, redone="--overwrite")
    skipped = VideoStatus("c.mp4", "c", "skipped", "finished before", duration_s=3600.0, n_persons=1)
    failed = VideoStatus("d.mp4", "d", "failed", "d.mp4 is empty", "Copy it again.")
    many = replace(good, input="e.mp4", same_as=("f", "g", "h", "i"))
    assert cells(good, empty, skipped, failed, many) == [
        ["a.mp4", "ok", "4", "1:30", "3.0x", ""],
        [
            *("b.mp4", "ok", "0", "1:30", "3.0x"),
            "redone (--overwrite); nobody in it: its page says why; 2 warnings on its page",
        ],
        ["c.mp4", "skipped", "1", "1:00:00", "", "finished before"],
        ["d.mp4", "failed", "", "", "", "is empty. Copy it again."],
        ["e.mp4", "ok", "4", "1:30", "3.0x", "the same file as f, g, h and 1 more"],
    ]


def test_how_far_it_is_and_how_long_it_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("engagement.cli.console.time.monotonic", lambda: now[0])
    progress = ProgressReporter(total=3)
    written = io.StringIO()
    progress.console.file = written

    def notes() -> list[str]:
        return [task.fields["note"] for task in progress._progress.tasks]

    progress.video_at("talk", 0.0, None)
    assert notes() == ["0 of 3", "opening"]
    now[0] = 20.0
    progress.video_at("talk", 60.0, None)
    assert notes()[1] == "1:00  3.0x real time"
    progress.video_at("talk", 60.0, 90.0)
    assert notes()[1] == "1:00 of 1:30  3.0x real time, 0:10 left"
    progress.video_at("other", 0.0, None)
    now[0] = 40.0
    progress.video_ends(VideoStatus("talk.mp4", "talk", "ok"))
    assert notes() == ["1 of 3, about 1:20 left", "opening"]
    progress.video_ends(VideoStatus("gone.mp4", "gone", "failed"))  # it was never under way
    assert notes() == ["2 of 3, about 0:20 left", "opening"]
    # In a log file there are no bars.
    assert written.getvalue() == "1 of 3: talk ok\n2 of 3: gone failed\n"
