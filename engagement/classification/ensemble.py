"""Several networks in one weight file: what an ensemble's record says, and how its answers become one.

The record of kind ``ensemble`` has under ``network`` the common ``heads`` and a list ``members``; each
member carries its own ``network``, ``chip``, ``calibration``, ``name``, ``sha256``, ``licence``, ``origin`` and
``share``. Tensors are named ``<index>.<name in the member>``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engagement.errors import WeightsError
from engagement.types import FloatArray
from engagement.weights.store import LoadedWeights, WeightRecord

KIND = "ensemble"


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One network of a weight file.

    Attributes:
        weights: as if it had been loaded from a file of its own, of kind ``face_state``.
        share: of the mean, 0-1; the shares of a file sum to 1.
    """

    weights: LoadedWeights
    share: float


def members_of(weights: LoadedWeights) -> list[Member]:
    """The networks of a file: its own, or those of an ensemble.

    Raises:
        WeightsError: the record of an ensemble lacks something.
    """
    if weights.record.kind != KIND:
        return [Member(weights, 1.0)]
    out: list[Member] = []
    try:
        for i, entry in enumerate(weights.record.network["members"]):
            record = WeightRecord(
                "face_state",
                entry["network"],
                entry["chip"],
                entry["calibration"],
                licence=entry["licence"],
                origin=entry.get("origin", {}),
            )
            start = f"{i}."
            tensors = {k.removeprefix(start): v for k, v in weights.tensors.items() if k.startswith(start)}
            loaded = LoadedWeights(f"{weights.name}/{entry['name']}", entry["sha256"], record, tensors)
            out.append(Member(loaded, float(entry["share"])))
    except (KeyError, TypeError) as error:
        raise WeightsError(f"{weights.name}: the record of the ensemble lacks {error}") from error
    if not out:
        raise WeightsError(f"{weights.name}: the ensemble has no member")
    return out


def averaged(parts: Sequence[FloatArray], shares: Sequence[float], temperature: float = 1.0) -> FloatArray:
    """The weighted mean of probabilities, sharpened or softened.

    A mean of calibrated models is less certain than it may be, which a temperature below 1 undoes
    (Rahaman and Thiery 2021, "Uncertainty quantification and deep ensembles").

    Args:
        parts: (n, classes) per member, rows sum to 1 where the temperature is not 1.
        shares: of the members; they sum to 1.
        temperature: of the mean's logarithm.

    Returns:
        float32 (n, classes).
    """
    if len(parts) == 1 and temperature == 1:
        return parts[0]
    mean = sum(np.float64(share) * part for part, share in zip(parts, shares, strict=True))
    if temperature != 1:
        mean = np.maximum(mean, 1e-12) ** (1 / temperature)
        mean = mean / mean.sum(axis=1, keepdims=True)
    return np.asarray(mean, np.float32)
