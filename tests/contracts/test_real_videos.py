"""Readers on real recordings against ffprobe."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from engagement.video import open_video


def probe(path: Path) -> list[float]:
    """Presentation times by ffprobe, an implementation that shares no code of ours."""
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "frame=pts_time"]
    out = subprocess.run([*command, "-of", "csv=p=0", str(path)], capture_output=True, text=True, check=True)
    stamps = [float(line.strip().rstrip(",")) for line in out.stdout.splitlines() if line.strip(", \n")]
    return [stamp - stamps[0] for stamp in stamps]


class TestRealVideos:
    """Real recordings against ffprobe, from the shared folder."""

    NAMES: ClassVar[list[str]] = ["classroom_occlusion.mp4", "webcam_01.avi", "webcam_11.mp4"]

    @pytest.mark.shared
    @pytest.mark.parametrize("name", NAMES)
    def test_times_and_count_agree_with_ffprobe(self, backend: str, name: str, shared_videos: Path) -> None:
        path = shared_videos / name
        with open_video(path, backend) as reader:
            times = [ticket.time_s for ticket in reader.tickets()]
            np.testing.assert_allclose(times, probe(path), atol=1e-5, rtol=0)
            assert reader.outcome.complete, reader.outcome.reason

    @pytest.mark.shared
    @pytest.mark.parametrize("name", NAMES)
    def test_random_access_shows_the_picture_of_the_sequence(
        self, backend: str, name: str, shared_videos: Path
    ) -> None:
        with open_video(shared_videos / name, backend) as reader:
            kept = {t.index: t.frame() for t in reader.tickets() if t.index in (0, 41, 100, 200)}
            for index in (200, 41, 100, 0):
                frame = reader.frame_at(kept[index].time_s)
                assert frame.index == index
                assert np.array_equal(frame.rgb, kept[index].rgb)
