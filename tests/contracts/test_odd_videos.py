"""Files that ffmpeg makes and one reader or another reads wrongly: shown as they are, or refused."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
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


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_mirrored_recording_is_shown_as_players_show_it(backend: str, degrees: int, tmp_path: Path) -> None:
    """As front cameras make it. Others than PyAV take it for turned alone, sometimes upside down."""
    path = media.write_video(tmp_path / "mirrored.mp4", [0, 40], rotation_deg=degrees, mirrored=True)
    with open_video(path, backend) as reader:
        pictures = [ticket.load() for ticket in reader.tickets()]
        again = reader.frame_at(0.04).rgb
        info = reader.info
    right = [media.corner_colours(rgb) == tuple(media.CORNERS) for rgb in (*pictures, again)]
    assert right == [backend == "pyav"] * 3
    assert {rgb.shape for rgb in pictures} == {(media.HEIGHT, media.WIDTH, 3)}
    if backend == "pyav":
        assert [media.read_code(rgb) for rgb in pictures] == [0, 1]
        assert (info.width, info.height, info.rotation_deg) == (media.WIDTH, media.HEIGHT, degrees)


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


def sound_first(path: Path, n: int, rate: int = 25) -> Path:
    """A file whose first stream is a tone and whose second shows ``n`` pictures, some of them out of order."""
    video = path.with_name("pictures.mkv")
    media.write_video(video, [k * 1000 // rate for k in range(n)], b_frames=2, rate=rate)
    tone = f"sine=duration={n / rate}"
    ffmpeg("-f", "lavfi", "-i", tone, "-i", video, "-map", "0", "-map", "1", "-c:v", "copy", path)
    return path


@pytest.mark.parametrize(("begins_ms", "b_frames"), [(0, 2), (2000, 0)], ids=["anew", "goes on"])
def test_nothing_is_lost_where_transport_streams_are_joined(
    begins_ms: int, b_frames: int, tmp_path: Path
) -> None:
    """Also where the clock goes on, as of a recorder that begins a file every few minutes."""
    path, parts = tmp_path / "joined.ts", []
    for k, start in enumerate((0, begins_ms)):
        stamps = range(start, start + 2000, 40)
        part = media.write_video(tmp_path / f"{k}.ts", stamps, b_frames=b_frames, first_code=50 * k)
        parts.append(part.read_bytes())
    path.write_bytes(b"".join(parts))
    with av.open(str(path)) as container:
        assert sum(packet.is_corrupt for packet in container.demux(video=0)) == 1  # what FFmpeg says of it
    with open_video(path, "pyav") as reader:
        assert [media.read_code(ticket.load()) for ticket in reader.tickets()] == list(range(100))
        assert reader.outcome.complete
        assert media.read_code(reader.frame_at(reader.outcome.last_time_s).rgb) == 99


def test_of_a_transport_stream_the_damaged_picture_is_left_out(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "talk.ts", range(0, 2000, 40))
    data = path.read_bytes()
    with av.open(str(path)) as container:
        begins = [packet.pos for packet in container.demux(video=0) if packet.pos is not None]
    hole = begins[24] + 188  # of a key frame: others here fit into one such packet
    assert hole + 188 < begins[25]
    path.write_bytes(data[:hole] + data[hole + 188 :])
    with open_video(path, "pyav") as reader:
        times = [round(ticket.time_s * 25) for ticket in reader.tickets()]
        assert times == [k for k in range(50) if k != 24]
        assert reader.outcome.packets_damaged == 1 and not reader.outcome.complete
        assert reader.frame_at(0.96).time_s == pytest.approx(0.92)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize(("n", "threads"), [(1, 1), (2, 4), (60, 1), (60, 2), (60, 8)])
def test_no_picture_is_lost_where_the_sound_is_stored_first(
    tmp_path: Path, suffix: str, n: int, threads: int
) -> None:
    path = sound_first(tmp_path / f"clip{suffix}", n)
    with open_video(path, "pyav", threads) as reader:
        codes = [media.read_code(ticket.frame().rgb) for ticket in reader.tickets()]
        assert reader.outcome.complete, reader.outcome.reason
    assert codes == list(range(n))


def test_sound_that_nobody_can_read_damages_no_picture(tmp_path: Path) -> None:
    path = media.write_video(
        tmp_path / "clip.mkv", range(0, 2000, 40), audio_s=2.0, mux_options={"live": "1"}
    )
    unknown = path.read_bytes().replace(b"A_AAC", b"A_QQQ")
    assert b"A_QQQ" in unknown
    path.write_bytes(unknown)
    with open_video(path, "pyav") as reader:
        assert len(list(reader.tickets())) == 50
        assert reader.outcome.complete, reader.outcome.reason


def test_pictures_that_begin_after_the_sound_are_all_of_a_wmv(tmp_path: Path) -> None:
    path = tmp_path / "late.wmv"
    source = "testsrc=size=160x120:rate=25:duration=3"
    ffmpeg("-f", "lavfi", "-i", "sine=duration=5", "-itsoffset", "2", "-f", "lavfi", "-i", source, path)
    with open_video(path, "pyav") as reader:
        times = [ticket.time_s for ticket in reader.tickets()]
        assert reader.outcome.complete, reader.outcome.reason
    assert reader.info.duration_s == pytest.approx(times[-1], abs=0.2)


def test_a_wmv_that_was_cut_short_is_told(tmp_path: Path) -> None:
    """FFmpeg does not give its duration then."""
    whole = media.write_video(tmp_path / "lesson.wmv", faulty_media.LESSON, codec="wmv2", rate=25)
    cut = faulty_media.cut_short(whole, 0.6)
    with open_video(cut, "pyav") as reader:
        times = [ticket.time_s for ticket in reader.tickets()]
        outcome = reader.outcome
    assert 100 < len(times) < 160 and not outcome.complete
    assert outcome.reason == f"the pictures end at {times[-1]:.2f} s of 8.00 s"
    assert reader.info.duration_s == 8.0


@pytest.mark.parametrize("units", [0, 2**63 - 1])
def test_a_wmv_that_was_never_closed_has_no_length_instead_of_an_absurd_one(
    units: int, tmp_path: Path
) -> None:
    """Its header says that it plays for 0 s, of which FFmpeg takes off how long players wait before, or for ages."""
    path = media.write_video(tmp_path / "live.wmv", faulty_media.LESSON, codec="wmv2", rate=25)
    data = path.read_bytes()
    # After the name of the header's part and its length: the file's id, size, date and packets, how long it plays.
    at = data.index(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")) + 64
    assert int.from_bytes(data[at : at + 8], "little") == 11.1e7  # 100 ns, with 3.1 s before
    path.write_bytes(data[:at] + units.to_bytes(8, "little") + data[at + 8 :])
    with open_video(path, "pyav") as reader:
        assert len(list(reader.tickets())) == 200 and reader.outcome.complete
        assert reader.info.duration_s is None


@pytest.mark.parametrize("share", [1.0, 0.87])
def test_mkvmerge_counts_a_duration_from_the_first_picture(share: float, tmp_path: Path) -> None:
    """FFmpeg does so from zero. Here the sound begins two seconds before the pictures."""
    stamps = [2000 + ms for ms in faulty_media.LESSON]
    path = media.write_video(tmp_path / "late.mkv", stamps, audio_s=10.0, mux_options={"write_crc32": "0"})
    data = re.sub(rb"Lavf[\d.]+", lambda found: b"libmatroska".ljust(len(found[0])), path.read_bytes())
    assert data.count(b"00:00:10.000000000") == 1 and b"libmatroska" in data  # 2 s and 8 s
    data = data.replace(b"00:00:10.000000000", b"00:00:08.000000000").replace(b"ENCODER", b"ANOTHER")
    path.write_bytes(data[: int(len(data) * share)])
    with open_video(path, "pyav") as reader:
        last_s = [ticket.time_s for ticket in reader.tickets()][-1]
        assert reader.info.duration_s == pytest.approx(8.0)
        assert reader.outcome.complete == (last_s > 7.5) == (share == 1), (last_s, reader.outcome)


@pytest.mark.parametrize("kind", ["mkv", "mp4"])
@pytest.mark.parametrize(
    ("stamps_ms", "encoded"),
    [([0], ("-c", "copy")), (range(0, 2000, 500), ("-s", "96x64", "-c:v", "mjpeg"))],
    ids=["a picture", "small pictures"],
)
def test_a_preview_that_is_stored_first_is_not_the_video(
    stamps_ms: Sequence[int], encoded: tuple[str, ...], kind: str, tmp_path: Path
) -> None:
    made = media.write_video(tmp_path / "made.mkv", stamps_ms, first_code=99)
    preview, path = tmp_path / "preview.mkv", tmp_path / f"both.{kind}"
    ffmpeg("-i", made, *encoded, preview)
    video = media.write_video(tmp_path / "video.mkv", range(0, 2000, 40))
    default = ("-disposition:0", "default", "-disposition:1", "default")
    ffmpeg("-i", preview, "-i", video, "-map", "0", "-map", "1", "-c", "copy", *default, path)
    with open_video(path, "pyav") as reader:
        assert [media.read_code(ticket.load()) for ticket in reader.tickets()] == list(range(50))
        assert media.read_code(reader.frame_at(1.0).rgb) == 25
        assert reader.info.unread == ()


def test_of_two_videos_the_one_that_is_marked_as_the_default_is_read(tmp_path: Path) -> None:
    first, second = (
        media.write_video(tmp_path / f"{n}.mkv", range(0, 2000, 40), first_code=n) for n in (0, 60)
    )
    path = tmp_path / "both.mkv"
    ffmpeg(
        *("-i", first, "-i", second, "-map", "0", "-map", "1", "-c", "copy"),
        *("-disposition:0", "0", "-disposition:1", "default", path),
    )
    with open_video(path, "pyav") as reader:
        assert media.read_code(next(iter(reader.tickets())).load()) == 60
        assert reader.info.unread == (0,)


def test_slides_in_fragments_that_are_stored_first_are_no_preview(tmp_path: Path) -> None:
    """As recorders write MP4 that may be cut short: of each stream the pictures of the first fragment are counted."""
    slides = media.write_video(tmp_path / "slides.mkv", range(0, 8000, 1000))
    camera = media.write_video(tmp_path / "camera.mkv", range(0, 8000, 40), first_code=60)
    path = tmp_path / "both.mp4"
    both = ("-i", slides, "-i", camera, "-map", "0", "-map", "1", "-c", "copy")
    ffmpeg(*both, "-frag_duration", "500000", path)
    with open_video(path, "pyav") as reader:
        assert [media.read_code(ticket.load()) for ticket in reader.tickets()] == list(range(8))
        assert reader.info.unread == (1,)


def test_a_last_picture_that_stays_is_the_end_that_was_declared(tmp_path: Path) -> None:
    """A recorded screen on which nothing moved any more."""
    path = tmp_path / "screen.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"bf": "0"})
        stream.width, stream.height = media.WIDTH, media.HEIGHT
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        packets = []
        for k in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((media.HEIGHT, media.WIDTH, 3), k, np.uint8), "rgb24")
            frame.pts, frame.time_base = k * 40, Fraction(1, 1000)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        packets[-1].duration = 10_000
        for packet in packets:
            container.mux(packet)
    with open_video(path, "pyav") as reader:
        assert len(list(reader.tickets())) == 20
        assert reader.info.duration_s == pytest.approx(10.76, abs=0.05)
        assert reader.outcome.complete, reader.outcome.reason


@pytest.mark.parametrize("wild_ms", [(5_000_000,), (2900,), (5_000_000, 5_000_040)])
def test_wild_stamps_between_good_ones_change_no_time(tmp_path: Path, wild_ms: tuple[int, ...]) -> None:
    """As cameras write one now and then."""
    good = media.write_video(tmp_path / "good.mkv", range(0, 4000, 40), codec="mjpeg", pix_fmt="yuvj420p")
    path = tmp_path / "wild.mkv"
    with av.open(str(good)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for i, packet in enumerate(p for p in source.demux(video=0) if p.size):
            packet.stream, packet.dts = stream, i * 40
            packet.pts = wild_ms[i - 50] if 0 <= i - 50 < len(wild_ms) else i * 40
            out.mux(packet)
    with open_video(path, "pyav") as reader:
        seen = [(round(ticket.time_s, 3), media.read_code(ticket.frame().rgb)) for ticket in reader.tickets()]
        assert seen == [(round(k * 0.04, 3), k) for k in range(100)]
        assert reader.outcome.complete, reader.outcome.reason
        assert reader.info.duration_s == pytest.approx(4.0, abs=0.05)
        assert [media.read_code(reader.frame_at(k * 0.04).rgb) for k in (49, 50, 51, 90)] == [49, 50, 51, 90]


@pytest.mark.parametrize("name", ["pyav", "opencv"])
def test_random_access_into_a_stream_without_a_container(name: str, tmp_path: Path) -> None:
    """As a Raspberry Pi's camera writes it: no packet has a time."""
    video = media.write_video(
        tmp_path / "clip.mp4", range(0, 2000, 40), b_frames=2, codec_options={"g": "12"}
    )
    path = tmp_path / "clip.h264"
    ffmpeg("-i", video, "-c", "copy", path)
    with open_video(path, name) as reader:
        seen = [(t.index, t.time_s, media.read_code(t.load())) for t in reader.tickets()]
    assert [code for _, _, code in seen] == list(range(50))
    with open_video(path, name) as reader:
        for index, time_s, code in (seen[30], seen[7], seen[49]):
            frame = reader.frame_at(time_s)
            assert (frame.index, frame.time_s, media.read_code(frame.rgb)) == (index, time_s, code)


