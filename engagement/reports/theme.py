"""Colours and wording of the pages: fixed everywhere, so that a reader learns them once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engagement.labels import UNCERTAIN
from engagement.wording import count


@dataclass(frozen=True, slots=True)
class StateLook:
    """How a learner state is shown: never by colour alone.

    Attributes:
        word: "the class looked <word>". noun: "apparent <noun>".
        color: from the Okabe-Ito palette. dash: of its line. marks: describes the pattern of its bands.
    """

    word: str
    noun: str
    color: str
    dash: str
    marks: str


STATES: Mapping[str, StateLook] = {
    "engagement": StateLook("engaged", "engagement", "#0072B2", "solid", "solid"),
    "boredom": StateLook("bored", "boredom", "#E69F00", "6px,3px", "striped"),
    "confusion": StateLook("confused", "confusion", "#CC79A7", "2px,2px", "dotted"),
}
#: Order in the data of bands; the last two are no states.
BAND_ORDER = ("engagement", "boredom", "confusion", UNCERTAIN)
GREY = "#8A8F96"

EXPRESSION_COLORS: Mapping[str, str] = {
    "neutral": "#999999",
    "happy": "#F0E442",
    "surprise": "#56B4E9",
    "sad": "#3B5BDB",
    "angry": "#D55E00",
    "fear": "#009E73",
    "disgust": "#7A5195",
}
#: Of classes that a user's own head tells apart, in their order, again from the first where there are more.
CLASS_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7A5195", "#999999")

#: From how many people on a curve of the class is drawn in full.
FEW_PEOPLE = 3

NOTICE = (
    "Estimates of apparent expression made by a computer, with their uncertainty. "
    "They do not show what anybody felt, understood or learned."
)


def with_alpha(color: str, alpha: float) -> str:
    """``#RRGGBB`` as ``rgba()``."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


def clock(seconds: float | None, length_s: float = 0.0) -> str:
    """m:ss, or h:mm:ss from an hour on or in a session that long; an en dash when unknown."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    whole = max(0, math.floor(seconds + 0.5))
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{secs:02d}" if hours or length_s >= 3600 else f"{minutes}:{secs:02d}"


def duration(seconds: float | None) -> str:
    """A length in words: "45 s", "1 min 30 s", "12 min", "1 h 30 min"."""
    if seconds is None or not math.isfinite(seconds):
        return "unknown length"
    whole = max(0, round(seconds))
    if whole < 300:
        parts = [f"{whole // 60} min"] if whole >= 60 else []
        return " ".join([*parts, f"{whole % 60} s"] if whole % 60 or not parts else parts)
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def about(score: float) -> int:
    """A score 0-1 as per cent, rounded to fives: more would claim more than is known."""
    return 5 * math.floor(score * 20 + 0.5)


def about_percent(score: float | None) -> str:
    """about 60 %"""
    if score is None or not math.isfinite(score):
        return "unknown"
    return f"about {about(score)}\u202f%"


def share(value: float | None) -> str:
    """A counted share as whole per cent; 0 and 100 only when nothing or everything is meant."""
    if value is None or not math.isfinite(value):
        return "–"
    percent = round(value * 100)
    if percent == 0 and value > 0:
        return "< 1\u202f%"
    if percent == 100 and value < 1:
        return "> 99\u202f%"
    return f"{percent}\u202f%"


def moved(shift: float) -> str:
    """raised, lowered, or left as it is: what a shift of logits did, as far as its two decimals tell"""
    if abs(shift) < 0.005:
        return "left as it is"
    return "raised" if shift > 0 else "lowered"


def listed(parts: Sequence[str]) -> str:
    """one, two and three"""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


_MOST_LISTED = 6


def named_or_counted(labels: Sequence[str]) -> str:
    """What some people are called, or how many they are where that would be a long list."""
    return listed(labels) if len(labels) <= _MOST_LISTED else count(len(labels), "person", "people")
