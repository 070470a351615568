"""PyAV: the default reader. Only this file and ``pyav_stream`` import av.

Time stamps are the container's. AVI stores none, and what FFmpeg makes up for it is in decoding
order, so there the decoder's output clock (dts) is used instead. Elsewhere a frame without pts uses
its dts, and one with neither follows its predecessor by a usual step.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av.error
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from engagement.errors import VideoError
from engagement.types import ByteArray, Frame, VideoInfo
from engagement.video.clock import RESTART_S, PresentationClock, judge, without_wild
from engagement.video.pyav_stream import Reading, declared_end, decode, open_stream, packets
from engagement.video.reader import (
    UNFINISHED,
    DecodeOutcome,
    FrameTicket,
    VideoReader,
    nothing_decodable,
    require_readable,
)

_TIME_EPSILON_S = 1e-6
_STEPS_BACK_S = (0.0, 1.0, 5.0, 30.0)
_GO_ON_S = 3.0
#: So far apart a picture is never decoded and shown: one of its stamps is wrong.
_APART_S = 60.0


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
            self._by_dts = self._container.format.name == "avi"
            self._stored_size = (first.width, first.height)
            rate = self._stream.average_rate or self._stream.guessed_rate
            self._nominal_step_s = float(1 / rate) if rate else 0.04
            # PyAV counts anticlockwise.
            turn = round(-first.rotation / 90) * 90 % 360
            self._first_stamp_s = self._stamp(first) or 0.0
            self._declared_end_s, self._end_is_the_streams = declared_end(
                self._container, self._stream, self._first_stamp_s
            )
            width, height = self._stored_size if turn % 180 == 0 else self._stored_size[::-1]
            self._info = VideoInfo(
                self._path, width, height, turn, self._declared_end_s, self._stream.codec_context.name,
                self.backend, _aspect(self._stream, turn),
            )  # fmt: skip
        except BaseException:
            self._container.close()
            raise
        self._times: array[float] | None = None
        self._seekable = True
        self._cursor: _Cursor | None = None

    @property
    def info(self) -> VideoInfo:
        return self._info

    def close(self) -> None:
        self._container.close()

    def tickets(self) -> Iterator[FrameTicket]:
        self._outcome = UNFINISHED
        clock, reading = self._new_clock(), Reading()
        container, stream = self._reopen()
        with container:
            frames = decode(container, stream, reading, watch_sound=not self._end_is_the_streams)
            for frame, stamp_s in self._stamped(frames, clock):
                time_s = clock.tick(stamp_s, _duration_s(frame))
                if time_s is not None:
                    yield FrameTicket(len(clock.times_s) - 1, time_s, self._loader(frame))
        self._outcome = self._judge(clock, reading)
        self._remember(clock)

    def splittable_until(self) -> float | None:
        # FFmpeg finds its place in these by guessing, and may lose frames at the end.
        if self._by_dts or self._container.format.name == "mpeg":
            return None
        clock, unstamped = self._packet_clock()
        return None if unstamped or clock.dropped or clock.restarts else clock.last_s

    def tickets_from(self, start_s: float) -> Generator[FrameTicket, None, None]:
        self._outcome = UNFINISHED
        clock, reading = PresentationClock(self._nominal_step_s, self._first_stamp_s), Reading()
        ended = False
        container, stream = self._reopen()
        try:
            for frame, stamp_s in self._stamped(self._sought(container, stream, reading, start_s), clock):
                if not clock.times_s and (
                    stamp_s is None or round(stamp_s - self._first_stamp_s, 9) < start_s
                ):
                    continue
                time_s = clock.tick(stamp_s, _duration_s(frame))
                if time_s is not None:
                    yield FrameTicket(len(clock.times_s) - 1, time_s, self._loader(frame))
            ended = True
        finally:
            container.close()
            self._outcome = (
                self._judge(clock, reading) if ended else judge(clock, None, reading.damaged, reading.failure)
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
        for back_s in _STEPS_BACK_S:
            stamp = round((self._first_stamp_s + max(start_s - back_s, 0)) / stream.time_base)
            try:
                container.seek(stamp, stream=stream)
            except av.error.FFmpegError:
                continue
            reading.damaged, reading.failure = 0, ""
            frames = decode(container, stream, reading, watch)
            first = next(frames, None)
            stamp_s = None if first is None else self._stamp(first)
            if first is not None and stamp_s is not None and stamp_s <= self._first_stamp_s + start_s:
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
            sound_end = reading.sound_end_s - self._first_stamp_s
            # The sound reaches the end of the file, so the file is whole and the pictures just end earlier.
            end = None if sound_end > end - 0.5 else end
        if end is not None and any(
            abs(stamp - self._first_stamp_s - end) < RESTART_S for stamp in clock.wild
        ):
            # Whoever wrote the file believed the wild stamp.
            end, self._info = None, replace(self._info, duration_s=round(clock.end_s, 3))
        return judge(clock, end, reading.damaged, reading.failure)

    def _reopen(self) -> tuple[InputContainer, VideoStream]:
        return open_stream(self._path, threads=self._threads)

    def frame_at(self, time_s: float) -> Frame:
        if self._times is None:
            clock, unstamped = self._packet_clock()
            self._remember(self._decoded_clock() if unstamped else clock)
        assert self._times is not None
        index = max(bisect_right(self._times, time_s + _TIME_EPSILON_S) - 1, 0)
        target_s = self._times[index]
        frame = self._sought_at(target_s) if self._seekable else None
        return self._walk_to(target_s) if frame is None else Frame(index, target_s, self._loader(frame)())

    def _sought_at(self, target_s: float) -> VideoFrame | None:
        """The frame of a time, from where random access stands or from a key frame; None where none leads to it."""
        frame = self._go_on_to(target_s)
        for back_s in _STEPS_BACK_S:
            # Well before the start there is nothing to seek: the walk begins at the start, too.
            if frame is not None or back_s > target_s + _STEPS_BACK_S[1]:
                break
            frame = self._seek_to(target_s, back_s)
        return frame

    def _go_on_to(self, target_s: float) -> VideoFrame | None:
        """Decodes on from the frame that was asked for before, when that one lies shortly before."""
        if self._cursor is None or not 0 < target_s - self._cursor.time_s <= _GO_ON_S:
            return None
        return self._find(self._cursor, target_s)

    def _seek_to(self, target_s: float, back_s: float) -> VideoFrame | None:
        """Decodes from a key frame at least back_s before the target."""
        time_base = self._stream.time_base
        assert time_base is not None
        stamp = round((self._first_stamp_s + target_s - back_s) / time_base)
        try:
            self._container.seek(stamp, stream=self._stream)
        except av.error.FFmpegError:
            return None
        reading = Reading()
        self._cursor = _Cursor(self._stamped(decode(self._container, self._stream, reading)), reading)
        return self._find(self._cursor, target_s)

    def _find(self, cursor: _Cursor, target_s: float) -> VideoFrame | None:
        """The frame with exactly the target's time, None when the stream passes it by."""
        if not self._by_dts:
            cursor.reading.wanted_from_s = self._first_stamp_s + target_s - _TIME_EPSILON_S
        for frame, stamp_s in cursor.frames:
            if stamp_s is not None:
                cursor.time_s = round(stamp_s - self._first_stamp_s, 9)
            else:
                cursor.time_s += self._nominal_step_s
            if abs(cursor.time_s - target_s) <= _TIME_EPSILON_S:
                return frame
            if cursor.time_s > target_s:
                break
        self._cursor = None
        return None

    def _walk_to(self, target_s: float) -> Frame:
        """The same without seeking, for streams where seeking misleads."""
        clock, best = self._new_clock(), None
        container, stream = open_stream(self._path)
        with container:
            for frame, stamp_s in self._stamped(decode(container, stream, Reading())):
                time_s = clock.tick(stamp_s)
                if time_s is None:
                    continue
                if time_s > target_s + _TIME_EPSILON_S:
                    break
                best = (len(clock.times_s) - 1, time_s, frame)
            if best is None:
                raise VideoError(f"{self._path}: no frame can be decoded at {target_s:.2f} s")
            return Frame(best[0], best[1], self._loader(best[2])())

    def _packet_clock(self) -> tuple[PresentationClock, int]:
        """Times of all frames as the packets tell them, without decoding; and how many packets do not."""
        container, stream = open_stream(self._path)
        stamps: list[float] = []
        restarted, previous, unstamped = False, None, 0
        with container:
            whole = (p for p in packets(container, (stream,), Reading()) if p.size)
            for packet, decoding_s in without_wild((p, _seconds(p.dts, p.time_base)) for p in whole):
                shown = not self._by_dts and packet.pts is not None
                stamp_s = _seconds(packet.pts, packet.time_base) if shown else decoding_s
                wild = packet.dts is not None and decoding_s is None
                apart = (
                    stamp_s is not None and decoding_s is not None and abs(stamp_s - decoding_s) > _APART_S
                )
                if stamp_s is None or wild or apart:
                    unstamped += 1
                elif not packet.is_discard and not packet.is_corrupt:
                    stamps.append(stamp_s)
                if decoding_s is not None:
                    restarted |= previous is not None and decoding_s < previous - RESTART_S
                    previous = decoding_s
        clock = self._new_clock()
        for stamp_s in stamps if restarted else sorted(stamps):
            clock.tick(stamp_s)
        clock.restarts += restarted
        return clock, unstamped

    def _decoded_clock(self) -> PresentationClock:
        """The same from the decoded frames: packets of a bare H.264 stream have no time."""
        clock = self._new_clock()
        container, stream = self._reopen()
        with container:
            for _, stamp_s in self._stamped(decode(container, stream, Reading()), clock):
                clock.tick(stamp_s)
        return clock

    def _remember(self, clock: PresentationClock) -> None:
        self._times = clock.times_s or array("d", [0.0])
        self._seekable = not clock.restarts

    def _new_clock(self) -> PresentationClock:
        return PresentationClock(self._nominal_step_s)

    def _stamped(
        self, frames: Iterator[VideoFrame], clock: PresentationClock | None = None
    ) -> Iterator[tuple[VideoFrame, float | None]]:
        stamped = ((frame, self._stamp(frame)) for frame in frames)
        return without_wild(stamped, clock.wild if clock else None)

    def _stamp(self, frame: VideoFrame) -> float | None:
        return _seconds(frame.dts if self._by_dts or frame.pts is None else frame.pts, frame.time_base)

    def _loader(self, frame: VideoFrame) -> Callable[[], ByteArray]:
        width, height = self._stored_size
        quarter_turns = -self._info.rotation_deg // 90 if self._info.rotation_deg else 0

        def load() -> ByteArray:
            rgb: Any = frame.to_ndarray(format="rgb24", width=width, height=height)
            # FFmpeg pads the rows of odd widths, so the array need not be contiguous before the turn either.
            return np.ascontiguousarray(np.rot90(rgb, quarter_turns))

        return load


def _seconds(stamp: int | None, time_base: Fraction | None) -> float | None:
    return None if stamp is None or time_base is None else float(stamp * time_base)


def _duration_s(frame: VideoFrame) -> float | None:
    """How long the container says that a frame is shown."""
    return float(frame.duration * frame.time_base) if frame.duration and frame.time_base else None


@dataclass
class _Cursor:
    """Where random access stands: the frames still to come, with their stamps, and the time of the latest."""

    frames: Iterator[tuple[VideoFrame, float | None]]
    reading: Reading
    time_s: float = float("-inf")


def _aspect(stream: VideoStream, turn: int) -> float:
    """Width of a pixel over its height, as it is displayed after the turn."""
    aspect = float(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1)
    return 1 / aspect if turn in (90, 270) else aspect
