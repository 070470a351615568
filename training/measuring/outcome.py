"""What a model says of labelled faces, as ``engagement analyze`` would use it, and the figures of that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engagement.errors import DataError
from engagement.labels import SYNONYMS, LabelSet, perhaps
from engagement.types import FloatArray, IndexArray
from training.measuring.calibration import as_often
from training.measuring.metrics import (
    auc,
    balanced_accuracy,
    balanced_ece,
    balanced_reliability,
    binary_ece,
    bootstrap,
    exclusive_figures,
    independent_figures,
    interval,
    reliability,
    resamplings,
)
from training.measuring.opened import Model
from training.samples.table import SampleTable

#: Resamplings behind each interval.
DRAWS = 1000

#: Single figures of exclusive classes, and those of each class.
MAIN = ("accuracy", "mean_class_accuracy", "macro_f1", "weighted_f1", "ece")
PER_CLASS = ("precision", "recall", "f1")


def aligned(table: SampleTable, labels: LabelSet) -> SampleTable:
    """The table with its targets in the order of a model's labels; names are matched through SYNONYMS.

    Raises:
        DataError: the set has classes that the model lacks, or is of the other kind.
    """
    if table.labels.kind != labels.kind:
        raise DataError(
            f"data set '{table.name}' has {table.labels.kind} labels ('{table.labels.name}'), the model's head "
            f"'{labels.name}' has {labels.kind} ones"
        )
    known = {SYNONYMS.get(c, c): i for i, c in enumerate(labels.classes)}
    # A name as it is comes before what it is a synonym of: a model may tell "happy" and "joy" apart.
    known |= {c: i for i, c in enumerate(labels.classes)}
    forms = [(c, c.lower(), SYNONYMS.get(c.lower(), c)) for c in table.labels.classes]
    names = [next((form for form in own if form in known), own[-1]) for own in forms]
    lacking = [name for name in names if name not in known]
    if lacking:
        raise DataError(
            f"data set '{table.name}' has classes that the model does not know: {', '.join(lacking)}",
            f"The model knows: {', '.join(labels.classes)}. Choose a model trained for them, or another --head.",
        )
    missing = 0.0 if labels.kind == "exclusive" else np.nan
    target = np.full((len(table), len(labels)), missing, np.float32)
    for column, name in enumerate(names):
        # Of two names for one class either says that it is there.
        target[:, known[name]] = np.fmax(target[:, known[name]], table.target[:, column])
    return replace(table, labels=labels, target=target)


def figures(
    prob: FloatArray,
    target: FloatArray,
    groups: NDArray[np.str_],
    labels: LabelSet,
    draws: int = 0,
    often: FloatArray | None = None,
) -> dict[str, Any]:
    """Figures of probabilities against the truth.

    Args:
        prob: (n, classes), 0-1.
        target: (n, classes), as in SampleTable.
        groups: (n,) what intervals resample as a whole (people).
        labels: of the columns.
        draws: of the bootstrap; 0 for no intervals.
        often: (classes,) share of yes that independent classes have in training; None where not known.

    Returns:
        those of :func:`training.measuring.metrics.exclusive_figures`, or per state of ``independent_figures``; with
        ``intervals`` (95 %), the bins of the ``reliability`` diagram, and ``labels``.
    """
    out = (
        _exclusive(prob, target.argmax(axis=1), groups, labels, draws)
        if labels.kind == "exclusive"
        else _independent(prob, target, groups, labels, draws, often)
    )
    out["labels"] = list(labels.classes)
    return out


def _exclusive(
    prob: FloatArray, truth: IndexArray, groups: NDArray[np.str_], labels: LabelSet, draws: int
) -> dict[str, Any]:
    out: dict[str, Any] = exclusive_figures(prob, truth, labels)
    out["reliability"] = reliability(prob.max(axis=1), prob.argmax(axis=1) == truth)
    if not draws:
        return out
    drawn: list[Any] = [
        exclusive_figures(prob[rows], truth[rows], labels) for rows in resamplings(groups, draws)
    ]
    out["intervals"] = {key: list(interval([d[key] for d in drawn])) for key in MAIN}
    for name, row in out["per_class"].items():
        # A rare class may be missing from a resampling, which then says nothing of it.
        rows = [d["per_class"][name] for d in drawn if name in d["per_class"]]
        row["intervals"] = {key: list(interval([r[key] for r in rows])) for key in PER_CLASS}
    return out


def _independent(
    prob: FloatArray,
    target: FloatArray,
    groups: NDArray[np.str_],
    labels: LabelSet,
    draws: int,
    often: FloatArray | None,
) -> dict[str, Any]:
    frequent = None if often is None else as_often(prob, often)
    out: dict[str, Any] = independent_figures(prob, target, labels, frequent)
    for i, name in enumerate(labels.classes):
        known = np.isfinite(target[:, i])
        score, yes = prob[known, i], target[known, i] > 0.5
        out[name]["reliability"] = balanced_reliability(score, yes)
        if draws:
            asked = [
                ("auc", auc, score),
                ("balanced_accuracy", balanced_accuracy, score),
                ("ece_balanced", balanced_ece, score),
            ]
            if frequent is not None:
                asked.append(("ece", binary_ece, frequent[known, i]))
            out[name]["intervals"] = {
                key: list(
                    bootstrap(lambda rows, f=f, s=said, y=yes: f(s[rows], y[rows]), groups[known], draws)
                )
                for key, f, said in asked
            }
    return out


def measure(model: Model, head: str, table: SampleTable, draws: int = 0) -> dict[str, Any]:
    """Figures of one head on a table, with the calibration that its file carries."""
    return Outcome.of(model, head, table).figures(draws)


#: Below so many people or videos the bootstrap knows too few to say how others would differ.
_FEW_SOURCES = 10


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a head said of a table.

    Attributes:
        table: n faces, targets in the order of the head's labels.
        prob: float32 (n, classes), calibrated.
        often: (classes,) as in :func:`figures`.
    """

    table: SampleTable
    prob: FloatArray
    often: FloatArray | None = None

    @classmethod
    def of(cls, model: Model, head: str, table: SampleTable) -> Outcome:
        """Let a head look at a table.

        Raises:
            DataError: the table has classes that the head lacks.
        """
        table = aligned(table, model.head(head).labels)
        often = model.record.calibration.get(head, {}).get("often")
        known = None if often is None else np.asarray(often, np.float32)
        return cls(table, model.probabilities(head, table), known)

    def figures(self, draws: int = 0) -> dict[str, Any]:
        """:func:`figures` of it, under ``data`` whose they are, and under ``beware`` why they may look too good, where that
        is known."""
        sources = self.table.source
        found = figures(self.prob, self.table.target, sources, self.table.labels, draws, self.often)
        found["data"] = self.table.name
        n = len(np.unique(sources))
        if draws and n < min(_FEW_SOURCES, len(sources)):
            whose = (
                "a single person or video, which tells nothing of others"
                if n == 1
                else f"{n} people or videos"
            )
            narrow = "" if n == 1 else ": intervals from resampling so few are too narrow"
            found["beware"] = [f"the faces are those of {whose}{narrow}"]
        return found


