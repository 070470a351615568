"""Video files in, frames with true presentation times out.

``open_video`` is the door; the contract of what it returns stands in ``reader.py``. Importing this
package loads no decoding library.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from engagement.errors import BackendUnavailable, ConfigError

if TYPE_CHECKING:
    from engagement.video.reader import VideoReader

_READERS = {
    "pyav": ("engagement.video.pyav_reader", "PyAvReader", "av", "av"),
    "decord": ("engagement.video.decord_reader", "DecordReader", "decord", "decord"),
    "opencv": ("engagement.video.opencv_reader", "OpenCvReader", "opencv-python-headless", "cv2"),
}

LIBRARIES = {name: library for name, (_, _, _, library) in _READERS.items()}
"""Backend -> the module that it imports."""

BACKENDS = tuple(_READERS)
"""Names a user may give."""

AUTO_BACKEND = "pyav"
"""What "auto" stands for; docs/decoding.md has the measurements behind it."""

__all__ = ["AUTO_BACKEND", "BACKENDS", "LIBRARIES", "open_video"]


def open_video(path: str | Path, backend: str = "auto", threads: int = 0) -> VideoReader:
    """Opens a video file and decodes its first frame.

    Args:
        path: the file.
        backend: one of BACKENDS, or "auto". A named backend is used or fails; nothing replaces it.
        threads: decoding threads, 0 for as many as there are cores; the pictures are the same.

    Returns:
        A reader; use it as a context manager.

    Raises:
        ConfigError: no backend has that name.
        BackendUnavailable: its library is not installed or does not load here.
        VideoError: it is no file (but a pipe, say), it is a picture, or it cannot be read as a video.
    """
    path = Path(path)
    name = AUTO_BACKEND if backend == "auto" else backend
    if name not in _READERS:
        raise ConfigError(
            f"Unknown video backend {backend!r}", f"Choose auto or one of {', '.join(BACKENDS)}"
        )
    module, class_name, distribution, _ = _READERS[name]
    try:
        reader_class = getattr(importlib.import_module(module), class_name)
    except (ImportError, OSError) as error:
        # OSError: decord loads its shared library by hand and fails so when it does not fit.
        others = " or ".join(other for other in BACKENDS if other != name)
        raise BackendUnavailable(
            f"Video backend {name} cannot be loaded ({error})",
            f"Install it with 'pip install {distribution}', or choose {others}",
        ) from error
    from engagement.video.reader import begins_as_a_picture

    if begins_as_a_picture(path):
        return _moving(reader_class, path, threads)
    return reader_class(path, threads)


def _moving(reader_class: Callable[[Path, int], VideoReader], path: Path, threads: int) -> VideoReader:
    """A reader of a file that begins as pictures do; VideoError unless it shows more than one.

    FFmpeg takes a photograph for a video of one frame, whatever it is called.
    """
    from engagement.errors import VideoError
    from engagement.video.reader import picture

    try:
        reader = reader_class(path, threads)
    except VideoError as error:
        raise picture(path) from error
    if sum(1 for _ in islice(reader.tickets(), 2)) < 2:
        reader.close()
        raise picture(path)
    return reader
