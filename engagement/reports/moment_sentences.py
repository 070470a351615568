"""What is said of moments, and of there being none."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from engagement.reports.theme import STATES, about, duration, listed
from engagement.timelines.moments import (
    MIN_PEOPLE,
    Moment,
    least_change,
    least_stretches,
    why_none,
    window_s,
)

_NUMBERS = ("One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight")
_NAMED = 3  # in a sentence; the list has them all
_NOBODY: Mapping[str, str] = {}


def nothing_stood_out(
    curves: Mapping[str, Any], wide: Collection[str] = (), own: Sequence[Mapping[str, Any]] = ()
) -> str:
    """Why no moments are listed.

    Args:
        curves: of the class. own: of each person alone, where moments are those of one.
    """
    stretch, least = window_s(curves), least_stretches(bool(own)) * window_s(curves)
    whys = [why_none(each, alone=True) for each in own] or [why_none(curves)]
    why = "calm" if "calm" in whys else whys[0]
    if why == "short" and own:
        return (
            f"Too short: neighbouring stretches of {duration(stretch)} are compared, and knowing how much one person's "
            f"usually differ takes {duration(least)}."
        )
    if why == "short":
        return f"Too short: two stretches of {duration(stretch)} are compared, which takes {duration(least)}."
    if why == "few" and own:
        return (
            f"Nothing could be compared: that takes more stretches of {duration(stretch)}, one after another, in which "
            f"{'the' if len(own) == 1 else 'the same'} person can be read."
        )
    if why == "few":
        return (
            f"Nothing could be compared: that takes {MIN_PEOPLE} people who can be read at the same time for long enough, "
            "or no more than two who can be read for long. The names file or --min-presence leave others out."
        )
    if why == "unlike":
        return "Nothing could be compared: people differed too much for a mean of the class to say anything."
    whom = "this person" if len(own) == 1 else "either person"
    if set(whys) != {"calm"}:
        whom = "the one person of whom enough is known"
    more = f"far more than usual for {whom}" if own else "more than differences between people explain"
    return (
        f"Nothing stood out: no shift of at least {least_told(wide)} between neighbouring stretches of "
        f"{duration(stretch)} was {more}. Slower shifts are not listed."
    )


def least_told(wide: Collection[str]) -> str:
    """By how many points a mean must shift to be listed."""
    strong, weak = (round(100 * least_change(is_weak)) for is_weak in (False, True))
    doubled = [look.noun for state, look in STATES.items() if state in wide]
    if not doubled:
        return f"{strong} points"
    if len(doubled) == len(STATES):
        return f"{weak} points"
    return f"{strong} points ({weak} for {listed(doubled)}, told little better than chance)"


def stood_out(
    moments: Sequence[Moment], labels: Mapping[str, str] = _NOBODY
) -> tuple[str, list[tuple[Moment, str]]]:
    """What the session's first sentence says of moments: how many, and of the largest three what shifted most.

    Args:
        labels: what to call people whose moments they are; whoever is not there is not named.

    Returns:
        "Two moments stood out", and each moment with a few words to stand behind its time; nothing for no moments.
    """
    if not moments:
        return "", []
    n = len(moments)
    intro = f"{_NUMBERS[n - 1] if n <= len(_NUMBERS) else n} {'moment' if n == 1 else 'moments'} stood out"
    largest = sorted(moments, key=lambda m: -abs(m.shifts[0].after - m.shifts[0].before))[:_NAMED]
    if n > _NAMED:
        intro += ", the largest of them"
    told: list[tuple[Moment, str]] = []
    before = ("", "")
    for moment in sorted(largest, key=lambda m: m.time_s):
        shift = moment.shifts[0]
        again = before == (shift.state, moment.person)
        whose = f" of {labels[moment.person]}" if moment.person in labels else ""
        what = "it" if again else f"apparent {STATES[shift.state].noun}{whose}"
        notes = ["a weak estimate"] if shift.weak and not again else []
        notes += ["among other people than before"] if moment.other_people else []
        way = "rose" if shift.after > shift.before else "fell"
        told.append((moment, f"{what} {way}" + (f" ({', '.join(notes)})" if notes else "")))
        before = (shift.state, moment.person)
    return intro, told


def moment_text(moment: Moment, labels: Mapping[str, str] = _NOBODY) -> str:
    """Whose estimates shifted if ``labels`` (see :func:`stood_out`) say so, which, by how much, on how many people, how
    certain."""
    clear = [shift.clear for shift in moment.shifts]
    than = (
        "than usual from one stretch to the next"
        if moment.n_people == 1
        else f"than differences between the {moment.n_people} people explain"
    )
    parts = []
    for shift in moment.shifts:
        way = "rose" if shift.after > shift.before else "fell"
        notes = ["a weak estimate"] if shift.weak else []
        if len(set(clear)) > 1:
            notes.append("far more" if shift.clear else "just more")
        parts.append(
            f"apparent {STATES[shift.state].noun} {way} from about {about(shift.before)} to about "
            f"{about(shift.after)}\u202f%" + (f" ({', '.join(notes)})" if notes else "")
        )
    certain = "" if len(set(clear)) > 1 else ": far more" if clear[0] else ": just more"
    whose = f"{labels[moment.person]}: " if moment.person in labels else ""
    text = f"{whose}{listed(parts)}{certain} {than}"
    if moment.other_people:
        text += ". Other people were visible before and after, which alone may explain it"
    return f"{text}."