@pytest.mark.parametrize("options", [("-c:v", "libx264"), ("-c:v", "mpeg2video"), ("-c:v", "ffv1")])
def test_interlaced_pictures_are_shown_or_refused(
    options: tuple[str, ...], backend: str, tmp_path: Path
) -> None:
    """As camcorders and DVDs have them."""
    video = media.write_video(tmp_path / "clip.mkv", range(0, 2000, 40))
    path = tmp_path / "interlaced.mkv"
    fields = () if "ffv1" in options else ("-flags", "+ilme+ildct")
    ffmpeg("-i", video, "-vf", "setfield=tff", *options, *fields, path)
    codes, said = list[int](), ""
    try:
        with open_video(path, backend) as reader:
            codes = [media.read_code(ticket.load()) for ticket in reader.tickets()]
    except VideoError as error:
        said = str(error)
    assert codes == list(range(50)) or (backend == "opencv" and "interlaced" in said and "pyav" in said)


def test_a_still_beginning_is_no_sign_of_interlaced_pictures(tmp_path: Path) -> None:
    source = "color=gray:size=96x64:rate=10:duration=4"
    path = tmp_path / "still.mp4"
    ffmpeg("-f", "lavfi", "-i", source, "-vf", "drawbox=t=fill:enable='gte(t,3)'", "-g", "10", path)
    with open_video(path, "opencv") as reader:
        assert len(list(reader.tickets())) == 40


