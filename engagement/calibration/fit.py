"""A shift of the logit for each person and state, from a few labels.

A random-intercept logistic model whose slope stays 1, so that no label turns the order of a person's moments
round: logit P(yes) = logit(score) + shift, shift = session + person. Both parts have a Gaussian prior around 0,
so that a person's shift is drawn towards the session's, and that towards none; the fit is the maximum a
posteriori. Updating only the intercept of a model for new circumstances, shrunk according to how little data
there are: Steyerberg et al. 2004, "Validation and updating of predictive logistic regression models"
(Statistics in Medicine 23, 2567-2586).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from engagement.errors import ConfigError
from engagement.timelines.shifts import logits
from engagement.types import Floats, IndexArray


@dataclass(frozen=True, slots=True)
class PriorConfig:
    """How far labels may move a score; the defaults had the least log loss on DAiSEE's validation subjects
    (``benchmarks/calibration.py --priors``).

    Attributes:
        person_sd: standard deviation of a person's shift around the session's, in logits: the larger, the
            more a label counts.
        session_sd: of the session's shift around 0.
    """

    person_sd: float = 0.75
    session_sd: float = 0.5

    def __post_init__(self) -> None:
        named = (("--prior", self.person_sd, "0.75"), ("--session-prior", self.session_sd, "0.5"))
        for name, value, default in named:
            if not 0.01 <= value <= 10:
                raise ConfigError(
                    f"{name} {value:g} is not within 0.01-10 logits", f"{default} is the default."
                )


def fit_shifts(
    score: NDArray[np.floating], yes: NDArray[np.bool_], person: IndexArray, n: int, prior: PriorConfig
) -> Floats:
    """Shifts of one state.

    Args:
        score: (labels,) raw scores, 0-1. yes: (labels,) whether the state was said to be there.
        person: (labels,) from 0. n: number of persons.

    Returns:
        (n,) shifts in logits; 0 for persons without a label.
    """
    raw, sign = logits(score), np.where(yes, 1.0, -1.0)
    precision = np.concatenate([[prior.session_sd**-2], np.full(n, prior.person_sd**-2)])

    def loss(v: Floats) -> tuple[float, Floats]:
        against = -sign * (raw + v[0] + v[1 + person])
        slope = -sign * expit(against)
        gradient = np.concatenate([[slope.sum()], np.bincount(person, slope, n)]) + precision * v
        return float(np.logaddexp(0, against).sum() + (precision * v**2).sum() / 2), gradient

    found: Floats = minimize(loss, np.zeros(n + 1), jac=True, method="L-BFGS-B", options={"ftol": 1e-14}).x
    labelled = np.bincount(person, minlength=n) > 0
    return np.where(labelled, found[0] + found[1:], 0.0)
