"""decord: fast random access, unmaintained. The only file that imports decord.

decord 0.6 indexes the whole file when it opens it. Measured: in containers without a frame index (MPEG
transport and program streams, Windows Media) it hands out wrong pictures, and where packets carry no
presentation time (H.264 in AVI) its times are nonsense; both are refused instead of being read wrongly.
It reports neither duration, codec nor rotation (which it applies), so a file that was cut short cannot be
told from a short one, and a damaged frame is replaced by its neighbour without a word. Times are
float32 (0.2 ms off after an hour).
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# It would print a line of its own for every file with damaged frames.
os.environ.setdefault("DECORD_DUPLICATE_WARNING_THRESHOLD", "1.0")

import decord
import numpy as np

from engagement.errors import VideoError
from engagement.types import ByteArray, Frame, TimeArray, VideoInfo
from engagement.video.clock import PresentationClock, judge
from engagement.video.reader import (
    UNFINISHED,
    FrameTicket,
    VideoReader,
    not_a_video,
    nothing_decodable,
    require_readable,
)

decord.logging.set_level(decord.logging.QUIET)

_TIME_EPSILON_S = 1e-5
_LONGEST_S = 7 * 24 * 3600.0


class DecordReader(VideoReader):
    """Reads through decord's own copy of FFmpeg 4."""

    backend = "decord"
    exact_times = False
    detects_truncation = False

    def __init__(self, path: Path, threads: int = 0) -> None:
        super().__init__()
        self._threads = threads
        self._path = require_readable(path)
        if _lacks_frame_index(self._path):
            raise VideoError(
                f"{self._path} is an MPEG stream or Windows Media file, in which decord finds wrong pictures",
                "Choose the pyav backend",
            )
        self._frames: Any = self._open()
        self._times_s = self._read_times()
        try:
            height, width, channels = self._frames[0].shape
        except (decord.DECORDError, RuntimeError, IndexError, StopIteration) as error:
            raise nothing_decodable(self._path) from error
        if channels != 3:  # of pictures 16 or 24 px wide
            raise VideoError(f"decord gives no colours of {self._path}", "Choose the pyav backend")
        # decord turns the picture itself and does not say by how much.
        self._info = VideoInfo(
            self._path,
            width=width,
            height=height,
            rotation_deg=0,
            duration_s=None,
            codec="unknown",
            backend=self.backend,
        )

    def _open(self) -> Any:
        try:
            with _silenced():
                return decord.VideoReader(str(self._path), ctx=decord.cpu(0), num_threads=self._threads)
        except (decord.DECORDError, RuntimeError, AssertionError) as error:
            raise not_a_video(self._path, "or it has no video stream") from error

    def _read_times(self) -> TimeArray:
        stamps = np.asarray(self._frames.get_frame_timestamp(range(len(self._frames))))[:, 0]
        stamps = stamps.astype(np.float64)
        # Before zero lie frames that an edit list hides; decord counts them, and repeats others at the end.
        sensible = np.isfinite(stamps).all() and np.abs(stamps).max() <= _LONGEST_S
        if not sensible or stamps[0] < -_TIME_EPSILON_S or (np.diff(stamps) <= 0).any():
            raise VideoError(
                f"decord finds no usable presentation times in {self._path}", "Choose the pyav backend"
            )
        return np.round(stamps - stamps[0], 6)

    @property
    def info(self) -> VideoInfo:
        return self._info

    def close(self) -> None:
        self._frames = None

    def tickets(self) -> Iterator[FrameTicket]:
        self._outcome = UNFINISHED
        clock = PresentationClock()
        for position, stamp_s in enumerate(self._times_s.tolist()):
            time_s = clock.tick(stamp_s)
            if time_s is not None:
                yield FrameTicket(len(clock.times_s) - 1, time_s, self._loader(position))
        self._outcome = judge(clock, None)

    def frame_at(self, time_s: float) -> Frame:
        index = max(bisect_right(self._times_s, time_s + _TIME_EPSILON_S) - 1, 0)
        return Frame(index, float(self._times_s[index]), self._loader(index)())

    def _loader(self, position: int) -> Callable[[], ByteArray]:
        def load() -> ByteArray:
            try:
                return self._frames[position].asnumpy()
            except (decord.DECORDError, RuntimeError, StopIteration) as error:
                raise VideoError(
                    f"{self._path}: decord cannot decode frame {position}", "Choose the pyav backend"
                ) from error

        return load


@contextmanager
def _silenced() -> Iterator[None]:
    """Drops what is written to standard error meanwhile: decord's C++ prints there before it raises."""
    try:
        kept = os.dup(2)
    except OSError:  # no standard error, as under pythonw
        yield
        return
    try:
        with Path(os.devnull).open("w") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _lacks_frame_index(path: Path) -> bool:
    """Recognises the containers by their content: a header, or sync bytes at the packet distance."""
    with path.open("rb") as file:
        head = file.read(400)
    if head.startswith((b"\x00\x00\x01\xba", b"\x30\x26\xb2\x75")):
        return True
    distances = ((0, 188), (4, 192))
    return any(head[first : first + 2 * step : step] == b"\x47\x47" for first, step in distances)
