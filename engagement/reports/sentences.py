"""What the figures say, in plain sentences that carry their certainty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engagement.labels import WEAK_AUC, WIDE_MARGIN
from engagement.reports.theme import (
    FEW_PEOPLE,
    STATES,
    about,
    about_percent,
    clock,
    count,
    duration,
    share,
)
from engagement.timelines.moments import MIN_CHANGE, MIN_PEOPLE, Moment, why_none, window_s
from engagement.timelines.presence import PresenceConfig
from engagement.timelines.shifts import record_of, recorded
from engagement.timelines.summary import band_halfwidth, curve_of
from engagement.types import SMALLEST_PX


def session_length(summary: Mapping[str, Any]) -> float:
    """Seconds of the session: what the container declares or what was sampled, whichever is longer.

    Of a video that could not be read as a whole: what was sampled, since nothing is known of the rest.
    """
    video, sampling = summary.get("video") or {}, summary.get("sampling") or {}
    last = number(sampling.get("last_s")) or 0.0
    step = number(sampling.get("step_s")) or 0.0
    declared = number(video.get("duration_s")) or 0.0
    return max(declared if video.get("complete") is not False else 0.0, last + step, 1.0)


def number(value: object) -> float | None:
    """A finite number or None, whatever another version wrote."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def session_sentence(summary: Mapping[str, Any]) -> str:
    """How the session went, in two or three sentences."""
    length = duration(session_length(summary))
    people = int(number(summary.get("n_persons")) or 0)
    shown = _shown(summary)
    visible = number(summary.get("mean_visible"))
    if not people:
        return f"Nobody was found in {length} of video."
    start = f"In {length} of video, {count(people, 'person was found', 'people were told apart')}"
    if shown < people:
        start += f"; {count(shown, 'is', 'are')} shown here"
    if visible is not None and shown > 1:
        start += (
            f", on average about {math.floor(visible + 0.5)} of them visible at a time"
            if visible >= 0.5
            else ", mostly none of them visible"
        )
    return f"{start}. {_states_sentence(summary)}"


def sampled(summary: Mapping[str, Any]) -> str:
    """How often the video was looked at, which a slow one sets; empty where that is not told."""
    part = summary.get("sampling") or {}
    asked, step, n = (number(part.get(key)) for key in ("rate_hz", "step_s", "n_samples"))
    if n is None or not (step or asked):
        return ""
    step = step or 1 / (asked or 1.0)
    often = f"{1 / step:.3g} pictures a second" if step < 1 else f"one picture every {step:.3g}\u202fs"
    slow = f" ({asked:g} a second were asked for)" if _slow(summary) else ""
    return f"{often}{slow}, {n:.0f} in all"


def _slow(summary: Mapping[str, Any]) -> bool:
    """Whether the video has fewer pictures than were asked for."""
    part = summary.get("sampling") or {}
    asked, step = number(part.get("rate_hz")), number(part.get("step_s"))
    return (asked or 0) * (step or 0) > 1.05


def warnings(summary: Mapping[str, Any]) -> list[str]:
    """What a reader must know before anything else."""
    wrong = (summary.get("corrections") or {}).get("mistakes") or []
    return [
        *map(str, summary.get("warnings") or []),
        *(f"This line of the names file was not applied: {text}" for text in wrong),
        *map(str, record_of(summary).get("problems") or []),
    ]


def not_shown(summary: Mapping[str, Any]) -> str:
    """How many people the page leaves out, and why; empty for none."""
    left = int(number(summary.get("n_persons")) or 0) - _shown(summary)
    if left <= 0:
        return ""
    hidden = len((summary.get("corrections") or {}).get("hidden") or [])
    least = summary.get("presence") or {}
    reasons = []
    if least:
        asked = PresenceConfig(number(least.get("min_s")) or 0.0, number(least.get("min_share")) or 0.0)
        reasons.append(f"seen for less than {asked}")
    if hidden:
        reasons.append("hidden by the names file")
    return (
        f"{count(left, 'person is', 'people are')} left out of this page and of the curves: "
        f"{' or '.join(reasons)}. Their figures stand in the tables."
    )


