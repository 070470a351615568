"""What is wrong in a file that somebody wrote, told all at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engagement.corrections.notation import ID, person_id
from engagement.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong in a line, and what to write instead.

    Attributes:
        written: the line itself where it was not understood.
    """

    line: int
    text: str
    remedy: str
    written: str = ""


def raise_mistakes(path: Path, mistakes: Sequence[Mistake]) -> None:
    """Raise one error that names every mistake, if there is any.

    Raises:
        ConfigError: file, line, what is wrong and the remedy of each.
    """
    listed = [described(path, m) for m in sorted(mistakes, key=lambda m: m.line)]
    if len(listed) == 1:
        raise ConfigError(listed[0].removesuffix("."), "Nothing was changed.")
    if listed:
        raise ConfigError("\n  ".join([f"{len(listed)} mistakes in {path}, nothing was changed:", *listed]))


def described(path: Path, mistake: Mistake) -> str:
    """One line: file, line number, what is wrong, remedy."""
    return f"{path.name}, line {mistake.line}: {mistake.text}. {mistake.remedy}".rstrip()


def with_causes(
    mistakes: Iterable[Mistake], unread: Sequence[Mistake], headings: Iterable[int]
) -> list[Mistake]:
    """Mistakes of meaning; of those that a line which was not understood may have caused, it is said which line.

    Such a line stands above, below the same heading, and speaks of the same person, splits somebody (whose new id may
    be meant), or names nobody: that may have been a heading.

    Args:
        unread: the lines that were not understood. headings: the lines of all headings.
    """
    began = sorted(headings)
    out = []
    for mistake in mistakes:
        start = max((line for line in began if line <= mistake.line), default=0)
        people = _people(mistake.text)
        causes = [
            other.line
            for other in unread
            if start < other.line < mistake.line
            and (not _people(other.written) or _people(other.written) & people or _splits(other.written))
        ]
        if causes:
            rests = f"It may follow from line {' or '.join(map(str, causes))}."
            mistake = replace(mistake, remedy=f"{mistake.remedy} {rests}".lstrip())
        out.append(mistake)
    return out


def _people(text: str) -> set[str]:
    return {person_id(found) for found in re.findall(rf"\b{ID}\b", text)}


def _splits(text: str) -> bool:
    return "split" in text.casefold()
