from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engagement.errors import BackendUnavailable, ConfigError, VideoError
from engagement.video import BACKENDS, LIBRARIES, open_video
from tests import media


@pytest.mark.parametrize("wrong", ["ffmpeg", "PyAV", ""])
def test_an_unknown_backend_names_the_known_ones(wrong: str) -> None:
    with pytest.raises(ConfigError, match="pyav, decord, opencv"):
        open_video("x.mp4", wrong)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_named_backend_is_never_replaced(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = media.steady(tmp_path).path  # before the library is away: it is made with one
    monkeypatch.delitem(sys.modules, f"engagement.video.{name}_reader", raising=False)
    monkeypatch.setitem(sys.modules, LIBRARIES[name], None)
    with pytest.raises(BackendUnavailable, match=name) as caught:
        open_video(clip, name)
    assert "pip install" in caught.value.hint


def test_auto_is_the_measured_default(tmp_path: Path) -> None:
    with open_video(media.steady(tmp_path).path) as reader:
        assert reader.backend == reader.info.backend == "pyav"


def test_importing_the_package_loads_no_decoder() -> None:
    code = (
        "import sys, engagement.video, engagement.video.sampling, engagement.video.prefetch, "
        "engagement.video.discover; print([m for m in ('av', 'cv2', 'decord', 'torch') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert result.stdout.strip() == "[]"


def test_a_reader_that_cannot_begin_in_the_middle_says_what_to_do(sample_videos: Path) -> None:
    with open_video(sample_videos / "crossing.mp4", "opencv") as reader:
        assert reader.splittable_until() is None
        with pytest.raises(VideoError, match="cannot begin in the middle") as caught:
            next(iter(reader.tickets_from(1.0)))
    assert "--backend pyav" in caught.value.hint


def test_tags_that_are_not_utf_8_are_no_reason_to_refuse_a_file(tmp_path: Path) -> None:
    clip = media.steady(tmp_path)
    written_by, in_latin_1 = b"Lavf", "Läuf".encode("latin-1")
    content = clip.path.read_bytes()
    assert written_by in content
    clip.path.write_bytes(content.replace(written_by, in_latin_1))
    with open_video(clip.path) as reader:
        assert len(list(reader.tickets())) == len(clip.times_s)


def test_a_transport_stream_cut_in_the_middle_is_whole(tmp_path: Path) -> None:
    whole = media.write_video(tmp_path / "h.ts", range(0, 4000, 40), rate=25, codec_options={"g": "25"})
    packets = whole.read_bytes()
    middle = tmp_path / "middle.ts"
    # The stream's description, then what follows from some way into the first group of pictures.
    middle.write_bytes(packets[: 3 * 188] + packets[40 * 188 :])
    with open_video(middle) as reader:
        times = [ticket.time_s for ticket in reader.tickets()]
        outcome, info = reader.outcome, reader.info
    assert 60 <= len(times) < 100
    assert outcome.complete, outcome.reason
    assert info.duration_s == pytest.approx(times[-1] + 0.04, abs=0.05)
