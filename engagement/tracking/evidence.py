"""Is it the same person? Log-likelihood ratios of clusters of tracks: face, colours, seat.

Each kind is a logistic fit to pieces of known people (benchmarks/identity.py), clipped so that no kind
decides alone against the others. The session itself teaches how far seats can be trusted: where clear faces
contradict them, as in a call whose tiles move, they count for less. Moving the zero of faces by how alike
people who are seen together look was tried: it helped nowhere and parted a student in a classroom in two.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from engagement.tracking.summary import TrackSummary
from engagement.types import FloatArray

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
_SEAT_REACH = 1.0  # face sides, or half as much growth, at which a seat is another one
#: Seats are taken to be right 8 times in 9 until this session's faces say otherwise.
_SEAT_RIGHT, _SEAT_WRONG = 8.0, 1.0
#: Samples before and after a cut within which tracks are compared; so many of them, and this share, must stay
#: where they were for the view to be the same.
_AROUND_CUT, _STAY, _STAY_SHARE = 5, 3, 0.6
_CLEAR = 2.0  # log-likelihood ratio of faces from which they judge a seat
_CLEAR_WEIGHT = 3.0  # and sum of qualities: fragments of a second, often blurred, contradict what is right


class Evidence:
    """Likeness of clusters, one row and column per cluster; clusters begin as single tracks.

    Args:
        tracks: what the clusters begin with.
        kinds: which of EVIDENCE counts.
    """

    def __init__(self, tracks: Sequence[TrackSummary], kinds: Sequence[str] = EVIDENCE) -> None:
        self.kinds = frozenset(kinds)
        n = len(tracks)
        self.identity = _stack([t.identity_sum for t in tracks])
        self.weight = np.array([t.weight for t in tracks], np.float64)
        self.colours = _stack([t.colours_sum for t in tracks])
        self.seen = np.array([len(t.samples) for t in tracks], np.float64)
        self._unit, self._root = _unit(self.identity), np.sqrt(self.colours / self.seen[:, None])
        self.apart = together(tracks)
        self.near = _near(tracks) if "seat" in self.kinds and n else np.zeros((n, n), np.float32)
        self.continued = _continued(tracks, "colours" in self.kinds)
        self.seat_weight = float(np.log(_SEAT_RIGHT / _SEAT_WRONG))
        if {"face", "seat", "session"} <= self.kinds and n > 1:
            self.seat_weight = self._trust_in_seats()

    def join(self, i: int, j: int) -> None:
        """Cluster j becomes part of cluster i; its row means nothing from then on."""
        for sums in (self.identity, self.colours, self.weight, self.seen):
            sums[i] += sums[j]
        self._unit[i] = _unit(self.identity[i])
        self._root[i] = np.sqrt(self.colours[i] / self.seen[i])
        self.apart[i] |= self.apart[j]
        self.apart[:, i] = self.apart[i]
        for links in (self.near, self.continued):
            links[i] = np.maximum(links[i], links[j])
            links[:, i] = links[i]

    def ratios(self, i: int) -> FloatArray:
        """Log-likelihood ratios (n,) that cluster i and each other are one person; -inf: seen together."""
        total = np.zeros(len(self.weight))
        if "face" in self.kinds:
            total += self._faces(i)
        if "colours" in self.kinds:
            alike = self._root @ self._root[i]
            total += np.clip(_COLOUR_SLOPE * (alike - _COLOUR_ZERO), -_COLOUR_LIMIT, _COLOUR_LIMIT)
        total += self.seat_weight * self.near[i] + self.continued[i]
        total[self.apart[i]] = -np.inf
        total[i] = -np.inf
        return total

    def _faces(self, i: int) -> FloatArray:
        # A few poor crops are weak evidence, for and against.
        trust = np.minimum(1.0, np.minimum(self.weight, self.weight[i]) / _FACE_FULL_WEIGHT)
        quality = self.weight / self.seen
        poor = 1 - np.minimum(1.0, np.minimum(quality, quality[i]) / _FACE_GOOD)
        zero = _FACE_ZERO + _FACE_POOR * poor
        ratios = trust * np.clip(_FACE_SLOPE * (self._cosines(i) - zero), *_FACE_LIMITS)
        return ratios.astype(np.float32)

    def _cosines(self, i: int) -> FloatArray:
        return self._unit @ self._unit[i]

    def _trust_in_seats(self) -> float:
        """Log-likelihood ratio of the same seat: seats that clear faces contradict count for less."""
        clear = self.weight >= _CLEAR_WEIGHT
        same_place = np.triu((self.near > 0.5) & clear[:, None] & clear[None] & ~self.apart, 1)
        cosines = (self._unit @ self._unit.T)[same_place]
        ratios = _FACE_SLOPE * (cosines - _FACE_ZERO)
        right = _SEAT_RIGHT + float((ratios > _CLEAR).sum())
        wrong = _SEAT_WRONG + float((ratios < -_CLEAR).sum())
        return float(np.clip(np.log(right / wrong), 0, _SEAT_LIMIT))


def together(tracks: Sequence[TrackSummary]) -> np.ndarray:
    """(n, n) bool: which tracks are seen in one sample, and so are different people."""
    from scipy.sparse import csr_matrix

    n = len(tracks)
    if not n:
        return np.zeros((0, 0), bool)
    counts = [len(t.samples) for t in tracks]
    columns = np.concatenate([np.asarray(t.samples, np.int64) for t in tracks])
    ends = np.concatenate([[0], np.cumsum(counts)])
    seen = csr_matrix((np.ones(len(columns), np.float32), columns, ends), shape=(n, int(columns.max()) + 1))
    return np.asarray((seen @ seen.T).toarray() > 0)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors along the last axis, scaled to length 1; zeros stay zeros."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _stack(sums: list[FloatArray | None]) -> np.ndarray:
    return np.stack([s for s in sums if s is not None]).astype(np.float64) if sums else np.zeros((0, 0))


def _near(tracks: Sequence[TrackSummary]) -> FloatArray:
    """(n, n) from 0 to 1: whether one track begins where another, in the same shot, ended before."""
    first, last = (_places([getattr(t, k) for t in tracks]) for k in ("first_box", "last_box"))
    # All pairs of thousands of tracks: one axis at a time, so that few such tables are held at once.
    apart = [last[:, None, k] - first[None, :, k] for k in (0, 1)]
    shift = np.hypot(*apart, out=apart[0])
    shift /= np.maximum(last[:, None, 2], first[None, :, 2])
    growth = np.abs(np.log(last[:, None, 2]) - np.log(first[None, :, 2]))
    growth *= 2
    closeness = 1 - np.maximum(shift, growth) / _SEAT_REACH
    shot = _views(tracks, closeness)
    begin, end = (np.array([t.samples[k] for t in tracks]) for k in (0, -1))
    # Places say nothing across cuts to another view.
    follows = (end[:, None] < begin[None]) & (shot[:, None] == shot[None])
    near = np.where(follows, np.maximum(closeness, 0), 0)
    return np.maximum(near, near.T).astype(np.float32)


def _continued(tracks: Sequence[TrackSummary], colours: bool) -> FloatArray:
    """(n, n): log-likelihood ratio that successive parts of one track are one person; 0 for all other pairs.

    Args:
        colours: whether they have a say; else every seam counts as a middling one.
    """
    links = np.zeros((len(tracks), len(tracks)), np.float32)
    parts: dict[int, list[int]] = {}
    for i, track in enumerate(tracks):
        if track.part_of is not None:
            parts.setdefault(track.part_of, []).append(i)
    for own in parts.values():
        own.sort(key=lambda i: tracks[i].samples[0])
        for i, j in pairwise(own):
            before, after = tracks[i].pieces[-1], tracks[j].pieces[0]
            alike = np.sqrt(before.colours / before.samples) @ np.sqrt(after.colours / after.samples)
            ratio = np.interp(alike, _SEAM_ALIKE, _SEAM_RATIO) if colours else np.mean(_SEAM_RATIO)
            links[i, j] = links[j, i] = ratio
    return links


def _views(tracks: Sequence[TrackSummary], closeness: np.ndarray) -> np.ndarray:
    """(n,) the camera's view of each track: shots between which most people stay where they were are one.

    A blur, a flash or somebody who walks past the lens looks like a cut, but everybody is in place after it.

    Args:
        closeness: (n, n) of the end of one track to the beginning of another, 1 the same place.
    """
    shot = np.array([t.shot for t in tracks])
    view = shot.copy()
    begin, end = (np.array([t.samples[k] for t in tracks]) for k in (0, -1))
    for later in np.unique(shot)[1:]:
        cut = begin[shot == later].min()
        after = np.flatnonzero((shot == later) & (begin <= cut + _AROUND_CUT))
        before = np.flatnonzero((shot < later) & (end >= cut - 2 * _AROUND_CUT))
        stay = (closeness[np.ix_(before, after)] > 0.5).any(axis=0).sum() if len(before) else 0
        if stay >= _STAY and stay >= _STAY_SHARE * min(len(before), len(after)):
            view[shot >= later] = view[before[np.argmax(end[before])]]
        else:
            view[shot >= later] = later
    return view


def _places(boxes: list[FloatArray | None]) -> np.ndarray:
    """Centre and longer side of each box (n, 3)."""
    corners = np.stack([np.zeros(4, np.float32) if b is None else b for b in boxes]).astype(np.float64)
    side = np.maximum((corners[:, 2:] - corners[:, :2]).max(axis=1), 1.0)
    return np.column_stack([(corners[:, :2] + corners[:, 2:]) / 2, side])
