"""Places of people whose face was not found but whose head was followed (``tracking.following``): which of them stay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engagement.geometry import iou_matrix
from engagement.types import FloatArray, IndexArray

#: Rows: sample, track or person, seconds to the sighting that it was followed from, box.
FOLLOWED = np.dtype(
    [("sample", np.int64), ("owner", np.int64), ("away_s", np.float64), ("box", np.float32, (4,))]
)

#: A followed box that overlaps a face so much is somebody else's place, or that face.
TAKEN = 0.2


def settle(
    followed: NDArray[np.void], sample: IndexArray, person: IndexArray, boxes: FloatArray
) -> NDArray[np.void]:
    """One place per person and sample, and none where the face was found or somebody else is.

    Args:
        followed: rows of FOLLOWED, owned by persons; -1 for nobody.
        sample, person: (n,) of each face that was found. boxes: (n, 4).

    Returns:
        the rows that stay, in order of sample, then person; the nearest to a sighting is believed first.
    """
    known = set(zip(sample.tolist(), person.tolist(), strict=True))
    faces: dict[int, list[FloatArray]] = {}
    wanted = set(followed["sample"].tolist())
    for row in np.flatnonzero((person >= 0) & np.isin(sample, list(wanted))):
        faces.setdefault(int(sample[row]), []).append(boxes[row])
    kept: list[int] = []
    for row in np.lexsort((followed["owner"], followed["sample"], followed["away_s"])).tolist():
        key = (int(followed["sample"][row]), int(followed["owner"][row]))
        taken = faces.setdefault(key[0], [])
        box = followed["box"][row]
        if key[1] < 0 or key in known or (taken and iou_matrix(box[None], np.stack(taken)).max() > TAKEN):
            continue
        known.add(key)
        taken.append(box)
        kept.append(row)
    out = followed[kept]
    return out[np.lexsort((out["owner"], out["sample"]))]
