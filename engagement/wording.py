"""Numbers and lists in sentences."""

from __future__ import annotations

from collections.abc import Iterable


def count(number: int, one: str, many: str = "") -> str:
    """1 person, 2 people"""
    return f"{number} {one if number == 1 else many or one + 's'}"


def shortened(names: Iterable[str], most: int = 30, between: str = ", ") -> str:
    """a, b, c and 4 more"""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return between.join(listed[:most]) + more
