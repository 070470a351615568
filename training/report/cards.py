"""The model card: what a weight file is, where it comes from, how good it is, what it must not do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engagement import drafts
from engagement.labels import LEARNER_STATES, WEAK_AUC, WIDE_MARGIN
from engagement.provenance import headline, terms_once
from engagement.weights.store import WeightRecord
from training.datasets.terms import names_in, terms_of
from training.figure_text import figure_text, interval_text

_USE = """\
Estimating the *apparent* expression (and, where there is such a head, the apparent learner state) of
faces in recorded sessions whose participants have agreed, for research on and reflection about
teaching. Probabilities are per face and moment; read them as summaries over time and with their
certainty. Facial movements are no fingerprint of a feeling (Barrett et al. 2019)."""

_NOT = """\
- Inferring emotions of people in education or at work from biometric data: the EU AI Act, Article
  5(1)(f), prohibits it in the EU, except for medical or safety reasons.
- Grading, ranking, disciplining, hiring or any other decision about a person.
- Covert recording, or recording of people who have not agreed.
- Recognising who somebody is."""

_FAILURES = """\
- Small (below about 24 px), blurred, dark, covered or strongly turned faces.
- Speaking looks like an expression; a resting face may look sad or angry.
- Faces unlike those of the training data (age, skin, glasses, masks, culture): figures on such
  groups were not measured, so expect errors to be distributed unevenly.
- Calibration holds for data like those it was fitted on, not for any classroom."""


def write_card(
    path: Path, record: WeightRecord, file: str, sha256: str, cost: Mapping[str, Any] | None = None
) -> None:
    """Write ``model_card.md`` for a weight file, and the same as JSON beside it.

    Args:
        path: of the card.
        record: of the weight file; figures per head and split under ``metrics``.
        file: name of the weight file.
        sha256: of the weight file.
        cost: of :func:`training.report.cost.cost`, where it is known.
    """
    drafts.write(path, card(record, file, sha256, cost))
    text = json.dumps(card_data(record, file, sha256, cost), indent=1, ensure_ascii=False)
    drafts.write(path.with_suffix(".json"), text + "\n")


def card_data(
    record: WeightRecord, file: str, sha256: str, cost: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What the card says, for programs."""
    return {
        "file": file,
        "sha256": sha256,
        "kind": record.kind,
        "network": record.network,
        "labels": {name: head["labels"] for name, head in record.network.get("heads", {}).items()},
        "chip": record.chip,
        "data": {name: asdict(terms_of(name)) for name in data_names(record.origin)},
        "licence": record.licence,
        "origin": record.origin,
        "intended_use": _plain(_USE),
        "must_not_be_used_for": [_plain(text) for text in _NOT.removeprefix("- ").split("\n- ")],
        "metrics": record.metrics,
        "calibration": record.calibration,
        "cost": cost or {},
        "known_failures": [_plain(text) for text in _FAILURES.removeprefix("- ").split("\n- ")],
    }


def card(record: WeightRecord, file: str, sha256: str, cost: Mapping[str, Any] | None = None) -> str:
    """The card as Markdown."""
    heads: Mapping[str, Any] = record.network.get("heads", {})
    lines = [f"# {file}", "", f"sha256 `{sha256}`", ""]
    lines += [f"Network: {record.network.get('backbone', record.kind)}; heads:", ""]
    for name, head in heads.items():
        labels = head["labels"]
        lines.append(f"- `{name}` ({labels['kind']}): {', '.join(labels['classes'])}")
    if record.network.get("identity_dim"):
        lines.append(
            f"- identity feature of {record.network['identity_dim']} numbers, for following people in memory"
        )
    if record.chip:
        chip = record.chip
        lines += [
            "",
            f"Input: face chips of {chip['size']} px, {chip['margin']} × the longer side of the face box.",
        ]
    if cost:
        lines += [
            "",
            f"Cost: {cost['parameters']:,} parameters; {cost['gflops']:.4f} GFLOPs per face ({cost['convention']}), "
            f"which are {cost['gmacs']:.4f} GMACs.",
        ]
    lines += ["", "## Data and terms", ""]
    for name in data_names(record.origin):
        terms = terms_of(name)
        lines += [f"**{name}**: {terms.title}. Terms: {terms.licence}. Known: {terms.known}", ""]
    lines += [f"Licence of these weights: {'; '.join(terms_once(record.licence))}", "", "## Origin", ""]
    lines += _origin(record.origin)
    lines += ["", "## Intended use", "", _USE, "", "## Must not be used for", "", _NOT, "", "## Figures", ""]
    for head, splits in record.metrics.items():
        if isinstance(splits, Mapping):
            for split, found in splits.items():
                lines += _figures(head, split, found)
            lines += _plainly(head, splits)
    single = [
        f"- {name}: {figure_text(v)}" for name, v in record.metrics.items() if not isinstance(v, Mapping)
    ]
    lines += [*single, ""] if single else []
    if not record.metrics:
        lines += ["None: these weights were not measured.", ""]
    lines += ["## Calibration", ""]
    for head, entry in record.calibration.items():
        lines.append(f"- `{head}`: {_inline(entry)}, {_fitted_on(record, head)}")
    if any(heads[h]["labels"]["kind"] == "independent" for h in record.calibration if h in heads):
        lines.append(
            "- Independent states are stated under a balanced prior: 0.5 means no evidence either way."
        )
    return "\n".join([*lines, "", "## Known failures", "", _FAILURES, ""])


