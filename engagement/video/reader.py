"""What every video backend promises.

Times are presentation times from the container, counted from the first frame; nobody divides by a
frame rate where the container has time stamps. Pictures are upright: a rotation of 90, 180 or 270
degrees in the container is applied, and mirroring (by PyAV alone). Pixels are stored pixels:
where the container declares oblong pixels nothing is stretched, so boxes found in a frame are in
stored pixels. A stream that changes its picture size is scaled to the size of its first frame.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from engagement.errors import VideoError
from engagement.types import ByteArray, Frame, VideoInfo
from engagement.video.discover import PICTURE_SUFFIXES


@dataclass(frozen=True, slots=True, eq=False)
class FrameTicket:
    """A decoded frame whose picture is converted only when somebody asks for it.

    Attributes:
        index: position in the stream, from 0, without gaps.
        time_s: presentation time in seconds from the first frame, strictly increasing.
        load: gives rgb uint8 (height, width, 3); valid until the next ticket is drawn.
    """

    index: int
    time_s: float
    load: Callable[[], ByteArray]

    def frame(self) -> Frame:
        """The frame with its picture."""
        return Frame(self.index, self.time_s, self.load())


@dataclass(frozen=True, slots=True)
class DecodeOutcome:
    """How reading a stream ended.

    Attributes:
        frames_decoded: frames handed out.
        last_time_s: time of the last one; 0 when there was none.
        end_s: where it stops being shown; infinite where nothing tells.
        complete: the stream was read to the end that its container declares, and nothing was lost.
        reason: one clause for the user; empty when there is nothing to say.
        frames_dropped: decoded frames left out because their time did not lie after the previous one.
        packets_damaged: compressed packets that the decoder refused or that were marked as damaged.
        stamps_wild: time stamps that were left out because a later one took them back.
        shrunk_from: width and height of the largest pictures that were shrunk to the first one's size; (0, 0) where none
            was, or the reader does not say.
    """

    frames_decoded: int
    last_time_s: float
    complete: bool
    reason: str
    frames_dropped: int = 0
    packets_damaged: int = 0
    stamps_wild: int = 0
    shrunk_from: tuple[int, int] = (0, 0)
    end_s: float = math.inf


UNFINISHED = DecodeOutcome(0, 0.0, False, "the stream was not read to its end")

#: JPEG, PNG, GIF, BMP, TIFF, JPEG 2000, PGM and PPM.
_PICTURE_HEADS = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  "),
    *(b"P5", b"P6"),
)
#: WebP, AVIF and HEIF, which begin with a length or as other kinds do.
_PICTURE_PARTS = (b"RIFFWEBP", b"ftypavif", b"ftypheic", b"ftypheix", b"ftypmif1")


class VideoReader(ABC):
    """One open video file. Use as a context manager; not for several threads at a time.

    Class attributes state what a backend is able to do, and the contract suite holds it to that:
        backend: its name.
        exact_times: times come from the container for every format that the project reads.
        detects_truncation: `outcome.complete` is False for a file that was cut short.
    """

    backend: ClassVar[str]
    exact_times: ClassVar[bool]
    detects_truncation: ClassVar[bool]

    def __init__(self) -> None:
        self._outcome = UNFINISHED

    @property
    @abstractmethod
    def info(self) -> VideoInfo:
        """Facts about the stream."""

    @abstractmethod
    def tickets(self) -> Iterator[FrameTicket]:
        """Every decodable frame in presentation order; each call starts again at the first.

        A file that was cut short or is damaged does not raise: what can be decoded is given, and
        `outcome` says what is missing.
        """

    def splittable_until(self) -> float | None:
        """Time of the last frame if `tickets_from` may be used: times alone say where in the stream one is.

        Reads the container's packets once, without decoding. None when it may not, or nobody can tell.
        """
        return None

    def tickets_from(self, start_s: float) -> Generator[FrameTicket, None, None]:
        """The frames at or after a time, with the times that `tickets` gives them.

        The index counts from the first of them. `outcome` is that of what was read, also where the caller
        stops early. Only where `splittable_until` gives a time.
        """
        raise VideoError(
            f"{self.info.path}: {self.backend} cannot begin in the middle of a stream",
            "Use --backend pyav, or leave --split out.",
        )

    @abstractmethod
    def frame_at(self, time_s: float) -> Frame:
        """The frame displayed at a time: the last one at or before it (the first for earlier times).

        May be called while tickets are being drawn. Raises VideoError when the frame cannot be decoded.
        """

    @property
    def outcome(self) -> DecodeOutcome:
        """How the latest pass over `tickets` ended; not complete while one is under way."""
        return self._outcome

    @abstractmethod
    def close(self) -> None:
        """Releases the file. Further calls do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def require_readable(path: Path) -> Path:
    """The absolute path of a regular, readable, non-empty file that is not called as pictures are; VideoError otherwise.

    Absolute, because FFmpeg takes "12:30 lesson.mp4" for a protocol and "-x.mp4" for an option.
    """
    path = path.absolute()
    try:
        if path.is_dir():
            raise VideoError(f"{path} is a folder, not a video file", "Give the video files inside it")
        if not path.exists():
            raise VideoError(f"{path} does not exist", "Check the spelling of the path")
        if not path.is_file():
            raise VideoError(f"{path} is not a regular file", "Copy the video to a file first")
        if path.stat().st_size == 0:
            raise VideoError(f"{path} is empty", "Copy the file again from its source")
        # By name: FFmpeg takes a photograph for a video of one frame, and some streams of many for a picture.
        if path.suffix.lower() in PICTURE_SUFFIXES and path.suffix.lower() != ".gif":
            raise picture(path)
        with path.open("rb"):
            pass
    except OSError as error:
        raise VideoError(
            f"{path} cannot be read ({error.strerror or error})", "Check its permissions"
        ) from error
    return path


def begins_as_a_picture(path: Path) -> bool:
    """Whether a file's first bytes are those of a picture file; some of these hold many, and are videos then."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return False
    within = (head[:4] + head[8:12], head[4:12])  # RIFF....WEBP, ....ftypavif
    return head.startswith(_PICTURE_HEADS) or any(part in _PICTURE_PARTS for part in within)


def picture(path: Path) -> VideoError:
    """The error for a photograph or a drawing."""
    return VideoError(
        f"{path} is a picture, not a video",
        "`engagement explain` says what is seen in pictures; convert one that moves to MP4",
    )


def no_video_stream(path: Path) -> VideoError:
    """The error for a file with sound (and perhaps a cover picture) but no moving pictures."""
    return VideoError(
        f"{path} has no video stream", "It may hold only sound: give the recording with pictures"
    )


def not_a_video(path: Path, detail: str = "") -> VideoError:
    """The error for content that the decoder does not recognise."""
    return VideoError(
        f"{path} cannot be read as a video" + (f" ({detail})" if detail else ""),
        "The file is damaged, cut short while it was recorded, or of another kind; "
        "see whether a video player opens it and convert or copy it again",
    )


def nothing_decodable(path: Path) -> VideoError:
    """The error for a video stream of which not one frame decodes."""
    return VideoError(
        f"{path} has a video stream but no frame of it can be decoded",
        "The file is damaged or its codec is unknown here; convert it to H.264 in MP4",
    )
