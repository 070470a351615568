"""Is it the same person? Log-likelihood ratios of clusters of tracks: face, colours, seat.

Each kind is a logistic fit to pieces of known people (benchmarks/identity.py), clipped so that no kind
decides alone against the others. The session itself teaches how far seats can be trusted: where clear faces
contradict them, as in a call whose tiles move, they count for less. Moving the zero of faces by how alike
people who are seen together look was tried: it helped nowhere and parted a student in a classroom in two.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engagement.tracking.appearance import colour_roots, colours_alike
from engagement.tracking.seats import Seats
from engagement.tracking.summary import TrackSummary, shown_twice
from engagement.types import FloatArray, IndexArray

#: All kinds of evidence; ``session`` is what this session teaches about its seats.
EVIDENCE = ("face", "colours", "seat", "session")

_FACE_SLOPE, _FACE_ZERO, _FACE_FULL_WEIGHT = 20.0, 0.42, 1.0
#: Small and blurred faces are all somewhat alike: below this mean quality more likeness is asked for, by so much
#: for useless crops.
_FACE_GOOD, _FACE_POOR = 0.6, 0.3
_FACE_LIMITS = (-5.0, 12.0)  # a bad picture of somebody is common, a good one of somebody else is not
# One clip keeps its light and clothes throughout, so the slope found for colours is far too sure of itself.
_COLOUR_SLOPE, _COLOUR_ZERO, _COLOUR_LIMIT = 10.0, 0.82, 2.0
_SEAT_LIMIT = 3.0
#: Parts of one track, one after the other: the tracker saw no change, and colours around the head that go on as they
#: were say that there was none, only a hand before the face; colours that change, that there was.
_SEAM_ALIKE, _SEAM_RATIO = (0.92, 0.99), (-2.0, 6.0)
#: Seats are taken to be right 8 times in 9 until this session's faces say otherwise.
_SEAT_RIGHT, _SEAT_WRONG = 8.0, 1.0
_CLEAR = 2.0  # log-likelihood ratio of faces from which they judge a seat
_CLEAR_WEIGHT = 3.0  # and sum of qualities: fragments of a second, often blurred, contradict what is right


class Evidence:
    """Likeness of clusters; clusters begin as single tracks, each called by its first track's index.

    What is kept grows with the tracks and with the pairs that share a seat or a sample, not with all pairs.

    Args:
        tracks: what the clusters begin with.
        kinds: which of EVIDENCE counts.

    Attributes:
        among: (k,) the clusters that others are compared with, in rising order.
        seat_weight: log-likelihood ratio of the same seat.
    """

    def __init__(self, tracks: Sequence[TrackSummary], kinds: Sequence[str] = EVIDENCE) -> None:
        self.kinds = frozenset(kinds)
        n = len(tracks)
        self.identity = _stack([t.identity_sum for t in tracks])
        self.weight = np.array([t.weight for t in tracks], np.float64)
        self.colours = _stack([t.colours_sum for t in tracks])
        self.seen = np.array([len(t.samples) for t in tracks], np.float64)
        self._owner = np.arange(n)  # track -> its cluster
        self._apart = together(tracks)
        self._seats = Seats(tracks) if "seat" in self.kinds else None
        self._near: dict[int, tuple[IndexArray, FloatArray]] = {}  # of clusters of several tracks
        self._continued = _continued(tracks, "colours" in self.kinds)
        self.narrow(np.arange(n))
        self.seat_weight = float(np.log(_SEAT_RIGHT / _SEAT_WRONG))
        if {"face", "seat", "session"} <= self.kinds and n > 1:
            self.seat_weight = self._trust_in_seats()

    def narrow(self, among: IndexArray) -> None:
        """From now on compare with these clusters alone, in rising order."""
        self.among = among
        self._unit = _unit(self.identity[among])
        self._root = self._roots(among)

    def join(self, i: int, j: int) -> None:
        """Cluster j becomes part of cluster i, and is none from then on."""
        near = self.near(i), self.near(j)
        for sums in (self.identity, self.colours, self.weight, self.seen):
            sums[i] += sums[j]
        at = np.searchsorted(self.among, i)
        if at < len(self.among) and self.among[at] == i:
            self._unit[at] = _unit(self.identity[i])
            self._root[at] = self._roots(np.array([i]))[0]
        self._owner[self._owner == j] = i
        self._apart[i] = self._any_of(self._apart[i], self._apart[j])
        self._apart[j] = self._apart[j][:0]
        self._near.pop(j, None)
        self._near[i] = self._closest(*near)
        before, after = self._continued.pop(i, {}), self._continued.pop(j, {})
        for other in (before.keys() | after.keys()) - {i, j}:
            # A seam that speaks against it is that of one track, not of all that came together.
            ratio = max(before.get(other, 0.0), after.get(other, 0.0))
            self._continued[other].pop(j, None)
            self._continued[other][i] = self._continued.setdefault(i, {})[other] = ratio

    def ratios(self, clusters: Sequence[int]) -> NDArray[np.float64]:
        """Log-likelihood ratios (m, k) that clusters (m,) and those of ``among`` are one; -inf: seen together."""
        rows = np.asarray(clusters)
        total = np.zeros((len(rows), len(self.among)))
        if "face" in self.kinds:
            total += self._faces(rows)
        if "colours" in self.kinds:
            alike = colours_alike(self._roots(rows), self._root, _COLOUR_ZERO)
            total += np.clip(_COLOUR_SLOPE * (alike - _COLOUR_ZERO), -_COLOUR_LIMIT, _COLOUR_LIMIT)
        for row, i in zip(total, rows.tolist(), strict=True):
            others = np.zeros(len(self._owner), np.float32)
            tracks, near = self.near(i)
            np.maximum.at(others, self._owner[tracks], near)
            others *= self.seat_weight
            for other, ratio in self._continued.get(i, {}).items():
                others[other] += ratio
            others[self._owner[self._apart[i]]] = -np.inf
            others[i] = -np.inf
            row += others[self.among]
        return total

    def near(self, i: int) -> tuple[IndexArray, FloatArray]:
        """Tracks (k,) in a seat of cluster i's, and how close they are, float32 above 0 to 1."""
        if self._seats is None:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        return self._near.get(i) or self._seats.near(i)

    def _roots(self, clusters: IndexArray) -> NDArray[np.floating]:
        return colour_roots(self.colours[clusters] / self.seen[clusters, None])

    def _faces(self, rows: IndexArray) -> FloatArray:
        weight, of = self.weight[self.among], self.weight[rows, None]
        # A few poor crops are weak evidence, for and against.
        trust = np.minimum(1.0, np.minimum(weight, of) / _FACE_FULL_WEIGHT)
        quality = np.minimum(weight / self.seen[self.among], of / self.seen[rows, None])
        poor = 1 - np.minimum(1.0, quality / _FACE_GOOD)
        zero = _FACE_ZERO + _FACE_POOR * poor
        cosines = _unit(self.identity[rows]) @ self._unit.T
        ratios = trust * np.clip(_FACE_SLOPE * (cosines - zero), *_FACE_LIMITS)
        return ratios.astype(np.float32)

    def _trust_in_seats(self) -> float:
        """Log-likelihood ratio of the same seat: seats that clear faces contradict count for less."""
        clear = self.weight >= _CLEAR_WEIGHT
        right, wrong = _SEAT_RIGHT, _SEAT_WRONG
        for i in np.flatnonzero(clear).tolist():
            tracks, near = self.near(i)
            # Each pair once; tracks that share a seat are not seen together.
            same_place = tracks[(near > 0.5) & clear[tracks] & (tracks > i)]
            ratios = _FACE_SLOPE * (self._unit[same_place] @ self._unit[i] - _FACE_ZERO)
            right += float((ratios > _CLEAR).sum())
            wrong += float((ratios < -_CLEAR).sum())
        return float(np.clip(np.log(right / wrong), 0, _SEAT_LIMIT))

    def _any_of(self, *tracks: NDArray[np.int32]) -> NDArray[np.int32]:
        held = np.zeros(len(self._owner), bool)
        for some in tracks:
            held[some] = True
        return np.flatnonzero(held).astype(np.int32)

    def _closest(self, *near: tuple[IndexArray, FloatArray]) -> tuple[IndexArray, FloatArray]:
        """The closer of two seats of one cluster, for each track in either."""
        closest = np.zeros(len(self._owner), np.float32)
        for tracks, closeness in near:
            closest[tracks] = np.maximum(closest[tracks], closeness)
        tracks = np.flatnonzero(closest)
        return tracks, closest[tracks]