@pytest.mark.parametrize("backend", ["pyav", "opencv"])
def test_a_gif_that_moves_is_a_video_and_one_that_does_not_is_none(backend: str, tmp_path: Path) -> None:
    still, moving = faulty_media.photograph(tmp_path, ".gif"), tmp_path / "moving.gif"
    with pytest.raises(VideoError, match="is a picture"):
        open_video(still, backend)
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=160x120:rate=5:duration=2", moving)
    with open_video(moving, backend) as reader:
        assert len(list(reader.tickets())) == 10


@pytest.mark.parametrize("suffix", [".png", ".gif", ".bmp", ".tif", ".webp", ".jp2", ".ppm", ".avif"])
def test_a_picture_is_told_by_its_content(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="is a picture"):
        open_video(faulty_media.photograph_called_a_video(tmp_path, suffix))


@pytest.mark.parametrize("backend", ["pyav", "opencv"])
def test_pictures_that_follow_each_other_in_one_file_are_a_video(backend: str, tmp_path: Path) -> None:
    """Motion JPEG, as cameras send it, begins as a photograph does."""
    path = tmp_path / "camera.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=160x120:rate=5:duration=2", "-f", "mjpeg", path)
    with open_video(path, backend) as reader:
        assert len(list(reader.tickets())) == 10
