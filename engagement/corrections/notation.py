"""Ids and times as a names file writes them."""

from __future__ import annotations

import re

#: A person's id, as part of a pattern.
ID = r"[Pp]\d{1,5}"


def seconds(text: str) -> float | None:
    """12:30, 1:02:30, 12:30.5, 750, 750s, 12m30s, 1 h 2 min; None for anything else."""
    text = text.strip().replace(",", ".").casefold()
    if re.fullmatch(r"\d+(:\d{1,2}){1,2}(\.\d+)?", text):
        parts = [float(p) for p in text.split(":")]
        if any(p >= 60 for p in parts[1:]):
            return None
        return sum(p * 60**k for k, p in enumerate(reversed(parts)))
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    unit = {"h": 3600, "m": 60, "s": 1}
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]+)", text)
    whole = "".join(f"{n}{u}" for n, u in parts) == re.sub(r"\s", "", text)
    known = all(re.fullmatch(r"h|hours?|m|min|minutes?|s|sec|seconds?", u) for _, u in parts)
    return sum(float(n) * unit[u[0]] for n, u in parts) if parts and whole and known else None


def person_id(text: str) -> str:
    """p3, P3 and P03 are P03; ValueError for what is no id."""
    found = re.fullmatch(ID, text.strip())
    if found is None:
        raise ValueError(f"'{text}' is no person's id")
    return f"P{int(found[0][1:]):02d}"


def order(person: str) -> tuple[int, str]:
    """Sorts P2 before P10."""
    digits = person[1:]
    return (int(digits) if digits.isdigit() else 10**6, person)


def clock(time_s: float) -> str:
    """As a names file writes it: m:ss.s or h:mm:ss.s, without a needless fraction; rounded down."""
    tenths = int(time_s * 10 + 1e-6)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest // 10:02d}" + (f".{rest % 10}" if rest % 10 else "")
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"
