"""PyAV: the default reader. Only this file, ``pyav_seek`` and ``pyav_stream`` import av.

Time stamps are the container's. AVI stores none, and what FFmpeg makes up for it is in decoding
order, so there the decoder's output clock (dts) is used instead. Elsewhere a frame without pts uses
its dts, and one with neither follows its predecessor by a usual step.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import av.error
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from engagement.types import ByteArray, Frame, VideoInfo
from engagement.video.clock import RESTART_S, PresentationClock, judge
from engagement.video.pyav_seek import (
    STEPS_BACK_S,
    TIME_EPSILON_S,
    RandomAccess,
    Stamps,
    decoded_clock,
    packet_clock,
    walk_to,
)
from engagement.video.pyav_stream import Reading, declared_end, decode, moving_pictures, open_stream
from engagement.video.reader import (
    UNFINISHED,
    DecodeOutcome,
    FrameTicket,
    VideoReader,
    nothing_decodable,
    require_readable,
)


class PyAvReader(VideoReader):
    """Reads through FFmpeg's libraries.

    Before the stream has been read once, `frame_at` counts the container's packets to know a frame's
    index; streams with hidden frames (VP8) may then number a frame too high. After a full pass the
    index is exact.
    """

    backend = "pyav"
    exact_times = True
    detects_truncation = True

    def __init__(self, path: Path, threads: int = 0) -> None:
        super().__init__()
        self._path = require_readable(path)
        self._threads = threads
        # Slices, because whole-frame threads must be filled anew after every seek.
        self._container, self._stream = open_stream(self._path, "SLICE")
        try:
            first = next(decode(self._container, self._stream, Reading()), None)
            if first is None:
                raise nothing_decodable(self._path)
            self._stored_size = (first.width, first.height)
            turn, self._mirrored = _orientation(first)
            self._stamps = _stamps(self._container, self._stream, first)
            self._declared_end_s, self._end_is_the_streams = declared_end(
                self._container, self._stream, self._stamps.first_s
            )
            width, height = self._stored_size if turn % 180 == 0 else self._stored_size[::-1]
            self._info = VideoInfo(
                self._path,
                width=width,
                height=height,
                rotation_deg=turn,
                duration_s=self._declared_end_s,
                codec=self._stream.codec_context.name,
                backend=self.backend,
                pixel_aspect=_aspect(self._stream, turn),
                unread=tuple(s.index for s in moving_pictures(self._container)[1:]),
            )
        except BaseException:
            self._container.close()
            raise
        self._times: array[float] | None = None
        self._seekable = True
        self._access = RandomAccess(self._container, self._stream, self._stamps)

    @property
    def info(self) -> VideoInfo:
        return self._info

    def close(self) -> None:
        self._container.close()

    def tickets(self) -> Iterator[FrameTicket]:
        self._outcome = UNFINISHED
        clock, reading = self._stamps.clock(), Reading()
        container, stream = self._reopen()
        with container:
            frames = decode(container, stream, reading, watch_sound=not self._end_is_the_streams)
            for frame, stamp_s in self._stamps.each(frames, clock):
                time_s = clock.tick(stamp_s, _duration_s(frame))
                if time_s is not None:
                    yield FrameTicket(len(clock.times_s) - 1, time_s, self._loader(frame))
        self._outcome = self._judge(clock, reading)
        self._remember(clock)

    def splittable_until(self) -> float | None:
        # FFmpeg finds its place in these by guessing, and may lose frames at the end.
        if self._stamps.by_dts or self._container.format.name == "mpeg":
            return None
        clock, unstamped = packet_clock(self._path, self._stamps)
        return None if unstamped or clock.dropped or clock.restarts else clock.last_s

    def tickets_from(self, start_s: float) -> Generator[FrameTicket, None, None]:
        self._outcome = UNFINISHED
        clock, reading = PresentationClock(self._stamps.step_s, self._stamps.first_s), Reading()
        ended = False
        container, stream = self._reopen()
        try:
            for frame, stamp_s in self._stamps.each(self._sought(container, stream, reading, start_s), clock):
                if not clock.times_s and (
                    stamp_s is None or round(stamp_s - self._stamps.first_s, 9) < start_s
                ):
                    continue
                time_s = clock.tick(stamp_s, _duration_s(frame))
                if time_s is not None:
                    yield FrameTicket(len(clock.times_s) - 1, time_s, self._loader(frame))
            ended = True
        finally:
            container.close()
            self._outcome = (
                self._judge(clock, reading)
                if ended
                else self._with_size(judge(clock, None, reading.damaged, reading.failure), reading)
            )

    def _sought(
        self, container: InputContainer, stream: VideoStream, reading: Reading, start_s: float
    ) -> Iterator[VideoFrame]:
        """Frames from a key frame at or before a time, or from the first where none is found."""
        watch = not self._end_is_the_streams
        if start_s <= 0:
            yield from decode(container, stream, reading, watch)
            return
        assert stream.time_base is not None
        for back_s in STEPS_BACK_S:
            stamp = round((self._stamps.first_s + max(start_s - back_s, 0)) / stream.time_base)
            try:
                container.seek(stamp, stream=stream)
            except av.error.FFmpegError:
                continue
            reading.damaged, reading.failure = 0, ""
            frames = decode(container, stream, reading, watch)
            first = next(frames, None)
            stamp_s = None if first is None else self._stamps.of(first)
            if first is not None and stamp_s is not None and stamp_s <= self._stamps.first_s + start_s:
                yield first
                yield from frames
                return
        # Nothing leads to the middle: from the start, in a file opened anew.
        reading.damaged, reading.failure = 0, ""
        again, stream = self._reopen()
        with again:
            yield from decode(again, stream, reading, watch)

    def _judge(self, clock: PresentationClock, reading: Reading) -> DecodeOutcome:
        """What a pass that met the end of the stream says of it."""
        end = self._declared_end_s
        if end is not None and not self._end_is_the_streams:
            sound_end = reading.sound_end_s - self._stamps.first_s
            # The sound reaches the end of the file, so the file is whole and the pictures just end earlier.
            end = None if sound_end > end - 0.5 else end
        if end is not None and any(
            abs(stamp - self._stamps.first_s - end) < RESTART_S for stamp in clock.wild
        ):
            # Whoever wrote the file believed the wild stamp.
            end, self._info = None, replace(self._info, duration_s=round(clock.end_s, 3))
        return self._with_size(judge(clock, end, reading.damaged, reading.failure), reading)

    def _with_size(self, outcome: DecodeOutcome, reading: Reading) -> DecodeOutcome:
        """The outcome with the size of pictures that were larger than the first."""
        if prod(reading.largest) <= prod(self._stored_size):
            return outcome
        turned = self._info.rotation_deg % 180
        return replace(outcome, shrunk_from=reading.largest[::-1] if turned else reading.largest)

    def _reopen(self) -> tuple[InputContainer, VideoStream]:
        return open_stream(self._path, threads=self._threads)

    def frame_at(self, time_s: float) -> Frame:
        if self._times is None:
            clock, unstamped = packet_clock(self._path, self._stamps)
            if unstamped > len(clock.times_s):  # a bare stream: of some packets alone the others tell enough
                clock = decoded_clock(self._path, self._stamps, self._threads)
            self._remember(clock)
        assert self._times is not None
        index = max(bisect_right(self._times, time_s + TIME_EPSILON_S) - 1, 0)
        target_s = self._times[index]
        frame = self._access.frame_of(target_s) if self._seekable else None
        if frame is None:
            index, target_s, frame = walk_to(self._path, self._stamps, target_s)
        return Frame(index, target_s, self._loader(frame)())

    def _remember(self, clock: PresentationClock) -> None:
        self._times = clock.times_s or array("d", [0.0])
        self._seekable = not clock.restarts

    def _loader(self, frame: VideoFrame) -> Callable[[], ByteArray]:
        width, height = self._stored_size
        quarter_turns = -self._info.rotation_deg // 90 if self._info.rotation_deg else 0

        def load() -> ByteArray:
            rgb: Any = frame.to_ndarray(format="rgb24", width=width, height=height)
            turned = np.rot90(rgb, quarter_turns)
            # FFmpeg pads the rows of odd widths, so the array need not be contiguous before the turn either.
            return np.ascontiguousarray(np.fliplr(turned) if self._mirrored else turned)

        return load


def _orientation(frame: VideoFrame) -> tuple[int, bool]:
    """Clockwise turn from the stored to the displayed picture, degrees, and whether it is mirrored left to right then."""
    turn = round(-frame.rotation / 90) * 90 % 360  # PyAV counts anticlockwise
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV reads none of them where FFmpeg has added a kind that it does not know
        matrix = None
    if matrix is None:
        return turn, False
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].astype(np.float64)
    # FFmpeg reads the angle off the first row, which mirroring turns round.
    return ((180 - turn) % 360, True) if a * d < b * c else (turn, False)


def _duration_s(frame: VideoFrame) -> float | None:
    """How long the container says that a frame is shown."""
    return float(frame.duration * frame.time_base) if frame.duration and frame.time_base else None


def _aspect(stream: VideoStream, turn: int) -> float:
    """Width of a pixel over its height, as it is displayed after the turn."""
    aspect = float(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1)
    return 1 / aspect if turn in (90, 270) else aspect


def _stamps(container: InputContainer, stream: VideoStream, first: VideoFrame) -> Stamps:
    """How frames are timed, from the first of them."""
    rate = stream.average_rate or stream.guessed_rate
    stamps = Stamps(container.format.name == "avi", 0.0, float(1 / rate) if rate else 0.04)
    return replace(stamps, first_s=stamps.of(first) or 0.0)
