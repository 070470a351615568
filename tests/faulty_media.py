"""Clips with faults, and files that are no videos; their truth is what a reader can still get of them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Disposition
from PIL import Image

from tests.media import STEADY, Clip, clip_of, mux_tone, paint, write_video


def cut_short(path: Path, share: float) -> Path:
    """A copy that ends after a share of the bytes, as an interrupted transfer leaves it."""
    data = path.read_bytes()
    target = path.with_name(f"cut_{share:.2f}_{path.name}")
    target.write_bytes(data[: int(len(data) * share)])
    return target


LESSON = tuple(range(0, 8000, 40))
"""Eight seconds: long enough that a missing end is more than the tolerance."""


def cut_mp4(folder: Path) -> Clip:
    """Its index stands in front and promises more than the file holds."""
    path = write_video(folder / "lesson.mp4", LESSON, b_frames=2, mux_options={"movflags": "faststart"})
    return clip_of(cut_short(path, 0.6), LESSON, complete=False)


def cut_mkv(folder: Path) -> Clip:
    path = write_video(folder / "lesson.mkv", LESSON, b_frames=2)
    return clip_of(cut_short(path, 0.6), LESSON, complete=False)


def cut_mkv_with_sound(folder: Path) -> Clip:
    path = write_video(folder / "sound.mkv", LESSON, audio_s=8.0)
    return clip_of(cut_short(path, 0.6), LESSON, complete=False)


CUT_CLIPS: dict[str, Callable[[Path], Clip]] = {
    "cut_mp4": cut_mp4,
    "cut_mkv": cut_mkv,
    "cut_mkv_with_sound": cut_mkv_with_sound,
}
"""Clips whose end is missing; times and codes are those of the whole."""


def damaged(folder: Path) -> Clip:
    """Zeros in the middle, as a failing disk leaves them; Matroska, whose reader loses whole packets."""
    path = write_video(folder / "damaged.mkv", LESSON)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 600] = bytes(600)
    path.write_bytes(data)
    return clip_of(path, LESSON, complete=False)


def hollow_ts(folder: Path) -> Clip:
    """A transport stream with more rubbish in its middle than FFmpeg looks through at once."""
    path = write_video(folder / "hollow.ts", LESSON, codec_options={"bf": "0"})
    data = path.read_bytes()
    middle = len(data) // 2 // 188 * 188
    path.write_bytes(data[:middle] + bytes(400_000) + data[middle:])
    return clip_of(path, LESSON, complete=False)


def repeated_stamps(folder: Path) -> Clip:
    """Frames 5 and 6 bear the time of frame 4, frame 9 one before frame 8."""
    source = write_video(folder / "regular.mkv", STEADY[:12], codec="mjpeg", pix_fmt="yuvj420p")
    path = folder / "repeated.mkv"
    stamps = [0, 40, 80, 120, 160, 160, 160, 280, 320, 320, 400, 440]
    with av.open(str(source)) as whole, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(whole.streams.video[0])
        packets = [packet for packet in whole.demux(video=0) if packet.size]
        for packet, stamp in zip(packets, stamps, strict=True):
            packet.stream = stream
            packet.pts = packet.dts = stamp
            out.mux(packet)
    kept = [0, 1, 2, 3, 4, 7, 8, 10, 11]
    return clip_of(path, [stamps[k] for k in kept], codes=tuple(kept))


def restarted_clock(folder: Path) -> Clip:
    """Two camcorder files joined byte by byte: the second starts at its own zero again."""
    parts = [
        write_video(folder / f"part{k}.mpg", LESSON[:50], codec="mpeg2video", rate=25, first_code=50 * k)
        for k in range(2)
    ]
    path = folder / "joined.mpg"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return clip_of(path, LESSON[:100])


def changing_size(folder: Path) -> Clip:
    """The second half has double width and height; pictures are to have the size of the first."""
    parts = [
        write_video(
            folder / f"size{zoom}.h264", STEADY[:10], rate=25, first_code=10 * (zoom - 1), zoom=zoom
        ).read_bytes()
        for zoom in (1, 2)
    ]
    joined = folder / "sizes.h264"
    joined.write_bytes(b"".join(parts))
    path = folder / "sizes.mkv"
    with av.open(str(joined)) as raw, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(raw.streams.video[0])
        packets = [packet for packet in raw.demux(video=0) if packet.size]
        for packet, stamp in zip(packets, STEADY[:20], strict=True):
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = stamp
            packet.duration = 40
            out.mux(packet)
    return clip_of(path, STEADY[:20])


def no_index(folder: Path) -> Path:
    """An MP4 whose recording was interrupted before its index was written."""
    return cut_short(write_video(folder / "interrupted.mp4", LESSON), 0.6)


def sound_only(folder: Path) -> Path:
    path = folder / "sound.m4a"
    with av.open(str(path), "w") as container:
        mux_tone(container, container.add_stream("aac", rate=44100), 1.0)
    return path


def sound_with_cover(folder: Path) -> Path:
    """Sound with a picture attached, which FFmpeg shows as a video stream."""
    source, path = sound_only(folder), folder / "cover.mp4"
    cover = write_video(folder / "cover.mkv", [0], codec="mjpeg", pix_fmt="yuvj420p")
    with av.open(str(source)) as sound, av.open(str(cover)) as picture, av.open(str(path), "w") as out:
        inputs = [sound.streams.audio[0], picture.streams.video[0]]
        outputs = [out.add_stream_from_template(stream) for stream in inputs]
        outputs[1].disposition = Disposition.attached_pic
        for stream, target in zip(inputs[::-1], outputs[::-1], strict=True):
            for packet in stream.container.demux(stream):
                if packet.size:
                    packet.stream = target
                    out.mux(packet)
    return path


def empty(folder: Path) -> Path:
    path = folder / "empty.mp4"
    path.write_bytes(b"")
    return path


def text(folder: Path) -> Path:
    path = folder / "text.mp4"
    path.write_text("These are the minutes of the parents' evening.\n" * 50)
    return path


def playlist(folder: Path) -> Path:
    """A playlist that calls itself a video and points to the network."""
    path = folder / "playlist.mp4"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    return path


def missing(folder: Path) -> Path:
    return folder / "missing.mp4"


def a_folder(folder: Path) -> Path:
    path = folder / "folder.mp4"
    path.mkdir(exist_ok=True)
    return path


def photograph(folder: Path, suffix: str = ".JPG") -> Path:
    """One picture, which FFmpeg takes for a video."""
    path = folder / f"photograph{suffix}"
    Image.fromarray(paint(1)).save(path)
    return path


def photograph_called_a_video(folder: Path, suffix: str = ".JPG") -> Path:
    """The same under another name, as a tool that converts by renaming leaves it."""
    return photograph(folder, suffix).rename(folder / "photograph.mp4")


NO_VIDEOS: dict[str, Callable[[Path], Path]] = {
    "no_index": no_index,
    "sound_only": sound_only,
    "sound_with_cover": sound_with_cover,
    "empty": empty,
    "text": text,
    "playlist": playlist,
    "missing": missing,
    "a_folder": a_folder,
    "photograph": photograph,
    "photograph called a video": photograph_called_a_video,
}
"""Paths that must be refused with one clear line."""
