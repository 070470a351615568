"""Random access for PyAV's reader: all times of a stream, and the frame of one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av.error
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from engagement.errors import VideoError
from engagement.video.clock import RESTART_S, PresentationClock, without_wild
from engagement.video.pyav_stream import Reading, decode, open_stream, packets, with_damage

TIME_EPSILON_S = 1e-6
#: How far before a wanted time a key frame is sought, one after the other.
STEPS_BACK_S = (0.0, 1.0, 5.0, 30.0)
_GO_ON_S = 3.0
#: So far apart a picture is never decoded and shown: one of its stamps is wrong.
_APART_S = 60.0


@dataclass(frozen=True, slots=True)
class Stamps:
    """How the frames of a stream are timed.

    Attributes:
        by_dts: by the decoder's output clock; the container stores no presentation times.
        first_s: stamp of the first frame. step_s: usual seconds between two.
    """

    by_dts: bool
    first_s: float
    step_s: float

    def of(self, frame: VideoFrame) -> float | None:
        """A frame's stamp, seconds; None where it has none."""
        return seconds(frame.dts if self.by_dts or frame.pts is None else frame.pts, frame.time_base)

    def each(
        self, frames: Iterator[VideoFrame], clock: PresentationClock | None = None
    ) -> Iterator[tuple[VideoFrame, float | None]]:
        """Frames with their stamps, None for wild ones, which ``clock`` remembers."""
        return without_wild(((frame, self.of(frame)) for frame in frames), clock.wild if clock else None)

    def clock(self) -> PresentationClock:
        """One that begins with the stream."""
        return PresentationClock(self.step_s)


def packet_clock(path: Path, stamps: Stamps) -> tuple[PresentationClock, int]:
    """Times of all frames as the packets tell them, without decoding; and how many packets do not."""
    container, stream = open_stream(path)
    found: list[float] = []
    restarted, previous, unstamped = False, None, 0
    with container:
        whole = (p for p in packets(container, (stream,), Reading()) if p.size)
        judged = ((p, seconds(p[0].dts, p[0].time_base)) for p in with_damage(container, whole))
        for (packet, damaged), decoding_s in without_wild(judged):
            shown = not stamps.by_dts and packet.pts is not None
            stamp_s = seconds(packet.pts, packet.time_base) if shown else decoding_s
            wild = packet.dts is not None and decoding_s is None
            apart = stamp_s is not None and decoding_s is not None and abs(stamp_s - decoding_s) > _APART_S
            if stamp_s is None or wild or apart:
                unstamped += 1
            elif not packet.is_discard and not damaged:
                found.append(stamp_s)
            if decoding_s is not None:
                restarted |= previous is not None and decoding_s < previous - RESTART_S
                previous = decoding_s
    clock = stamps.clock()
    for stamp_s in found if restarted else sorted(found):
        clock.tick(stamp_s)
    clock.restarts += restarted
    return clock, unstamped


def decoded_clock(path: Path, stamps: Stamps, threads: int) -> PresentationClock:
    """The same from the decoded frames: packets of a bare H.264 stream have no time."""
    clock = stamps.clock()
    container, stream = open_stream(path, threads=threads)
    with container:
        for _, stamp_s in stamps.each(decode(container, stream, Reading()), clock):
            clock.tick(stamp_s)
    return clock


def walk_to(path: Path, stamps: Stamps, target_s: float) -> tuple[int, float, VideoFrame]:
    """Index, time and frame at a time, without seeking: for streams where seeking misleads.

    Raises:
        VideoError: nothing can be decoded up to there.
    """
    clock, best = stamps.clock(), None
    container, stream = open_stream(path)
    with container:
        for frame, stamp_s in stamps.each(decode(container, stream, Reading())):
            time_s = clock.tick(stamp_s)
            if time_s is None:
                continue
            if time_s > target_s + TIME_EPSILON_S:
                break
            best = (len(clock.times_s) - 1, time_s, frame)
        if best is None:
            raise VideoError(f"{path}: no frame can be decoded at {target_s:.2f} s")
        return best


class RandomAccess:
    """Frames by their exact time, from a key frame or from where it stands.

    Args:
        container, stream: open, and used by nobody else.
        stamps: of the stream.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, stamps: Stamps) -> None:
        self._container, self._stream, self._stamps = container, stream, stamps
        self._cursor: _Cursor | None = None

    def frame_of(self, target_s: float) -> VideoFrame | None:
        """The frame with exactly this time; None where no seeking leads to it."""
        frame = self._go_on_to(target_s)
        for back_s in STEPS_BACK_S:
            # Well before the start there is nothing to seek: a walk begins at the start, too.
            if frame is not None or back_s > target_s + STEPS_BACK_S[1]:
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
        stamp = round((self._stamps.first_s + target_s - back_s) / time_base)
        try:
            self._container.seek(stamp, stream=self._stream)
        except av.error.FFmpegError:
            return None
        reading = Reading()
        self._cursor = _Cursor(self._stamps.each(decode(self._container, self._stream, reading)), reading)
        return self._find(self._cursor, target_s)

    def _find(self, cursor: _Cursor, target_s: float) -> VideoFrame | None:
        """The frame with exactly the target's time, None when the stream passes it by."""
        if not self._stamps.by_dts:
            cursor.reading.wanted_from_s = self._stamps.first_s + target_s - TIME_EPSILON_S
        for frame, stamp_s in cursor.frames:
            if stamp_s is not None:
                cursor.time_s = round(stamp_s - self._stamps.first_s, 9)
            else:
                cursor.time_s += self._stamps.step_s
            if abs(cursor.time_s - target_s) <= TIME_EPSILON_S:
                return frame
            if cursor.time_s > target_s:
                break
        self._cursor = None
        return None


@dataclass
class _Cursor:
    """Where random access stands: the frames still to come, with their stamps, and the time of the latest."""

    frames: Iterator[tuple[VideoFrame, float | None]]
    reading: Reading
    time_s: float = float("-inf")


def seconds(stamp: int | None, time_base: Fraction | None) -> float | None:
    """A stamp in seconds; None where either is missing."""
    return None if stamp is None or time_base is None else float(stamp * time_base)
