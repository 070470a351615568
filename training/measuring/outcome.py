"""What a model says of labelled faces, as ``engagement analyze`` would use it, and the figures of that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engagement.errors import DataError
from engagement.labels import BESIDE_THE_SEVEN, EXPRESSIONS, SYNONYMS, LabelSet, perhaps
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

#: What class folders and columns call the learner states, and the end of a grade's step.
_STATES = {"bored": "boredom", "confused": "confusion", "engaged": "engagement"}
_STEP = re.compile(r"_\d+$")

#: Single figures of exclusive classes, and those of each class.
MAIN = ("accuracy", "mean_class_accuracy", "macro_f1", "weighted_f1", "ece")
PER_CLASS = ("precision", "recall", "f1")


def aligned(table: SampleTable, labels: LabelSet) -> SampleTable:
    """The table with its targets in the order of a model's labels; names are matched as :func:`_meant` does.

    Independent states are asked one by one. Class folders of states say of each face that it shows its own and none of
    the others; of grades every step stays a question of its own (``boredom_2``: graded 2 or above).

    Raises:
        DataError: the set has classes that the model lacks, or the model tells classes apart and the set has states.
    """
    if labels.kind == "exclusive" and table.labels.kind != "exclusive":
        raise DataError(
            f"data set '{table.name}' has independent labels ('{table.labels.name}'), the model's head "
            f"'{labels.name}' tells one class from the others",
            "Choose a model with states, or another --head.",
        )
    names = [_meant(c, labels) for c in table.labels.classes]
    lacking = [c for c, name in zip(table.labels.classes, names, strict=True) if name is None]
    if lacking:
        raise DataError(
            f"data set '{table.name}' has classes that the model does not know: {', '.join(lacking)}",
            f"The model knows: {', '.join(labels.classes)}. Choose a model trained for them, or another --head.",
        )
    if _graded(table.labels, labels):
        return replace(table, labels=replace(table.labels, name=labels.name))
    missing = 0.0 if labels.kind == "exclusive" else np.nan
    target = np.full((len(table), len(labels)), missing, np.float32)
    for column, name in enumerate(names):
        place = labels.index(str(name))
        # Of two names for one class either says that it is there.
        target[:, place] = np.fmax(target[:, place], table.target[:, column])
    return replace(table, labels=labels, target=target)


def _meant(name: str, labels: LabelSet) -> str | None:
    """The class of a model that a data set's class speaks of, None where none does.

    A name as it is comes before what it is a synonym of: a model may tell "happy" and "joy" apart.
    """
    known = {SYNONYMS.get(c, c): c for c in labels.classes} | {c: c for c in labels.classes}
    small = name.lower()
    forms = [name, small, SYNONYMS.get(small, small)]
    if labels.kind == "independent":
        state = _STEP.sub("", small)
        forms += [_STATES.get(small, small), state, _STATES.get(state, state)]
    return next((known[form] for form in forms if form in known), None)


def _graded(asked: LabelSet, labels: LabelSet) -> bool:
    """Whether a set asks for steps of grades that a model has no classes of."""
    return asked.kind == "independent" and any(
        _STEP.search(c) and not _STEP.search(_meant(c, labels) or "") for c in asked.classes
    )


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
        labels = model.head(head).labels
        table = aligned(table, labels)
        prob = model.probabilities(head, table)
        if _graded(table.labels, labels):  # how often a state is there says nothing of the steps of a grade
            columns = [labels.index(str(_meant(c, labels))) for c in table.labels.classes]
            return cls(table, prob[:, columns])
        often = model.record.calibration.get(head, {}).get("often")
        return cls(table, prob, None if often is None else np.asarray(often, np.float32))

    def figures(self, draws: int = 0) -> dict[str, Any]:
        """:func:`figures` of it, under ``data`` whose they are, and under ``beware`` why they may look too good and which
        scores say nothing, where that is known."""
        sources = self.table.source
        found = figures(self.prob, self.table.target, sources, self.table.labels, draws, self.often)
        found["data"] = self.table.name
        beware: list[str] = []
        n = len(np.unique(sources))
        if draws and n < min(_FEW_SOURCES, len(sources)):
            whose = (
                "a single person or video, which tells nothing of others"
                if n == 1
                else f"{n} people or videos"
            )
            narrow = "" if n == 1 else ": intervals from resampling so few are too narrow"
            beware.append(f"the faces are those of {whose}{narrow}")
        if same := self._said_of_all():
            beware.append(f"every face gets the same score of {', '.join(same)}: nothing can be told of that")
        return found | ({"beware": beware} if beware else {})

    def _said_of_all(self) -> list[str]:
        """States whose score does not depend on the face: none was ordered better than by chance when they were calibrated."""
        labels = self.table.labels
        if labels.kind != "independent" or len(self.prob) < 2:
            return []
        return [name for name, column in zip(labels.classes, self.prob.T, strict=True) if not np.ptp(column)]


def head_for(model: Model, table: SampleTable) -> str:
    """The head whose classes contain those of the table: before others that which has no more, and one of its own kind.

    Raises:
        DataError: none does.
    """
    heads = model.heads
    named = {"expression": "expression", "learner_state": "state"}.get(table.labels.name, "")
    exact = [name for name, head in heads.items() if _same_classes(table.labels, head.labels)]
    if exact and named not in exact:
        return exact[0]
    if named in heads:
        return named
    lacking = {name: _lacking(table.labels, head.labels) for name, head in heads.items()}
    fitting = [name for name in heads if not lacking[name]]
    if fitting:
        return min(fitting, key=lambda name: heads[name].labels.kind != table.labels.kind)
    have = "; ".join(f"{name}: {', '.join(head.labels.classes)}" for name, head in heads.items())
    least = min(lacking.values(), key=len)
    raise DataError(
        f"{model.name} has no head for the classes of '{table.name}': it does not know {', '.join(least)}",
        f"{_remedy(model, table.labels, least)} It has {have}",
    )


def answerable(model: Model, head: str | None, table: SampleTable) -> tuple[str, SampleTable, dict[str, int]]:
    """What a model can be measured on of a table.

    Pictures of contempt, and those that nobody could name (:data:`BESIDE_THE_SEVEN`), are left out where the head that is
    asked, or every head, lacks such a class; any other class that is lacking may be misspelled.

    Args:
        head: its name; None for the one that knows the table's classes.

    Returns:
        The head's name; the table with its targets in the order of the head's labels; class -> pictures left out.

    Raises:
        DataError: as :func:`head_for` and :func:`aligned`.
    """
    asked = [model.head(head)] if head else list(model.heads.values())
    lacking = min((_lacking(table.labels, each.labels) for each in asked), key=len)
    beside = [c for c in lacking if c.lower() in BESIDE_THE_SEVEN]
    left_out: dict[str, int] = {}
    if table.labels.kind == "exclusive" and lacking == beside and 0 < len(beside) < len(table.labels):
        table, left_out = _without(table, beside)
    head = head or head_for(model, table)
    return head, aligned(table, model.head(head).labels), left_out


def _without(table: SampleTable, classes: Sequence[str]) -> tuple[SampleTable, dict[str, int]]:
    """A table without the pictures of some classes, and class -> how many these were. Of expressions it is a set of the
    seven, as if they had never been there.

    Raises:
        DataError: no picture is left.
    """
    index = [table.labels.index(c) for c in classes]
    shown = table.target.argmax(axis=1)
    others = ~np.isin(shown, index)
    if not others.any():
        raise DataError(
            f"data set '{table.name}': all that is chosen are pictures of {' and '.join(classes)}, which the model does not know",
            "Choose another --split, or more pictures.",
        )
    kept = table.rows(others)
    rest = tuple(c for c in table.labels.classes if c not in classes)
    of_seven = all(_meant(c, EXPRESSIONS) for c in rest)
    labels = replace(table.labels, classes=rest, **({"name": EXPRESSIONS.name} if of_seven else {}))
    counts = {c: int((shown == i).sum()) for c, i in zip(classes, index, strict=True)}
    return replace(kept, labels=labels, target=np.delete(kept.target, index, axis=1)), counts


def _same_classes(asked: LabelSet, labels: LabelSet) -> bool:
    """Whether a head tells just the classes of a set from each other."""
    meant = {_meant(c, labels) for c in asked.classes}
    return labels.kind == asked.kind == "exclusive" and meant == set(labels.classes)


def _lacking(asked: LabelSet, labels: LabelSet) -> list[str]:
    """Classes of a set that a head does not know; all where the set has states and the head tells classes apart."""
    if labels.kind == "exclusive" and asked.kind != "exclusive":
        return list(asked.classes)
    return [c for c in asked.classes if _meant(c, labels) is None]


def _remedy(model: Model, asked: LabelSet, lacking: Sequence[str]) -> str:
    """What to do about classes that no head knows."""
    if all(c.isdigit() for c in asked.classes):
        return (
            "Numbers mean what a set says: where the faces are of one, give FOLDER:rafdb, FOLDER:fer2013 or "
            "FOLDER:affectnet7, else call the classes by their names."
        )
    every = {c for head in model.heads.values() for c in head.labels.classes}
    names = [*every, *(written for written, meant in SYNONYMS.items() if meant in every)]
    near, said = perhaps(lacking, names), ""
    if meant := ", ".join(f"'{c}' is '{name}'" for c, name in near.items()):
        said = f"Perhaps {meant}: rename it. "
    if len(near) == len(lacking):
        return said.strip()
    said += "Rename or leave them out, or train a head for them (`engagement train extension`)."
    heads = [head.labels for head in model.heads.values()]
    states = [labels for labels in heads if labels.kind == "independent"]
    telling = [labels for labels in heads if labels.kind == "exclusive"]
    if (
        states
        and asked.kind == "exclusive"
        and all(len(_lacking(asked, labels)) == len(asked) for labels in telling)
    ):
        columns = ",".join(("file", *states[0].classes))
        said += f" Which states such faces show a CSV can say: {columns} with 0 or 1, or nothing where it is not known."
    return said
