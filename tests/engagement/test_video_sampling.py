from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagement.errors import ConfigError
from engagement.types import Frame, TimeSpan, VideoInfo
from engagement.video.reader import FrameTicket, VideoReader
from engagement.video.sampling import GRID_TOLERANCE_S, SamplingConfig, select, select_span, within

PIXEL = np.zeros((1, 1, 3), np.uint8)


def tickets(times: list[float], loaded: list[int] | None = None) -> Iterator[FrameTicket]:
    for index, time_s in enumerate(times):

        def load(index: int = index) -> np.ndarray:
            if loaded is not None:
                loaded.append(index)
            return PIXEL

        yield FrameTicket(index, time_s, load)


def chosen(times: list[float], rate_hz: float) -> list[float]:
    return [frame.time_s for frame in select(tickets(times), rate_hz)]


# Steps of at least 2 ms: no camera is faster, and each frame is then distinct from its neighbours.
steps = st.lists(st.floats(0.002, 3.0), min_size=0, max_size=120)
rates = st.sampled_from([0.2, 1.0, 4.0, 5.0, 12.5, 30.0, 120.0])


class Stream(VideoReader):
    """A reader of nothing but times."""

    backend, exact_times, detects_truncation = "made up", True, True

    def __init__(self, times: list[float]) -> None:
        super().__init__()
        self.times = times

    @property
    def info(self) -> VideoInfo:
        raise AssertionError("sampling asks for times alone")

    def tickets(self) -> Iterator[FrameTicket]:
        return tickets(self.times)

    def tickets_from(self, start_s: float) -> Generator[FrameTicket, None, None]:
        yield from tickets([t for t in self.times if t >= start_s])

    def frame_at(self, time_s: float) -> Frame:
        raise AssertionError("sampling asks for times alone")

    def close(self) -> None:
        pass


def times_of(steps: list[float]) -> list[float]:
    return [0.0, *np.cumsum(steps).tolist()]


@given(steps, rates)
def test_chosen_times_increase_and_begin_with_the_first_frame(steps: list[float], rate: float) -> None:
    result = chosen(times_of(steps), rate)
    assert result[0] == 0.0
    assert all(a < b for a, b in pairwise(result))
    assert set(result) <= set(times_of(steps))


@given(steps, rates)
def test_never_more_than_one_frame_per_grid_cell(steps: list[float], rate: float) -> None:
    cells = [np.floor((time_s + GRID_TOLERANCE_S) * rate) for time_s in chosen(times_of(steps), rate)]
    assert len(cells) == len(set(cells))


@given(steps, rates)
def test_each_cell_with_a_frame_gives_its_first(steps: list[float], rate: float) -> None:
    """States the whole rule independently: the first frame of each grid cell that has one."""
    first: dict[float, float] = {}
    for time_s in times_of(steps):
        first.setdefault(float(np.floor((time_s + GRID_TOLERANCE_S) * rate)), time_s)
    assert chosen(times_of(steps), rate) == list(first.values())


@given(steps, rates, st.integers(0, 120))
def test_the_future_changes_nothing(steps: list[float], rate: float, cut: int) -> None:
    times = times_of(steps)
    whole = chosen(times, rate)
    part = chosen(times[: cut + 1], rate)
    assert whole[: len(part)] == part


@given(steps, rates)
def test_choosing_again_from_the_chosen_changes_nothing(steps: list[float], rate: float) -> None:
    once = chosen(times_of(steps), rate)
    assert chosen(once, rate) == once


@pytest.mark.parametrize(("fps", "rate", "expected"), [(25, 5, 50), (30, 5, 50), (29.97, 5, 50), (4, 5, 40)])
def test_steady_streams_give_the_rate_or_all_they_have(fps: float, rate: float, expected: int) -> None:
    times = [k / fps for k in range(round(10 * fps))]
    assert len(chosen(times, rate)) == expected


def test_times_rounded_to_milliseconds_stay_on_the_grid() -> None:
    exact = [k / 30 for k in range(3000)]
    rounded = [round(time_s, 3) for time_s in exact]
    assert [round(time_s, 3) for time_s in chosen(exact, 7.5)] == chosen(rounded, 7.5)


def test_a_gap_is_not_made_up_for() -> None:
    times = [0.0, 0.1, 0.2, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4]
    assert chosen(times, 5) == [0.0, 0.2, 1.05, 1.2, 1.4]


def test_only_chosen_frames_are_converted() -> None:
    loaded: list[int] = []
    list(select(tickets([k / 25 for k in range(25)], loaded), 5))
    assert loaded == [0, 5, 10, 15, 20]


@pytest.mark.parametrize("rate", [0, -1, 121, float("nan"), float("inf"), True, "5"])
def test_a_wrong_rate_names_option_value_and_remedy(rate: object) -> None:
    with pytest.raises(ConfigError) as caught:
        SamplingConfig(rate)  # pyright: ignore[reportArgumentType]
    assert "--sample-rate" in caught.value.message
    assert repr(rate) in caught.value.message
    assert "at most 120" in caught.value.hint


def test_the_bounds_of_the_rate() -> None:
    assert SamplingConfig().rate_hz == 5.0
    assert SamplingConfig(120).rate_hz == 120
    assert SamplingConfig(0.01).rate_hz == 0.01


@given(steps, rates, st.lists(st.integers(1, 400), max_size=4, unique=True))
def test_spans_together_give_every_sample_once_and_neighbours_share_one(
    steps: list[float], rate_hz: float, borders: list[int]
) -> None:
    times = times_of(steps)
    edges = [0, *sorted(borders)]
    spans = [
        TimeSpan(a / rate_hz, b / rate_hz if b else None)
        for a, b in zip(edges, [*edges[1:], None], strict=True)
    ]
    read = [[f.time_s for f in select_span(Stream(times), rate_hz, span)] for span in spans]
    own = [[t for t in part if within(t, span, rate_hz)] for part, span in zip(read, spans, strict=True)]
    assert [t for part in own for t in part] == chosen(times, rate_hz)
    before: set[float] = set(read[0])
    for part in read[1:]:
        assert not part or before & set(part)
        before |= set(part)


@pytest.mark.parametrize(
    ("span", "rate_hz", "first_s", "last_s"),
    [
        (TimeSpan(20.0, 40.0), 5.0, 14.0, 44.0),
        (TimeSpan(20.0, 40.0), 0.1, 10.0, 50.0),  # a sample more, at least
        (TimeSpan(4.0, 8.0), 5.0, 0.0, 12.0),
        (TimeSpan(20.0, None), 5.0, 14.0, 99.8),
        (None, 5.0, 0.0, 99.8),
    ],
)
def test_a_span_is_read_with_six_seconds_before_and_four_after(
    span: TimeSpan | None, rate_hz: float, first_s: float, last_s: float
) -> None:
    read = [f.time_s for f in select_span(Stream([k / 25 for k in range(2500)]), rate_hz, span)]
    assert (read[0], read[-1]) == (first_s, last_s)
    own = [t for t in read if within(t, span, rate_hz)]
    start_s, end_s = (0.0, None) if span is None else (span.start_s, span.end_s)
    assert own == [t for t in read if t >= start_s and (end_s is None or t < end_s)]
