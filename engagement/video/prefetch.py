"""Decodes ahead in a thread of its own, a bounded number of items."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")

# Waiting without a limit cannot be interrupted by Ctrl-C on Windows.
_WAKE_UP_S = 0.5


class _Channel(Generic[Item]):
    """What both threads share. It does not know the consumer's handle, so that one can be collected."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.items: deque[Item] = deque()
        self.changed = threading.Condition()
        self.finished = False
        self.abandoned = False
        self.error: BaseException | None = None
        self.producing_s = 0.0


class Prefetch(Iterator[Item]):
    """Iterator over what a thread produces; made by `prefetch`.

    Leaving a ``with`` block, `close` and garbage collection stop the thread and wait for it; it then has
    at most the item under way to finish. An exception of the source is raised where the item would have
    come, with the producer's traceback.
    """

    def __init__(self, source: Iterable[Item], depth: int) -> None:
        if depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth}")
        self._channel: _Channel[Item] = _Channel(depth)
        self._thread = threading.Thread(
            target=_produce, args=(source, self._channel), name="video-prefetch", daemon=True
        )
        self._thread.start()

    @property
    def producing_s(self) -> float:
        """Seconds the thread has spent inside the source so far, waiting for room not included."""
        return self._channel.producing_s

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        channel = self._channel
        with channel.changed:
            while not channel.items and not channel.finished and not channel.abandoned:
                channel.changed.wait(_WAKE_UP_S)
            if channel.items and not channel.abandoned:
                item = channel.items.popleft()
                channel.changed.notify_all()
                return item
            error, channel.error = channel.error, None
        self._thread.join()
        if error is not None and not channel.abandoned:
            raise error
        raise StopIteration

    def close(self) -> None:
        """Stops the thread, closes the source and waits for both. Further calls do nothing."""
        with self._channel.changed:
            self._channel.abandoned = True
            self._channel.items.clear()
            self._channel.changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_thread"):
            self.close()


def prefetch(source: Iterable[Item], depth: int) -> Prefetch[Item]:
    """Runs an iterator in its own thread, at most `depth` finished items ahead of the consumer.

    Use as a context manager, so that the thread ends with the block whatever happens in it:

        with prefetch(select(reader.tickets(), rate_hz), depth=8) as frames:
            for frame in frames: ...

    Args:
        source: iterated and closed by the new thread only.
        depth: at least 1. One more item may be finished and waiting for room.
    """
    return Prefetch(source, depth)


def _produce(source: Iterable[Item], channel: _Channel[Item]) -> None:
    error: BaseException | None = None
    iterator: Iterator[Item] | None = None
    try:
        iterator = iter(source)
        while not channel.abandoned:
            started = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                break
            finally:
                channel.producing_s += time.perf_counter() - started
            with channel.changed:
                while len(channel.items) >= channel.depth and not channel.abandoned:
                    channel.changed.wait()
                if channel.abandoned:
                    break
                channel.items.append(item)
                channel.changed.notify_all()
            del item  # a frame is megabytes; do not hold it while the next is decoded
    except BaseException as caught:
        error = caught
    finally:
        try:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()
        except BaseException as caught:
            error = error or caught
        with channel.changed:
            channel.error = error
            channel.finished = True
            channel.changed.notify_all()
