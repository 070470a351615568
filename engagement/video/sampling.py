"""Picks frames by time, not by stride: a stream's frame rate may vary, the rate of analysis must not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from engagement.errors import ConfigError
from engagement.runs import LONGEST_STEPS
from engagement.types import Frame, TimeArray, TimeSpan
from engagement.video.reader import FrameTicket, VideoReader

GRID_TOLERANCE_S = 0.0006
"""A frame this much before a grid point counts as on it: Matroska rounds times to a millisecond."""

HIGHEST_RATE_HZ = 120.0

LEAD_S, TAIL_S = 6.0, 4.0
"""What is read before and after a span: the search for faces, tracks and smoothing need a past and a future."""


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """How densely a video is analysed.

    Attributes:
        rate_hz: frames per second of presentation time, above 0 and at most 120.
    """

    rate_hz: float = 5.0

    def __post_init__(self) -> None:
        number = isinstance(self.rate_hz, int | float) and not isinstance(self.rate_hz, bool)
        if not number or not 0 < self.rate_hz <= HIGHEST_RATE_HZ:
            raise ConfigError(
                f"--sample-rate is {self.rate_hz!r}",
                f"Give frames per second above 0 and at most {HIGHEST_RATE_HZ:g}, for example 5",
            )


def grid_cell(time_s: float, rate_hz: float) -> int:
    """The latest grid point k at or before a time. Of a cell's frames the first is sampled."""
    return math.floor((time_s + GRID_TOLERANCE_S) * rate_hz)


def typical_step_s(times_s: TimeArray, rate_hz: float) -> float:
    """Seconds that a sample stands for: a grid cell, or the distance of the stream's frames where that is larger.

    The mean, for of a stream hardly faster than the grid two samples lie up to two cells apart; without the stream's
    pauses, of which a short or bursty recording may have as many as samples.

    Args:
        times_s: (n,) increasing, of the sampled frames.
        rate_hz: of the grid.
    """
    cell_s = 1 / rate_hz
    steps = np.diff(times_s)
    if not len(steps):
        return cell_s
    steps = steps[steps <= LONGEST_STEPS * max(cell_s, float(np.median(steps)))]
    own_s, over = float(steps.mean()), min(10, len(steps))
    return own_s if own_s > cell_s * (1 + 1 / over) + GRID_TOLERANCE_S else cell_s


def within(time_s: float, span: TimeSpan | None, rate_hz: float) -> bool:
    """Whether a sampled time belongs to a span: its grid cell does, so that spans never share one."""
    if span is None:
        return True
    cell = grid_cell(time_s, rate_hz)
    return grid_cell(span.start_s, rate_hz) <= cell and (
        span.end_s is None or cell < grid_cell(span.end_s, rate_hz)
    )


def select_span(reader: VideoReader, rate_hz: float, span: TimeSpan | None) -> Iterator[Frame]:
    """The frames that `select` gives, of a span with its lead-in and tail; all of them without a span.

    Neighbouring spans share at least one frame, also where the stream has a gap at their border. The index
    counts from the first frame read.
    """
    if span is None:
        yield from select(reader.tickets(), rate_hz)
        return
    first = max(grid_cell(span.start_s, rate_hz) - math.ceil(LEAD_S * rate_hz), 0)
    last = math.inf
    if span.end_s is not None:
        last = grid_cell(span.end_s, rate_hz) + math.ceil(TAIL_S * rate_hz)
    start_s = first / rate_hz - 2 * GRID_TOLERANCE_S
    with closing(reader.tickets_from(start_s)) as tickets:
        for frame in select(tickets, rate_hz, first):
            yield frame
            if grid_cell(frame.time_s, rate_hz) >= last:
                return


def select(tickets: Iterable[FrameTicket], rate_hz: float, first_cell: int = 0) -> Iterator[Frame]:
    """The first frame at or after each point of the grid k / rate_hz, each frame at most once.

    Grid points within a gap of the stream are skipped, not made up for. A stream slower than the rate
    gives every frame. Only chosen frames are converted to pixels.

    Args:
        tickets: in order of time; drawn one at a time.
        rate_hz: above 0.
        first_cell: grid point to begin at.
    """
    next_point = first_cell
    for ticket in tickets:
        cell = grid_cell(ticket.time_s, rate_hz)
        if cell >= next_point:
            next_point = cell + 1
            yield ticket.frame()
