"""Is it the same person? Log-likelihood ratios of clusters of tracks: face, colours, seat.

Each kind is a logistic fit to pieces of known people (benchmarks/identity.py), clipped so that no kind
decides alone against the others. What a session itself shows corrects them: people seen at the same time
are different, so their likeness says how alike strangers look in this light and through this camera; and
where clear faces contradict the seats, seats count for less.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engagement.tracking.summary import TrackSummary
from engagement.types import FloatArray

#: All kinds of evidence; ``session`` is what the session shows of the others.
EVIDENCE = ("face", "colours", "seat", "session")

_FACE_SLOPE, _FACE_ZERO, _FACE_FULL_WEIGHT = 20.0, 0.42, 1.0
_FACE_LIMITS = (-5.0, 12.0)  # a bad picture of somebody is common, a good one of somebody else is not
# One clip keeps its light and clothes throughout, so the slope found for colours is far too sure of itself.
_COLOUR_SLOPE, _COLOUR_ZERO, _COLOUR_LIMIT = 10.0, 0.82, 2.0
_SEAT_LIMIT = 3.0
_SEAT_REACH = 1.0  # face sides, or half as much growth, at which a seat is another one
#: Seats are taken to be right 8 times in 9 until this session's faces say otherwise.
_SEAT_RIGHT, _SEAT_WRONG = 8.0, 1.0
_CLEAR = 2.0  # log-likelihood ratio of faces from which they judge a seat
#: Likeness of strangers that the fits above assume: mean and standard deviation of the cosine; and how many
#: pairs of this session weigh as much as that.
_STRANGERS, _STRANGERS_SPREAD, _STRANGERS_PAIRS = 0.12, 0.14, 15.0
_STRANGERS_TAIL = 1.3


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
        self.apart = together(tracks)
        self.near = _near(tracks) if "seat" in self.kinds and n else np.zeros((n, n), np.float32)
        self.face_zero, self.seat_weight = _FACE_ZERO, float(np.log(_SEAT_RIGHT / _SEAT_WRONG))
        if "session" in self.kinds and n > 1:
            self._learn()

    def join(self, i: int, j: int) -> None:
        """Cluster j becomes part of cluster i; its row means nothing from then on."""
        for sums in (self.identity, self.colours, self.weight, self.seen):
            sums[i] += sums[j]
        self.apart[i] |= self.apart[j]
        self.apart[:, i] = self.apart[i]
        self.near[i] = np.maximum(self.near[i], self.near[j])
        self.near[:, i] = self.near[i]

    def ratios(self, i: int) -> FloatArray:
        """Log-likelihood ratios (n,) that cluster i and each other are one person; -inf: seen together."""
        total = np.zeros(len(self.weight))
        if "face" in self.kinds:
            total += self._faces(i)
        if "colours" in self.kinds:
            alike = np.sqrt(self.colours / self.seen[:, None]) @ np.sqrt(self.colours[i] / self.seen[i])
            total += np.clip(_COLOUR_SLOPE * (alike - _COLOUR_ZERO), -_COLOUR_LIMIT, _COLOUR_LIMIT)
        total += self.seat_weight * self.near[i]
        total[self.apart[i]] = -np.inf
        total[i] = -np.inf
        return total

    def _faces(self, i: int) -> FloatArray:
        # A few poor crops are weak evidence, for and against.
        trust = np.minimum(1.0, np.minimum(self.weight, self.weight[i]) / _FACE_FULL_WEIGHT)
        return trust * np.clip(_FACE_SLOPE * (self._cosines(i) - self.face_zero), *_FACE_LIMITS)

    def _cosines(self, i: int) -> FloatArray:
        length = np.linalg.norm(self.identity, axis=1)
        return self.identity @ self.identity[i] / np.maximum(length * length[i], 1e-9)

    def _learn(self) -> None:
        """What this session shows: how alike strangers are, and whether people keep their seats."""
        n = len(self.weight)
        solid = self.weight >= _FACE_FULL_WEIGHT
        cosines = np.stack([self._cosines(i) for i in range(n)])
        pairs = np.triu(self.apart & solid[:, None] & solid[None], 1)
        strangers = cosines[pairs]
        if "face" not in self.kinds:
            return
        share = len(strangers) / (len(strangers) + _STRANGERS_PAIRS)
        if len(strangers):
            tail = float(strangers.mean() + _STRANGERS_TAIL * strangers.std())
            assumed = _STRANGERS + _STRANGERS_TAIL * _STRANGERS_SPREAD
            self.face_zero = _FACE_ZERO + share * float(np.clip(tail - assumed, -0.05, 0.2))
        same_place = np.triu((self.near > 0.5) & solid[:, None] & solid[None] & ~self.apart, 1)
        ratios = _FACE_SLOPE * (cosines[same_place] - self.face_zero)
        right = _SEAT_RIGHT + float((ratios > _CLEAR).sum())
        wrong = _SEAT_WRONG + float((ratios < -_CLEAR).sum())
        self.seat_weight = float(np.clip(np.log(right / wrong), 0, _SEAT_LIMIT))


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


def _stack(sums: list[FloatArray | None]) -> np.ndarray:
    return np.stack([s for s in sums if s is not None]).astype(np.float64) if sums else np.zeros((0, 0))


def _near(tracks: Sequence[TrackSummary]) -> FloatArray:
    """(n, n) from 0 to 1: whether one track begins where another, in the same shot, ended before."""
    first, last = (_places([getattr(t, k) for t in tracks]) for k in ("first_box", "last_box"))
    side = np.maximum(last[:, None, 2], first[None, :, 2])
    shift = np.linalg.norm(last[:, None, :2] - first[None, :, :2], axis=2) / side
    growth = np.abs(np.log(last[:, None, 2] / first[None, :, 2]))
    closeness = 1 - np.maximum(shift, 2 * growth) / _SEAT_REACH
    shot = np.array([t.shot for t in tracks])
    begin, end = (np.array([t.samples[k] for t in tracks]) for k in (0, -1))
    # Places say nothing across cuts.
    follows = (end[:, None] < begin[None]) & (shot[:, None] == shot[None])
    near = np.where(follows, np.maximum(closeness, 0), 0)
    return np.maximum(near, near.T).astype(np.float32)


def _places(boxes: list[FloatArray | None]) -> np.ndarray:
    """Centre and longer side of each box (n, 3)."""
    corners = np.stack([np.zeros(4, np.float32) if b is None else b for b in boxes]).astype(np.float64)
    side = np.maximum((corners[:, 2:] - corners[:, :2]).max(axis=1), 1.0)
    return np.column_stack([(corners[:, :2] + corners[:, 2:]) / 2, side])