def together(tracks: Sequence[TrackSummary]) -> list[NDArray[np.int32]]:
    """Of each track those that are seen in a sample with it, itself included, and so are different people; samples in
    which it fades are left out, and so is who is the same picture."""
    from scipy.sparse import csr_matrix

    n = len(tracks)
    if not n:
        return []
    sure = [t.samples if t.fades is None else t.samples[: bisect_left(t.samples, t.fades)] for t in tracks]
    counts = [len(samples) for samples in sure]
    columns = np.concatenate([np.asarray(samples, np.int64) for samples in sure])
    ends = np.concatenate([[0], np.cumsum(counts)])
    seen = csr_matrix((np.ones(len(columns), bool), columns, ends), shape=(n, int(columns.max()) + 1))
    pairs = seen @ seen.T
    apart = np.split(pairs.indices, pairs.indptr[1:-1])
    for i, track in enumerate(tracks):
        if track.alike:
            same = [j for j in apart[i].tolist() if j != i and shown_twice(track, tracks[j])]
            apart[i] = np.setdiff1d(apart[i], np.array(same, np.int32))
    return apart


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors along the last axis, scaled to length 1; zeros stay zeros."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _stack(sums: list[FloatArray | None]) -> np.ndarray:
    return np.stack([s for s in sums if s is not None]).astype(np.float64) if sums else np.zeros((0, 0))


def _continued(tracks: Sequence[TrackSummary], colours: bool) -> dict[int, dict[int, float]]:
    """Log-likelihood ratios that successive parts of one track are one person, both ways.

    Args:
        colours: whether they have a say; else every seam counts as a middling one.
    """
    links: dict[int, dict[int, float]] = {}
    parts: dict[int, list[int]] = {}
    for i, track in enumerate(tracks):
        if track.part_of is not None:
            parts.setdefault(track.part_of, []).append(i)
    for own in parts.values():
        own.sort(key=lambda i: tracks[i].samples[0])
        for i, j in pairwise(own):
            before, after = tracks[i].pieces[-1], tracks[j].pieces[0]
            roots = colour_roots(np.stack([p.colours / p.samples for p in (before, after)]))
            alike = colours_alike(roots[:1], roots[1:], float(np.mean(_SEAM_ALIKE))).item()
            ratio = np.interp(alike, _SEAM_ALIKE, _SEAM_RATIO) if colours else np.mean(_SEAM_RATIO)
            links.setdefault(i, {})[j] = links.setdefault(j, {})[i] = float(ratio)
    return links
