"""Has somebody else taken this one's place? Asked of tracks of people who sit still before the camera."""

from __future__ import annotations

import numpy as np

from engagement.types import FloatArray

# Log odds that it is the same person: a logistic fit to successive samples of one webcam picture against
# samples of two people in the same tile. Cosine of face features, likeness of colours, shift in face sides.
_FACE, _COLOURS, _SHIFT, _CONSTANT = 18.2, 40.7, -17.8, -43.2
#: Beyond these limits colours and shift say nothing more.
_COLOUR_LIMITS, _SHIFT_LIMITS = (0.85, 0.99), (0.05, 0.5)
_TRUSTED = 0.5  # quality from which a crop counts fully

# The fit holds where nothing moves but the face: people who walk change their colours all the time.
_STEADY_SHIFT, _STEADY_COLOURS, _STEADY_AFTER = 0.12, 0.97, 4
_FADE = 0.8


class Stillness:
    """How much a track usually moves and changes its colours from sample to sample."""

    def __init__(self) -> None:
        self.shift, self.colours, self._n = 1.0, 0.0, 0

    def take(self, shift: float, colours: float) -> None:
        """One more step: shift of the centre in face sides, likeness of colours 0-1."""
        fade = _FADE if self._n else 0.0
        self.shift = fade * self.shift + (1 - fade) * shift
        self.colours = fade * self.colours + (1 - fade) * colours
        self._n += 1

    @property
    def steady(self) -> bool:
        still = self.shift < _STEADY_SHIFT and self.colours > _STEADY_COLOURS
        return still and self._n >= _STEADY_AFTER


def replaced(
    still: np.ndarray, face: FloatArray, colours: FloatArray, shift: FloatArray, quality: FloatArray
) -> np.ndarray:
    """(tracks, faces) bool: whether it is more likely that somebody else is here now.

    Args:
        still: (tracks,) bool, see :class:`Stillness`; of others nothing is claimed.
        face, colours: (tracks, faces) likeness to the last sample: cosine, Bhattacharyya coefficient.
        shift: (tracks, faces) from the last sample, in face sides.
        quality: (faces,); a poor crop proves nothing.
    """
    odds = (
        _FACE * face
        + _COLOURS * np.clip(colours, *_COLOUR_LIMITS)
        + _SHIFT * np.clip(shift, *_SHIFT_LIMITS)
        + _CONSTANT
    )
    trust = np.clip(quality / _TRUSTED, 0, 1)[None]
    return still[:, None] & (trust * odds + (1 - trust) < 0)
