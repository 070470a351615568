"""A file is there whole, or as it was before."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from engagement.drafts import drafted, placed, write
from engagement.errors import OutputError, unforeseen


def test_the_old_file_is_read_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old", encoding="utf-8")
    with drafted(path) as draft, draft.open("w", encoding="utf-8") as file:
        file.write("new")
        assert path.read_text(encoding="utf-8") == "old"
    assert path.read_text(encoding="utf-8") == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_finished_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(UnicodeEncodeError), drafted(path) as draft:
        draft.write_text("a file is there, and no text in it: \ud800", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_may_write_one_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with drafted(path) as first, drafted(path) as second:
        first.write_text("first", encoding="utf-8")
        second.write_text("second", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "first"  # which is finished last
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with placed(tmp_path / "new" / "a.json") as draft:
        draft.write_text("there")
    assert (tmp_path / "new" / "a.json").read_text() == "there"
    below_a_file = tmp_path / "new" / "a.json" / "b.json"
    with pytest.raises(OutputError, match=r"b\.json cannot be written \(.+\)"), placed(below_a_file) as draft:
        draft.write_text("nowhere")


def test_a_full_disk_names_the_file_and_not_its_draft(tmp_path: Path) -> None:
    for told in (None, "the draft"):
        with pytest.raises(OSError) as error, drafted(tmp_path / "page.html") as draft:
            raise OSError(errno.ENOSPC, "No space left on device", told and str(draft))
        assert error.value.filename == str(tmp_path / "page.html")
        assert unforeseen(error.value).message == f"{tmp_path / 'page.html'}: No space left on device"


def test_text_takes_the_place_of_earlier_text_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "figures.json"
    write(path, "Zoë\n")
    with pytest.raises(UnicodeEncodeError):
        write(path, "half \ud800")
    assert path.read_bytes() == "Zoë\n".encode() and list(path.parent.iterdir()) == [path]


def test_text_goes_through_links(tmp_path: Path) -> None:
    """As into ``/dev/stdout``, which is one."""
    link, path = tmp_path / "link.json", tmp_path / "a.json"
    path.write_text("old")
    link.symlink_to(path)
    write(link, "new")
    assert link.is_symlink() and path.read_text() == "new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_text_goes_into_pipes(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        write(pipe, "new")
        assert os.read(reading, 10) == b"new" and pipe.is_fifo()
    finally:
        os.close(reading)
