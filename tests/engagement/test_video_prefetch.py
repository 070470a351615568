"""No test here sleeps: threads are held and released with events, and a deadlock fails by join's limit."""

from __future__ import annotations

import gc
import threading
import traceback
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engagement.video.prefetch import prefetch

LIMIT_S = 20.0  # only reached when something is broken


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "video-prefetch"}


@pytest.fixture(autouse=True)
def no_thread_survives() -> Iterator[None]:
    before = threads()
    yield
    gc.collect()
    assert threads() <= before


class Source:
    """Counts what was drawn and knows whether, and by whom, it was closed."""

    def __init__(self, count: int, failing_at: int | None = None) -> None:
        self.count, self.failing_at = count, failing_at
        self.drawn = 0
        self.closed_by: threading.Thread | None = None
        self.drew = threading.Semaphore(0)

    def __iter__(self) -> Iterator[int]:
        return self.items()

    def items(self) -> Iterator[int]:
        try:
            for k in range(self.count):
                if k == self.failing_at:
                    raise_from_the_decoder(k)
                self.drawn += 1
                self.drew.release()
                yield k
        finally:
            self.closed_by = threading.current_thread()


def raise_from_the_decoder(k: int) -> None:
    raise ArithmeticError(f"item {k}")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 50), st.integers(1, 8))
def test_everything_arrives_in_order(count: int, depth: int) -> None:
    with prefetch(Source(count), depth) as items:
        assert list(items) == list(range(count))
        assert next(items, "end") == "end"


def test_the_source_runs_and_is_closed_in_the_other_thread() -> None:
    source = Source(3)
    assert list(prefetch(source, 2)) == [0, 1, 2]
    assert source.closed_by is not None
    assert source.closed_by is not threading.current_thread()


def test_a_source_that_is_no_generator_is_closed_too() -> None:
    class Reader:
        closed = 0

        def __iter__(self) -> Reader:
            return self

        def __next__(self) -> int:
            return 1

        def close(self) -> None:
            self.closed += 1

    reader = Reader()
    with prefetch(reader, 1) as items:
        assert next(items) == 1
    assert reader.closed == 1


def test_it_runs_ahead_without_a_consumer_but_no_further_than_the_depth() -> None:
    source = Source(100)
    with prefetch(source, 3) as items:
        for _ in range(4):  # three wait in the queue, a fourth for room
            assert source.drew.acquire(timeout=LIMIT_S)
        assert next(items) == 0
        assert source.drew.acquire(timeout=LIMIT_S)
    assert source.drawn == 5


def test_an_exception_comes_after_the_items_before_it_with_its_traceback() -> None:
    with prefetch(Source(10, failing_at=4), 2) as items:
        assert [next(items) for _ in range(4)] == [0, 1, 2, 3]
        with pytest.raises(ArithmeticError, match="item 4") as caught:
            next(items)
        assert "raise_from_the_decoder" in "".join(traceback.format_tb(caught.value.__traceback__))
        assert next(items, "end") == "end"


def test_a_source_that_fails_at_once() -> None:
    class Broken:
        def __iter__(self) -> Iterator[int]:
            raise OSError("no file")

    with pytest.raises(OSError, match="no file"), prefetch(Broken(), 1) as items:
        next(items)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_error_of_the_consumer_stops_the_thread(error: type[BaseException]) -> None:
    source = Source(10**9)

    def consume() -> None:
        with prefetch(source, 2) as items:
            for item in items:
                if item == 3:
                    raise error

    with pytest.raises(error):
        consume()
    assert source.closed_by is not None
    assert source.drawn <= 3 + 1 + 2 + 2


def test_break_without_a_with_block_stops_the_thread() -> None:
    source = Source(10**9)
    for item in prefetch(source, 2):
        if item == 3:
            break
    gc.collect()
    assert source.closed_by is not None


def test_closing_a_generator_around_it_stops_the_thread() -> None:
    source = Source(10**9)

    def around() -> Iterator[int]:
        with prefetch(source, 2) as items:
            yield from items

    generator = around()
    assert next(generator) == 0
    generator.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert source.closed_by is not None


def test_closing_while_the_source_is_at_work_waits_for_it() -> None:
    at_work, go_on = threading.Event(), threading.Event()
    closed: list[bool] = []

    def slow() -> Iterator[int]:
        try:
            at_work.set()
            assert go_on.wait(LIMIT_S)
            yield 1
        finally:
            closed.append(True)

    items = prefetch(slow(), 1)
    assert at_work.wait(LIMIT_S)
    closer = threading.Thread(target=items.close)
    closer.start()
    go_on.set()
    closer.join(LIMIT_S)
    assert not closer.is_alive()
    assert closed == [True]
    items.close()
    assert list(items) == []


def test_a_waiting_consumer_is_released_by_close() -> None:
    go_on = threading.Event()

    def stuck() -> Iterator[int]:
        assert go_on.wait(LIMIT_S)
        yield from ()

    items = prefetch(stuck(), 1)
    arrived: list[list[int]] = []
    consumer = threading.Thread(target=lambda: arrived.append(list(items)))
    consumer.start()
    closer = threading.Thread(target=items.close)
    closer.start()
    go_on.set()
    for thread in (consumer, closer):
        thread.join(LIMIT_S)
        assert not thread.is_alive()
    assert arrived == [[]]


def test_time_in_the_source_is_counted_and_waiting_for_room_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("engagement.video.prefetch.time.perf_counter", lambda: now[0])

    def source() -> Iterator[int]:
        for k in range(3):
            now[0] += 2.0  # two seconds of decoding each
            yield k

    with prefetch(source(), 1) as items:
        assert list(items) == [0, 1, 2]
        assert items.producing_s == 6.0


def test_depth_must_be_positive() -> None:
    with pytest.raises(ValueError, match="depth"):
        prefetch([1], 0)