def calibrated(summary: Mapping[str, Any]) -> str:
    """Whose estimates are calibrated, by how many labels; empty for nobody's."""
    hidden = set((summary.get("corrections") or {}).get("not_shown") or ())
    persons = {person: states for person, states in recorded(summary).items() if person not in hidden}
    if not persons:
        return ""
    rest = [person for person in record_of(summary).get("uncalibrated") or [] if person not in hidden]
    counts = [max(int(part.get("labels", 0)) for part in states.values()) for states in persons.values()]
    fewest, most = min(counts), max(counts)
    labels = count(most, "label") if fewest == most else f"{fewest} to {most} labels"
    text = (
        f"The estimates of {count(len(persons), 'person', 'people')} are calibrated{', each' if len(persons) > 1 else ''} by "
        f"{labels} of this session: shifted as a whole towards what people said of them"
    )
    others = f"; those of {count(len(rest), 'person', 'people')} are not, and compare badly" if rest else ""
    return f"{text}{others}."


def calibrated_person(summary: Mapping[str, Any], person: str) -> str:
    """By how many labels a person's estimates are calibrated, and whereto; empty for none."""
    parts = [
        f"{STATES[state].noun} by {count(int(part.get('labels', 0)), 'label')} "
        f"({_way(number(part.get('shift')) or 0.0)})"
        for state, part in recorded(summary).get(person, {}).items()
        if state in STATES
    ]
    if not parts:
        return ""
    return (
        f"Calibrated to this person by labels of this session: {_and(parts)}. The curves are shifted as a whole; when "
        "they rise and fall is what the model says."
    )


def _way(shift: float) -> str:
    if abs(shift) < 0.005:
        return "not moved"
    return "upwards" if shift > 0 else "downwards"


def _shown(summary: Mapping[str, Any]) -> int:
    return int(number(summary.get("n_shown", summary.get("n_persons"))) or 0)


def edits(summary: Mapping[str, Any]) -> str:
    """What was corrected by hand; empty for nothing."""
    done = summary.get("corrections") or {}
    parts = [
        count(len(done.get("names") or ()), "name given", "names given"),
        count(len(done.get("merged") or ()), "person merged into another", "people merged into others"),
        count(len(done.get("splits") or ()), "person split", "people split"),
        "who opted out is left out of everything",
    ]
    present = [bool(done.get(key)) for key in ("names", "merged", "splits", "opted_out")]
    return "; ".join(part for part, there in zip(parts, present, strict=True) if there)


def _states_sentence(summary: Mapping[str, Any]) -> str:
    curves = summary.get("class") or {}
    n_used = curve_of(curves, "n_used")
    enough = n_used >= min(FEW_PEOPLE, n_used.max(initial=0.0)) if len(n_used) else np.zeros(0, bool)
    enough &= n_used > 0
    means: dict[str, float] = {}
    halves: dict[str, float] = {}
    for name in STATES:
        mean = curve_of(curves, name)
        if len(mean) != len(enough) or not np.isfinite(mean[enough]).any():
            continue
        means[name] = float(np.nanmean(mean[enough]))
        low, high = curve_of(curves, f"{name}_lo"), curve_of(curves, f"{name}_hi")
        whole = len(low) == len(high) == len(enough)
        half = band_halfwidth(mean, low, high)[enough] if whole else np.zeros(0)
        # One that is cut off on both sides may reach as far as the scale.
        halves[name] = float(np.nan_to_num(half, nan=1.0).mean()) if len(half) else math.nan
    if not means:
        return "No picture of a face was good enough to estimate anything from."
    order = sorted(means, key=lambda name: -means[name])
    first = order[0]
    others = ", ".join(f"{STATES[n].noun} {about_percent(means[n])}" for n in order[1:])
    lead = means[first] - means[order[1]] if len(order) > 1 else 1.0
    figures = f"apparent {STATES[first].noun} {about_percent(means[first])}" + (
        f", {others}" if others else ""
    )
    shown, readable_at_once = _shown(summary), int(n_used.max())
    if readable_at_once < min(FEW_PEOPLE, shown):
        return f"At most {readable_at_once} of {shown} could be read at a time, too few to speak of the class ({figures})."
    steps = number(curves.get("step_s")) or 1.0
    need = min(FEW_PEOPLE, readable_at_once)
    some = "that" if need == 1 else f"in which {need} people or more"
    read = f"n the {duration(steps * enough.sum())} {some} could be read"
    partly = np.mean(enough) < 0.9
    # Of one person alone no spread is known; the margin has to do.
    halfwidth = 0.0 if readable_at_once == 1 else halves[first]
    if not lead >= np.maximum(_margin(summary.get("limits") or {}, first), halfwidth):
        return (
            f"No apparent state clearly led {'i' + read if partly else 'over the whole session'} ({figures})."
        )
    who = "people" if shown > 1 else "the person"
    when = f"I{read}," if partly else "Over the whole session"
    text = f"{when} {who} looked more {STATES[first].word} than anything else ({figures})"
    change = _thirds(curve_of(curves, first), enough)
    if change is None:
        return f"{text}."
    return f"{text}, from {about_percent(change[0])} in the session's first third to {about_percent(change[1])} in its last."


