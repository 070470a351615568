"""Which moments of a person are proposed to be labelled: uncertain ones, spread over time.

A label tells most about a shift of the logit where the score is undecided: the Fisher information about an
intercept is p (1 - p), the largest at 0.5. So this is uncertainty sampling (Lewis and Gale 1994, "A sequential
algorithm for training text classifiers") for a model with nothing but an intercept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engagement.errors import ConfigError
from engagement.types import IndexArray, TimeArray


@dataclass(frozen=True, slots=True)
class ProposalConfig:
    """How many moments are proposed, and how far apart.

    Attributes:
        per_person: at most so many of each person.
        apart_s: moments of a person lie at least this far apart; nearer ones show the same.
    """

    per_person: int = 6
    apart_s: float = 5.0

    def __post_init__(self) -> None:
        if not 1 <= self.per_person <= 100:
            raise ConfigError(f"--moments {self.per_person} is not within 1-100", "6 is the default.")
        if not 0 <= self.apart_s <= 3600:
            raise ConfigError(f"calibration.apart_s {self.apart_s} is not within 0-3600 s")


def information(prob: NDArray[np.floating]) -> NDArray[np.float64]:
    """What a label there tells about the shifts, on average over the states.

    Args:
        prob: (n, states) raw scores, 0-1.

    Returns:
        (n,), 0 (certain of everything) to 1 (undecided about everything).
    """
    p = np.asarray(prob, np.float64)
    return (4 * p * (1 - p)).mean(axis=1)


def propose(
    times_s: TimeArray, prob: NDArray[np.floating], config: ProposalConfig, labelled_s: Sequence[float] = ()
) -> IndexArray:
    """The moments of one person to label.

    The time is cut into stretches of equally many samples, one for each moment; of each the most informative
    sample is taken that lies far enough from the moment before. The earliest of equal ones is taken.

    Args:
        times_s: (n,) increasing. prob: (n, states) raw scores of samples that are good enough.
        labelled_s: times of earlier labels: near ones are asked about again only where nothing else is left.

    Returns:
        rows, in order of time; fewer than asked where the person was not seen for long enough.
    """
    worth = information(prob)
    rows = np.arange(len(times_s))
    for time in labelled_s:
        rows = rows[np.abs(times_s[rows] - time) >= config.apart_s]
    rows = rows if len(rows) else np.arange(len(times_s))
    chosen: list[int] = []
    for stretch in np.array_split(rows, min(config.per_person, len(rows)) or 1):
        if chosen:
            stretch = stretch[times_s[stretch] - times_s[chosen[-1]] >= config.apart_s]
        if len(stretch):
            chosen.append(int(stretch[np.argmax(worth[stretch])]))
    return np.array(chosen, np.int64)
