"""What the lines of a names file mean for one video, and which of them cannot be.

Lines are applied from top to bottom to who was seen when. The outcome is a label for every observed row of
the analysis; tables are made from that by ``rebuild``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engagement.corrections.file import (
    Hide,
    Line,
    Merge,
    Name,
    OptOut,
    Split,
)
from engagement.corrections.mistakes import Mistake
from engagement.corrections.notation import clock, order
from engagement.types import IndexArray, TimeArray
from engagement.wording import shortened

Labels = NDArray[np.object_]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Corrections of one video.

    Attributes:
        source: (n,) id that the analysis gave to each observed row. label: (n,) id after correction; empty
            for who opted out.
        times_s: (n,) of the rows.
        names: display name by id. hidden: left out of pages and class curves.
        opted_out: ids that opted out, in this file or in earlier ones; nothing is kept of them.
        emptied: other ids, of the analysis or of a split, of whom nothing is left, since they were merged with those.
        taken_back: ids that this file no longer opts out; only a new analysis brings them back.
        refused: (source, target) seen at the same time, which cannot be checked again after an opt-out.
        merged: source -> target. splits: (person, time in seconds, first id, second id).
    """

    source: Labels
    label: Labels
    times_s: TimeArray
    names: Mapping[str, str] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    opted_out: frozenset[str] = frozenset()
    emptied: frozenset[str] = frozenset()
    taken_back: frozenset[str] = frozenset()
    refused: frozenset[tuple[str, str]] = frozenset()
    merged: Mapping[str, str] = field(default_factory=dict)
    splits: Sequence[tuple[str, float, str, str]] = ()

    @property
    def regroups(self) -> bool:
        """Whether anybody's rows change hands (names and opt-outs alone do not)."""
        return bool(((self.label != self.source) & (self.label != "")).any())

    @property
    def erases(self) -> NDArray[np.bool_]:
        """(n,) rows of who opted out."""
        return np.asarray(self.label == "", np.bool_)

    def owner(self, source: str, time_s: float) -> str:
        """Whose a picture is that the analysis took of ``source`` at a time; empty when nobody's now."""
        own = np.flatnonzero(self.source == source)
        if not len(own):
            return ""
        return str(self.label[own[np.abs(self.times_s[own] - time_s).argmin()]])

    def record(self) -> dict[str, Any]:
        """For summary.json; empty when nothing is corrected."""
        found: dict[str, Any] = {
            "names": dict(self.names),
            "merged": dict(self.merged),
            "splits": [
                {"person": person, "at_s": at, "into": [first, second]}
                for person, at, first, second in self.splits
            ],
            "hidden": sorted(self.hidden, key=order),
            "opted_out": sorted(self.opted_out, key=order),
            "emptied": sorted(self.emptied, key=order),
            "refused": sorted(map(list, self.refused)),
        }
        return {key: value for key, value in found.items() if value}


