"""Turning logits into probabilities that mean what they say, on validation data alone."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax

from engagement.types import FloatArray


def fit_temperature(logits: FloatArray, target: FloatArray) -> float:
    """The temperature that minimises cross-entropy (Guo et al. 2017, "On Calibration of Modern Neural Networks").

    Args:
        logits: (n, classes). target: (n, classes), rows sum to 1.
    """

    def loss(log_temperature: float) -> float:
        return float(-(target * log_softmax(logits / np.exp(log_temperature), axis=1)).sum(axis=1).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2.0, 2.0), method="bounded").x))


def fit_platt(logits: FloatArray, target: FloatArray) -> tuple[list[float], list[float]]:
    """Scale and bias per column (Platt 1999) under a balanced prior: both answers weigh the same in total.

    Args:
        logits: (n, states). target: (n, states) of 0/1, NaN where unknown.

    Returns:
        scales (never negative: a state's order is not turned round on little data) and biases.
    """
    scales, biases = [], []
    for column, answer in zip(logits.T, target.T, strict=True):
        known = np.isfinite(answer)
        x, yes = column[known], answer[known] > 0.5
        weight = np.where(yes, 0.5 / max(yes.sum(), 1), 0.5 / max((~yes).sum(), 1))

        def loss(v: np.ndarray, x: FloatArray = x, yes: np.ndarray = yes, weight: np.ndarray = weight) -> float:
            p = np.clip(expit(v[0] * x + v[1]), 1e-6, 1 - 1e-6)
            return float(-(weight * np.where(yes, np.log(p), np.log(1 - p))).sum())

        found = minimize(loss, np.array([1.0, 0.0]), bounds=[(0.0, 10.0), (-10.0, 10.0)], method="L-BFGS-B").x
        scales.append(float(found[0]))
        biases.append(float(found[1]))
    return scales, biases
