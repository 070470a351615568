"""FFmpeg's packets and pictures: what a container holds, and what of it can be read."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import av
import av.error
import av.logging
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from engagement.video.reader import no_video_stream, not_a_video

# FFmpeg's own lines mean nothing to a teacher; what matters comes back as an error or an outcome.
av.logging.set_level(None)
av.logging.set_libav_level(av.logging.PANIC)

#: Of Windows Media files: what their header begins its facts about the file with.
_ASF_FACTS = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")

#: Tags that are not UTF-8 are no reason to refuse a file. From PyAV 19 on they are read as they are, and never refused.
_ANY_TAGS: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}

#: No recording lasts for a year.
_LONGEST_S = 365 * 86_400.0

#: What FFmpeg calls transport streams.
_TRANSPORT = "mpegts"

#: Formats of pictures that cameras and players also take for videos.
_OF_PICTURES = ("mjpeg", "png", "gif", "bmp", "tiff", "webp")

#: Stretches of some 100 kB without anything to read that are passed by, one after the other.
_PASSED_BY = 1000


@dataclass
class Reading:
    """What a pass over packets is told and tells.

    Attributes:
        wanted_from_s: stamp in seconds; earlier frames that no other frame needs are not decoded.
        damaged: packets skipped.
        failure: what ended the pass before the end of the file.
        sound_end_s: stamp in seconds at which the sound ended, where that was watched.
        largest: stored width and height of the largest picture.
    """

    wanted_from_s: float = float("-inf")
    damaged: int = 0
    failure: str = ""
    sound_end_s: float = float("-inf")
    largest: tuple[int, int] = (0, 0)


def open_stream(path: Path, kind: str = "AUTO", threads: int = 0) -> tuple[InputContainer, VideoStream]:
    """A file and the first of its :func:`moving_pictures`.

    Args:
        kind: of FFmpeg's threads. threads: how many, 0 for as many as it likes.

    Raises:
        VideoError: it cannot be opened, or holds no such stream.
    """
    try:
        # Files only: a playlist that calls itself .mp4 must not reach for the network.
        container = av.open(str(path), "r", options={"protocol_whitelist": "file"}, **_ANY_TAGS)
    except (av.error.FFmpegError, ValueError) as error:
        raise not_a_video(path, getattr(error, "strerror", "") or str(error)) from error
    for stream in moving_pictures(container):
        stream.thread_type = kind
        stream.codec_context.thread_count = threads
        return container, stream
    found_none = not len(container.streams)
    container.close()
    raise not_a_video(path) if found_none else no_video_stream(path)


def moving_pictures(container: InputContainer) -> list[VideoStream]:
    """Streams of pictures, the one to be read first: as players do, one that is marked as the default before others.

    None is a cover, and none a preview where there are others: a single picture, or small ones in a format of pictures.
    """
    cover = Disposition.attached_pic | Disposition.timed_thumbnails
    found = [s for s in container.streams.video if not s.disposition & cover and s.codec_context is not None]
    larger = max((_pixels(s) for s in found if s.codec_context.name not in _OF_PICTURES), default=0)
    moving = [
        s
        for s in found
        if not _is_single(s) and (s.codec_context.name not in _OF_PICTURES or _pixels(s) >= larger)
    ]
    return sorted(moving or found, key=lambda s: not s.disposition & Disposition.default)


def _pixels(stream: VideoStream) -> int:
    return stream.codec_context.width * stream.codec_context.height


def _is_single(stream: VideoStream) -> bool:
    """Whether a stream says that it is one picture. Of an MP4 in fragments only those of the first are counted."""
    if stream.time_base is None or not stream.average_rate:
        return stream.frames == 1
    lasts_s = float((stream.duration or 0) * stream.time_base)
    if tagged_s := _tagged_s(stream):  # Matroska counts no pictures
        lasts_s = tagged_s - float((stream.start_time or 0) * stream.time_base)
    return (stream.frames == 1 or tagged_s > 0) and lasts_s * float(stream.average_rate) < 1.5


def _tagged_s(stream: VideoStream) -> float:
    """Seconds that a tag of Matroska gives a stream; 0 where there is none."""
    tag = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3]) if tag else 0.0


def packets(container: InputContainer, streams: Sequence[Stream], reading: Reading) -> Iterator[Packet]:
    """Packets in the file's order; what is in the way is passed by, what ends the reading is noted."""
    stuck = 0
    while True:
        try:
            for packet in container.demux(*streams):
                stuck = 0
                yield packet
            return
        except av.error.BlockingIOError:
            # Nothing readable for a while (MPEG-TS): there may be more behind it.
            reading.damaged, stuck = reading.damaged + 1, stuck + 1
            if stuck < _PASSED_BY:
                continue
            reading.failure = "a long stretch is damaged"
        except av.error.FFmpegError as error:
            reading.failure = error.strerror or str(error)
        return


