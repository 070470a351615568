"""What the figures say, in plain sentences that carry their certainty."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from engagement.labels import WIDE_MARGIN
from engagement.reports.reading import session_length
from engagement.reports.theme import (
    FEW_PEOPLE,
    STATES,
    about,
    about_percent,
    count,
    duration,
)
from engagement.timelines.curves import band_halfwidth, curve_of
from engagement.timelines.presence import PresenceConfig
from engagement.timelines.session_summary import Limits, SessionSummary, number, texts
from engagement.types import SMALLEST_PX

#: Of the time in which anybody could be read.
_FAIR_PART = 0.1

#: Half a band of this width leaves no lead that could count.
_BEYOND_TELLING = 0.5

#: Pictures of faces that belong to nobody: as few come of having looked too seldom.
_SCRAPS = 10

#: Below the usual limit crops say little, and still something.
LOW_QUALITY = 0.2


def session_sentence(summary: SessionSummary) -> str:
    """How the session went, in two or three sentences."""
    length = duration(session_length(summary))
    people, shown, visible = summary.n_persons, summary.n_shown, summary.mean_visible
    if not people:
        return f"Nobody was found in {length} of video."
    start = f"In {length} of video, {count(people, 'person was found', 'people were found')}"
    if shown < people:
        start += f"; {count(shown, 'is', 'are')} shown here"
    if visible is not None and shown > 1:
        start += (
            f", on average about {math.floor(visible + 0.5)} of them visible at a time"
            if visible >= 0.5
            else ", mostly none of them visible"
        )
    return f"{start}. {_states_sentence(summary)}"


def sampled(summary: SessionSummary) -> str:
    """How often the video was looked at, which a slow one sets; empty where that is not told."""
    sampling = summary.sampling
    asked, step, n = sampling.rate_hz, sampling.step_s, sampling.n_samples
    if n is None or not (step or asked):
        return ""
    step = step or 1 / (asked or 1.0)
    often = f"{1 / step:.3g} pictures a second" if step < 1 else f"one picture every {step:.3g}\u202fs"
    slow = f" ({asked:g} a second were asked for)" if sampling.slow else ""
    return f"{often}{slow}, {n:.0f} in all"


def warnings(summary: SessionSummary, reason: str = "") -> list[str]:
    """What a reader must know before anything else.

    Args:
        reason: why a result is partial, where that stands beside the warnings: what repeats it is left out.
    """
    wrong = texts(summary.corrections.get("mistakes"))
    told = [
        *summary.warnings,
        *(f"This line of the names file was not applied: {text}" for text in wrong),
        *texts(summary.calibration.get("problems")),
    ]
    why = summary.video.reason
    # The reason of a later run says more: "…; read before, nothing changed".
    return [text for text in told if not (why and why in reason and why in text)]


def not_shown(summary: SessionSummary) -> str:
    """How many people the page leaves out, and why; empty for none."""
    left = summary.n_persons - summary.n_shown
    if left <= 0:
        return ""
    reasons = []
    if summary.presence != PresenceConfig():
        reasons.append(f"seen for less than {summary.presence}")
    if summary.corrections.get("hidden"):
        reasons.append("hidden by the names file")
    return (
        f"{count(left, 'person is', 'people are')} left out of this page and of the curves: "
        f"{' or '.join(reasons)}. Their figures stand in the tables."
    )


def calibrated(summary: SessionSummary) -> str:
    """Whose estimates are calibrated, by how many labels; empty for nobody's."""
    hidden = set(summary.corrections.get("not_shown") or ())
    persons = {person: states for person, states in summary.calibrated.items() if person not in hidden}
    if not persons:
        return ""
    rest = [person for person in summary.calibration.get("uncalibrated") or [] if person not in hidden]
    counts = [max(int(state.get("labels", 0)) for state in states.values()) for states in persons.values()]
    fewest, most = min(counts), max(counts)
    labels = count(most, "label") if fewest == most else f"{fewest} to {most} labels"
    text = (
        f"The estimates of {count(len(persons), 'person', 'people')} are calibrated{', each' if len(persons) > 1 else ''} by "
        f"{labels} of this session: shifted as a whole towards what people said of them"
    )
    others = (
        f"; those of {count(len(rest), 'person', 'people')} are not, and should not be compared with them"
        if rest
        else ""
    )
    return f"{text}{others}."


