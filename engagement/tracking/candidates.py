"""Pairs of clusters that are likely enough one person, best first, while clusters are being joined."""

from __future__ import annotations

import numpy as np

from engagement.types import FloatArray, IndexArray


class Candidates:
    """The pairs above a limit. Of all pairs of a session they are few: its people, each with what is theirs.

    A cluster keeps the partners that it had when it was put in, best first. Of a pair, what was put in last is
    true; entries that are older than a change of the other, or whose other is no more, are passed over when
    they come up.

    Args:
        n: how many clusters there are.
        limit: what a pair's log-likelihood ratio must be above.
    """

    def __init__(self, n: int, limit: float) -> None:
        self._limit = limit
        self._partners = [np.zeros(0, np.int32)] * n
        self._ratios = [np.zeros(0, np.float32)] * n
        self._next = np.zeros(n, np.int64)
        self._alive = np.ones(n, bool)
        self._changes = 0
        self._changed = np.zeros(n, np.int64)  # number of the change that made each what it is
        self._best = np.full(n, -np.inf, np.float32)

    def begin(self, i: int, others: IndexArray, ratios: FloatArray) -> None:
        """What cluster i is to others (k,) that are as they were at the beginning."""
        able = np.flatnonzero((ratios > self._limit) & self._alive[others])
        ratio, partner = ratios[able].astype(np.float32), others[able].astype(np.int32)
        order = np.lexsort((partner, -ratio))
        self._partners[i], self._ratios[i], self._next[i] = partner[order], ratio[order], 0
        self._best[i] = ratio[order[0]] if len(order) else -np.inf

    def join(self, i: int, j: int, others: IndexArray, ratios: FloatArray) -> None:
        """Cluster j became part of i, which now is this to others (k,); those of them that are no more are left out."""
        self._alive[j], self._best[j] = False, -np.inf
        self._partners[j], self._ratios[j] = self._partners[j][:0], self._ratios[j][:0]
        self._changes += 1
        self._changed[i] = self._changes
        self.begin(i, others, ratios)

    def best(self) -> tuple[int, int] | None:
        """The most alike clusters, the lower first; of equals the lowest. None when no pair is above the limit."""
        while (top := self._best.max(initial=-np.inf)) > self._limit:
            for i in (rows := np.flatnonzero(self._best == top).tolist()):
                self._pass_over(i)
            pairs = [sorted((i, int(self._partners[i][self._next[i]]))) for i in rows if self._best[i] == top]
            if pairs:
                i, j = min(pairs)
                return i, j
        return None

    def _pass_over(self, i: int) -> None:
        """Go on to the first partner of cluster i that is still what it was."""
        partners, at = self._partners[i], int(self._next[i])
        while at < len(partners):
            other = partners[at]
            if self._alive[other] and self._changed[other] <= self._changed[i]:
                break
            at += 1
        self._next[i] = at
        self._best[i] = self._ratios[i][at] if at < len(partners) else -np.inf