def head_for(model: Model, table: SampleTable) -> str:
    """The head whose classes contain those of the table.

    Raises:
        DataError: none does.
    """
    heads = model.heads
    named = {"expression": "expression", "learner_state": "state"}.get(table.labels.name, "")
    if named in heads:
        return named
    wanted = {SYNONYMS.get(c.lower(), c) for c in table.labels.classes}
    known = {name: {SYNONYMS.get(c, c) for c in head.labels.classes} for name, head in heads.items()}
    for name, head in heads.items():
        if wanted <= known[name] and head.labels.kind == table.labels.kind:
            return name
    have = "; ".join(f"{name}: {', '.join(head.labels.classes)}" for name, head in heads.items())
    lacking = sorted(min((wanted - own for own in known.values()), key=len))
    remedy = ""
    if all(c.isdigit() for c in wanted):
        remedy = "Numbers mean what a set says: give FOLDER:rafdb, FOLDER:fer2013 or FOLDER:affectnet7. "
    else:
        every = set().union(*known.values())
        names = [*every, *(written for written, meant in SYNONYMS.items() if meant in every)]
        if meant := ", ".join(f"'{c}' is '{name}'" for c, name in perhaps(lacking, names).items()):
            remedy = f"Perhaps {meant}: rename it. "
    what = (
        f"it does not know {', '.join(lacking)}" if lacking else "its own of these names are of another kind"
    )
    raise DataError(
        f"{model.name} has no head for the classes of '{table.name}': {what}", f"{remedy}It has {have}"
    )
