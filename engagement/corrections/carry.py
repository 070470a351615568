"""Who is who after a video was analysed again: people keep the ids that a names file speaks of.

Other settings, weights or versions may number people differently. Where a names file or a calibration speaks of a
video, faces of the earlier result and of the new one that lie on one another at the same time tell which person is
which. Numbers on disk are enough for that; no picture or face feature is kept for it.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    target: Path | None,
    lines: Sequence[Line],
    fingerprint: dict[str, Any],
    times_s: TimeArray,
    rows: NDArray[np.void],
    person: IndexArray,
    calibrated: bool = False,
) -> Carried:
    """Ids for a new analysis; those it gives by itself unless a names file or a calibration speaks of others.

    Args:
        target: where the earlier result lies, if there is one; None for none.
        lines: of the names file, for this video.
        times_s: (n_samples,). rows: the records of the faces. person: (len(rows),), from 0, -1 for nobody.
        calibrated: whether a calibration speaks of this video.
    """
    earlier = read_summary(target) if target else None
    count = int(person.max(initial=-1)) + 1
    as_found = Carried(person, [person_name(i) for i in range(count)], list(range(count)))
    if not (lines or calibrated) or target is None or not earlier or not count:
        return as_found
    opts_out = any(isinstance(line, OptOut) for line in lines)
    record = (earlier.get("corrections") or {}) if opts_out else {}
    gone = [*record.get("opted_out", []), *record.get("emptied", [])]
    spoken = [p for line in lines for p in _mentioned(line)]
    if earlier.get("fingerprint") == fingerprint:
        before = earlier.get("numbering") or []
        if len(before) != count:
            return as_found
        known = {index: str(name) for index, name in enumerate(before) if name}
        return _under(known, gone, (*known.values(), *gone, *spoken), rows, person, record)
    columns = ["person_id", "time_s", "observed", "x1", "y1", "x2", "y2"]
    try:
        old: Any = table.read_parquet(source_of(target), columns)
    except (OSError, ValueError):
        return as_found
    old = old[old["observed"]]
    if old.empty and not gone:
        return as_found
    ids = sorted({str(p) for p in old["person_id"]}, key=order)
    partner = {} if old.empty else _partners(old, ids, times_s, rows, person, count)
    known = {index: ids[place] for index, place in partner.items()}
    return _under(known, gone, (*ids, *gone, *spoken), rows, person, record)


def _under(
    known: dict[int, str],
    gone: Sequence[str],
    taken: Sequence[str],
    rows: NDArray[np.void],
    person: IndexArray,
    record: dict[str, Any],
) -> Carried:
    """The people of an analysis under the ids that are ``known`` of some; the others get ids that are not ``taken``.

    After somebody opted out (``gone``) the others are left out: nothing is kept to tell who of them it was.
    """
    count = int(person.max(initial=-1)) + 1
    free = max((order(p)[0] for p in taken), default=0) + 1
    given: dict[int, str] = {}
    for index in range(count):
        if index in known:
            given[index] = known[index]
        elif not gone:
            given[index] = f"P{free:02d}"
            free += 1
    first = {index: int(np.argmax(person == index)) for index in given}
    listed = sorted(given, key=lambda index: (rows["sample"][first[index]], order(given[index])))
    names, index_of = [given[i] for i in listed], [-1] * count
    for place, index in enumerate(listed):
        index_of[index] = place
    moved = np.array([*index_of, -1], np.int64)[person]
    return Carried(
        moved,
        names,
        index_of,
        [given.get(index) for index in range(count)],
        {k: record[k] for k in ("opted_out", "emptied", "splits") if k in record},
        count - len(names),
    )


def _partners(
    old: Any, ids: list[str], times_s: TimeArray, rows: NDArray[np.void], person: IndexArray, count: int
) -> dict[int, int]:
    """New person -> earlier person; boxes must agree in half of the samples that both have."""
    number = {p: i for i, p in enumerate(ids)}
    hits, common = np.zeros((count, len(ids))), np.zeros((count, len(ids)))
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
    return dict(assign(np.where(enough, -hits, np.inf).astype(np.float32)))


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
