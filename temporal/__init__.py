"""Smoothing of score sequences. Knows sequences, not videos; imports nothing of ours.

``build_smoother`` is the door; the contract of what it returns stands in ``base.py``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from temporal.base import TemporalSmoother

#: Checked before the import: other distributions install a top-level package of this name.
OWNER = "engagement"

#: Name -> whether it needs weights. In order of simplicity.
SMOOTHERS: Mapping[str, bool] = {"none": False, "box": False, "hmm": False, "lstm": True, "cnn3d": True}

_MAKERS = {
    "none": ("temporal.box", "NoSmoother"),
    "box": ("temporal.box", "BoxSmoother"),
    "hmm": ("temporal.hmm", "HmmSmoother"),
    "lstm": ("temporal.lstm", "load_lstm"),
    "cnn3d": ("temporal.conv3d", "load_conv3d"),
}

Weights = tuple[Mapping[str, Any], Mapping[str, "Tensor"]]


def build_smoother(name: str, weights: Weights | None = None, **options: Any) -> TemporalSmoother:
    """A smoother by name. torch is imported for the networks alone.

    Args:
        name: a key of SMOOTHERS.
        weights: for ``lstm`` and ``cnn3d``: how the network is built, and its tensors.
        options: ``box``: ``window_s``, ``state_window_s`` (seconds). ``hmm``: see :class:`temporal.hmm.HmmSmoother`.
            Networks: ``device``.

    Raises:
        ValueError: unknown name or option, weights missing, unasked for, or of another network.
    """
    if name not in SMOOTHERS:
        raise ValueError(f"unknown smoother '{name}': choose one of {', '.join(SMOOTHERS)}")
    if SMOOTHERS[name] and weights is None:
        raise ValueError(f"the smoother '{name}' needs weights")
    if not SMOOTHERS[name] and weights is not None:
        raise ValueError(f"the smoother '{name}' takes no weights")
    module, attribute = _MAKERS[name]
    make: Callable[..., TemporalSmoother] = getattr(import_module(module), attribute)
    arguments = weights or ()
    try:
        inspect.signature(make).bind(*arguments, **options)
    except TypeError as error:
        raise ValueError(f"smoother '{name}': {error}") from error
    return make(*arguments, **options)
