"""What a result was made with: versions, weights, settings; and a fingerprint that says when to redo it."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engagement import RESULTS_VERSION, __version__
from engagement.config import AnalysisConfig
from engagement.labels import LEARNER_STATES
from engagement.weights.store import manifest

if TYPE_CHECKING:
    from engagement.weights.store import LoadedWeights

_PACKAGES = (
    "torch",
    "torchvision",
    "facenet-pytorch",
    "av",
    "opencv-python-headless",
    "numpy",
    "pandas",
    "plotly",
)


def versions() -> dict[str, str]:
    """Versions of Python, this package and the libraries that results depend on."""
    found = {"python": platform.python_version(), "engagement": __version__}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def weights_record(weights: Sequence[LoadedWeights]) -> dict[str, dict[str, Any]]:
    """Name -> kind, sha256, licence and measured figures of the weights in use."""
    return {
        w.name: {
            "kind": w.record.kind,
            "sha256": w.sha256,
            "licence": w.record.licence,
            "metrics": headline(w.record.metrics),
            "card": _card(w),
        }
        for w in weights
    }


def _card(weights: LoadedWeights) -> str:
    """File name of a shipped model's card, empty for a user's own file."""
    entry = manifest().get(weights.name, {})
    return str(entry.get("card", "")) if entry.get("sha256") == weights.sha256 else ""


def headline(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The few figures that pages and manifests quote, flat; from the test split where it was touched.

    Args:
        metrics: head -> split -> figures, as training writes them.
    """
    out: dict[str, float] = {}
    expression = _split(metrics.get("expression"))
    for key in ("accuracy", "mean_class_accuracy", "ece"):
        if key in expression:
            out[f"expression_{key}"] = expression[key]
    state = _split(metrics.get("state"))
    for name in LEARNER_STATES.classes:
        if isinstance(state.get(name), Mapping) and "auc" in state[name]:
            out[f"daisee_{name}_auc"] = state[name]["auc"]
    return out


def _split(found: Any) -> Mapping[str, Any]:
    if not isinstance(found, Mapping):
        return {}
    return found.get("test") or found.get("val") or {}


def fingerprint(path: Path, config: AnalysisConfig, weights: Sequence[LoadedWeights]) -> dict[str, Any]:
    """What decides a video's results. Equal fingerprints mean that it need not be analysed again.

    The file counts by size and time of change: hashing hundreds of gigabytes to find that nothing
    changed would take as long as decoding them.
    """
    status = path.stat()
    deciding = {key: value for key, value in config.to_dict().items() if key != "presence"}
    settings = json.dumps(deciding, sort_keys=True)
    return {
        "results_version": RESULTS_VERSION,
        "file_size": status.st_size,
        "file_mtime_ns": status.st_mtime_ns,
        "settings": hashlib.sha256(settings.encode()).hexdigest()[:16],
        "weights": sorted(w.sha256[:16] for w in weights),
    }
