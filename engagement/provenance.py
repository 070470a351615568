"""What a result was made with: versions, weights, settings; and a fingerprint that says when to redo it."""

from __future__ import annotations

import json
import math
import platform
import re
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

from engagement import RESULTS_VERSION, __version__
from engagement.config import AnalysisConfig
from engagement.labels import LEARNER_STATES, WEAK_AUC
from engagement.video import AUTO_BACKEND
from engagement.weights.store import manifest

if TYPE_CHECKING:
    from engagement.weights.store import LoadedWeights, WeightRecord

_PACKAGES = (
    "torch",
    "torchvision",
    "facenet-pytorch",
    "openvino",
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


def terms_once(licence: str) -> list[str]:
    """The terms of each data set that a licence names, once: a network may have met a set in several phases."""
    # Terms may hold a semicolon themselves; the name of a set begins what is said of the next.
    return list(dict.fromkeys(re.split(r"; (?=[\w.-]+: )", licence))) if licence else []


def weights_record(weights: Sequence[LoadedWeights]) -> dict[str, dict[str, Any]]:
    """Name -> kind, sha256, licence and measured figures of the weights in use, and which of them tell states."""
    states = _of_states(weights)
    return {
        name: {
            "kind": w.record.kind,
            "sha256": w.sha256,
            "licence": "; ".join(terms_once(w.record.licence)),
            "metrics": headline(w.record.metrics),
            "card": _card(w),
            **({"states": True} if w is states else {}),
        }
        for name, w in zip(_apart(weights), weights, strict=True)
    }


def _apart(weights: Sequence[LoadedWeights]) -> list[str]:
    """Names of weights; files of the same name are told apart by what they are for."""
    names = [w.name for w in weights]
    return [f"{w.name} ({w.record.kind})" if names.count(w.name) > 1 else w.name for w in weights]


def _card(weights: LoadedWeights) -> str:
    """File name of a shipped model's card, empty for a user's own file."""
    entry = manifest().get(weights.name, {})
    return str(entry.get("card", "")) if entry.get("sha256") == weights.sha256 else ""


def headline(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The few figures that pages and manifests quote, flat; from the test split where it was touched.

    Args:
        metrics: head -> split -> figures, as training writes them. Splits such as "rafdb test" are of further sets.
    """
    out: dict[str, float] = {}
    splits = metrics.get("expression")
    _, expression = _split(splits)
    for key in ("accuracy", "mean_class_accuracy", "ece"):
        if _is_figure(expression.get(key)):
            out[f"expression_{key}"] = expression[key]
    # Of the sets that a model was measured on the first may be the kindest.
    for split, found in splits.items() if isinstance(splits, Mapping) else ():
        if split.endswith(" test") and _is_figure(found.get("accuracy")):
            out[f"expression_accuracy_on_{split.removesuffix(' test')}"] = found["accuracy"]
    _, state = _split(metrics.get("state"))
    for name in LEARNER_STATES.classes:
        if isinstance(state.get(name), Mapping) and _is_figure(state[name].get("auc")):
            out[f"daisee_{name}_auc"] = state[name]["auc"]
    return out


def measured(weights: Sequence[LoadedWeights], head: str) -> dict[str, Any]:
    """What was measured of one head of the weights in use, for pages; empty where nothing was.

    Returns:
        ``split``, ``n`` faces, ``beware`` (reasons), and ``figures``: name -> value, low and high (None where unknown).
    """
    for loaded in weights:
        split, found = _split(loaded.record.metrics.get(head))
        if head in loaded.record.network.get("heads", {}) and found:
            rows = {"accuracy": (found, "accuracy")} if "accuracy" in found else {}
            rows |= {
                f"{c} AUC": (v, "auc") for c, v in found.items() if isinstance(v, Mapping) and "auc" in v
            }
            figures = {
                name: [row[key], *row.get("intervals", {}).get(key, (None, None))]
                for name, (row, key) in rows.items()
                if _is_figure(row[key])
            }
            beware = list(found.get("beware", ()))
            return {"split": split, "n": int(found.get("n", 0)), "beware": beware, "figures": figures}
    return {}


def _is_figure(value: Any) -> bool:
    """Whether a figure is one: where a split shows one answer alone, an AUC is not."""
    return isinstance(value, int | float) and math.isfinite(value)


def weak_states(weights: Sequence[LoadedWeights]) -> tuple[str, ...]:
    """States whose AUC of unseen people is below WEAK_AUC, or was not measured, in the weights that tell states."""
    states = _of_states(weights)
    known = headline(states.record.metrics) if states else {}
    return tuple(s for s in LEARNER_STATES.classes if not known.get(f"daisee_{s}_auc", 0.0) >= WEAK_AUC)


def _of_states(weights: Sequence[LoadedWeights]) -> LoadedWeights | None:
    """Those of the weights in use that tell learner states: the first that can."""
    return next((w for w in weights if "state" in w.record.network.get("heads", {})), None)


def learned_from_scores_of(smoother: LoadedWeights, weights: Sequence[LoadedWeights]) -> bool:
    """Whether the weights in use say of faces what a smoother learned from.

    Its own frame model does, and so does a model made from the same one by another fit of the states: smoothers
    must not learn from people whom the state head knows, which the one in use may.
    """
    origin = smoother.record.origin
    learned = {origin.get("frame_weights_sha256"), origin.get("frame_weights_base_sha256")}
    in_use = {name for w in weights for name in (w.sha256, *_same_expressions(w.record))}
    return bool((learned & in_use) - {None, ""})


def base_sha256(record: WeightRecord) -> str:
    """sha256 of the weights that a network began with and that say the same of expressions; empty for none.

    Fitting learner states, or a head of further classes on a frozen backbone, changes nothing of expressions; other
    trainings change what they begin with. Where several such followed each other it is the first weights.
    """
    return (["", *_same_expressions(record)])[-1]


def _same_expressions(record: WeightRecord) -> list[str]:
    """sha256 of each of the weights that a network was made from without a change of its expressions, latest first."""
    # Where light is evened out for a head of its own, the others are left out: expressions are another network's.
    if "expression" not in record.network.get("heads", {}):
        return []
    out: list[str] = []
    origin: Any = record.origin
    while isinstance(origin, Mapping) and isinstance(origin.get("base"), Mapping) and _keeps(origin):
        origin = origin["base"]
        out.append(str(origin.get("sha256", "")))
    return out


def _keeps(phase: Mapping[str, Any]) -> bool:
    """Whether a training left expressions as they were."""
    head = phase.get("head")
    if not isinstance(head, Mapping) or "recipe" in phase:
        return False
    if "name" not in head:  # of `engagement train states`
        return True
    return head.get("frozen") is True and head["name"] not in ("expression", "state")


def _split(found: Any) -> tuple[str, Mapping[str, Any]]:
    """The split of a head that is quoted, and its figures; none where nothing was measured."""
    splits = found if isinstance(found, Mapping) else {}
    return next(((name, splits[name]) for name in ("test", "folds", "val") if splits.get(name)), ("", {}))


def fingerprint(
    file_size: int, file_version: str, config: AnalysisConfig, weights: Sequence[LoadedWeights]
) -> dict[str, Any]:
    """What decides a video's results. Equal fingerprints mean that it need not be analysed again.

    The file counts by size and time of change: hashing hundreds of gigabytes to find that nothing
    changed would take as long as decoding them.
    """
    deciding = {key: value for key, value in config.to_dict().items() if key != "presence"}
    return {
        "results_version": RESULTS_VERSION,
        "file_size": file_size,
        "file_version": file_version,
        # As it reads after a way through JSON, so that the two can be compared.
        "settings": json.loads(json.dumps(deciding, sort_keys=True)),
        "weights": {name: w.sha256[:16] for name, w in zip(_apart(weights), weights, strict=True)},
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What changed between two fingerprints, in words; empty when nothing did.

    Args:
        before: as an earlier result recorded it, perhaps by an earlier version; empty where it did not.
    """
    if before == now:
        return []
    if not before:
        return ["the earlier result does not say how it was made"]
    out: list[str] = []
    if before.get("results_version") != now["results_version"]:
        out.append(f"code: results version {before.get('results_version')}, now {now['results_version']}")
    if any(before.get(key) != now[key] for key in ("file_size", "file_version")):
        out.append("the video file changed")
    weights = _flat(before.get("weights")), _flat(now["weights"])
    if sorted(map(str, weights[0].values())) == sorted(map(str, weights[1].values())):
        weights = {}, {}  # called something else
    cached = _flat(now["settings"]).get("persons.identity_weights") is None
    earlier, later = _deciding(before.get("settings")), _deciding(now["settings"])
    for name in sorted(earlier.keys() | later.keys()):
        old, new = earlier.get(name, "absent"), later.get(name, "absent")
        if name == "persons.identity_sha256" and old is None and cached:
            continue  # an earlier version did not look at what is in facenet's cache
        if old != new:
            out.append(f"option {name}: {old}, now {new}")
    out += _exchanged(*weights)
    parts = ("results_version", "file_size", "file_version", "settings", "weights")
    if any(before.get(key) != now.get(key) for key in (before.keys() | now.keys()) - {*parts}):
        out.append("the earlier result was made by another version")
    return out


def _exchanged(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two choices of weights, name -> hash: other content, or others in their place."""
    out = [
        f"weights {name} changed" for name in sorted(before.keys() & now.keys()) if before[name] != now[name]
    ]
    gone, new = sorted(before.keys() - now.keys()), sorted(now.keys() - before.keys())
    if gone or new:
        out.append(f"weights: {' and '.join(gone) or 'absent'}, now {' and '.join(new) or 'absent'}")
    return out


#: Where weights lie; what is in them counts (``weights``, and the hashes in the settings).
_PLACES = ("classifier.checkpoint", "smoothing.weights", "detector.weights", "persons.identity_weights")


def _deciding(settings: Any) -> dict[str, Any]:
    """The settings that decide, flat: neither where files lie, nor another word for the same."""
    found = {key: value for key, value in _flat(settings).items() if key not in _PLACES}
    if found.get("backend") == "auto":
        found["backend"] = AUTO_BACKEND
    return found


def _flat(nested: Any, above: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` as ``{"a.b": 1}``; empty for anything but a mapping."""
    if not isinstance(nested, Mapping):
        return {}
    out: dict[str, Any] = {}
    for key, value in nested.items():
        out |= _flat(value, f"{above}{key}.") if isinstance(value, Mapping) else {f"{above}{key}": value}
    return out
