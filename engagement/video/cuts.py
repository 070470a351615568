"""Scene cuts: where the picture changes as a whole, tracks must not go on."""

from __future__ import annotations

import numpy as np

from engagement.types import ByteArray, FloatArray

_GRID = (32, 18)  # width, height of the thumbnail that is compared
_CHANGED = 28.0  # grey levels by which a cell must change to count
_SHARE = 0.6  # share of cells that must change; a person before the lens changes fewer
_LAST_STEPS = 5  # earlier changes that say how much this recording moves anyway


class CutDetector:
    """Compares each sampled frame with the one before.

    A cut changes most of the picture, and clearly more than the steps before it did (a hand-held
    camera moves all the time). A missed cut is caught by the tracker's appearance gate, a false one
    is mended when tracks are joined to persons.
    """

    def __init__(self) -> None:
        self._last: FloatArray | None = None
        self._steps: list[float] = []

    def is_cut(self, rgb: ByteArray) -> bool:
        """Whether this frame begins a new shot. The first frame does not.

        Args:
            rgb: uint8 (height, width, 3).
        """
        import cv2

        small = cv2.resize(rgb, _GRID, interpolation=cv2.INTER_AREA).astype(np.float32)
        last, self._last = self._last, small
        if last is None:
            return False
        change = np.abs(small - last).max(axis=2)
        share = float((change > _CHANGED).mean())
        usual = float(np.median(self._steps)) if self._steps else 0.0
        cut = share > _SHARE and share > 2 * usual
        self._steps = [] if cut else [*self._steps, share][-_LAST_STEPS:]
        return cut
