"""How long each stage of a pipeline of iterators works, not counting what it waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Stopwatch:
    """Adds up seconds by stage. A stage runs in one thread and is named by that thread's :meth:`over`.

    Args:
        seconds: stage -> seconds, filled in place.
    """

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds
        self._waited = threading.local()

    def over(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """The items, with the time their iterator takes counted for a stage."""
        self._seconds.setdefault(name, 0.0)
        iterator = iter(items)
        while True:
            started, self._waited.s = time.perf_counter(), 0.0
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self._seconds[name] += time.perf_counter() - started - self._waited.s
            yield item

    def waiting(self, items: Iterable[T]) -> Iterator[T]:
        """The items of the stage before; waiting for them is not the work of the stage that asks."""
        iterator = iter(items)
        while True:
            started = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self._waited.s = getattr(self._waited, "s", 0.0) + time.perf_counter() - started
            yield item
