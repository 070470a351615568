"""What differs between versions of the packages below us.

A CPU build of torch next to a CUDA build of torchvision (a frequent outcome of ``pip install``)
cannot load torchvision's compiled operators, and ``import torchvision`` then stops with "operator
torchvision::nms does not exist". Nothing we use needs those operators except non-maximum
suppression, so we register a plain one and let the import go on. Every import of torchvision, and
of what imports it (facenet-pytorch), comes after :func:`load_torchvision`.

What sets OpenCV's log level was moved: see :func:`quiet_opencv`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_LIBRARIES = (".so", ".pyd", ".dylib")
# The registrations live as long as their Library objects.
_libraries: list[Any] = []
# Operators can be registered once: threads that come at the same time wait for the first.
_importing = threading.Lock()


def _nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Greedy non-maximum suppression; same order and result as torchvision's CPU kernel.

    Args:
        boxes: (n, 4) corners. scores: (n,). iou_threshold: boxes overlapping more are dropped.

    Returns:
        int64 indices of the kept boxes, best first.
    """
    import torch

    order = torch.argsort(scores, descending=True, stable=True)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    keep: list[int] = []
    while order.numel():
        best = order[0]
        keep.append(int(best))
        rest = order[1:]
        corner_min = torch.maximum(boxes[best, :2], boxes[rest, :2])
        corner_max = torch.minimum(boxes[best, 2:], boxes[rest, 2:])
        inter = (corner_max - corner_min).clamp(min=0).prod(dim=1)
        order = rest[inter / (area[best] + area[rest] - inter) <= iou_threshold]
    return torch.tensor(keep, dtype=torch.int64, device=boxes.device)


def operators_load() -> bool:
    """Whether torchvision's own compiled operators load beside this torch."""
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or _libraries:  # where ours stand in, its own did not load
        return False
    # _C.so, from torchvision 0.29 on _C_stable.so. Whatever it is called next: to define the operators a second time
    # would end the process.
    for library in sorted(p for p in Path(spec.origin).parent.iterdir() if p.suffix in _LIBRARIES):
        with suppress(OSError):
            torch.ops.load_library(str(library))
        if hasattr(torch.ops.torchvision, "nms"):
            return True
    return False


def load_torchvision() -> ModuleType:
    """Import torchvision, standing in for its operators when they do not load.

    Raises:
        ImportError: torchvision is not installed.
    """
    with _importing:
        return _load()


@functools.cache
def _load() -> ModuleType:
    import torch

    if operators_load():
        return importlib.import_module("torchvision")
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", _nms, "CompositeExplicitAutograd")
    _libraries.append(library)
    torchvision = importlib.import_module("torchvision")
    extension: Any = importlib.import_module("torchvision.extension")
    extension._has_ops = lambda: True  # torchvision.ops.nms asks before it calls the operator
    return torchvision


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """While it lasts, OpenCV writes nothing to stderr of its own: the caller says what is wrong with a file."""
    import cv2

    # Up to 4.12 in cv2 itself, from 4.13 in cv2.utils.logging.
    log: Any = getattr(cv2.utils, "logging", cv2)
    before = log.setLogLevel(0)  # silent
    try:
        yield
    finally:
        log.setLogLevel(before)
