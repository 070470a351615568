"""Test clips that know their own truth.

Every picture carries its number as eight black or white blocks (and, one row lower, the same bits
inverted) and a coloured square in each corner. A test can therefore check, for any backend, that
the index, the picture and the time of a frame belong together, and which way is up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

WIDTH, HEIGHT = 192, 128
BLOCK = 16
BITS = 8
GRAY = 128
CORNERS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220), "yellow": (220, 220, 30)}


@dataclass(frozen=True)
class Clip:
    """A file and what is true of it.

    Attributes:
        path: the file.
        times_s: presentation time of every decodable frame, from the first one.
        width, height: displayed pixels.
        rotation_deg: clockwise turn from stored to displayed.
        codes: the number painted into each frame.
        complete: whether a reader should say that the whole stream was there.
        upright: whether the corners are painted (and survive) in this clip.
    """

    path: Path
    times_s: tuple[float, ...]
    width: int = WIDTH
    height: int = HEIGHT
    rotation_deg: int = 0
    codes: tuple[int, ...] = field(default=())
    complete: bool = True
    upright: bool = True


def paint(number: int, width: int = WIDTH, height: int = HEIGHT) -> Picture:
    """The upright picture of a number 0-255: uint8 (height, width, 3)."""
    rgb = np.full((height, width, 3), GRAY, np.uint8)
    for rows, columns, colour in zip(
        (slice(0, BLOCK), slice(0, BLOCK), slice(-BLOCK, None), slice(-BLOCK, None)),
        (slice(0, BLOCK), slice(-BLOCK, None), slice(0, BLOCK), slice(-BLOCK, None)),
        CORNERS.values(),
        strict=True,
    ):
        rgb[rows, columns] = colour
    for bit in range(BITS):
        on = 255 if number >> bit & 1 else 0
        left, top = _block_corner(bit, width, height)
        rgb[top : top + BLOCK, left : left + BLOCK] = on
        rgb[top + BLOCK : top + 2 * BLOCK, left : left + BLOCK] = 255 - on
    return rgb


def _block_corner(bit: int, width: int, height: int) -> tuple[int, int]:
    return width // 2 + (bit - BITS // 2) * BLOCK, height // 2 - BLOCK


def read_code(rgb: Picture) -> int:
    """The number painted into a picture; fails when its two rows of bits disagree."""
    height, width = rgb.shape[:2]
    number = 0
    for bit in range(BITS):
        left, top = _block_corner(bit, width, height)
        centre = slice(left + BLOCK // 4, left + 3 * BLOCK // 4)
        direct = float(rgb[top + BLOCK // 4 : top + 3 * BLOCK // 4, centre].mean())
        inverse = float(rgb[top + 5 * BLOCK // 4 : top + 7 * BLOCK // 4, centre].mean())
        assert abs(direct - inverse) > 100, f"bit {bit} is unreadable: {direct:.0f} against {inverse:.0f}"
        number |= int(direct > inverse) << bit
    return number


def corner_colours(rgb: Picture) -> tuple[str, ...]:
    """Names of the colours found in the corners: top left, top right, bottom left, bottom right."""
    near, far = slice(BLOCK // 4, 3 * BLOCK // 4), slice(-3 * BLOCK // 4, -BLOCK // 4)
    found = []
    for rows, columns in ((near, near), (near, far), (far, near), (far, far)):
        mean = rgb[rows, columns].reshape(-1, 3).mean(0)
        found.append(min(CORNERS, key=lambda name: float(np.abs(mean - CORNERS[name]).sum())))
    return tuple(found)


def write_video(
    path: Path,
    pts_ms: Sequence[int],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    b_frames: int = 0,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    rotation_deg: int = 0,
    mirrored: bool = False,
    rate: int | None = None,
    audio_s: float = 0.0,
    sample_aspect: Fraction | None = None,
    codec_options: dict[str, str] | None = None,
    mux_options: dict[str, str] | None = None,
    first_code: int = 0,
    zoom: int = 1,
) -> Path:
    """Encodes one painted picture per time stamp (milliseconds), with a tone when audio_s > 0.

    With `rate` the encoder's clock is 1/rate and frame k has time k/rate (needed by AVI and MPEG-1/2);
    the time stamps then only say how many frames there are.
    """
    with av.open(str(path), "w", options=mux_options or {}) as container:
        options = {"g": "12", "bf": str(b_frames)}
        if codec == "libx264":
            # Zero-latency-like extras stay off: reordering is what some of these clips are about.
            # As many threads everywhere: the bytes depend on them, and with these where a cut falls.
            options |= {"preset": "veryfast", "crf": "12", "b_strategy": "0", "threads": "3"}
        stream: Any = container.add_stream(codec, rate=rate or 25, options=options | (codec_options or {}))
        stored = (size[1], size[0]) if rotation_deg % 180 else size
        stream.width, stream.height = stored[0] * zoom, stored[1] * zoom
        stream.pix_fmt = pix_fmt
        clock = Fraction(1, rate) if rate else Fraction(1, 1000)
        stream.codec_context.time_base = clock
        stream.time_base = clock
        if codec not in ("libx264", "ffv1", "mjpeg"):
            stream.bit_rate = 2_000_000
        if sample_aspect is not None:
            stream.codec_context.sample_aspect_ratio = sample_aspect
        if rotation_deg or mirrored:
            stream.set_display_rotation(-rotation_deg, hflip=mirrored)
        sound = (
            container.add_stream("aac" if path.suffix != ".avi" else "mp2", rate=44100) if audio_s else None
        )
        for k, ms in enumerate(pts_ms):
            upright = paint(first_code + k, *size).repeat(zoom, 0).repeat(zoom, 1)
            shown = np.fliplr(upright) if mirrored else upright
            # Turned anticlockwise here, so that the declared clockwise turn puts it upright again.
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(shown, rotation_deg // 90)))
            frame.pts = k if rate else ms
            frame.time_base = clock
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            mux_tone(container, sound, audio_s)
    return path


def mux_tone(container: Any, stream: Any, seconds: float) -> None:
    """Adds a tone of 440 Hz."""
    for start in range(0, int(seconds * 44100), 1024):
        phase = np.arange(start, start + 1024, dtype=np.float32) * (2 * np.pi * 440 / 44100)
        frame = av.AudioFrame.from_ndarray(
            (0.1 * np.sin(phase))[None].astype(np.float32)
            if stream.codec_context.name == "aac"
            else (3000 * np.sin(phase))[None].astype(np.int16),
            format="fltp" if stream.codec_context.name == "aac" else "s16",
            layout="mono",
        )
        frame.sample_rate, frame.pts = 44100, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _times(pts_ms: Sequence[int]) -> tuple[float, ...]:
    return tuple((ms - pts_ms[0]) / 1000 for ms in pts_ms)


def clip_of(path: Path, pts_ms: Sequence[int], **truth: Any) -> Clip:
    """The clip whose frame k has the k-th time stamp (milliseconds) and bears the number k."""
    codes = truth.pop("codes", tuple(range(len(pts_ms))))
    return Clip(path, _times(pts_ms), codes=codes, **truth)


STEADY = tuple(range(0, 1600, 40))
"""25 frames a second for 1.6 s, in milliseconds."""

_STEPS = (40, 40, 120, 33, 33, 300, 17, 40, 250, 40)
UNEVEN = tuple(int(t) for t in np.cumsum((0, *_STEPS * 4))[:36])
"""A variable frame rate with steps of 17 to 300 ms."""


def steady(folder: Path) -> Clip:
    return clip_of(write_video(folder / "steady.mp4", STEADY), STEADY)


def b_frames(folder: Path) -> Clip:
    return clip_of(write_video(folder / "b_frames.mp4", STEADY, b_frames=3), STEADY)


def uneven_mp4(folder: Path) -> Clip:
    return clip_of(write_video(folder / "uneven.mp4", UNEVEN, b_frames=2), UNEVEN)


def uneven_mkv(folder: Path) -> Clip:
    return clip_of(write_video(folder / "uneven.mkv", UNEVEN, b_frames=2), UNEVEN)


def late_mp4(folder: Path) -> Clip:
    pts = [ms + 1500 for ms in UNEVEN]
    return clip_of(write_video(folder / "late.mp4", pts, audio_s=3.0), pts)


def late_mkv(folder: Path) -> Clip:
    pts = [ms + 1500 for ms in UNEVEN]
    return clip_of(write_video(folder / "late.mkv", pts, b_frames=2, audio_s=3.0), pts)


def rotated(degrees: int) -> Callable[[Path], Clip]:
    def make(folder: Path) -> Clip:
        path = write_video(folder / f"rotated_{degrees}.mp4", STEADY[:10], rotation_deg=degrees)
        return clip_of(path, STEADY[:10], rotation_deg=degrees)

    return make


def audio_longer_mp4(folder: Path) -> Clip:
    return clip_of(write_video(folder / "audio_longer.mp4", STEADY[:20], audio_s=4.0), STEADY[:20])


def audio_longer_mkv(folder: Path) -> Clip:
    return clip_of(write_video(folder / "audio_longer.mkv", STEADY[:20], audio_s=4.0), STEADY[:20])


def single_frame(folder: Path) -> Clip:
    return clip_of(write_video(folder / "single.mp4", [0]), [0])


def ten_bit(folder: Path) -> Clip:
    path = write_video(folder / "ten_bit.mkv", STEADY[:10], pix_fmt="yuv420p10le", b_frames=2)
    return clip_of(path, STEADY[:10])


def wide_chroma(folder: Path) -> Clip:
    return clip_of(write_video(folder / "yuv422.mkv", STEADY[:10], pix_fmt="yuv422p"), STEADY[:10])


def gray(folder: Path) -> Clip:
    path = write_video(folder / "gray.mkv", STEADY[:10], codec="ffv1", pix_fmt="gray")
    return clip_of(path, STEADY[:10], upright=False)


def odd_size(folder: Path) -> Clip:
    path = write_video(folder / "odd.mkv", STEADY[:10], pix_fmt="yuv444p", size=(191, 127))
    return clip_of(path, STEADY[:10], width=191, height=127)


def avi_without_pts(folder: Path) -> Clip:
    """H.264 with B-frames in AVI, which stores no presentation times at all."""
    return clip_of(write_video(folder / "b_frames.avi", STEADY, b_frames=2, rate=25), STEADY)


def avi_mpeg4(folder: Path) -> Clip:
    return clip_of(write_video(folder / "mpeg4.avi", STEADY, codec="mpeg4", rate=25), STEADY)


def program_stream(folder: Path) -> Clip:
    path = write_video(folder / "camera.mpg", STEADY, codec="mpeg2video", b_frames=2, rate=25)
    return clip_of(path, STEADY)


def transport_stream(folder: Path) -> Clip:
    path = write_video(folder / "camera.mts", STEADY, b_frames=2, rate=25)
    return clip_of(path, STEADY)


def windows_media(folder: Path) -> Clip:
    return clip_of(write_video(folder / "old.wmv", STEADY, codec="wmv2", rate=25), STEADY)


def webm(folder: Path) -> Clip:
    path = write_video(
        folder / "browser.webm",
        UNEVEN,
        codec="libvpx",
        codec_options={"deadline": "realtime", "cpu-used": "8"},
    )
    return clip_of(path, UNEVEN)


def oblong_pixels(folder: Path) -> Clip:
    path = write_video(folder / "oblong.mp4", STEADY[:10], sample_aspect=Fraction(2, 1))
    return clip_of(path, STEADY[:10])


def hostile_name(folder: Path) -> Clip:
    return clip_of(write_video(folder / "-Löwe 雪 %d 'x' .v1.mp4", STEADY[:10]), STEADY[:10])


WHOLE_CLIPS: dict[str, Callable[[Path], Clip]] = {
    "steady": steady,
    "b_frames": b_frames,
    "uneven_mp4": uneven_mp4,
    "uneven_mkv": uneven_mkv,
    "late_mp4": late_mp4,
    "late_mkv": late_mkv,
    "rotated_90": rotated(90),
    "rotated_180": rotated(180),
    "rotated_270": rotated(270),
    "audio_longer_mp4": audio_longer_mp4,
    "audio_longer_mkv": audio_longer_mkv,
    "single_frame": single_frame,
    "ten_bit": ten_bit,
    "wide_chroma": wide_chroma,
    "gray": gray,
    "odd_size": odd_size,
    "avi_without_pts": avi_without_pts,
    "avi_mpeg4": avi_mpeg4,
    "program_stream": program_stream,
    "transport_stream": transport_stream,
    "windows_media": windows_media,
    "webm": webm,
    "oblong_pixels": oblong_pixels,
    "hostile_name": hostile_name,
}
"""Clips that every backend should read from the first frame to the last."""