#: Name of the figures of people that folds of the head had not seen, in place of a validation split.
FOLDS = "folds"


def split_title(split: str) -> str:
    """A split as headings call it."""
    return "people held out in turn, five folds" if split == FOLDS else f"{split} split"


#: What a card tells elsewhere, or what says nothing to people.
_UNSAID = ("base", "held_out_some")


def _origin(origin: Mapping[str, Any]) -> list[str]:
    """How a model was made, then how the one was that it began with, and so on."""
    lines = [f"- {key}: {_inline(value)}" for key, value in origin.items() if key not in _UNSAID]
    base = origin.get("base")
    if not isinstance(base, Mapping):
        return lines
    rest = {key: value for key, value in base.items() if key not in ("name", "sha256")}
    known = f"`{base.get('name', 'another model')}`, sha256 `{base.get('sha256', 'unknown')}`"
    return [*lines, "", f"It began with {known}:", "", *_origin(rest)]


def _fitted_on(record: WeightRecord, head: str) -> str:
    if record.kind == "ensemble" and record.origin.get("shares") == "given":
        return "beside that of each member: nothing was fitted here"
    measured = record.metrics.get(head)
    folds = isinstance(measured, Mapping) and FOLDS in measured
    where = "to people held out in turn" if folds else "on the validation split"
    return f"fitted {where} (so its ECE there is flattering)"


def data_names(origin: Mapping[str, Any]) -> list[str]:
    """Data sets of a model, of its identity feature, and of the model it started from; joined ones apart."""
    names: list[object] = [origin.get("data")]
    base = origin.get("base")
    for further in (origin.get("more"), origin.get("identity")):
        names += list(further.get("data", [])) if isinstance(further, Mapping) else []
    if isinstance(base, Mapping):
        names += data_names(base)
    return list(dict.fromkeys(part for n in names if n for part in names_in(str(n))))


def _figures(head: str, split: str, found: Mapping[str, Any]) -> list[str]:
    of = f" of {found['data']}" if found.get("data") else ""  # which earlier records do not say
    lines = [f"### {head}, {split_title(split)} ({found.get('n', '?')} faces{of})", ""]
    lines += [text for why in found.get("beware", ()) for text in (f"**Beware**: {why}.", "")]
    per_class = found.get("per_class")
    if per_class:
        intervals = found.get("intervals", {})
        for key in ("accuracy", "mean_class_accuracy", "macro_f1", "weighted_f1", "ece"):
            lines.append(
                f"- {key.replace('_', ' ')}: {figure_text(found.get(key))}{_interval(intervals.get(key))}"
            )
        lines += ["", *_table(("class", "precision", "recall", "f1", "support"), per_class.items())]
        return [*lines, ""]
    states = {k: v for k, v in found.items() if isinstance(v, Mapping)}
    keys = ("auc", "balanced_accuracy", "ece", "ece_balanced", "positive_share")
    lines += [
        "| state | " + " | ".join(k.replace("_", " ") for k in keys) + " |",
        "|---" * (len(keys) + 1) + "|",
    ]
    for name, row in states.items():
        cells = [figure_text(row.get(k)) + _interval(row.get("intervals", {}).get(k)) for k in keys]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _plainly(head: str, splits: Mapping[str, Any]) -> list[str]:
    """Which learner states are near chance, by the split that pages quote (``provenance.headline``)."""
    known = headline({head: splits}) if head == "state" else {}
    weak = [s for s in LEARNER_STATES.classes if known.get(f"daisee_{s}_auc", 1.0) < WEAK_AUC]
    if not weak:
        return []
    return [
        f"On people it has not seen it tells {' and '.join(weak)} **little better than chance** (an AUC of 0.5 is a coin toss; "
        f"these are below {WEAK_AUC}): a hint where to look, not a finding. `engagement analyze` claims such a state only "
        f"when it leads by {WIDE_MARGIN:g} times the usual margin.",
        "",
    ]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, row in rows:
        lines.append(f"| {name} | " + " | ".join(figure_text(row.get(k)) for k in head[1:]) + " |")
    return lines


def _plain(text: str) -> str:
    return " ".join(text.replace("*", "").split())


def _interval(pair: Any) -> str:
    ends = interval_text(pair)
    return f" (95 %: {ends})" if ends else ""


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_inline(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inline(v) for v in value) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