def with_damage(container: InputContainer, found: Iterable[Packet]) -> Iterator[tuple[Packet, bool]]:
    """Packets of one stream, and whether each is damaged.

    In transport streams FFmpeg marks the packet before the one that is: it hands that out while it reads the next. It
    also marks it where recordings were joined (``cat a.ts b.ts``): there a key frame follows, and nothing is missing.
    """
    if container.format.name != _TRANSPORT:
        yield from ((packet, packet.is_corrupt) for packet in found)
        return
    before: Packet | None = None
    marked = False
    for packet in found:
        if before is not None:
            joined = packet.is_keyframe and not before.is_keyframe
            yield before, marked and before.size > 0 and not joined
            marked = before.is_corrupt
        before = packet
    if before is not None:
        yield before, marked and before.size > 0  # the last one empties the decoder


def decode(
    container: InputContainer, stream: VideoStream, reading: Reading, watch_sound: bool = False
) -> Iterator[VideoFrame]:
    """Frames in presentation order; never raises for damaged content but notes it."""
    unfit: set[int] = set()
    for packet, damaged in with_damage(container, _of_stream(container, stream, reading, watch_sound)):
        if damaged:
            reading.damaged += 1
            # Half a packet decodes to half a picture, the rest smeared: better than none for those that build on it. Others
            # than transport streams are damaged where they were cut off, and nothing follows.
            if packet.pts is None or container.format.name != _TRANSPORT:
                continue
            unfit.add(packet.pts)
        early = packet.pts is not None and packet.pts * packet.time_base < reading.wanted_from_s
        stream.codec_context.skip_frame = "NONREF" if early else "DEFAULT"
        try:
            frames = packet.decode()
        except av.error.EOFError:
            continue
        except av.error.FFmpegError:
            reading.damaged += not damaged
            continue
        for frame in frames:
            assert isinstance(frame, VideoFrame)
            if frame.pts in unfit:
                unfit.remove(frame.pts)
                continue
            reading.largest = max(reading.largest, (frame.width, frame.height), key=prod)
            yield frame


def _of_stream(
    container: InputContainer, stream: VideoStream, reading: Reading, watch_sound: bool
) -> Iterator[Packet]:
    """Packets of the pictures; where the sound ends is noted."""
    sounds = container.streams.audio if watch_sound else ()
    for packet in packets(container, (stream, *sounds), reading):
        # Not `stream_index`: in the packet that empties the decoder it is 0, whatever stream that is of.
        if packet.stream.index == stream.index:
            yield packet
        elif packet.pts is not None:
            end = (packet.pts + (packet.duration or 0)) * packet.time_base
            reading.sound_end_s = max(reading.sound_end_s, float(end))


def declared_end(container: InputContainer, stream: VideoStream, first_s: float) -> tuple[float | None, bool]:
    """End of the stream in seconds from its first frame, and whether the container says so of this
    very stream (otherwise the longest stream may be meant)."""
    end, counted = _declared(container, stream, first_s)
    # A recording that was never closed may say less than nothing, or thousands of years.
    return (end, counted) if end is not None and 0 < end < _LONGEST_S else (None, False)


def _declared(container: InputContainer, stream: VideoStream, first_s: float) -> tuple[float | None, bool]:
    if tagged_s := _tagged_s(stream):
        # FFmpeg's tag in Matroska counts from zero, mkvmerge's (by libmatroska) from the stream's start.
        before_s = 0.0 if "libmatroska" in container.metadata.get("encoder", "") else first_s
        if tagged_s > before_s:
            return tagged_s - before_s, True
    if stream.duration and stream.time_base is not None:
        counted = stream.frames > 0 or "mp4" in container.format.name
        hidden_s = 0.0
        if container.format.name == _TRANSPORT:
            # It counts from the first packet. A recording that was cut in the middle decodes from the next key frame.
            hidden_s = max(first_s - float((stream.start_time or 0) * stream.time_base), 0.0)
        elif "asf" in container.format.name:
            hidden_s = max(first_s, 0.0)  # it counts from zero
        return float(stream.duration * stream.time_base) - hidden_s, counted
    if "asf" in container.format.name and (end := _asf_duration(Path(container.name))):
        return end - max(first_s, 0.0), False
    if container.duration:
        start = max(container.start_time or 0, 0)
        return (container.duration + start) / av.time_base - first_s, False
    return None, False


def _asf_duration(path: Path) -> float | None:
    """Seconds that a Windows Media file's header declares: FFmpeg keeps silent where the file is shorter than that."""
    with path.open("rb") as file:
        head = file.read(2**16)
    at = head.find(_ASF_FACTS)
    facts = struct.Struct("<16x24x3QI")
    if at < 0 or len(head) < at + 24 + facts.size:
        return None
    played, _, preroll_ms, flags = facts.unpack_from(head, at + 24)
    live = flags & 1  # such a header was written before the recording
    end = round(played / 1e7 - preroll_ms / 1e3, 3)
    return end if end > 0 and not live else None