def edits(summary: SessionSummary) -> str:
    """What was corrected by hand; empty for nothing."""
    done = summary.corrections
    parts = [
        count(len(done.get("names") or ()), "name given", "names given"),
        count(len(done.get("merged") or ()), "person merged into another", "people merged into others"),
        count(len(done.get("splits") or ()), "person split", "people split"),
        "who opted out is left out of everything",
    ]
    present = [bool(done.get(key)) for key in ("names", "merged", "splits", "opted_out")]
    return "; ".join(text for text, there in zip(parts, present, strict=True) if there)


def _states_sentence(summary: SessionSummary) -> str:
    """Which state led, if any did, among those who could be read at a time."""
    curves = summary.curves
    n_used = curve_of(curves, "n_used")
    held = _held(summary, len(n_used))
    need = _often_at_once(n_used, held)
    enough = n_used >= need
    means, halves = _of_states(curves, enough, held)
    if not means:
        return "No picture of a face was good enough for estimates."
    order = sorted(means, key=lambda name: -means[name])
    figures = "apparent " + ", ".join(f"{STATES[n].noun} {about_percent(means[n])}" for n in order)
    shown, behind = summary.n_shown, summary.n_behind
    if need < min(FEW_PEOPLE, behind):
        most = "At most" if n_used.max() == need else "Hardly ever more than"
        whom = "the class" if behind >= FEW_PEOPLE else "them together"
        return f"{most} {need} of {shown} could be read at a time, too few to speak of {whom} ({figures})."
    when = "over the whole session"
    if partly := held[enough].sum() < 0.9 * held.sum():
        some = "that" if need == 1 else f"in which {need} people{' or more' if need < behind else ''}"
        when = f"in the {duration(held[enough].sum())} {some} could be read"
    first, limits = order[0], summary.limits
    lead = means[first] - means[order[1]] if len(order) > 1 else 1.0
    # Of one person alone no spread is known; the margin has to do. A lead is off by what both states are off.
    spread = 0.0 if need == 1 else math.hypot(*(halves[name] for name in order[:2]))
    if not lead >= np.maximum(margin(limits, first), spread):
        lacking = short_of(lead, limits, first, spread, need) if len(order) > 1 else ""
        return f"No apparent state clearly led {when} ({figures}){lacking}."
    alone = "the person" if shown == 1 else "the one person who could be read for long"
    who = "people" if behind > 1 else alone
    led = f"{who} looked more {STATES[first].word} than anything else"
    if about(means[first]) < 50:
        led = f"apparent {STATES[first].noun} led, but was more likely absent than present"
    text = f"{when[0].upper()}{when[1:]}{',' if partly else ''} {led} ({figures})"
    change = _thirds(curve_of(curves, first), enough, held)
    if change is None:
        return f"{text}."
    return f"{text}, from {about_percent(change[0])} in the session's first third to {about_percent(change[1])} in its last."


def _of_states(
    curves: Mapping[str, Any], enough: np.ndarray, held: np.ndarray
) -> tuple[dict[str, float], dict[str, float]]:
    """Of each state that is known, its mean and half the width of its band, NaN where there is none.

    Args:
        enough: (n,) steps that count. held: (n,) seconds of each.
    """
    means: dict[str, float] = {}
    halves: dict[str, float] = {}
    for name in STATES:
        mean, low, high = (curve_of(curves, f"{name}{end}") for end in ("", "_lo", "_hi"))
        if len(mean) != len(enough) or not np.isfinite(mean[enough]).any():
            continue
        means[name] = _mean(mean[enough], held[enough])
        whole = len(low) == len(high) == len(enough)
        half = band_halfwidth(mean, low, high)[enough] if whole else np.zeros(0)
        # One that is cut off on both sides may reach as far as the scale.
        halves[name] = _mean(np.nan_to_num(half, nan=1.0), held[enough]) if len(half) else math.nan
    return means, halves


def _often_at_once(n_used: np.ndarray, held: np.ndarray) -> int:
    """How many people could be read at a time for a fair part of the time in which anybody could: at most as many as
    make a class, one at least. Who walks through must not set what is said of the session."""
    readable = held[n_used >= 1].sum()
    often = (k for k in range(FEW_PEOPLE, 1, -1) if held[n_used >= k].sum() > _FAIR_PART * readable)
    return next(often, 1)


def margin(limits: Limits, state: str) -> float:
    """By how much a state must lead before it is claimed."""
    usual = 0.1 if limits.state_margin is None else limits.state_margin
    return usual * (WIDE_MARGIN if state in limits.wide_margin else 1.0)


