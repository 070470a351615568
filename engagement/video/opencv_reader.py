"""OpenCV's capture: for platforms without PyAV and for comparison. The only capture through cv2.

Limits, measured by the contract suite: CAP_PROP_POS_MSEC is the container's time in OpenCV 4.6 and
later, but 0 or in decoding order where packets carry no presentation time (H.264 in AVI, MPEG program
streams). Such streams are recognised by their first frames and timed by index / mean rate, which
is only right when their rate is constant; hence ``exact_times`` is False. OpenCV reports no duration
of the video stream; a cut-short file is recognised by its frame count in MP4, MOV and AVI only.
FFmpeg refuses to convert interlaced pictures, which OpenCV (4.13, 5.0) does not notice: it gives what lay in
memory, the same for every frame. Such files are refused, and so are those in which nothing ever changes.
Where pictures change their size, OpenCV before 4.13 gives the one before the change to the end, and says nothing.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

# Read once by OpenCV's FFmpeg plugin, when it is loaded; -8 is AV_LOG_QUIET.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2
import numpy as np

from engagement.compat import quiet_opencv
from engagement.errors import VideoError
from engagement.types import ByteArray, Frame, VideoInfo
from engagement.video.clock import END_TOLERANCE_S, END_TOLERANCE_SHARE, PresentationClock, judge
from engagement.video.reader import (
    UNFINISHED,
    FrameTicket,
    VideoReader,
    not_a_video,
    nothing_decodable,
    require_readable,
)

_PROBED_FRAMES = 24
_PROBED_PLACES, _UNKNOWN_LENGTH_S = 8, 80.0
_TIME_EPSILON_S = 1e-6
_STAMP_EPSILON_S = 1e-4
_STEPS_BACK_S = (0.5, 5.0, 30.0)
_COUNTING_SUFFIXES = {".mp4", ".mov", ".m4v", ".avi"}


class OpenCvReader(VideoReader):
    """Reads through cv2.VideoCapture with its FFmpeg plugin."""

    backend = "opencv"
    exact_times = False
    detects_truncation = False

    def __init__(self, path: Path, threads: int = 0) -> None:
        super().__init__()
        self._path = require_readable(path)
        self._threads = threads
        capture = self._open()
        try:
            stamps, changes = _probed(capture)
            if not stamps:
                raise nothing_decodable(self._path)
            if len(stamps) > 1 and not changes and not _changes_later(capture):
                raise VideoError(
                    f"OpenCV gives one picture throughout {self._path}, as it does where they are interlaced",
                    "Choose the pyav backend",
                )
            self._stamped = all(earlier < later for earlier, later in pairwise(stamps))
            rate = capture.get(cv2.CAP_PROP_FPS)
            self._step_s = 1 / rate if 1e-4 < rate < 1000 else 0.04
            self._declared_frames = 0
            if self._path.suffix.lower() in _COUNTING_SUFFIXES:
                self._declared_frames = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
            code = int(capture.get(cv2.CAP_PROP_FOURCC))
            self._info = VideoInfo(
                self._path,
                width=int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
                height=int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
                rotation_deg=int(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360,
                duration_s=self._declared_frames * self._step_s or None,
                codec="".join(chr(code >> shift & 255) for shift in (0, 8, 16, 24)).strip(" \0").lower(),
                backend=self.backend,
            )
        finally:
            capture.release()
        self._first_stamp_s = stamps[0]
        self._times: array[float] | None = None
        self._seekable = False
        self._seeker: cv2.VideoCapture | None = None

    @property
    def info(self) -> VideoInfo:
        return self._info

    def close(self) -> None:
        if self._seeker is not None:
            self._seeker.release()
            self._seeker = None

    def tickets(self) -> Iterator[FrameTicket]:
        self._outcome = UNFINISHED
        clock = PresentationClock(self._step_s)
        capture = self._open()
        try:
            while capture.grab():
                stamp_s = _stamp(capture) if self._stamped else None
                # OpenCV says 0 for a frame without time stamp, as the last ones of an AVI are.
                time_s = clock.tick(stamp_s if stamp_s or not clock.times_s else None)
                if time_s is not None:
                    yield FrameTicket(len(clock.times_s) - 1, time_s, self._loader(capture))
        finally:
            capture.release()
        missing = self._declared_frames - len(clock.times_s) - clock.dropped
        short = (
            missing * self._step_s > END_TOLERANCE_S and missing > END_TOLERANCE_SHARE * self._declared_frames
        )
        failure = f"{missing} of {self._declared_frames} declared frames are not there" if short else ""
        self._outcome = judge(clock, None, failure=failure)
        self._times = clock.times_s
        self._seekable = self._stamped and not clock.restarts

    def frame_at(self, time_s: float) -> Frame:
        outcome = self._outcome
        try:
            return self._frame_at(time_s)
        finally:
            self._outcome = outcome  # passes made on the way are nobody's business

    def _frame_at(self, time_s: float) -> Frame:
        if self._times is None:
            for _ in self.tickets():  # grabbing without converting: the only way to learn all times
                pass
        assert self._times is not None
        index = max(bisect_right(self._times, time_s + _TIME_EPSILON_S) - 1, 0)
        target_s = self._times[index]
        if self._seeker is None:
            self._seeker = self._open()
        # OpenCV seeks by mean rate and lands elsewhere; the stamp of the frame it lands on is right.
        for back_s in _STEPS_BACK_S if self._seekable else ():
            if back_s and back_s - _STEPS_BACK_S[0] > target_s:
                break
            self._seeker.set(cv2.CAP_PROP_POS_MSEC, max(target_s - back_s, 0.0) * 1000)
            if self._grab_until(self._seeker, target_s):
                return Frame(index, target_s, self._loader(self._seeker)())
        return self._walk_to(index, target_s)

    def _grab_until(self, capture: cv2.VideoCapture, target_s: float) -> bool:
        while capture.grab():
            ahead_s = _stamp(capture) - self._first_stamp_s - target_s
            if abs(ahead_s) <= _STAMP_EPSILON_S:
                return True
            if ahead_s > 0:
                return False
        return False

    def _walk_to(self, index: int, target_s: float) -> Frame:
        for ticket in self.tickets():
            if ticket.index == index:
                return ticket.frame()
        raise VideoError(f"{self._path}: no frame can be decoded at {target_s:.2f} s")

    def _open(self) -> cv2.VideoCapture:
        return _open(self._path, self._threads)

    def _loader(self, capture: cv2.VideoCapture) -> Callable[[], ByteArray]:
        size = (self._info.width, self._info.height)

        def load() -> ByteArray:
            ok, bgr = capture.retrieve()
            if not ok or bgr is None:
                raise VideoError(f"{self._path}: OpenCV cannot convert a frame", "Choose the pyav backend")
            if bgr.dtype != np.uint8:
                raise VideoError(f"{self._path}: OpenCV gives {bgr.dtype} pixels", "Choose the pyav backend")
            if (bgr.shape[1], bgr.shape[0]) != size:
                bgr = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
            code = cv2.COLOR_GRAY2RGB if bgr.ndim == 2 else cv2.COLOR_BGR2RGB
            return np.asarray(cv2.cvtColor(bgr, code), np.uint8)

        return load


def _open(path: Path, threads: int) -> cv2.VideoCapture:
    options = [cv2.CAP_PROP_N_THREADS, threads] if threads else []
    with quiet_opencv():
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, options)
    if not capture.isOpened():
        capture.release()
        # OpenCV does not say why; a file with sound only is refused like one that is no video.
        raise not_a_video(path, "or it has no video stream")
    return capture


def _probed(capture: cv2.VideoCapture) -> tuple[list[float], bool]:
    """Stamps of the first frames, and whether their pictures differ."""
    stamps, first, changes = list[float](), None, False
    while len(stamps) < _PROBED_FRAMES and capture.grab():
        stamps.append(_stamp(capture))
        if first is None:
            first = capture.retrieve()[1]
        elif not changes:
            changes = not np.array_equal(first, capture.retrieve()[1])
    return stamps, changes


def _changes_later(capture: cv2.VideoCapture) -> bool:
    """Whether pictures from all over the file differ."""
    frames, rate = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
    length_s = frames / rate if frames > 0 and rate > 0 else _UNKNOWN_LENGTH_S
    first = None
    for place in range(_PROBED_PLACES):
        capture.set(cv2.CAP_PROP_POS_MSEC, length_s * 1000 * place / _PROBED_PLACES)
        if capture.grab():
            picture = capture.retrieve()[1]
            first = picture if first is None else first
            if not np.array_equal(first, picture):
                return True
    return False


def _stamp(capture: cv2.VideoCapture) -> float:
    return capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