def _margin(limits: Mapping[str, Any], state: str) -> float:
    """By how much a state must lead before it is claimed."""
    told = number(limits.get("state_margin"))
    usual = 0.1 if told is None else told
    return usual * (WIDE_MARGIN if state in (limits.get("wide_margin") or ()) else 1.0)


def _thirds(mean: np.ndarray, enough: np.ndarray) -> tuple[float, float] | None:
    """Mean of the first and the last third, when they differ by more than is read into a score."""
    third = len(mean) // 3
    if third < 5:
        return None
    first, last = mean[:third][enough[:third]], mean[-third:][enough[-third:]]
    if not all(np.isfinite(part).sum() * 2 >= third for part in (first, last)):
        return None  # of a few seconds alone, a third is not known
    ends = float(np.nanmean(first)), float(np.nanmean(last))
    return ends if abs(ends[1] - ends[0]) >= 0.1 else None


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
    text = f"{_and(parts)}; n\u202f=\u202f{moment.n_people}"
    if moment.other_people:
        text += ". Other people were visible before and after, which alone may explain it"
    return f"{text}."


def person_sentence(person: Mapping[str, Any], limits: Mapping[str, Any], length_s: float) -> str:
    """What is known of one person, and what is not."""
    seen = share(number(person.get("session_share")))
    text = f"Seen between {seen_text(person, length_s, ' and ')}, in {seen} of the session"
    followed = number(person.get("followed_s"))
    if followed is not None and followed >= 1:
        text += f" (for a further {followed:.0f}\u202fs the head was followed without a face to read)"
    pixels = number(person.get("median_face_px"))
    if pixels is not None:
        text += f", the face typically {round(pixels)}\u202fpx large"
    poor = number(person.get("low_quality_share"))
    if poor is not None and poor >= 0.005:
        text += f"; {share(poor)} of the pictures were too poor to use"
    means = {name: number(person.get(f"mean_{name}")) for name in STATES}
    known = {name: value for name, value in means.items() if value is not None}
    if not known:
        return f"{text}. No picture was good enough to estimate anything from."
    order = sorted(known, key=lambda name: -known[name])
    figures = ", ".join(f"{STATES[n].noun} {about_percent(known[n])}" for n in order)
    if len(order) > 1 and known[order[0]] - known[order[1]] < _margin(limits, order[0]):
        return f"{text}. On average no apparent state clearly led ({figures})."
    return f"{text}. On average the estimates lean towards {STATES[order[0]].word} ({figures})."


