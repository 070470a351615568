"""What is said of moments, and of there being none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engagement.reports.theme import STATES, about, duration, listed
from engagement.timelines.moments import MIN_CHANGE, MIN_PEOPLE, Moment, why_none, window_s


def nothing_stood_out(curves: Mapping[str, Any]) -> str:
    """Why no moments are listed."""
    why, stretch = why_none(curves), window_s(curves)
    if why == "short":
        return f"Too short: two stretches of {duration(stretch)} are compared, which takes {duration(2 * stretch)}."
    if why == "few":
        return f"Nothing could be compared: that takes {MIN_PEOPLE} people who can be read at a time, for long enough."
    if why == "unlike":
        return "Nothing could be compared: people differed too much for a mean of the class to say anything."
    return (
        f"Nothing stood out: no shift of {MIN_CHANGE * 100:.0f} points or more between neighbouring stretches of "
        f"{duration(stretch)} exceeded its uncertainty. Slower ones are not listed."
    )


def moment_text(moment: Moment) -> str:
    """What shifted, by how much, on how many people, how certain."""
    parts = []
    for shift in moment.shifts:
        way = "rose" if shift.after > shift.before else "fell"
        certain = "far" if shift.clear else "just"
        parts.append(
            f"apparent {STATES[shift.state].noun} {way} from about {about(shift.before)} to about "
            f"{about(shift.after)}\u202f% ({certain} beyond its uncertainty)"
        )
    text = f"{listed(parts)}; n\u202f=\u202f{moment.n_people}"
    if moment.other_people:
        text += ". Other people were visible before and after, which alone may explain it"
    return f"{text}."
