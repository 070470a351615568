"""Cross-entropy in which rare classes and rare answers weigh as much as is wanted."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from engagement.types import FloatArray

#: An answer that is rarer counts as this common, so that no single face rules a batch.
_RAREST = 0.01


def class_weights(target: FloatArray, balance: float) -> Tensor:
    """Weight per class, (n / n_class) ** balance, scaled so that the mean over the rows is 1.

    Args:
        target: (n, classes), rows sum to 1. balance: 0 rows count equally, 1 classes do.
    """
    count = np.maximum(np.nansum(target, axis=0), 1.0)
    weight = (count.sum() / count) ** balance
    return torch.tensor(weight / float((weight * count).sum() / count.sum()), dtype=torch.float32)


def answer_weights(target: FloatArray) -> Tensor:
    """(2, states) weights of no and yes with which both weigh the same in total (a balanced prior).

    Args:
        target: (n, states) of 0 and 1, NaN where unknown; of a state that is never known both weigh 1.
    """
    known = np.isfinite(target)
    count = known.sum(axis=0)
    share = np.where(count, np.where(known, target, 0).sum(axis=0) / np.maximum(count, 1), 0.5)
    share = np.clip(share, _RAREST, 1 - _RAREST)
    return torch.tensor(np.stack([0.5 / (1 - share), 0.5 / share]), dtype=torch.float32)


def balanced_loss(logits: Tensor, target: Tensor, weights: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean loss of a batch of exclusive classes (softmax) or independent states (sigmoid).

    Args:
        logits, target: (n, classes); targets of independent states may be NaN and then count for nothing.
        weights: (classes,) of :func:`class_weights`, or (2, states) of :func:`answer_weights`.
        smoothing: share of a target that is spread evenly over the classes, 0-1.
    """
    if weights.ndim == 1:
        soft = target * (1 - smoothing) + smoothing / target.shape[1]
        return -(soft * weights * nn.functional.log_softmax(logits, dim=1)).sum(dim=1).mean()
    known = torch.isfinite(target)
    answer = torch.where(known, target, torch.zeros_like(target))
    weight = torch.where(answer > 0.5, weights[1], weights[0]) * known
    soft = answer * (1 - smoothing) + smoothing / 2
    each = nn.functional.binary_cross_entropy_with_logits(logits, soft, reduction="none")
    return (each * weight).sum() / known.sum().clamp(min=1)