def short_of(lead: float, limits: Limits, state: str, spread: float = 0.0, people: int = FEW_PEOPLE) -> str:
    """By how much a state was ahead, and what would suffice: the end of a sentence that says that none led.

    Args:
        spread: by how much the lead may be off since people differ, NaN where that is not known. people: so many, at
            least; of two hardly anything can be said.
    """
    need = margin(limits, state)
    untold = not spread <= _BEYOND_TELLING
    if untold and lead >= need:
        two = ": two people who differ like this are too few to say which"
        return two if people == 2 else ": people differ too much to say which"
    why = ", since people differ" if spread > need and not untold else ""
    if not why and need > margin(replace(limits, wide_margin=()), state):
        why = " where estimates are this weak"
    # Rounded apart, so that what fell short does not read as if it had sufficed.
    enough, least = (need, "at least ") if untold else (max(need, spread), "")
    ahead, asked = math.floor(lead * 100 + 1e-9), math.ceil(enough * 100 - 1e-9)
    points = count(ahead, "point") if ahead else "less than 1 point"
    return f": {STATES[state].noun} is {points} ahead, and {least}{asked} are needed{why}"


def _held(summary: SessionSummary, n: int) -> np.ndarray:
    """Seconds that each of the n steps of the class holds: the last one may be shorter than the others."""
    step, end = number(summary.curves.get("step_s")) or 1.0, summary.sampling.until_s
    held = np.full(n, step)
    if n and end is not None and 0 < end - (n - 1) * step < step:
        held[-1] = end - (n - 1) * step
    return held


def _mean(values: np.ndarray, held: np.ndarray) -> float:
    """Mean of what is known, each value for as long as it holds."""
    known = np.isfinite(values)
    return float(np.average(values[known], weights=held[known]))


def _thirds(mean: np.ndarray, enough: np.ndarray, held: np.ndarray) -> tuple[float, float] | None:
    """Mean of the first and the last third, when they differ by more than is read into a score."""
    third = len(mean) // 3
    if third < 5:
        return None
    first, last = mean[:third][enough[:third]], mean[-third:][enough[-third:]]
    if not all(np.isfinite(values).sum() * 2 >= third for values in (first, last)):
        return None  # of a few seconds alone, a third is not known
    ends = _mean(first, held[:third][enough[:third]]), _mean(last, held[-third:][enough[-third:]])
    return ends if abs(ends[1] - ends[0]) >= 0.1 else None


def anybody_found(summary: SessionSummary) -> bool:
    """Whether there was somebody, who may have opted out since."""
    corrected = summary.corrections
    return bool(summary.n_persons or corrected.get("opted_out") or corrected.get("emptied"))


def empty_text(summary: SessionSummary) -> str:
    """Why a session has no persons, and what to do."""
    smallest, left = summary.limits.min_face_px or 24.0, summary.scraps
    if summary.n_persons:
        return "Everybody who was found is left out; see the names file and --min-presence."
    if anybody_found(summary):
        return "Everybody who was found has opted out, and was deleted."
    text = f"No face of at least {smallest:g}\u202fpx was found"
    if left:
        few = count(left, "picture of a face was", "pictures of faces were")
        text = f"{few[0].upper()}{few[1:]} found, none long and clear enough to make a person of"
        frames, looked = summary.video.frames_decoded, summary.sampling.n_samples
        if frames and looked and frames <= looked <= _SCRAPS:  # a still, or a moment: nothing more to look at
            return f"{text}: the video has no more than {count(int(frames), 'picture')}."
        if left <= _SCRAPS and not summary.sampling.slow:
            return f"{text}. A higher --sample-rate looks more often."
    smaller = max(SMALLEST_PX, round(smallest * 2 / 3))
    advice = f"; try --min-face {smaller}." if smaller < smallest else ". Smaller ones cannot be read."
    return f"{text}{advice} If people lie on their side in the picture, turn the video upright first."


def no_curve(summary: SessionSummary, whose: str, best: float | None) -> str:
    """Why there is no curve where somebody was seen, and what to do.

    Args:
        whose: "nobody's picture" or "no picture of Ana". best: quality of the best of these pictures, of which none stood
            still; None where all did.
    """
    if best is None:
        return f"No curve: {whose} moved. Of photographs, and of videos that hang, nothing is claimed."
    least = summary.limits.min_quality
    vain = least is None or least <= LOW_QUALITY or best < LOW_QUALITY
    lower = "" if vain else f"--min-quality {LOW_QUALITY:g}, or "
    return f"No curve: {whose} was good enough. Try {lower}a recording nearer to the faces."
