"""One-to-one matching of least cost."""

from __future__ import annotations

import numpy as np

from engagement.types import FloatArray

_FORBIDDEN = 1e6


def assign(cost: FloatArray) -> list[tuple[int, int]]:
    """Pairs (row, column) of least total cost (Jonker & Volgenant); infinite costs are never paired.

    Args:
        cost: (rows, columns), finite or infinite.
    """
    from scipy.optimize import linear_sum_assignment

    if not cost.size:
        return []
    finite = np.where(np.isfinite(cost), cost, _FORBIDDEN)
    rows, columns = linear_sum_assignment(finite)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if np.isfinite(cost[r, c])]
