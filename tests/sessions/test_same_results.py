"""The same video gives the same tables, byte for byte, whatever the machine is doing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sessions.command import Run

Command = Callable[..., Run]
TABLES = ("timeline.csv", "timeline.parquet", "persons.csv", "events.csv")


def digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in TABLES}


@pytest.mark.slow
def test_threads_of_the_machine_change_nothing(
    engagement: Command, sample_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cv2
    import torch

    found = []
    for threads, ahead in ((1, 1), (4, 9)):
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        monkeypatch.setattr("engagement.pipeline._AHEAD", ahead)
        out = tmp_path / str(threads)
        run = engagement("analyze", sample_videos / "crossing.mp4", "-o", out, "-q", "--sample-rate", "3")
        assert run.status == 0, run.err
        found.append(digests(out / "crossing"))
    assert found[0] == found[1]
