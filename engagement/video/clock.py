"""Turns a stream's raw time stamps into presentation times, and judges whether it was all there."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import TypeVar

from engagement.video.reader import DecodeOutcome
from engagement.wording import count

T = TypeVar("T")

RESTART_S = 1.0
"""A step back longer than this is a clock that started anew (concatenated camcorder files); a shorter
one is a faulty time stamp."""

LEAP_S = 12 * 3600.0
"""A step forward longer than this is no pause either: FFmpeg takes the second of two joined transport streams
for one whose clock of 33 bits ran over, 26.5 hours on, where it begins well before the first."""

WILD_S = 0.5
"""One or two stamps that lie farther from their neighbours, which follow each other, are wrong and not theirs."""

END_TOLERANCE_S = 0.5
END_TOLERANCE_SHARE = 0.02
_RECENT = 25
#: In a row. More of them are rather a piece of another clock.
_MOST_WILD = 2


def without_wild(
    stamped: Iterable[tuple[T, float | None]], wild: list[float] | None = None
) -> Iterator[tuple[T, float | None]]:
    """The same without the stamps that the next one, or the one after it, takes back: cameras write such now and then.

    What follows a step of more than WILD_S comes up to two later, everything else at once.

    Args:
        stamped: things in presentation order with their stamps in seconds, None where missing.
        wild: gets the stamps that were left out.
    """
    before: float | None = None
    held: list[tuple[T, float | None]] = []
    source, ended = iter(stamped), False
    while held or not ended:
        item = None if ended else next(source, None)
        if item is not None:
            held.append(item)
        ended |= item is None
        while held:
            thing, stamp = held[0]
            number = _wild(before, [each for _, each in held])
            if number:
                if wild is not None:
                    wild += [each for _, each in held[:number] if each is not None]
                yield from ((each, None) for each, _ in held[:number])
                del held[:number]
                continue
            if not ended and len(held) <= _MOST_WILD and _steps(before, stamp):
                break  # those that follow will tell
            yield thing, stamp
            before = before if stamp is None else stamp
            del held[0]


def _steps(before: float | None, stamp: float | None) -> bool:
    """Whether a stamp lies so far from the one before that it may be wrong."""
    return before is not None and stamp is not None and abs(stamp - before) > WILD_S


def _wild(before: float | None, stamps: Sequence[float | None]) -> int:
    """How many stamps lie far from where the stream was, and from where it goes on right afterwards."""
    for number in range(1, min(_MOST_WILD + 1, len(stamps))):
        after = stamps[number]
        if before is None or after is None or not before < after <= before + RESTART_S:
            continue
        if all(
            one is not None and (one - after > WILD_S or before - one > WILD_S) for one in stamps[:number]
        ):
            return number
    return 0


class PresentationClock:
    """Strictly increasing times from time stamps that may be missing, repeated or restarted.

    Args:
        default_step_s: distance assumed for a frame without time stamp while no other is known.
        origin_s: time stamp of the stream's first frame, where reading begins later than that.

    Attributes:
        times_s: the times given out, 8 bytes for each frame.
        dropped: frames refused because their time did not lie after the previous one.
        restarts: how often the stream's clock started anew.
        wild: stamps that were left out because a later one took them back (see :func:`without_wild`).
    """

    def __init__(self, default_step_s: float = 0.04, origin_s: float | None = None) -> None:
        self.times_s = array("d")
        self.dropped = 0
        self.restarts = 0
        self.wild: list[float] = []
        self.longest_step_s = 0.0
        self._default_step_s = default_step_s
        self._duration_s: float | None = None
        self._origin_s = origin_s

    @property
    def last_s(self) -> float:
        """Time of the latest frame, 0 before the first."""
        return self.times_s[-1] if self.times_s else 0.0

    @property
    def end_s(self) -> float:
        """Where the latest frame's display ends: by its own duration, or a usual step later."""
        return self.last_s + (self._duration_s or self._usual_step_s)

    @property
    def _usual_step_s(self) -> float:
        """Of the latest frames. Their last step may be a pause, or lead to a faulty stamp."""
        recent = self.times_s[-_RECENT:]
        return median(b - a for a, b in pairwise(recent)) if len(recent) > 1 else self._default_step_s

    def tick(self, stamp_s: float | None, duration_s: float | None = None) -> float | None:
        """The time of the next frame in presentation order.

        Args:
            stamp_s: the frame's own time stamp in seconds on the stream's clock, None when missing.
            duration_s: how long the container says that it is shown, None where it does not say.

        Returns:
            Seconds from the first frame, or None when the frame must be left out.
        """
        self._duration_s = duration_s
        if not self.times_s:
            if self._origin_s is not None and stamp_s is not None:
                self.times_s.append(round(stamp_s - self._origin_s, 9))
            else:
                self._origin_s = stamp_s
                self.times_s.append(0.0)
            return self.times_s[0]
        last = self.times_s[-1]
        if stamp_s is None:
            time_s = last + self._usual_step_s
        else:
            if self._origin_s is None:
                self._origin_s = stamp_s - (last + self._usual_step_s)
            # Rounded to nanoseconds, so that 1.56 is not 1.5599999999999998.
            time_s = round(stamp_s - self._origin_s, 9)
        if time_s <= last or time_s - last > LEAP_S:
            if stamp_s is None or 0 <= last - time_s <= RESTART_S:
                self.dropped += 1
                return None
            self.restarts += 1
            time_s = last + self._usual_step_s
            self._origin_s = stamp_s - time_s
        self.longest_step_s = max(self.longest_step_s, time_s - last)
        self.times_s.append(time_s)
        return time_s


def judge(
    clock: PresentationClock, declared_end_s: float | None, damaged: int = 0, failure: str = ""
) -> DecodeOutcome:
    """Says whether a stream that gave no more frames was complete.

    The stream may end before the declared time by 0.5 s, or by its own longest gap between frames
    (sparse recordings), the latter up to 2 % of the declared time.

    Args:
        clock: after the last frame.
        declared_end_s: end of the video stream in seconds from the first frame, None when unknown.
        damaged: packets that were skipped.
        failure: what stopped the reading, if something did.
    """
    faults = []
    complete = not damaged and not failure
    if declared_end_s is not None:
        gap = min(clock.longest_step_s, END_TOLERANCE_SHARE * declared_end_s)
        if declared_end_s - clock.end_s > max(END_TOLERANCE_S, gap):
            complete = False
            faults.append(f"the pictures end at {clock.last_s:.2f} s of {declared_end_s:.2f} s")
    if failure:
        faults.append(f"reading stopped: {failure}")
    faults += counted(damaged, clock.dropped, len(clock.wild))
    if clock.restarts:
        faults.append(f"the stream's clock started anew {count(clock.restarts, 'time')}")
    return DecodeOutcome(
        frames_decoded=len(clock.times_s),
        last_time_s=clock.last_s,
        complete=complete,
        reason="; ".join(faults),
        frames_dropped=clock.dropped,
        packets_damaged=damaged,
        stamps_wild=len(clock.wild),
        end_s=clock.end_s,
    )


def counted(damaged: int, dropped: int, wild: int) -> list[str]:
    """What is said of packets that were skipped, of frames and of time stamps that were left out, a clause each."""
    packets = f"{count(damaged, 'damaged packet')} skipped"
    frames = f"{count(dropped, 'frame')} with a repeated or backward time stamp left out"
    stamps = f"{count(wild, 'wild time stamp')} passed over"
    return [clause for number, clause in ((damaged, packets), (dropped, frames), (wild, stamps)) if number]