def make_plan(
    lines: Sequence[Line],
    source: Labels,
    times_s: TimeArray,
    frames: IndexArray,
    record: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[Plan, list[Mistake]]:
    """Apply lines, top to bottom; those that cannot be are left out and listed.

    Args:
        source: (n,) id of each observed row. times_s, frames: (n,) when that was.
        record: of earlier corrections (:meth:`Plan.record`): who is known though nothing is left of them.
    """
    state = _State(source, times_s, frames, record)
    handlers: dict[type, Callable[[Any], None]] = {
        Name: state.name,
        Merge: state.merge,
        Split: state.split,
        Hide: state.hide,
        OptOut: state.opt_out,
    }
    for line in lines:
        handlers[type(line)](line)
    return state.plan(), state.mistakes


class _State:
    """Who has which rows after the lines so far."""

    def __init__(
        self, source: Labels, times_s: TimeArray, frames: IndexArray, record: Mapping[str, Any]
    ) -> None:
        self.source, self.times, self.frames = source, times_s, frames
        self.rows: dict[str, IndexArray] = {
            str(p): np.flatnonzero(source == p).astype(np.int64) for p in dict.fromkeys(source)
        }
        self.out_before = frozenset(map(str, record.get("opted_out", ())))
        self.before = self.out_before | frozenset(map(str, record.get("emptied", ())))
        self.refused = {(str(a), str(b)) for a, b in record.get("refused", ())}
        #: What earlier readings called the later part, where the line leaves that open; of equal lines the first one first.
        self.given: dict[tuple[str, float, str], list[str]] = {}
        for s in record.get("splits", ()):
            key = str(s["person"]), float(s["at_s"]), str(s["into"][0])
            self.given.setdefault(key, []).append(str(s["into"][1]))
        for person in self.before:
            self.rows.setdefault(person, np.zeros(0, np.int64))
        #: Everybody whose rows a person has or had, so that an opt-out is recognised when it comes again.
        self.origins = {person: {person} for person in self.rows}
        self.gone: dict[str, str] = {}
        self.out: set[str] = set()
        self.named_out: set[str] = set()
        self.names: dict[str, tuple[str, int]] = {}
        self.hidden: set[str] = set()
        self.merged: dict[str, str] = {}
        self.splits: list[tuple[str, float, str, str]] = []
        self.mistakes: list[Mistake] = []

    def plan(self) -> Plan:
        label = np.full(len(self.source), "", object)
        for person, rows in self.rows.items():
            label[rows] = person
        kept = set(label[label != ""])
        opted_out = self.out_before | self.named_out
        left = {str(p) for p in self.source[label != ""]}
        emptied = frozenset(
            ({str(p) for p in self.source} | self.before | (self.out - kept)) - left - opted_out
        )
        names = {p: name for p, (name, _) in self.names.items() if p in kept}
        hidden = frozenset(self.hidden & kept)
        return Plan(
            self.source,
            label,
            self.times,
            names=dict(sorted(names.items(), key=lambda item: order(item[0]))),
            hidden=hidden,
            opted_out=opted_out,
            emptied=emptied,
            taken_back=self.out_before - self.out,
            refused=frozenset(self.refused),
            merged={s: t for s in self.merged if (t := self._left_as(s)) in kept},
            # Also of who opted out: the same line has to give the same ids when it is read again.
            splits=[part for part in self.splits if {part[2], part[3]} & (kept | opted_out | emptied)],
        )

    def _left_as(self, person: str) -> str:
        """Who a merged person is in the end: the one may have been merged further."""
        while person in self.merged and person not in self.rows:
            person = self.merged[person]
        return person

    def name(self, line: Name) -> None:
        if line.person in self.out or not self._known(line.line, line.person):
            return
        old = self.names.get(line.person)
        if old and old[0] != line.name:
            self._wrong(
                line.line, f"{line.person} is called '{old[0]}' in line {old[1]} already", "Keep one."
            )
            return
        self.names[line.person] = (line.name, line.line)

    def merge(self, line: Merge) -> None:
        for source in line.sources:
            if self._known(line.line, source) and self._known(line.line, line.target):
                self._merge(line.line, source, line.target)

    def _merge(self, number: int, source: str, target: str) -> None:
        mine, theirs = self.rows[source], self.rows[target]
        both = np.intersect1d(self.frames[mine], self.frames[theirs])
        if len(both):
            at = float(self.times[mine][self.frames[mine] == both[0]][0])
            seen = f"both are seen at {clock(at)}" + (
                f" and in {len(both) - 1} further pictures" if len(both) > 1 else ""
            )
            self.refused.add((source, target))
            self._wrong(
                number,
                f"{self._called(source)} and {self._called(target)} cannot be one person: {seen}",
                "If one of them changes midway, split that one first; otherwise leave the line out.",
            )
            return
        if (source, target) in self.refused and not (len(mine) and len(theirs)):
            self._wrong(
                number,
                f"{source} and {target} cannot be one person: both were seen at the same time before one opted out",
                "Leave the line out.",
            )
            return
        name, other = self.names.get(source), self.names.get(target)
        if name and other and name[0] != other[0]:
            self._wrong(
                number,
                f"{source} is called '{name[0]}' (line {name[1]}) and {target} '{other[0]}' (line {other[1]})",
                "Keep one of the two names.",
            )
            return
        self.names.pop(source, None)
        if name and not other:
            self.names[target] = name
        self.rows[target] = np.union1d(mine, theirs).astype(np.int64)
        self.origins[target] |= self.origins[source] | {source}
        del self.rows[source]
        self.gone[source] = f"was merged into {target} in line {number}"
        self.merged[source] = target

    def split(self, line: Split) -> None:
        if not self._known(line.line, line.person):
            return
        parts = self.given.get((line.person, line.time_s, line.first))
        earlier = parts.pop(0) if parts else ""
        # One side may be gone with who opted out; that there were two has been seen before.
        seen_before = bool(self.out_before and earlier)
        second = line.second or (earlier if earlier and not self._taken(earlier) else self._free())
        for part in (line.first, second):
            if part != line.person and self._taken(part):
                self._wrong(
                    line.line,
                    f"{part} exists already",
                    f"Give the new person a free id, such as {self._free()}; then merge.",
                )
                return
        rows = self.rows[line.person]
        late = self.times[rows] >= line.time_s - 1e-6
        removed = {line.person, line.first, second} & self.before
        if (late.all() or not late.any()) and not removed and not seen_before:
            first, last = (clock(float(t)) for t in self.times[rows][[0, -1]])
            self._wrong(
                line.line,
                f"{self._called(line.person)} is seen from {first} to {last}, not on both sides of "
                f"{clock(line.time_s)}",
                "Write a time in between.",
            )
            return
        self._divide(line, second, late)

    def _divide(self, line: Split, second: str, late: NDArray[np.bool_]) -> None:
        """Give a person's rows to the two that the line makes of it.

        Args:
            second: id of the later part.
            late: which rows are those of the later part.
        """
        rows, origins = self.rows.pop(line.person), self.origins.pop(line.person)
        if line.first != line.person:
            origins = origins | {line.person}
            self.gone[line.person] = f"was split into {line.first} and {second} in line {line.line}"
            if line.person in self.names:
                self.names[line.first] = self.names.pop(line.person)
        self.rows[line.first], self.rows[second] = rows[~late], rows[late]
        self.origins[line.first] = origins | {line.first}
        # With a new id for both parts, the old id vanishes with either.
        self.origins[second] = {second} | ({line.person} if line.first != line.person else set())
        if line.person in self.hidden:
            self.hidden |= {line.first, second}
        self.splits.append((line.person, line.time_s, line.first, second))

    def hide(self, line: Hide) -> None:
        self.hidden |= {p for p in line.people if p not in self.out and self._known(line.line, p)}

    def opt_out(self, line: OptOut) -> None:
        for person in line.people:
            if person in self.out or not self._known(line.line, person):
                continue
            self.named_out.add(person)
            self.out |= self.origins.pop(person) | {person}
            del self.rows[person]
            self.names.pop(person, None)
            self.gone[person] = f"opts out in line {line.line}"

    def _known(self, number: int, person: str) -> bool:
        if person in self.rows:
            return True
        if person in self.gone:
            self._wrong(number, f"{person} {self.gone[person]}", "Change the order, or name who remains.")
        else:
            seen = sorted((p for p, rows in self.rows.items() if len(rows)), key=order)
            known = (
                f"Known: {shortened(map(self._called, seen))}." if seen else "Nobody was found in this video."
            )
            self._wrong(number, f"there is no {person}", known)
        return False

    def _called(self, person: str) -> str:
        return f"{person} ({self.names[person][0]})" if person in self.names else person

    def _taken(self, person: str) -> bool:
        return person in self.gone or (person in self.rows and person not in self.before)

    def _free(self) -> str:
        numbers = [order(p)[0] for p in (*self.rows, *self.gone, *self.before) if p[1:].isdigit()]
        return f"P{max(numbers, default=0) + 1:02d}"

    def _wrong(self, line: int, text: str, remedy: str) -> None:
        self.mistakes.append(Mistake(line, text, remedy))
