"""Moments to look at: where the class's estimates shifted, and stayed, by more than their uncertainty.

The rule is meant to be explained in two sentences. At every time, the mean of the stretch before is
compared with the mean of the stretch after. A shift counts when it is large (``MIN_CHANGE``, twice as much for
states that are told little better than chance) and exceeds what differences between people explain (``MIN_RATIO``
standard errors); the largest come first, and within one stretch only one time is kept.

Of one person alone no differences between people are known. There a shift must be far more (``CLEAR_RATIO``) than the
estimates of this person usually shift from one stretch to the next; whoever goes up and down all the time has none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from engagement.labels import LEARNER_STATES, WIDE_MARGIN
from engagement.timelines.summary import band_halfwidth, curve_of, halfwidths
from engagement.types import Floats

MAX_MOMENTS = 8
MIN_PEOPLE = 3
MIN_CHANGE = 0.1
MIN_RATIO = 2.5
CLEAR_RATIO = 4.0
_SHORTEST_S, _LONGEST_S, _PARTS = 10.0, 240.0, 20
MAX_PEOPLE = 5  # named with a moment
_KNOWN = 0.5  # of a stretch, of one person
_PRESENT = 0.75  # of a stretch; half-empty ones would compare different people
_LEAST_STRETCHES = 6  # of one person alone, or what is usual is not known
_TO_DEVIATION = 1.4826  # from the median of absolute values, of normal ones

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Shift:
    """One state's shift: means before and after, 0-1.

    Attributes:
        clear: far beyond what differences between people explain, or of one person alone beyond what is usual.
        weak: of a state told little better than chance.
    """

    state: str
    before: float
    after: float
    clear: bool
    weak: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """A time at which class means shifted.

    Attributes:
        time_s: when. start_s, end_s: the two stretches that were compared, joined.
        shifts: of the states that shifted, the largest first; at least one.
        n_people: median number of people behind the figures.
        other_people: whether the number of usable people changed so much that the shift may only
            come from who was visible.
    """

    time_s: float
    start_s: float
    end_s: float
    shifts: tuple[Shift, ...]
    n_people: int
    other_people: bool


def window_s(curves: Mapping[str, Any]) -> float:
    """Length of the stretches that are compared: a twentieth of the session, 10 s to 4 min, and three steps at least."""
    _, _, step, width = _axis(curves)
    return width * step


def find_moments(curves: Mapping[str, Any], wide: Collection[str] = (), alone: bool = False) -> list[Moment]:
    """The largest sustained shifts, at most eight, in order of time; often none.

    Args:
        curves: the ``class`` part of summary.json: ``step_s``, ``time_s``, ``n_used`` and for every
            state its mean, ``_lo`` and ``_hi``, of equal length, None where nothing is known.
        wide: states that need twice the change, as they need twice the lead (``EpisodesConfig.wide``).
        alone: whether all is of one and the same person.
    """
    times, n_used, step, width = _axis(curves)
    found: dict[int, list[Shift]] = {}
    for state, mean, error in _usable(curves, len(times), n_used, width, alone):
        for i in _comparable(mean, width):
            shift = _shift(state, mean, error, i, width, state in wide)
            if shift is not None and (shift.clear or not alone):
                found.setdefault(i, []).append(shift)
    best = sorted(found, key=lambda i: (-max(_size(s) for s in found[i]), i))
    kept: list[int] = []
    for i in best:
        if len(kept) < MAX_MOMENTS and all(abs(i - other) >= width for other in kept):
            kept.append(i)
    return [_moment(times, n_used, step, i, width, found[i]) for i in sorted(kept)]


def least_change(weak: bool) -> float:
    """By how much a mean must shift, 0-1."""
    return MIN_CHANGE * (WIDE_MARGIN if weak else 1.0)


def who_shifted(
    moment: Moment, tables: Mapping[str, pd.DataFrame], step_s: float, most: int = MAX_PEOPLE
) -> list[str]:
    """Of whom the estimates themselves shifted as the class's did, by as much as is asked of it: the clearest, at most so
    many, in the order of ``tables``.

    Args:
        tables: rows of the timeline of each person who is asked about. step_s: that a sample stands for.
    """
    shift = moment.shifts[0]
    sign = 1 if shift.after > shift.before else -1
    changes: dict[str, float] = {}
    for person, rows in tables.items():
        times, scores = rows["time_s"].to_numpy(np.float64), rows[f"s_{shift.state}"].to_numpy(np.float64)
        means = []
        for begin, end in ((moment.start_s, moment.time_s), (moment.time_s, moment.end_s)):
            known = scores[(times >= begin) & (times < end) & np.isfinite(scores)]
            if len(known) and len(known) * step_s >= _KNOWN * (end - begin):
                means.append(float(known.mean()))
        if len(means) == 2 and sign * (means[1] - means[0]) >= least_change(shift.weak):
            changes[person] = sign * (means[1] - means[0])
    clearest = sorted(changes, key=lambda person: -changes[person])[:most]
    return [person for person in tables if person in clearest]


def why_none(curves: Mapping[str, Any], alone: bool = False) -> Literal["short", "few", "unlike", "calm"]:
    """Why there are no moments: too short to compare stretches, too few people at a time (or one who is there alone for
    too little time), people too unlike each other for a mean to say anything, or nothing shifted."""
    times, n_used, _, width = _axis(curves)
    if len(times) < least_stretches(alone) * width:
        return "short"
    states = _usable(curves, len(times), n_used, width, alone)
    if any(True for _, mean, _ in states for _ in _comparable(mean, width)):
        return "calm"
    enough = np.where(n_used >= MIN_PEOPLE, n_used, np.nan)
    return "unlike" if any(True for _ in _comparable(enough, width)) else "few"


def least_stretches(alone: bool) -> int:
    """How many stretches a session must have for shifts to be found."""
    return _LEAST_STRETCHES if alone else 2


def _axis(curves: Mapping[str, Any]) -> tuple[Floats, Floats, float, int]:
    """Times, people behind them, step in seconds, and steps of a stretch that is compared."""
    times, n_used = curve_of(curves, "time_s"), curve_of(curves, "n_used")
    step = float(curves.get("step_s") or 1.0)
    if len(times) < 2 or len(n_used) != len(times):
        times = n_used = np.zeros(0)
    length = float(times[-1] - times[0]) + step if len(times) else 0.0
    stretch = float(np.clip(length / _PARTS, _SHORTEST_S, _LONGEST_S))
    return times, n_used, step, max(3, round(stretch / step))


def _usable(
    curves: Mapping[str, Any], n: int, n_used: Floats, width: int, alone: bool
) -> Iterator[tuple[str, Floats, Floats]]:
    """Each state with its mean and standard error, both NaN where too little is known for a comparison."""
    for state in LEARNER_STATES.classes:
        mean, low, high = (curve_of(curves, f"{state}{end}") for end in ("", "_lo", "_hi"))
        if not n or not len(mean) == len(low) == len(high) == n:
            continue
        if alone:
            error = np.full(n, _usual(mean, width))
            known = np.isfinite(mean) & np.isfinite(error)
        else:
            error = band_halfwidth(mean, low, high) / halfwidths(n_used)
            known = np.isfinite(mean) & np.isfinite(error) & (n_used >= MIN_PEOPLE)
        yield state, np.where(known, mean, np.nan), np.where(known, error, np.nan)


def _usual(mean: Floats, width: int) -> float:
    """Standard error of a stretch's mean by which neighbouring stretches of one person's session usually differ.

    The median bears a few large shifts, which are to be found against it. NaN where too few can be compared.
    """
    shifts = [
        abs(np.nanmean(mean[i : i + width]) - np.nanmean(mean[i - width : i]))
        for i in _comparable(mean, width)
    ]
    if len(shifts) <= (_LEAST_STRETCHES - 2) * width:
        return np.nan
    return float(np.median(shifts)) * _TO_DEVIATION / np.sqrt(2)


def _comparable(mean: Floats, width: int) -> Iterator[int]:
    """Positions before and after which enough is known."""
    known = np.isfinite(mean)
    for i in range(width, len(mean) - width + 1):
        if known[i - width : i].mean() >= _PRESENT and known[i : i + width].mean() >= _PRESENT:
            yield i


def _shift(state: str, mean: Floats, error: Floats, i: int, width: int, weak: bool) -> Shift | None:
    """What shifted at a position, if it was more than chance."""
    before, after = slice(i - width, i), slice(i, i + width)
    ends = float(np.nanmean(mean[before])), float(np.nanmean(mean[after]))
    # The same people lie behind neighbouring points: averaging over time removes no error.
    spread = float(np.hypot(np.nanmean(error[before]), np.nanmean(error[after])))
    ratio = abs(ends[1] - ends[0]) / max(spread, 0.01)
    if abs(ends[1] - ends[0]) < least_change(weak) or ratio < MIN_RATIO:
        return None
    return Shift(state, ends[0], ends[1], ratio >= CLEAR_RATIO, weak)


def _size(shift: Shift) -> float:
    return abs(shift.after - shift.before)


def _moment(
    times: Floats, n_used: Floats, step: float, i: int, width: int, shifts: Sequence[Shift]
) -> Moment:
    before, after = float(np.median(n_used[i - width : i])), float(np.median(n_used[i : i + width]))
    return Moment(
        time_s=float(times[i]),
        start_s=float(times[i - width]),
        end_s=float(times[i + width - 1]) + step,
        shifts=tuple(sorted(shifts, key=lambda shift: -_size(shift))),
        n_people=int(np.median(n_used[i - width : i + width])),
        other_people=abs(after - before) > 0.25 * max(before, after),
    )
