"""What is named in place of a file is refused at once, and not waited for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engagement.calibration.store import read_calibration
from engagement.corrections.file import read_names
from engagement.errors import EngagementError
from engagement.given import no_file
from engagement.spreadsheets import columns_of, read_sheet
from engagement.weights.store import short_digest
from training.collection.review import read_answer

READERS: tuple[Callable[[Path], object], ...] = (
    read_calibration,
    read_names,
    read_sheet,
    columns_of,
    read_answer,
    lambda path: short_digest("--detector-weights", str(path)),
)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("read", READERS)
def test_a_pipe_is_refused(tmp_path: Path, read: Callable[[Path], object]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(EngagementError, match=r"pipe is (a pipe|no review)") as error:
        read(pipe)
    assert "\n" not in str(error.value) and error.value.hint


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no such device")
@pytest.mark.parametrize("read", READERS)
def test_a_device_without_end_is_refused(read: Callable[[Path], object]) -> None:
    with pytest.raises(EngagementError, match=r"/dev/zero is (a device|no review)"):
        read(Path("/dev/zero"))


def test_files_folders_and_nothing_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link", ".", "gone", "a\0b"):
        assert no_file(tmp_path / name) == ""
