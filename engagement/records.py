"""What the pipeline keeps of every face it saw: numbers alone, in arrays that grow by doubling.

A face costs 133 bytes, twice that while the arrays grow; pictures and frames are not kept. An hour of 20 faces, five
times a second, is 48 MB. What else grows with the length of a video are its tracks (docs/scale.md, Memory).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engagement.labels import EXPRESSIONS, LEARNER_STATES
from engagement.types import FaceDetections, FaceScores, FloatArray, IndexArray

_SCORES = len(EXPRESSIONS) + len(LEARNER_STATES)


class FaceRecords:
    """Rows of (sample, track, box, score, quality, pose, raw scores, smoothed scores, frozen).

    ``frozen``: the face shows the picture that its track showed before; once a session is read, that it did so for long
    (``tracking.frozen``).

    Args:
        extra: further classes that the checkpoint scores, in order.
    """

    def __init__(self, extra: tuple[str, ...] = ()) -> None:
        self.extra = extra
        self._dtype = np.dtype(
            [
                ("sample", np.int64),
                ("track", np.int64),
                ("box", np.float32, (4,)),
                ("score", np.float32),
                ("quality", np.float32),
                ("pose", np.float32, (3,)),
                ("prob", np.float32, (_SCORES,)),
                ("extra", np.float32, (len(extra),)),
                ("clip", np.float32, (_SCORES,)),
                ("frozen", np.bool_),
            ]
        )
        self._rows = np.zeros(256, self._dtype)
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def __repr__(self) -> str:
        return f"FaceRecords(n={self._n})"

    @property
    def rows(self) -> NDArray[np.void]:
        """The rows so far, a view."""
        return self._rows[: self._n]

    def extend(self, rows: NDArray[np.void]) -> None:
        """Add rows of other records that score the same classes."""
        self._reserve(len(rows))
        self._rows[self._n - len(rows) : self._n] = rows

    def _reserve(self, n: int) -> None:
        while self._n + n > len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        self._n += n

    def append(
        self,
        sample: int,
        faces: FaceDetections,
        tracks: IndexArray,
        quality: FloatArray,
        pose: FloatArray,
        scores: FaceScores,
        frozen: NDArray[np.bool_],
    ) -> IndexArray:
        """Add the faces of one frame; returns their row numbers."""
        self._reserve(len(faces))
        at = slice(self._n - len(faces), self._n)
        new = self._rows[at]
        new["sample"], new["track"], new["box"], new["score"] = sample, tracks, faces.boxes_xyxy, faces.score
        new["quality"], new["pose"] = quality, pose
        new["prob"] = np.concatenate([scores.expression_prob, scores.state_prob], axis=1)
        if self.extra:
            new["extra"] = np.concatenate(list(scores.extra.values()), axis=1)
        new["clip"], new["frozen"] = np.nan, frozen
        return np.arange(at.start, at.stop, dtype=np.int64)
