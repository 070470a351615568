"""Tracks that ran on with somebody else: split where they may have, then joined with all that is known.

A split costs nothing where it was not needed: the parts are alike and in the same place, so joining puts
them together again and the track stays whole. And people who are in two places for a moment, where a dissolve or a new
layout shows the old place and the new one: they are one if they look it, and the old place is nobody from then on.
Likewise people of whom the same picture is shown twice for longer: the smaller one is nobody meanwhile.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engagement.tracking.persons import NOBODY, PersonsConfig, first_seen, join_tracks
from engagement.tracking.summary import Alike, Piece, TrackSummary, shown_twice
from engagement.types import IndexArray

_WINDOW = 3  # pieces on either side that are compared
_ALIKE = 0.8  # cosine of face features before and after, below which a track is split
_ENOUGH = 1.0  # sum of qualities that either side must have
_SHORTEST = 5  # samples of a part: less is a head that turned for a moment
#: A dissolve, or tiles that move, shows somebody in the old place and in the new one for a moment: being seen with tracks
#: that begin in the last samples of one, and after as many others, says nothing. They are those of 0.8 s; where samples
#: are rarer, up to four within 2 s, or hardly more: streams of one picture a second often have 0.999. Chosen at 0.5 to
#: 10 Hz (docs/results.md).
_FADE_S, _FADE_SAMPLES, _FADE_LONGEST_S = 0.8, 4, 2.05
#: A track must be the same picture as larger ones in so many samples to be taken for a copy, and as each of them in most
#: samples before and after each, so many either way.
_SAME_OFTEN, _NEIGHBOURS = 4, 10


@dataclass(frozen=True, slots=True)
class Split:
    """From ``sample`` on, ``track`` is another person, or nobody, and is called ``new_track``."""

    track: int
    sample: int
    new_track: int


@dataclass(frozen=True, slots=True)
class Persons:
    """Who is who.

    Attributes:
        person: track id -> person index from 0, or NOBODY; new tracks included.
        splits: tracks that turned out to be several people, and stretches of tracks that are nobody's, in order of sample.
        elsewhere: new tracks that are nobody's since their person is seen in another place meanwhile.
    """

    person: dict[int, int]
    splits: tuple[Split, ...] = ()
    elsewhere: frozenset[int] = frozenset()

    def relabel(self, track: IndexArray, sample: IndexArray) -> IndexArray:
        """Track ids after splitting.

        Args:
            track, sample: (n,) of each face, as the tracker had it.

        Returns:
            int64 (n,).
        """
        out = np.array(track, np.int64)
        for split in self.splits:
            out[(track == split.track) & (sample >= split.sample)] = split.new_track
        return out


def find_persons(
    tracks: Sequence[TrackSummary],
    config: PersonsConfig,
    evidence: Sequence[str] | None = None,
    step_s: float = 0.2,
    copies: Iterable[tuple[int, int, int]] = (),
) -> Persons:
    """Persons of a session; tracks are split where they change person.

    Args:
        step_s: seconds from one sample to the next.
        copies: sample and two tracks that are the same picture in it, the smaller one first.
        evidence: kinds that count, for measurements; None for those of the configuration.
    """
    kinds = config.evidence if evidence is None else evidence
    if config.identity == "off" or "face" not in kinds:
        return Persons(join_tracks(tracks, config, kinds))
    free = max((t.track_id for t in tracks), default=-1) + 1
    parts: list[TrackSummary] = []
    origin: dict[int, list[TrackSummary]] = {}
    spans = sorted((t.samples[0], t.samples[-1]) for t in tracks)
    fade = max(round(_FADE_S / step_s), min(_FADE_SAMPLES, int(_FADE_LONGEST_S / step_s)), 1)
    alike = _alike_for_long({track.track_id: track.samples for track in tracks}, copies)
    for track in tracks:
        track = replace(track, alike=alike.get(track.track_id, {}))
        own = [_fading(part, track.samples[0], spans, fade) for part in _parts(track, free)]
        free += len(own) - 1
        parts += own
        origin[track.track_id] = own
    person = join_tracks(parts, config, kinds)
    seen: dict[int, set[int]] = {}
    for part in parts:
        seen.setdefault(person[part.track_id], set()).update(part.samples)
    splits: list[Split] = []
    called: dict[int, list[TrackSummary]] = {}
    for track_id, own in origin.items():
        name, current, since = track_id, person[track_id], set(own[0].samples)
        called[name] = [own[0]]
        for part in own[1:]:
            index = person.pop(part.track_id)
            if index == NOBODY and current != NOBODY:
                joins = not seen[current] & set(part.samples)
            elif current == NOBODY and index != NOBODY:
                joins = not seen[index] & since
            else:
                joins = index == current
            if not joins:
                name, current, since = part.track_id, index, set()
                splits.append(Split(track_id, part.samples[0], name))
            elif current == NOBODY:
                current = index
            called.setdefault(name, []).append(part)
            since |= set(part.samples)
            if current != NOBODY:
                seen[current] |= since
            person[name] = current
    person = _renumbered(person, called)
    after = dict(_seen_twice(person, called, free))
    person |= {split.new_track: index for split, index in after.items()}
    elsewhere = frozenset(split.new_track for split, index in after.items() if index == NOBODY)
    return Persons(person, tuple(sorted([*splits, *after], key=lambda s: (s.sample, s.track))), elsewhere)


def _alike_for_long(
    samples: Mapping[int, Sequence[int]], copies: Iterable[tuple[int, int, int]]
) -> dict[int, dict[int, Alike]]:
    """Of each track others that are the same picture, mostly around each sample; a blurred one is as its neighbours.

    Args:
        samples: of each track. copies: sample and two tracks that are the same picture in it, the smaller one first.
    """
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    # Whoever speaks for a moment is large too briefly to tell, but of the small picture it may be known by then.
    often: dict[int, set[int]] = defaultdict(set)
    for sample, one, other in copies:
        found[min(one, other), max(one, other)].append(sample)
        often[one].add(sample)
    seen = {
        track: np.array(samples[track], np.int64) for track in {track for pair in found for track in pair}
    }
    out: dict[int, dict[int, Alike]] = defaultdict(dict)
    for (one, other), same in found.items():
        if max(len(often[one]), len(often[other])) < _SAME_OFTEN:
            continue
        shared = _shared(seen[one], seen[other])
        count = np.append(0, np.cumsum(np.isin(shared, same)))
        at = np.arange(len(shared))
        first, last = np.maximum(at - _NEIGHBOURS, 0), np.minimum(at + _NEIGHBOURS + 1, len(shared))
        mostly = 2 * (count[last] - count[first]) > last - first
        out[one][other] = out[other][one] = (shared, mostly)
    return out


def _shared(one: IndexArray, other: IndexArray) -> IndexArray:
    """Samples of both of two tracks. One may last for hours, the other for seconds: few are compared."""
    first, end = max(one[0], other[0]), min(one[-1], other[-1]) + 1
    within = (each[slice(*np.searchsorted(each, [first, end]))] for each in (one, other))
    return np.intersect1d(*within, assume_unique=True)


def _fading(part: TrackSummary, first: int, spans: Sequence[tuple[int, int]], fade: int) -> TrackSummary:
    """A track or a part of one, told from when on it fades: others that last begin in its last moments.

    Args:
        first: sample with which the whole track begins. spans: first and last sample of every track, in order.
        fade: how many last samples.
    """
    last = part.samples[-1]
    # Something of a part is sure, however short it is.
    at = bisect_left(spans, (max(last - fade + 1, first + fade, part.samples[0] + 1),))
    begins = (begin for begin, end in spans[at : bisect_left(spans, (last + 1,))] if end >= last + _SHORTEST)
    return replace(part, fades=next(begins, None))


def _seen_twice(
    person: Mapping[int, int], called: Mapping[int, Sequence[TrackSummary]], free: int
) -> Iterator[tuple[Split, int]]:
    """Stretches of tracks, nobody's, in which their person is seen in another place, too; what follows is the person's again.

    Args:
        person: track id -> person index or NOBODY. called: the same ids -> what each track holds. free: first unused id.

    Returns:
        Splits and whose the tracks are from then on.
    """
    held: dict[int, list[int]] = {}
    for track, index in person.items():
        if index != NOBODY:
            held.setdefault(index, []).append(track)
    for index, tracks in held.items():
        own = [part for track in tracks for part in called[track]]
        smaller = {part.track_id: _smaller(part, own) for part in own}
        times = Counter(sample for part in own for sample in set(part.samples) - smaller[part.track_id])
        for track in tracks:
            nobody: set[int] = set()
            for part in called[track]:
                fading = [] if part.fades is None else part.samples[bisect_left(part.samples, part.fades) :]
                twice = next((i for i, sample in enumerate(fading) if times[sample] > 1), len(fading))
                nobody |= smaller[part.track_id].union(fading[twice:])
            before = False
            for sample in [sample for part in called[track] for sample in part.samples]:
                if (sample in nobody) != before:
                    before = not before
                    yield Split(called[track][0].origin, sample, free), NOBODY if before else index
                    free += 1


def _smaller(part: TrackSummary, own: Sequence[TrackSummary]) -> set[int]:
    """Samples in which another track of its person shows the same picture, and larger."""
    size = (part.side_px, part.origin)
    larger = [other for other in own if (other.side_px, other.origin) > size] if part.alike else []
    return {sample for other in larger for sample in shown_twice(part, other)}


def _renumbered(person: Mapping[int, int], called: Mapping[int, list[TrackSummary]]) -> dict[int, int]:
    """Persons in order of first appearance again: nobody's parts may have come to them since.

    Args:
        person: track id -> person index or NOBODY. called: the same ids -> what each track holds now.
    """
    held: dict[int, list[TrackSummary]] = {}
    for track, index in person.items():
        held.setdefault(index, []).extend(called[track])
    held.pop(NOBODY, None)
    place = {index: i for i, index in enumerate(sorted(held, key=lambda index: first_seen(held[index])))}
    return {track: place.get(index, NOBODY) for track, index in person.items()}


def _parts(track: TrackSummary, free: int) -> list[TrackSummary]:
    """A track cut where its face changes; the first part keeps the id, others count from ``free``."""
    pieces = track.pieces
    # A cut that leaves too short an end must not stand in for the true one beside it.
    inner = range(_SHORTEST, len(track.samples) - _SHORTEST + 1)
    alike = [
        _alike(pieces[max(k - _WINDOW, 0) : k], pieces[k : k + _WINDOW]) if pieces[k].start in inner else 1.0
        for k in range(1, len(pieces))
    ]
    cuts = [
        k + 1
        for k, value in enumerate(alike)
        if value < _ALIKE and value == min(alike[max(k - _WINDOW + 1, 0) : k + _WINDOW])
    ]
    ends = [0]
    for cut in [*cuts, len(pieces)]:
        if sum(p.samples for p in pieces[ends[-1] : cut]) >= _SHORTEST:
            ends.append(cut)
    if len(ends) < 3:
        return [track]
    # What is left at the end goes with the last part.
    ends[-1] = len(pieces)
    ids = [track.track_id, *range(free, free + len(ends) - 2)]
    return [track.part(name, ends[i], ends[i + 1]) for i, name in enumerate(ids)]


def _alike(before: Sequence[Piece], after: Sequence[Piece]) -> float:
    """Cosine of the mean face features of two runs of pieces; 1 where there is too little to say."""
    if min(sum(p.weight for p in side) for side in (before, after)) < _ENOUGH:
        return 1.0
    a, b = (np.sum([p.identity for p in side], axis=0) for side in (before, after))
    return float(a @ b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-9)