@dataclass(frozen=True, slots=True)
class Trust:
    """What was measured of the models: figures for the folded part, and a note that always shows."""

    figures: Sequence[tuple[str, str, str]]
    weak: Sequence[tuple[str, float]]
    unmeasured: Sequence[str]

    @property
    def note(self) -> str:
        """Which states are barely better than chance, or were never measured; empty when none."""
        parts = []
        if self.weak:
            named = _and([f"apparent {name} (AUC {value:.2f})" for name, value in self.weak])
            parts.append(
                f"Barely better than chance on unseen people: {named}. An AUC of 0.5 is a coin, 1 is never wrong."
            )
        if self.unmeasured:
            named = _and([f"apparent {name}" for name in self.unmeasured])
            parts.append(f"Not measured on unseen people: {named}. Treat it as a guess.")
        return " ".join(parts)


#: Pictures of faces that belong to nobody: as few come of having looked too seldom.
_SCRAPS = 10

#: Below the usual limit crops say little, and still something.
LOW_QUALITY = 0.2

_MEANINGS = {
    "mean_class_accuracy": "mean over the classes of the share found",
    "accuracy": "share of pictures named rightly",
    "auc": "chance that of two people it finds the one who shows the state; 0.5 is a coin",
    "recall": "mean over the classes of the share found",
    "macro_f1": "mean over the classes of precision and recall together",
    "ece": "by how much a stated probability misses on average",
}


def trust(models: Mapping[str, Any]) -> Trust:
    """Measured figures of the models in use, from ``summary["models"]``."""
    figures: list[tuple[str, str, str]] = []
    measured: dict[str, float] = {}
    for model, record in models.items():
        metrics = record.get("metrics") if isinstance(record, Mapping) else None
        for key, value in (metrics or {}).items():
            found = number(value)
            if found is None:
                continue
            meaning = next((text for part, text in _MEANINGS.items() if part in key.lower()), "")
            shown = f"{found:.2f}" if abs(found) < 10 else f"{found:.4g}"
            figures.append((f"{model}: {key.replace('_', ' ')}", shown, meaning))
            for state in STATES:
                if key.lower() in (f"daisee_{state}_auc", f"daisee_test_{state}_auc"):
                    measured[state] = found
    weak = [(name, measured[name]) for name in STATES if measured.get(name, 1.0) < WEAK_AUC]
    return Trust(figures, weak, [name for name in STATES if name not in measured])


def empty_text(summary: Mapping[str, Any]) -> str:
    """Why a session has no persons, and what to do."""
    smallest = number((summary.get("limits") or {}).get("min_face_px")) or 24
    left = number((summary.get("left_out") or {}).get("samples")) or 0
    if number(summary.get("n_persons")):
        return "Everybody who was found is left out; see the names file and --min-presence."
    corrected = summary.get("corrections") or {}
    if corrected.get("opted_out") or corrected.get("emptied"):
        return "Everybody who was found has opted out, and was deleted."
    text = f"No face of at least {smallest:g}\u202fpx was found"
    if left:
        few = count(int(left), "picture of a face was", "pictures of faces were")
        text = f"{few[0].upper()}{few[1:]} found, none long and clear enough to make a person of"
        if left <= _SCRAPS and not _slow(summary):
            return f"{text}. A higher --sample-rate looks more often."
    smaller = max(SMALLEST_PX, round(smallest * 2 / 3))
    return (
        f"{text}; try --min-face {smaller}."
        if smaller < smallest
        else f"{text}. Smaller ones cannot be read."
    )


def no_curve(summary: Mapping[str, Any], whose: str, best: float | None = None) -> str:
    """Why there is no curve where somebody was seen, and what to do.

    Args:
        whose: "nobody's picture" or "no picture of Ana". best: quality of the best of these pictures, if known.
    """
    least = number((summary.get("limits") or {}).get("min_quality"))
    vain = least is None or least <= LOW_QUALITY or (best is not None and best < LOW_QUALITY)
    lower = "" if vain else f"--min-quality {LOW_QUALITY:g}, or "
    return f"No curve: {whose} was good enough. Try {lower}a recording nearer to the faces."


def seen_text(person: Mapping[str, Any], length_s: float, joint: str = "–") -> str:
    """From when to when somebody was seen."""
    return joint.join(clock(number(person.get(key)), length_s) for key in ("first_s", "last_s"))


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
