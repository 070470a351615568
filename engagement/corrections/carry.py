"""Who is who after a video was analysed again: people keep the ids that a names file speaks of.

Other settings, weights or versions may number people differently. Where a names file or a calibration speaks of a
video, faces of the earlier result and of the new one that lie on one another at the same time tell which person is
which. Numbers on disk are enough for that; no picture or face feature is kept for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engagement.corrections.file import Line, Merge, Name, OptOut, Split
from engagement.corrections.folder import source_of
from engagement.corrections.notation import order
from engagement.geometry import SAME_FACE, iou_matrix
from engagement.results import read_summary
from engagement.timelines import table
from engagement.timelines.session import person_name
from engagement.tracking.assignment import assign
from engagement.types import IndexArray, TimeArray

#: Share of the samples that both results have of a person in which their boxes must agree.
_AGREE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Analysed:
    """A new analysis, its people numbered by itself.

    Attributes:
        fingerprint: what the result depends on; alike, people are numbered alike.
        times_s: (n_samples,).
        rows: (n,) the records of the faces.
        person: (n,) index of the person of each face, from 0; -1 for nobody.
    """

    fingerprint: Mapping[str, Any]
    times_s: TimeArray
    rows: NDArray[np.void]
    person: IndexArray

    @property
    def people(self) -> int:
        """How many there are."""
        return int(self.person.max(initial=-1)) + 1


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """Persons of a new analysis under the ids of an earlier one.

    Attributes:
        person: (n,) index of the person of each face, as ``names`` lists them; -1 for nobody.
        names: id of each.
        index_of: for each person of the analysis its index in ``names``; -1 for who is left out.
        numbering: id of each person of the analysis, None for who is left out; empty where they are its own. A result
            keeps it, since another analysis with the same settings numbers people as this one did.
        record: of the earlier result: who opted out of it and is therefore not among these, and who was split.
        left_out: how many people the earlier result does not know, any of whom may have opted out of it.
    """

    person: IndexArray
    names: list[str]
    index_of: list[int]
    numbering: list[str | None] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)
    left_out: int = 0


def carry_over(
    target: Path | None, lines: Sequence[Line], new: Analysed, calibrated: bool = False
) -> Carried:
    """Ids for a new analysis; those it gives by itself unless a names file or a calibration speaks of others.

    Args:
        target: where the earlier result lies, if there is one; None for none.
        lines: of the names file, for this video.
        calibrated: whether a calibration speaks of this video.
    """
    earlier = read_summary(target) if target else None
    as_found = Carried(new.person, [person_name(i) for i in range(new.people)], list(range(new.people)))
    if not (lines or calibrated) or target is None or not earlier or not new.people:
        return as_found
    opts_out = any(isinstance(line, OptOut) for line in lines)
    record = earlier.corrections if opts_out else {}
    gone = [*record.get("opted_out", []), *record.get("emptied", [])]
    if earlier.fingerprint == new.fingerprint:
        before = earlier.numbering
        known = {index: str(name) for index, name in enumerate(before) if name}
        ids, alike = list(known.values()), len(before) == new.people
    else:
        old = _observed(target)
        ids = [] if old is None else sorted({str(p) for p in old["person_id"]}, key=order)
        known = _partners(old, ids, new) if ids else {}
        alike = bool(ids or gone)
    if not alike:
        return as_found
    spoken = [p for line in lines for p in _mentioned(line)]
    return _under(known, gone, (*ids, *gone, *spoken), new, record)


def _observed(target: Path) -> Any:
    """Where the people of an earlier result were seen, as analysed; None where that cannot be read."""
    columns = ["person_id", "time_s", "observed", "x1", "y1", "x2", "y2"]
    try:
        found: Any = table.read_parquet(source_of(target), columns)
    except (OSError, ValueError):
        return None
    return found[found["observed"]]


def _under(
    known: Mapping[int, str],
    gone: Sequence[str],
    taken: Sequence[str],
    new: Analysed,
    record: Mapping[str, Any],
) -> Carried:
    """The people of an analysis under the ids that are ``known`` of some; the others get ids that are not ``taken``.

    After somebody opted out (``gone``) the others are left out: nothing is kept to tell who of them it was.
    """
    free = max((order(p)[0] for p in taken), default=0) + 1
    given: dict[int, str] = {}
    for index in range(new.people):
        if index in known:
            given[index] = known[index]
        elif not gone:
            given[index] = f"P{free:02d}"
            free += 1
    first = {index: int(np.argmax(new.person == index)) for index in given}
    listed = sorted(given, key=lambda index: (new.rows["sample"][first[index]], order(given[index])))
    names, index_of = [given[i] for i in listed], [-1] * new.people
    for place, index in enumerate(listed):
        index_of[index] = place
    moved = np.array([*index_of, -1], np.int64)[new.person]
    return Carried(
        moved,
        names,
        index_of,
        [given.get(index) for index in range(new.people)],
        {k: record[k] for k in ("opted_out", "emptied", "splits") if k in record},
        new.people - len(names),
    )


def _partners(old: Any, ids: list[str], new: Analysed) -> dict[int, str]:
    """New person -> id of the earlier one; boxes must agree in half of the samples that both have."""
    times_s, rows, person = new.times_s, new.rows, new.person
    number = {p: i for i, p in enumerate(ids)}
    hits, common = np.zeros((new.people, len(ids))), np.zeros((new.people, len(ids)))
    when = old["time_s"].to_numpy(np.float64)
    boxes = old[["x1", "y1", "x2", "y2"]].to_numpy(np.float32)
    whose = old["person_id"].map(number).to_numpy(np.int64)
    in_time = np.argsort(when, kind="stable")
    moments, starts = np.unique(when[in_time], return_index=True)
    ends = np.append(starts[1:], len(when))
    slack = 0.5 * float(np.median(np.diff(times_s))) + 1e-3 if len(times_s) > 1 else 0.1
    samples, firsts = np.unique(rows["sample"], return_index=True)
    lasts = np.append(firsts[1:], len(rows))
    for sample, first, last in zip(samples, firsts, lasts, strict=True):
        own = np.arange(first, last)[person[first:last] >= 0]
        near = _nearest(moments, float(times_s[sample]))
        if abs(moments[near] - times_s[sample]) > slack or not len(own):
            continue
        theirs = in_time[starts[near] : ends[near]]
        met = np.ix_(person[own], whose[theirs])
        hits[met] += iou_matrix(rows["box"][own], boxes[theirs]) >= SAME_FACE
        common[met] += 1
    enough = (hits > 0) & (hits >= _AGREE * common)
    found = assign(np.where(enough, -hits, np.inf).astype(np.float32))
    return {index: ids[place] for index, place in found}


def _nearest(moments: TimeArray, at: float) -> int:
    right = int(np.searchsorted(moments, at))
    around = [i for i in (right - 1, right) if 0 <= i < len(moments)]
    return min(around, key=lambda i: abs(moments[i] - at))


def _mentioned(line: Line) -> tuple[str, ...]:
    if isinstance(line, Name):
        return (line.person,)
    if isinstance(line, Merge):
        return (*line.sources, line.target)
    if isinstance(line, Split):
        return tuple(p for p in (line.person, line.first, line.second) if p)
    return line.people
