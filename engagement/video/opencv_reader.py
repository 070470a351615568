"""OpenCV's capture: for platforms without PyAV and for comparison. The only capture through cv2.

Limits, measured by the contract suite: CAP_PROP_POS_MSEC is the container's time in OpenCV 4.6 and
later, but 0 or in decoding order where packets carry no presentation time (H.264 in AVI, MPEG program
streams). Such streams are recognised by their first frames and timed by index / mean rate, which
is only right when their rate is constant; hence ``exact_times`` is False. OpenCV reports no duration
of the video stream; a cut-short file is recognised by its frame count in MP4, MOV and AVI only.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path

# Read once by OpenCV's FFmpeg plugin, when it is loaded; -8 is AV_LOG_QUIET.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from engagement.errors import VideoError  # noqa: E402
from engagement.types import ByteArray, Frame, VideoInfo  # noqa: E402
from engagement.video.clock import END_TOLERANCE_S, END_TOLERANCE_SHARE, PresentationClock, judge  # noqa: E402
from engagement.video.reader import (  # noqa: E402
    UNFINISHED,
    FrameTicket,
    VideoReader,
    not_a_video,
    nothing_decodable,
    require_readable,
)

_PROBED_FRAMES = 24
_TIME_EPSILON_S = 1e-6
_COUNTING_SUFFIXES = {".mp4", ".mov", ".m4v", ".avi"}


class OpenCvReader(VideoReader):
    """Reads through cv2.VideoCapture with its FFmpeg plugin."""

    backend = "opencv"
    exact_times = False
    detects_truncation = False

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = require_readable(path)
        capture = _open(self._path)
        try:
            stamps = [_stamp(capture) for _ in range(_PROBED_FRAMES) if capture.grab()]
            if not stamps:
                raise nothing_decodable(self._path)
            later = zip(stamps, stamps[1:], strict=False)
            self._stamped = stamps[0] < 1e6 and all(a < b for a, b in later)
            rate = capture.get(cv2.CAP_PROP_FPS)
            self._step_s = 1 / rate if 0.1 < rate < 1000 else 0.04
            self._declared_frames = 0
            if self._path.suffix.lower() in _COUNTING_SUFFIXES:
                self._declared_frames = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
            code = int(capture.get(cv2.CAP_PROP_FOURCC))
            self._info = VideoInfo(
                self._path,
                int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
                int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
                int(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360,
                self._declared_frames * self._step_s or None,
                "".join(chr(code >> shift & 255) for shift in (0, 8, 16, 24)).strip(" \0").lower(),
                self.backend,
            )
        finally:
            capture.release()
        self._times: list[float] | None = None
        self._seeker: cv2.VideoCapture | None = None
        self._seeker_next = 0

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
        capture = _open(self._path)
        try:
            while capture.grab():
                time_s = clock.tick(_stamp(capture) if self._stamped else None)
                if time_s is not None:
                    yield FrameTicket(len(clock.times_s) - 1, time_s, self._loader(capture))
        finally:
            capture.release()
        outcome = judge(clock, None)
        missing = self._declared_frames - outcome.frames_decoded - clock.dropped
        if missing * self._step_s > max(END_TOLERANCE_S, 0) and missing > (
            END_TOLERANCE_SHARE * self._declared_frames
        ):
            lost = f"{missing} of {self._declared_frames} frames are missing"
            outcome = judge(clock, None, failure=lost)
        self._outcome = outcome
        if not clock.dropped and not clock.restarts:
            self._times = list(clock.times_s)

    def frame_at(self, time_s: float) -> Frame:
        """See VideoReader. Walks forward from the start or the last place: OpenCV's own seeking misses frames
        in streams with B-frames or a variable rate."""
        if self._seeker is None or not self._seeker_may_walk_to(time_s):
            self.close()
            self._seeker = _open(self._path)
            self._clock = PresentationClock(self._step_s)
            self._held: Frame | None = None
            self._ahead: Frame | None = None
        capture = self._seeker
        while self._ahead is None or self._ahead.time_s <= time_s + _TIME_EPSILON_S:
            if self._ahead is not None:
                self._held = self._ahead
            if not capture.grab():
                break
        if self._held is None:
            raise VideoError(f"{self._path}: no frame can be decoded at {time_s:.2f} s")
        return self._held
