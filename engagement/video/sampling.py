"""Picks frames by time, not by stride: a stream's frame rate may vary, the rate of analysis must not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engagement.errors import ConfigError
from engagement.types import Frame
from engagement.video.reader import FrameTicket

GRID_TOLERANCE_S = 0.0006
"""A frame this much before a grid point counts as on it: Matroska rounds times to a millisecond."""

HIGHEST_RATE_HZ = 120.0


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


def select(tickets: Iterable[FrameTicket], rate_hz: float) -> Iterator[Frame]:
    """The first frame at or after each point of the grid k / rate_hz, each frame at most once.

    Grid points within a gap of the stream are skipped, not made up for. A stream slower than the rate
    gives every frame. Only chosen frames are converted to pixels.

    Args:
        tickets: in order of time; drawn one at a time.
        rate_hz: above 0.
    """
    next_point = 0
    for ticket in tickets:
        position = (ticket.time_s + GRID_TOLERANCE_S) * rate_hz
        if position >= next_point:
            next_point = math.floor(position) + 1
            yield ticket.frame()
