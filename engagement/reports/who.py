"""How the people of a page are named, joined and left out: lines to copy into a names file.

What a names file understands is said by ``corrections.file``, which no page may import; a test holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engagement.reports.theme import named_or_counted
from engagement.timelines.session_summary import number

_ID = re.compile(r"P\d{1,5}")
#: Whoever was seen for less of the session may be somebody else who came back.
_BRIEF_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Who:
    """Lines for the names file, and examples with the ids of this page; empty strings for what does not apply.

    Attributes:
        lines: a heading and a remark for each person without a name. hide, opt_out: orders. brief: who may be counted twice, or
            may be left out.
        merge: an order that would join one of them with somebody.
    """

    lines: str
    hide: str
    opt_out: str
    brief: str
    merge: str


def who_is_who(people: Sequence[Mapping[str, Any]], title: str) -> Who | None:
    """What to say below the people of a page; None where nobody has an id that a names file knows.

    Args:
        people: those who are shown. title: the video's file, below the folder where it lies within the run.
    """
    known = [person for person in people if _ID.fullmatch(person["id"])]
    if not known:
        return None
    # A line without a name is a mistake, so each is a remark until somebody takes the mark away.
    unnamed = [f"# {person['id']}: " for person in known if person["label"] == person["id"]]
    heading = [f"[{title}]"] if _can_be_heading(title) else []
    brief = [p for p in known if (number(p.get("session_share")) or 0.0) < _BRIEF_SHARE]
    return Who(
        lines="\n".join([*heading, *unnamed]) if unnamed else "",
        hide=f"hide {known[-1]['id']}",
        opt_out=f"opt out {known[-1]['id']}",
        brief=_brief(brief) if len(known) > 1 else "",
        merge=_merge(brief[-1] if brief else known[-1], known),
    )


def _can_be_heading(title: str) -> bool:
    """Whether a names file reads a title between brackets as it is written."""
    depth = 0
    for letter in title:
        depth += (letter == "[") - (letter == "]")
        if depth < 0:
            return False
    quoted = len(title) > 1 and title[0] == title[-1] and title[0] in "\"'"
    plain = title.isprintable() and not any(letter in title for letter in "\\\u00a0\ufeff")
    return bool(title) and depth == 0 and plain and not quoted and title == title.strip()


def _brief(people: Sequence[Mapping[str, Any]]) -> str:
    if not people:
        return ""
    named = [str(person["label"]) for person in people]
    who = "this may be" if len(named) == 1 else "one of them may be"
    return (
        f"{named_or_counted(named)} {'was' if len(named) == 1 else 'were'} seen in less than a tenth of the session: "
        f"{who} somebody who left, came back and is counted twice."
    )


def _merge(source: Mapping[str, Any], people: Sequence[Mapping[str, Any]]) -> str:
    """An example: into whoever was seen for longest, of those who were not there at the same time if there are any."""
    others = [person for person in people if person["id"] != source["id"]]
    if not others:
        return ""

    def fits(person: Mapping[str, Any]) -> tuple[bool, float]:
        apart = person["last_s"] < source["first_s"] or source["last_s"] < person["first_s"]
        return apart, number(person.get("session_share")) or 0.0

    return f"merge {source['id']} into {max(others, key=fits)['id']}"
