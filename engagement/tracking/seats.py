"""Seats: whether a track begins where another, in the same view, ended before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engagement.tracking.summary import TrackSummary
from engagement.types import FloatArray, IndexArray

_SEAT_REACH = 1.0  # face sides, or half as much growth, at which a seat is another one
#: Samples before and after a cut within which tracks are compared; so many of them, and this share, must stay
#: where they were for the view to be the same.
_AROUND_CUT, _STAY, _STAY_SHARE = 5, 3, 0.6


class Seats:
    """Places of tracks, compared one track at a time: all pairs of a long session would fill the memory."""

    def __init__(self, tracks: Sequence[TrackSummary]) -> None:
        self._first = _places([t.first_box for t in tracks])
        self._last = _places([t.last_box for t in tracks])
        self._begin, self._end = (np.array([t.samples[k] for t in tracks], np.int64) for k in (0, -1))
        self._view = self._views(np.array([t.shot for t in tracks], np.int64))

    def near(self, track: int) -> tuple[IndexArray, FloatArray]:
        """Tracks (k,) in the seat of this one, before it or after it, and how close they are, float32 above 0 to 1."""
        # Places say nothing across cuts to another view.
        same = self._view == self._view[track]
        later = np.flatnonzero(same & (self._begin > self._end[track]))
        before = np.flatnonzero(same & (self._end < self._begin[track]))
        closeness = np.concatenate(
            [
                _closeness(self._last[track], self._first[later]),
                _closeness(self._last[before], self._first[track]),
            ]
        ).astype(np.float32)
        others = np.concatenate([later, before])
        return others[closeness > 0], closeness[closeness > 0]

    def _views(self, shot: IndexArray) -> IndexArray:
        """(n,) the camera's view of each track: shots between which most people stay where they were are one.

        A blur, a flash or somebody who walks past the lens looks like a cut, but everybody is in place after it.

        Args:
            shot: (n,) of each track.
        """
        view = shot.copy()
        for later in np.unique(shot)[1:]:
            cut = self._begin[shot == later].min()
            after = np.flatnonzero((shot == later) & (self._begin <= cut + _AROUND_CUT))
            before = np.flatnonzero((shot < later) & (self._end >= cut - 2 * _AROUND_CUT))
            # The latest first; but a flash in which one face was found is a shot as well.
            views = dict.fromkeys(view[before[np.argsort(-self._end[before], kind="stable")]].tolist())
            same = (v for v in views if self._stay(before[view[before] == v], after))
            view[shot >= later] = next(same, later)
        return view

    def _stay(self, before: IndexArray, after: IndexArray) -> bool:
        """Whether most of the tracks before a cut are where they were after it."""
        closeness = _closeness(self._last[before, None], self._first[None, after])
        stay = (closeness > 0.5).any(axis=0).sum()
        return bool(stay >= _STAY and stay >= _STAY_SHARE * min(len(before), len(after)))


def _closeness(last: NDArray[np.float64], first: NDArray[np.float64]) -> NDArray[np.float64]:
    """How close the end of one track is to the beginning of another, 1 the same place; up to any negative number.

    Args:
        last, first: (..., 3) of :func:`_places`, broadcast against each other.
    """
    larger = np.maximum(last[..., 2], first[..., 2])
    shift = np.hypot(last[..., 0] - first[..., 0], last[..., 1] - first[..., 1]) / larger
    growth = 2 * np.abs(np.log(last[..., 2]) - np.log(first[..., 2]))
    return 1 - np.maximum(shift, growth) / _SEAT_REACH


def _places(boxes: Sequence[FloatArray]) -> NDArray[np.float64]:
    """Centre and longer side of each box, float64 (n, 3)."""
    corners = np.array(boxes, np.float64).reshape(-1, 4)
    side = np.maximum((corners[:, 2:] - corners[:, :2]).max(axis=1), 1.0)
    return np.column_stack([(corners[:, :2] + corners[:, 2:]) / 2, side])
