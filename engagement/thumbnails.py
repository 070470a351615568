"""A few pictures of each track for the pages: upright, frontal, sharp, and such as stand for the person.

That is: from all over the time in which somebody was seen, and of the apparent expressions in about the shares in which
they occur. The sharpest pictures alone may all show the one expression that somebody has when sitting still.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from engagement.faces.chips import cut_chips
from engagement.types import ByteArray, ChipSpec, FloatArray

#: A little wider than the classifier's crop: hair and shoulders help a reader to recognise somebody.
_SPEC = ChipSpec(112, 1.5, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
_PER_PERSON = 4
#: Of each track so many pictures are held, the best of an expression in a stretch, which is this long at first.
_HELD, _APART_S = 8, 2.0
#: Expressions are counted in so many stretches at most.
_STRETCHES = 16
#: An expression this frequent is shown before another one is shown twice. Fewer are frequent than pictures are held.
_FREQUENT = 1 / 7

#: What a picture too poor to read shows.
UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A square JPEG picture of a face at a time; ``expression``: place of the likeliest one, or UNKNOWN."""

    time_s: float
    jpeg: bytes
    merit: float
    expression: int = UNKNOWN


@dataclass(slots=True, eq=False)
class _Held:
    """Pictures of a track: of each ``apart_s`` seconds the best one of each expression that is not rare.

    Attributes:
        best: the pictures, by stretch and expression. seen: how many samples there were of each.
    """

    apart_s: float = _APART_S
    best: dict[tuple[int, int], Thumbnail] = field(default_factory=dict)
    seen: Counter[tuple[int, int]] = field(default_factory=Counter)

    def place(self, time_s: float, expression: int) -> tuple[int, int]:
        return int(time_s // self.apart_s), expression

    def count(self, time_s: float, expression: int) -> None:
        """Count a sample; where there are too many stretches, they become twice as long."""
        self.seen[self.place(time_s, expression)] += 1
        while len({stretch for stretch, _ in self.seen}) > _STRETCHES:
            self.widen(2 * self.apart_s)

    def put(self, picture: Thumbnail) -> None:
        """Hold a picture; where there are too many, one of a rare expression goes, or else of two stretches the worse."""
        place = self.place(picture.time_s, picture.expression)
        there = self.best.get(place)
        if there is None or picture.merit > there.merit:
            self.best[place] = picture
        while len(self.best) > _HELD:
            shares = _shares([self])
            rare = [(shares.get(key[1], 0.0), p.merit, key) for key, p in self.best.items()]
            share, _, key = min(rare)
            if share < _FREQUENT:
                del self.best[key]
            else:
                self.widen(2 * self.apart_s)

    def widen(self, apart_s: float) -> None:
        """Hold the best of each so many seconds."""
        if apart_s <= self.apart_s:
            return
        longer = apart_s / self.apart_s
        held, self.best = list(self.best.values()), {}
        seen, self.seen = self.seen, Counter()
        self.apart_s = apart_s
        for (stretch, expression), n in seen.items():
            self.seen[int(stretch // longer), expression] += n
        for picture in held:
            self.put(picture)


class ThumbnailKeeper:
    """Keeps a handful of small JPEGs per track, in memory, from all over its time."""

    def __init__(self) -> None:
        self._held: dict[int, _Held] = {}

    def offer(
        self,
        track: int,
        time_s: float,
        rgb: ByteArray,
        box: FloatArray,
        quality: float,
        pose: FloatArray,
        expression: int = UNKNOWN,
    ) -> None:
        """Keep this sight if it is better than what there is of its expression in its time."""
        merit = quality - (abs(float(pose[0])) + abs(float(pose[1]))) / 200
        held = self._held.setdefault(track, _Held())
        held.count(time_s, expression)
        there = held.best.get(held.place(time_s, expression))
        if there is None and len(held.best) >= _HELD and _shares([held]).get(expression, 0.0) < _FREQUENT:
            return  # it would go again at once
        # A slightly better picture is not worth encoding again.
        if there is None or merit > there.merit + 0.05:
            held.put(Thumbnail(time_s, encode(rgb, box), merit, expression))

    def adopt(self, track: int, other: ThumbnailKeeper, others_track: int) -> None:
        """Take over the pictures that another keeper has of a track."""
        theirs = other._held.get(others_track, _Held())
        ours = self._held.setdefault(track, _Held())
        ours.widen(theirs.apart_s)
        for (stretch, expression), n in theirs.seen.items():
            place = ours.place((stretch + 0.5) * theirs.apart_s, expression)
            ours.seen[place] += n
        for picture in _in_time(theirs.best.values()):
            ours.put(picture)
        while len({stretch for stretch, _ in ours.seen}) > _STRETCHES:
            ours.widen(2 * ours.apart_s)

    def divide(self, track: int, time_s: float, new_track: int) -> None:
        """From a time on, a track's pictures are another track's; what is counted, to half a stretch."""
        held = self._held.get(track, _Held())
        later = self._held.setdefault(new_track, _Held(held.apart_s))
        for place, n in list(held.seen.items()):
            if (place[0] + 0.5) * held.apart_s >= time_s:
                later.seen[place] += held.seen.pop(place, n)
        for place, picture in list(held.best.items()):
            if picture.time_s >= time_s:
                later.put(held.best.pop(place))

    def of(self, tracks: list[int]) -> list[Thumbnail]:
        """Four pictures of a person's tracks, in order of time.

        Every frequent expression has one before another has two; the others fall to the expressions in proportion. Two
        of the same expression lie apart.
        """
        held = [self._held[track] for track in tracks if track in self._held]
        there = [p for part in held for p in part.best.values()]
        if not there:
            return []
        begin, end = min(p.time_s for p in there), max(p.time_s for p in there)
        shares = _shares(held)
        chosen: list[Thumbnail] = []
        waiting = {p.expression for p in there}
        while len(chosen) < _PER_PERSON and waiting:
            expression = max(
                waiting, key=lambda e: (*_claim(shares.get(e, 0.0), _number(chosen, e)), e != UNKNOWN, -e)
            )
            best = _best([p for p in there if p.expression == expression], chosen, begin, end)
            if best is None:
                waiting.remove(expression)
            else:
                chosen.append(best)
        return _in_time(chosen)


def _claim(share: float, shown: int) -> tuple[bool, float]:
    """How much an expression has a right to the next picture (Sainte-Laguë, after one for each frequent one)."""
    return not shown and share >= _FREQUENT, share / (2 * shown + 1)


def _number(chosen: list[Thumbnail], expression: int) -> int:
    return sum(picture.expression == expression for picture in chosen)


def _best(pictures: list[Thumbnail], chosen: list[Thumbnail], begin: float, end: float) -> Thumbnail | None:
    """The best picture of an expression, of a quarter of which nothing is chosen if there is one, and not soon after
    or before one that is alike."""
    taken = {_quarter(p.time_s, begin, end) for p in chosen}
    alike = [p for p in chosen if p.expression == pictures[0].expression]
    apart = (end - begin) / (2 * _PER_PERSON)
    left = [
        p for p in pictures if not any(p is other or abs(p.time_s - other.time_s) < apart for other in alike)
    ]
    return max(
        left,
        key=lambda p: (_quarter(p.time_s, begin, end) not in taken, p.merit, -p.time_s),
        default=None,
    )


def _quarter(time_s: float, begin: float, end: float) -> int:
    share = (time_s - begin) / (end - begin) if end > begin else 0.0
    return min(int(share * _PER_PERSON), _PER_PERSON - 1)


def _shares(held: Iterable[_Held]) -> dict[int, float]:
    """How often each expression was the likeliest, of all that were read; of UNKNOWN none where anything was read."""
    seen: Counter[int] = Counter()
    for part in held:
        for (_, expression), n in part.seen.items():
            seen[expression] += n
    if len(seen) > 1:
        seen.pop(UNKNOWN, None)
    total = sum(seen.values())
    return {expression: n / total for expression, n in seen.items()} if total else {}


def _in_time(pictures: Iterable[Thumbnail]) -> list[Thumbnail]:
    return sorted(pictures, key=lambda p: p.time_s)


def encode(rgb: ByteArray, box: FloatArray, spec: ChipSpec = _SPEC) -> bytes:
    """A square JPEG around a face; ``box`` (4,) in pixels of ``rgb``."""
    import cv2

    chip = cut_chips(rgb, box[None], np.zeros(1, np.float32), spec)[0]
    quality = [cv2.IMWRITE_JPEG_QUALITY, 80]
    return cv2.imencode(".jpg", cv2.cvtColor(chip, cv2.COLOR_RGB2BGR), quality)[1].tobytes()
