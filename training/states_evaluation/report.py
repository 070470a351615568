"""The figures as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engagement.labels import LEARNER_STATES
from training.datasets.daisee import PRESENT

_THRESHOLD = {
    "auc": "AUC",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "majority_macro_f1": "majority's",
    "brier": "Brier",
    "majority_brier": "majority's",
    "ece": "ECE",
    "ece_balanced": "balanced ECE",
}
_ORDINAL = {
    "mae": "MAE of expected level",
    "majority_mae": "majority's",
    "kappa": "kappa",
    "spearman": "Spearman",
}
_CLASSES = {
    "macro_f1": "macro F1",
    "accuracy": "accuracy",
    "kappa": "kappa",
    "ece": "ECE",
}


def report(result: Mapping[str, Any]) -> str:
    """What ``evaluate_states`` returns, as text."""
    weights, head = result["weights"], result["chosen"]
    parts = [
        f"Weights `{weights['name']}`, sha256 `{weights['sha256'][:12]}…`; the head in question, **{head['name']}**, is "
        f"linear, strength {head['strength']:g}, views {head['views']}; 95 % intervals over people, {result['draws']} "
        "resamplings. AUC and balanced accuracy of a majority are 0.5."
    ]
    if "daisee" in result:
        found = result["daisee"]
        parts += [
            f"**DAiSEE, five folds**, {found['people']} people, {found['faces']} faces:",
            *_states(found["cross_validation"], head["name"]),
            f"AUC gained by **{head['name']}** over the same folds, paired:",
            _gains(found["gains"]),
        ]
    if "test" in result:
        test = result["test"]
        parts += [
            f"**DAiSEE, official test split**, {test['people']} people, {test['faces']} faces:",
            *_states(test["designs"], head["name"]),
        ]
        if "shipped" in test:
            rows = [(_present(s), [_cell(f[k]) for k in _THRESHOLD]) for s, f in test["shipped"].items()]
            parts += [
                "The state head in these weights, same split:",
                _table("state", _THRESHOLD.values(), rows),
            ]
    parts += _wacv(result.get("wacv2016", {}), head["name"])
    parts += _framing(result)
    if "inputs" in result:
        found = result["inputs"]
        rows = [
            (name, [_cell(own[s]) for s in LEARNER_STATES.classes]) for name, own in found["designs"].items()
        ]
        parts += [
            f"**Inputs compared**: AUC, five folds over the {found['people']} people of train and validation:",
            _table("inputs", [_present(s) for s in LEARNER_STATES.classes], rows),
        ]
    return "\n\n".join(parts) + "\n"


def _states(designs: Mapping[str, Any], chosen: str) -> Iterable[str]:
    for level in (">=1", ">=2"):
        rows = [
            (f"{state} {level}, {_bold(name, chosen)}", [_cell(figures[state][level][k]) for k in _THRESHOLD])
            for state in LEARNER_STATES.classes
            for name, figures in designs.items()
        ]
        yield _table("state, inputs", _THRESHOLD.values(), rows)
    rows = [
        (f"{state}, {_bold(name, chosen)}", [_cell(figures[state]["ordinal"][k]) for k in _ORDINAL])
        for state in LEARNER_STATES.classes
        for name, figures in designs.items()
    ]
    yield _table("levels 0-3", _ORDINAL.values(), rows)


def _gains(gains: Mapping[str, Any]) -> str:
    rows = [(name, [_cell(own[s], "+") for s in LEARNER_STATES.classes]) for name, own in gains.items()]
    return _table("against", [_present(s) for s in LEARNER_STATES.classes], rows)


_FRAMES = {
    "all": "all frames",
    "auto": "kind = auto, heads fitted to frames of that kind alone",
    "auto_of_all": "kind = auto, heads fitted to all frames of the other people",
}


def _wacv(found: Mapping[str, Any], chosen: str) -> Iterable[str]:
    for name, part in found.items():
        first = next(iter(part["designs"].values()))
        rows = [("majority", [_cell(first["majority_macro_f1"]), *["–"] * (len(_CLASSES) - 1)])]
        rows += [
            (_bold(design, chosen), [_cell(own[k]) for k in _CLASSES])
            for design, own in part["designs"].items()
        ]
        yield (
            f"**WACV-2016, three levels of engagement, {_FRAMES[name]}**, five folds, "
            f"{part['people']} people, {part['faces']} frames:"
        )
        yield _table("inputs", _CLASSES.values(), rows)
        gains = ", ".join(f"{design} {_cell(own, '+')}" for design, own in part["gains"].items())
        yield f"Macro F1 gained by {_bold(chosen, chosen)}, paired: over {gains}."
        if name == "auto_of_all":
            continue
        score = part["daisee_score"]
        yield (
            f"The engagement score learned on DAiSEE, nothing fitted here, {score['people']} people who are not in it: "
            f"Spearman {_cell(score['spearman'])} with the level, AUC {_cell(score['auc_engaged'])} for engaged at all."
        )


def _framing(result: Mapping[str, Any]) -> Iterable[str]:
    columns = ["mean difference", "correlation", "AUC stored", "AUC framed", "change"]
    if "framing" in result:
        found = result["framing"]
        rows = [
            (
                _present(state),
                [
                    f"{own['mean_difference']:.3f}",
                    _number(own["correlation"]),
                    *(_cell(own[k]) for k in ("auc_stored", "auc_framed")),
                    _cell(own["auc_change"], "+"),
                ],
            )
            for state, own in found.items()
        ]
        n = next(iter(found.values()))["n"]
        yield f"**Framing**: {n} DAiSEE faces as stored, and unsqueezed and framed by the detector as `analyze` does:"
        yield _table("score", columns, rows)
    if "framing_of_videos" in result:
        found = result["framing_of_videos"]
        rows = [
            (_present(state), [f"{own['mean_difference']:.3f}", _number(own["correlation"])])
            for state, own in found.items()
        ]
        n = next(iter(found.values()))["n"]
        yield f"{n} faces of webcam clips, cut from the frame, and from a crop made as DAiSEE's were:"
        yield _table("score", columns[:2], rows)


def _present(state: str) -> str:
    return f"{state} >= {PRESENT[state]}"


def _bold(name: str, chosen: str) -> str:
    return f"**{name}**" if name == chosen else name


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _cell(figure: Mapping[str, float | None], sign: str = "") -> str:
    if figure["value"] is None:
        return "–"
    if figure["low"] is None:
        return f"{figure['value']:{sign}.3f}"
    between = " to " if sign else "–"
    return f"{figure['value']:{sign}.3f} ({figure['low']:{sign}.3f}{between}{figure['high']:{sign}.3f})"


def _table(first: str, columns: Iterable[str], rows: Iterable[tuple[str, list[str]]]) -> str:
    names = [first, *columns]
    lines = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    lines += [f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows]
    return "\n".join(lines)
