"""Detectors by name: ours, and those that other packages plug in.

A package offers a detector by an entry point::

    [project.entry-points."engagement.detectors"]
    mine = "my_package.detector:make"

where ``make(*, min_face_px: int, weights: Path | None, device: str)`` is a class or function that returns what
``engagement.faces.detector.FaceDetector`` describes; it may use ``engagement.faces.near.look_near`` as its
``refine``. ``engagement analyze --detector mine`` then takes it. It must hold the promises of
``tests/contracts/test_detectors.py``. Importing this module loads no detector.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from engagement.device import of_torch
from engagement.errors import BackendUnavailable, ConfigError, EngagementError
from engagement.faces.detector import FaceDetector
from engagement.faces.options import DetectorConfig, MtcnnConfig

GROUP = "engagement.detectors"
Factory = Callable[..., FaceDetector]


def plugged_in() -> dict[str, metadata.EntryPoint]:
    """Name -> entry point of the detectors that other packages offer. Ours cannot be replaced by name."""
    found = sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name)
    return {point.name: point for point in found if point.name not in _OURS}


def names() -> list[str]:
    """All that ``--detector`` takes."""
    return [*_OURS, *plugged_in()]


def check_name(name: str) -> None:
    """Complain of an unknown detector before anything is loaded.

    Raises:
        ConfigError: no detector has that name.
    """
    if name not in names():
        raise ConfigError(f"--detector '{name}' is unknown", f"Choose one of {', '.join(names())}.")


def make_detector(
    config: DetectorConfig, detection: MtcnnConfig | None = None, device: str = "cpu"
) -> FaceDetector:
    """The detector that the options name.

    Args:
        detection: smallest face, and for ours the thresholds.

    Raises:
        ConfigError: no detector has that name.
        BackendUnavailable: it is plugged in, and cannot be loaded or is no detector.
        WeightsError: its model file cannot be read.
    """
    detection = detection or MtcnnConfig()
    weights = Path(config.weights) if config.weights is not None else None
    if config.name in _OURS:
        return _OURS[config.name](detection, weights, device)
    check_name(config.name)
    point = plugged_in()[config.name]
    try:
        factory: Factory = point.load()
        detector = factory(min_face_px=detection.min_face_px, weights=weights, device=of_torch(device))
    except EngagementError:
        raise
    except Exception as error:
        # Anything may happen in foreign code; the name of its package tells whom to ask.
        raise BackendUnavailable(
            f"Detector '{config.name}' cannot be loaded ({type(error).__name__}: {error})", _whose(point)
        ) from error
    lacking = [part for part in ("name", "detect", "refine") if not hasattr(detector, part)]
    if lacking:
        raise BackendUnavailable(
            f"Detector '{config.name}' is no face detector: it lacks {', '.join(lacking)}", _whose(point)
        )
    return detector


def describe() -> str:
    """One line for ``engagement doctor``; plugged-in detectors are loaded to see whether they can be."""
    said = ["mtcnn (default)", "yunet (needs --detector-weights)"]
    for name, point in plugged_in().items():
        package = point.dist.name if point.dist is not None else "a package"
        try:
            point.load()
            said.append(f"{name} (from {package})")
        except Exception as error:
            said.append(f"{name} (from {package}, cannot be loaded: {type(error).__name__}: {error})")
    return ", ".join(said)


def _whose(point: metadata.EntryPoint) -> str:
    where = f"package {point.dist.name}" if point.dist is not None else point.value
    return f"It comes from {where}; reinstall or correct that, or choose another --detector."


def _mtcnn(detection: MtcnnConfig, _weights: Path | None, device: str) -> FaceDetector:
    from engagement.faces.mtcnn import MtcnnDetector

    return MtcnnDetector(detection, device)


def _yunet(detection: MtcnnConfig, weights: Path | None, _device: str) -> FaceDetector:
    from engagement.faces.yunet import YunetDetector

    assert weights is not None  # DetectorConfig sees to it
    return YunetDetector(weights, detection.min_face_px)


_OURS: dict[str, Callable[[MtcnnConfig, Path | None, str], FaceDetector]] = {
    "mtcnn": _mtcnn,
    "yunet": _yunet,
}
