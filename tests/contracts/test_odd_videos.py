"""Files that ffmpeg makes and one reader or another reads wrongly: shown as they are, or refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engagement.errors import VideoError
from engagement.video import open_video
from tests import faulty_media, media


def ffmpeg(*words: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", *map(str, words)], check=True)


def refused(backend: str, path: Path, why: str) -> bool:
    """Whether it is the reader that must refuse such files, which it then did, saying why."""
    if backend != "decord":
        return False
    with pytest.raises(VideoError, match=why):
        open_video(path, backend)
    return True


def test_an_mp4_trimmed_without_encoding_shows_what_is_left_or_is_refused(
    backend: str, tmp_path: Path
) -> None:
    whole = media.write_video(
        tmp_path / "whole.mp4", range(0, 4000, 40), b_frames=2, codec_options={"g": "100"}
    )
    trimmed = tmp_path / "trimmed.mp4"
    ffmpeg("-ss", "1.3", "-i", whole, "-c", "copy", trimmed)
    if refused(backend, trimmed, "pyav backend"):
        return
    with open_video(trimmed, backend) as reader:
        codes = [media.read_code(ticket.frame().rgb) for ticket in reader.tickets()]
        complete = reader.outcome.complete
    assert codes == list(range(100 - len(codes), 100)) and 60 <= len(codes) <= 70
    assert complete == (backend == "pyav")  # OpenCV misses the 1.3 s that are hidden


@pytest.mark.parametrize("width", [16, 24])
def test_pictures_as_narrow_as_that_have_colours_or_are_refused(
    backend: str, width: int, tmp_path: Path
) -> None:
    path = tmp_path / "narrow.mp4"
    source = f"testsrc=size={width}x48:rate=10:duration=1"
    ffmpeg("-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", path)
    if refused(backend, path, "no colours"):
        return
    with open_video(path, backend) as reader:
        assert {ticket.frame().rgb.shape for ticket in reader.tickets()} == {(48, width, 3)}


def test_a_hole_in_a_transport_stream_does_not_end_it(tmp_path: Path) -> None:
    clip = faulty_media.hollow_ts(tmp_path)
    with open_video(clip.path, "pyav") as reader:
        times = [ticket.time_s for ticket in reader.tickets()]
        outcome = reader.outcome
    assert not outcome.complete and outcome.packets_damaged > 0 and "damaged" in outcome.reason
    assert len(times) >= len(clip.times_s) - 15 and times[-1] == pytest.approx(clip.times_s[-1], abs=0.05)
