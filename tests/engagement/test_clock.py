"""Times from stamps as recorders write them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagement.video.clock import LEAP_S, RESTART_S, PresentationClock, judge, without_wild

STEP = 0.04


def ticked(stamps: list[float | None], durations: dict[int, float] | None = None) -> PresentationClock:
    clock = PresentationClock()
    for i, stamp in enumerate(stamps):
        clock.tick(stamp, (durations or {}).get(i))
    return clock


@given(st.lists(st.none() | st.floats(-1e5, 1e6, allow_nan=False), max_size=60))
def test_times_begin_at_zero_and_always_rise(stamps: list[float | None]) -> None:
    clock = ticked(stamps)
    times = np.array(clock.times_s)
    assert len(times) + clock.dropped == len(stamps)
    assert not len(times) or times[0] == 0
    assert (np.diff(times) > 0).all() and (np.diff(times) <= LEAP_S).all()


def test_a_clock_that_starts_anew_goes_on_a_usual_step_later() -> None:
    first = [k * STEP for k in range(50)]
    clock = ticked([*first, *(RESTART_S - 1 + k * STEP for k in range(50))])
    np.testing.assert_allclose(clock.times_s, [k * STEP for k in range(100)], atol=1e-6)
    assert clock.restarts == 1


def kept(stamps: list[float | None]) -> list[float | None]:
    found = list(without_wild(enumerate(stamps)))
    assert [i for i, _ in found] == list(range(len(stamps)))
    return [stamp for _, stamp in found]


@pytest.mark.parametrize("wild", [5000.0, 2.9, -3000.0, 0.3])
def test_a_stamp_that_the_next_one_takes_back_is_none(wild: float) -> None:
    stamps = [k * STEP for k in range(100)]
    with_it = [*stamps[:50], wild, *stamps[51:]]
    assert kept(list(with_it)) == [*stamps[:50], None, *stamps[51:]]
    np.testing.assert_allclose(ticked(kept(list(with_it))).times_s, stamps, atol=1e-6)


@pytest.mark.parametrize(
    "wild", [(5000.0, 5000.04), (5000.0, 300.0), (5000.0, -3000.0), (-3000.0, 2.9), (-5.0, -4.96)]
)
@pytest.mark.parametrize("at", [1, 50, 97])
def test_two_that_the_next_one_takes_back_are_none(wild: tuple[float, float], at: int) -> None:
    stamps = [k * STEP for k in range(100)]
    with_it = [*stamps[:at], *(w + at * STEP for w in wild), *stamps[at + 2 :]]
    assert kept(list(with_it)) == [*stamps[:at], None, None, *stamps[at + 2 :]]
    np.testing.assert_allclose(ticked(kept(list(with_it))).times_s, stamps, atol=1e-6)


def test_wild_stamps_are_counted() -> None:
    wild: list[float] = []
    stamps = [0.0, 0.04, 900.0, 900.04, 0.16, 0.2, 700.0, 0.28, 0.32]
    assert [s for _, s in without_wild(enumerate(stamps), wild)].count(None) == 3
    assert wild == [900.0, 900.04, 700.0]


def test_steady_stamps_do_not_wait() -> None:
    """Pictures that are held back take memory."""
    asked: list[int] = []

    def counted(stamps: list[float]) -> Iterator[tuple[int, float]]:
        for i, stamp in enumerate(stamps):
            asked.append(i)
            yield i, stamp

    for i, _ in without_wild(counted([0.0, 0.04, 0.08, 60.0, 60.04, 60.08, 60.12])):
        assert len(asked) - 1 == (5 if i in (3, 4, 5) else i)


@pytest.mark.parametrize(
    "stamps",
    [
        [*(k * STEP for k in range(50)), *(60 + k * STEP for k in range(50))],  # a pause
        [*(k * STEP for k in range(50)), *(k * STEP for k in range(50))],  # joined
        [*(k * STEP for k in range(50)), 48 * STEP, *(k * STEP for k in range(50, 60))],  # repeated
        [None, 0.0, None, 7.0, 7.04, None],
        [10.0 * k for k in range(9)],  # slides
        [*(k * STEP for k in range(50)), 60.0, 60.04, 60.08, *(k * STEP for k in range(53, 60))],
        [*(k * STEP for k in range(50)), 60.0, 60.04],
        [*(k * STEP for k in range(50)), 2.2, 2.24, *(k * STEP for k in range(52, 60))],
        [*(k * STEP for k in range(50)), *(k * 0.4 for k in range(20))],
        [],
    ],
    ids=[
        "pause",
        "joined",
        "backward",
        "some without",
        "slides",
        "three",
        "end",
        "near",
        "joined slower",
        "none",
    ],
)
def test_other_stamps_stay(stamps: list[float | None]) -> None:
    assert kept(stamps) == stamps


def test_one_wild_stamp_does_not_count_twice() -> None:
    clock = ticked([*(k * STEP for k in range(50)), 5000.0, *(k * STEP for k in range(51, 100))])
    assert clock.times_s[51] == pytest.approx(5000 + STEP) and clock.restarts == 1


def test_a_leap_of_a_day_is_another_clock() -> None:
    clock = ticked([*(k * STEP for k in range(50)), *(95_000 + k * STEP for k in range(50))])
    np.testing.assert_allclose(clock.times_s, [k * STEP for k in range(100)], atol=1e-6)
    assert "started anew" in judge(clock, None).reason


def test_a_picture_without_stamp_after_a_pause_comes_a_usual_step_later() -> None:
    clock = ticked([*(k * STEP for k in range(50)), 60.0, None])
    assert clock.last_s == pytest.approx(60 + STEP)


def test_a_pause_before_the_last_picture_hides_no_missing_end() -> None:
    clock = ticked([*(k * STEP for k in range(50)), 60.0])
    assert not judge(clock, 120.0).complete
    assert judge(clock, 60.5).complete


def test_the_last_picture_lasts_as_long_as_its_container_says() -> None:
    stamps = [k * STEP for k in range(50)]
    assert not judge(ticked(list(stamps)), 12.0).complete
    assert judge(ticked(list(stamps), {49: 10.0}), 12.0).complete


@pytest.mark.parametrize(
    ("stamps", "times"),
    [
        ([5.0, 5.5, 5.54], [0.0, 0.5, 0.54]),  # the first stamp is zero, whatever it is
        ([-1.0, 0.25], [0.0, 1.25]),
        ([None, 7.0, 7.5], [0.0, STEP, STEP + 0.5]),  # where it is missing, the next is a usual step later
        ([1.0, 1.1, None, 1.3], [0.0, 0.1, 0.2, 0.3]),
        ([3.0, 3.04, 3.04, 3.08], [0.0, 0.04, 0.08]),  # one that is repeated is left out
    ],
)
def test_times_count_from_the_first_picture(stamps: list[float | None], times: list[float]) -> None:
    clock = ticked(stamps)
    assert list(clock.times_s) == pytest.approx(times, abs=1e-9)
    assert (clock.restarts, clock.dropped) == (0, len(stamps) - len(times))


def test_reading_from_the_middle_keeps_the_times_of_the_whole() -> None:
    clock = PresentationClock(origin_s=10.0)
    assert [clock.tick(stamp) for stamp in (72.5, 72.54, 10.0)] == pytest.approx([62.5, 62.54, 62.58])
    assert clock.restarts == 1


@pytest.mark.parametrize(
    ("n", "step", "declared_s", "whole"),
    [
        (2475, STEP, 99.49, True),  # to 99 s: half a second less is none
        (2475, STEP, 99.51, False),
        (50, 2.0, 100.0, True),  # to 98.04 s: as long as the pictures of a sparse one are apart
        (50, 2.0, 100.1, False),
        (10, 10.0, 91.8, True),  # to 90.04 s: but no more than a fiftieth
        (10, 10.0, 92.0, False),
    ],
)
def test_a_stream_may_end_a_little_before_it_was_said_to(
    n: int, step: float, declared_s: float, whole: bool
) -> None:
    stamps: list[float | None] = [k * step for k in range(n)]
    assert judge(ticked(stamps, {n - 1: 0.04}), declared_s).complete is whole


def test_what_was_wrong_with_a_stream_is_told_with_how_often() -> None:
    clock = ticked([0.0, 0.04, 0.04, 0.08, -5.0, -4.96])
    clock.wild += [900.0]
    found = judge(clock, 10.0, damaged=2, failure="Input/output error")
    assert found.reason == (
        "the pictures end at 0.16 s of 10.00 s; reading stopped: Input/output error; 2 damaged packets skipped; "
        "1 frame with a repeated or backward time stamp left out; 1 wild time stamp passed over; "
        "the stream's clock started anew 1 time"
    )
    assert (found.frames_decoded, found.last_time_s, found.complete) == (5, pytest.approx(0.16), False)
    assert (found.frames_dropped, found.packets_damaged, found.stamps_wild) == (1, 2, 1)
    assert judge(ticked([0.0, 0.04]), 0.08).reason == "" and judge(ticked([0.0]), None).complete
    assert not judge(ticked([0.0]), None, damaged=1).complete
    assert not judge(ticked([0.0]), None, failure="x").complete
