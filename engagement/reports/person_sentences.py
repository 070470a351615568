"""What the figures say of one person, in plain sentences that carry their certainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engagement.reports.sentences import margin, short_of
from engagement.reports.theme import (
    STATES,
    about,
    about_percent,
    clock,
    count,
    duration,
    listed,
    moved,
    named_or_counted,
    share,
)
from engagement.timelines.session_summary import Limits, SessionSummary, number

#: Of a person's pictures must be readable before means are told of first.
_ENOUGH = 0.25


def person_sentence(person: Mapping[str, Any], limits: Limits, length_s: float) -> str:
    """What is known of one person, and what is not."""
    seen = share(number(person.get("session_share")))
    readable = readable_share(person)
    little = readable is not None and readable < _ENOUGH
    when = seen_text(person, length_s, " and ")
    text = f"Seen {'between' if ' and ' in when else 'at'} {when}, in {seen} of the session"
    followed = number(person.get("followed_s"))
    if followed is not None and followed >= 1:
        text += f" (for a further {duration(followed)} only the head was followed, with no face to read)"
    pixels = number(person.get("median_face_px"))
    if pixels is not None:
        text += f", with a face of typically {round(pixels)}\u202fpx"
    poor = number(person.get("low_quality_share"))
    if not little and poor is not None and poor >= 0.005:
        text += f"; {share(poor)} of the pictures were too poor to use"
    still = number(person.get("frozen_s")) or 0.0
    if still:
        text += f"; for {duration(still)} the picture stood still, as a photograph or a video that hangs does"
    good = "fit" if still else "good enough"
    means = {name: number(person.get(f"mean_{name}")) for name in STATES}
    known = {name: value for name, value in means.items() if value is not None}
    if not known:
        return f"Too little to tell: no picture was {good} to estimate anything from. {text}."
    if little:
        n, used = (int(number(person.get(key)) or 0) for key in ("n_samples", "n_used"))
        return (
            f"Too little to tell: only {used} of {n} pictures {'was' if used == 1 else 'were'} {good} to estimate "
            f"anything from. {text}."
        )
    order = sorted(known, key=lambda name: -known[name])
    figures = ", ".join(f"{STATES[n].noun} {about_percent(known[n])}" for n in order)
    lead = known[order[0]] - known[order[1]] if len(order) > 1 else 1.0
    if lead < margin(limits, order[0]):
        lacking = short_of(lead, limits, order[0])
        return f"{text}. On average no apparent state clearly led ({figures}){lacking}."
    first = STATES[order[0]]
    if about(known[order[0]]) < 50:  # as calibration may leave it: nobody leans towards what is rather absent
        return f"{text}. On average apparent {first.noun} leads, but is more likely absent than present ({figures})."
    return f"{text}. On average the estimates lean towards {first.word} ({figures})."


def stood_still(people: Sequence[Mapping[str, Any]]) -> str:
    """Whose pictures stood still for a while, if anybody's."""
    named = [str(person["label"]) for person in people if number(person.get("frozen_s"))]
    if not named:
        return ""
    which = "picture" if len(named) == 1 else "pictures"
    return (
        f"The {which} of {named_or_counted(named)} stood still for some time, as photographs and videos that hang do: nothing "
        "is claimed there."
    )


def readable_share(person: Mapping[str, Any]) -> float | None:
    """Share of somebody's pictures on which estimates rest, 0-1; None when that is not known."""
    found, used = number(person.get("n_samples")), number(person.get("n_used"))
    return used / found if found and used is not None else None


def seen_text(person: Mapping[str, Any], length_s: float, joint: str = "–") -> str:
    """From when to when somebody was seen, or when, if that reads the same."""
    times = [clock(number(person.get(key)), length_s) for key in ("first_s", "last_s")]
    return joint.join(dict.fromkeys(times))


def calibrated_person(summary: SessionSummary, person: str) -> str:
    """By how many labels a person's estimates are calibrated, and whereto; empty for none."""
    parts = [
        f"{STATES[state].noun} by {count(int(part.get('labels', 0)), 'label')} "
        f"({moved(number(part.get('shift')) or 0.0)})"
        for state, part in summary.calibrated.get(person, {}).items()
        if state in STATES
    ]
    if not parts:
        return ""
    return (
        f"Calibrated to this person by labels of this session: {listed(parts)}. The curves are shifted as a whole; when "
        "they rise and fall does not change."
    )
