"""Turning logits into probabilities that mean what they say, on validation data alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, logit

from engagement.types import FloatArray, Floats
from training.samples.table import SampleTable


def fit_temperature(logits: FloatArray, target: FloatArray) -> float:
    """The temperature that minimises cross-entropy (Guo et al. 2017, "On Calibration of Modern
    Neural Networks").

    Args:
        logits: (n, classes).
        target: (n, classes), rows sum to 1.
    """

    # Platt's correction: a few faces, all right, must not make the model certain.
    doubt = 1 / (len(target) + 2)
    target = target * (1 - doubt) + doubt / target.shape[1]

    def loss(log_temperature: float) -> float:
        return float(-(target * log_softmax(logits / np.exp(log_temperature), axis=1)).sum(axis=1).mean())

    found: Any = minimize_scalar(loss, bounds=(-2.0, 2.0), method="bounded")
    return float(np.exp(found.x))


def fit_platt(logits: FloatArray, target: FloatArray) -> tuple[list[float], list[float]]:
    """Scale and bias per column (Platt 1999) under a balanced prior: both answers weigh the same in total.

    With Platt's correction of the answers, so that one face that happens to rank first makes nothing certain.

    Args:
        logits: (n, states).
        target: (n, states) of 0/1, NaN where unknown.

    Returns:
        scales (never negative: a state's order is not turned round on little data) and biases.
    """
    scales, biases = [], []
    for column, answer in zip(logits.T, target.T, strict=True):
        known = np.isfinite(answer)
        raw, yes = column[known].astype(np.float64), answer[known] > 0.5
        if not yes.any() or yes.all():
            scales.append(0.0)  # one answer alone teaches nothing: no evidence either way
            biases.append(0.0)
            continue
        # In standard units, so that a start at (1, 0) suits logits of any size.
        centre, spread = float(raw.mean()), max(float(raw.std()), 1e-9)
        x = (raw - centre) / spread
        there, absent = float(yes.sum()), float((~yes).sum())
        truth = np.where(yes, (there + 1) / (there + 2), 1 / (absent + 2))
        weight = np.where(yes, 0.5 / there, 0.5 / absent)
        found = minimize(
            _platt_loss,
            np.array([1.0, 0.0]),
            (x, truth, weight),
            bounds=[(0.0, 20.0), (-20.0, 20.0)],
            method="L-BFGS-B",
        ).x
        scales.append(float(found[0] / spread))
        biases.append(float(found[1] - found[0] * centre / spread))
    return scales, biases


def _platt_loss(line: Floats, x: Floats, truth: Floats, weight: Floats) -> float:
    """Weighted cross-entropy of answers (n,) under the logits scale * x + bias, ``line`` being (scale, bias)."""
    z = line[0] * x + line[1]
    return float((weight * (np.logaddexp(0.0, z) - truth * z)).sum())


def as_often(balanced: FloatArray, often: FloatArray) -> FloatArray:
    """Probabilities as frequent as the data have it, from ones under a balanced prior: prior odds times the likelihood
    ratio that a balanced probability states.

    Args:
        balanced: (n, states), 0-1.
        often: (states,) share of yes among the faces that are spoken of, 0-1.
    """
    odds = logit(np.clip(balanced, 1e-6, 1 - 1e-6)) + logit(np.clip(often, 1e-4, 1 - 1e-4))
    return np.asarray(expit(odds), np.float32)


def calibration_of(logits: FloatArray, validation: SampleTable) -> dict[str, Any]:
    """Temperature (exclusive), or scale, bias and how often it is there per state (independent), from faces that
    were not learned from.

    Args:
        logits: (n, classes) of the n faces.
    """
    if validation.labels.kind == "exclusive":
        return {"temperature": fit_temperature(logits, validation.target)}
    scale, bias = fit_platt(logits, validation.target)
    often = np.nan_to_num(np.nanmean(validation.target, axis=0), nan=0.5)
    return {"scale": scale, "bias": bias, "often": [float(share) for share in often]}
