"""Moments to look at: where the class's estimates shifted, and stayed, by more than their uncertainty.

The rule is meant to be explained in two sentences. At every time, the mean of the stretch before is
compared with the mean of the stretch after. A shift counts when it is large (``MIN_CHANGE``, twice as much for
states that are told little better than chance) and exceeds what differences between people explain (``MIN_RATIO``
standard errors); the largest come first, and within one stretch only one time is kept.

Of one or two people no differences between people are known. Each is looked at alone: a shift must be far more
(``OWN_RATIO``) than the estimates of this person usually shift from one stretch to the next; whoever goes up and down all
the time has none. How often one is found where nothing changed: ``benchmarks/moments.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from engagement.labels import LEARNER_STATES, WIDE_MARGIN
from engagement.timelines.curves import band_halfwidth, curve_of, halfwidths
from engagement.types import Floats

MAX_MOMENTS = 8
MIN_PEOPLE = 3
MIN_CHANGE = 0.1
MIN_RATIO = 2.5
CLEAR_RATIO = 4.0
OWN_RATIO = 4.5  # of one person alone; with 4, one session of two people in ten would have moments where nothing changed
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
    """A time at which means of the class, or of one person, shifted.

    Attributes:
        time_s: when. start_s, end_s: the two stretches that were compared, joined.
        shifts: of the states that shifted, the largest first; at least one.
        n_people: median number of people behind the figures.
        other_people: whether the number of usable people changed so much that the shift may only
            come from who was visible.
        person: whose estimates shifted; empty: the class's.
    """

    time_s: float
    start_s: float
    end_s: float
    shifts: tuple[Shift, ...]
    n_people: int
    other_people: bool
    person: str = ""


def window_s(curves: Mapping[str, Any]) -> float:
    """Length of the stretches that are compared: a twentieth of the session, 10 s to 4 min, and three steps at least."""
    _, _, step, width = _axis(curves)
    return width * step


def find_moments(curves: Mapping[str, Any], wide: Collection[str] = (), alone: bool = False) -> list[Moment]:
    """The largest sustained shifts, at most eight, in order of time; often none.

    Args:
        curves: the ``class`` part of summary.json, or the same of one person: ``step_s``, ``time_s``, ``n_used`` and for every
            state its mean, ``_lo`` and ``_hi``, of equal length, None where nothing is known.
        wide: states that need twice the change, as they need twice the lead (``EpisodesConfig.wide``).
        alone: whether all is of one and the same person.
    """
    times, n_used, step, width = _axis(curves)
    found: dict[int, list[Shift]] = {}
    least_ratio, clear_ratio = (OWN_RATIO, OWN_RATIO) if alone else (MIN_RATIO, CLEAR_RATIO)
    for state, mean, error in _usable(curves, len(times), n_used, width, alone):
        means, errors = _of_stretches(mean, width), _of_stretches(error, width)
        weak = state in wide
        for i in _comparable(means, width):
            before, after = float(means[i - width]), float(means[i])
            # The same people lie behind neighbouring points: averaging over time removes no error.
            ratio = abs(after - before) / max(float(np.hypot(errors[i - width], errors[i])), 0.01)
            if abs(after - before) >= least_change(weak) and ratio >= least_ratio:
                found.setdefault(i, []).append(Shift(state, before, after, ratio >= clear_ratio, weak))
    best = sorted(found, key=lambda i: (-max(_size(s) for s in found[i]), i))
    kept: list[int] = []
    for i in best:
        if len(kept) < MAX_MOMENTS and all(abs(i - other) >= width for other in kept):
            kept.append(i)
    return [_moment(times, n_used, step, i, width, found[i]) for i in sorted(kept)]


def find_own_moments(curves: Mapping[str, Mapping[str, Any]], wide: Collection[str] = ()) -> list[Moment]:
    """Of each person alone: the largest of all, at most eight, in order of time.

    Args:
        curves: person -> curves of that person, see :func:`find_moments`.
    """
    found = [
        replace(moment, person=person)
        for person, own in curves.items()
        for moment in find_moments(own, wide, alone=True)
    ]
    largest = sorted(found, key=lambda moment: -_size(moment.shifts[0]))[:MAX_MOMENTS]
    return sorted(largest, key=lambda moment: moment.time_s)


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
    if any(_comparable(_of_stretches(mean, width), width) for _, mean, _ in states):
        return "calm"
    enough = np.where(n_used >= MIN_PEOPLE, n_used, np.nan)
    return "unlike" if _comparable(_of_stretches(enough, width), width) else "few"


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
    means = _of_stretches(mean, width)
    shifts = [abs(means[i] - means[i - width]) for i in _comparable(means, width)]
    if len(shifts) <= (_LEAST_STRETCHES - 2) * width:
        return np.nan
    return float(np.median(shifts)) * _TO_DEVIATION / np.sqrt(2)


def _of_stretches(values: Floats, width: int) -> Floats:
    """Mean of the stretch that begins at each position; NaN where too little of it is known."""
    if len(values) < width:
        return np.zeros(0)
    stretches = np.lib.stride_tricks.sliding_window_view(values, width)
    known = np.isfinite(stretches)
    sums = np.where(known, stretches, 0.0).sum(axis=1)
    return np.where(known.mean(axis=1) >= _PRESENT, sums / np.maximum(known.sum(axis=1), 1), np.nan)


def _comparable(means: Floats, width: int) -> list[int]:
    """Positions before and after which enough is known, from the means of stretches."""
    known = np.isfinite(means)
    return (width + np.flatnonzero(known[:-width] & known[width:])).tolist()


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
