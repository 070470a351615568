"""Streaming use of a smoother that looks at moving faces.

Small grey faces are kept only as long as such a smoother needs them: per track, until its stretch
ends or enough samples lie behind. Without one, this does nothing and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engagement.records import FaceRecords
from engagement.runs import ROUNDING_S
from engagement.types import ByteArray, IndexArray
from engagement.video.sampling import typical_step_s

if TYPE_CHECKING:
    from temporal.base import TemporalSmoother

#: Samples that are scored at a time, once their future is known; bounds memory per track.
_BLOCK = 96


@dataclass(slots=True, eq=False)
class _Waiting:
    rows: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    valid: list[bool] = field(default_factory=list)
    chips: list[ByteArray] = field(default_factory=list)
    #: Samples at the front that are scored already and serve as context alone.
    done: int = 0


class ClipScores:
    """Fills the ``clip`` scores of the records while a video is read.

    Args:
        smoother: in use; only one that needs chips causes work.
        gap_s: for samples so many seconds apart, after how long a face not seen begins a new stretch.
        rate_hz: samples that are asked for; those of a slow stream lie farther apart, as its first ones show.
    """

    def __init__(self, smoother: TemporalSmoother, gap_s: Callable[[float], float], rate_hz: float) -> None:
        self._smoother = smoother if smoother.needs_chips else None
        self._gap_s, self._rate_hz = gap_s, rate_hz
        self._times: list[float] = []
        self._longest_s = gap_s(1 / rate_hz) + ROUNDING_S
        self._waiting: dict[int, _Waiting] = {}

    def take(
        self,
        time_s: float,
        chips: ByteArray,
        tracks: IndexArray,
        rows: IndexArray,
        valid: NDArray[np.bool_],
        records: FaceRecords,
    ) -> None:
        """Add the tracked faces of one frame.

        Args:
            chips: uint8 (n, S, S, 3), as the classifier sees them.
            tracks, rows, valid: (n,) track id, row in the records, whether the crop is good enough.
        """
        if self._smoother is None:
            return
        from temporal.chips import grey_chips

        if len(self._times) < _BLOCK:
            self._times.append(time_s)
            step_s = typical_step_s(np.asarray(self._times), self._rate_hz)
            self._longest_s = self._gap_s(step_s) + ROUNDING_S
        small = grey_chips(chips, self._smoother.chip_px)
        for i, track in enumerate(tracks.tolist()):
            stretch = self._waiting.setdefault(track, _Waiting())
            if stretch.times and time_s - stretch.times[-1] > self._longest_s:
                self._score(stretch, records, final=True)
                stretch = self._waiting[track] = _Waiting()
            stretch.rows.append(int(rows[i]))
            stretch.times.append(time_s)
            stretch.valid.append(bool(valid[i]))
            stretch.chips.append(small[i])
            last = stretch.done + _BLOCK - 1
            if last < len(stretch.rows) and time_s - stretch.times[last] > self._smoother.context_s:
                self._score(stretch, records, final=False)
        for track in [t for t, w in self._waiting.items() if time_s - w.times[-1] > self._longest_s]:
            self._score(self._waiting.pop(track), records, final=True)

    def finish(self, records: FaceRecords) -> None:
        """Score what still waits at the end of the video."""
        for stretch in self._waiting.values():
            self._score(stretch, records, final=True)
        self._waiting.clear()

    def _score(self, stretch: _Waiting, records: FaceRecords, final: bool) -> None:
        from temporal.base import ScoreRun

        if self._smoother is None or not stretch.rows:
            return
        rows, times = np.asarray(stretch.rows), np.asarray(stretch.times)
        run = ScoreRun(times, records.rows["prob"][rows], np.asarray(stretch.valid), np.stack(stretch.chips))
        smoothed = self._smoother.smooth(run)
        reach = self._smoother.context_s
        # What lies close to the end waits until its future is known.
        ready = len(rows) if final else int(np.searchsorted(times, times[-1] - reach))
        records.rows["clip"][rows[stretch.done : ready]] = smoothed[stretch.done : ready]
        if not final and ready:
            keep = int(np.searchsorted(times, times[ready] - reach))
            for name in ("rows", "times", "valid", "chips"):
                setattr(stretch, name, getattr(stretch, name)[keep:])
            stretch.done = ready - keep
