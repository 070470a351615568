"""The whole evaluation: one function per question, one dictionary of figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engagement.errors import DataError
from engagement.labels import LEARNER_STATES
from engagement.types import FloatArray, IndexArray
from training import Say
from training.cache import Blocks
from training.datasets.daisee import PRESENT
from training.datasets.parquet import wacv2016
from training.datasets.registry import load
from training.figure_text import plain, to_json
from training.measuring.calibration import as_often
from training.measuring.opened import Opened, open_network
from training.samples.table import SampleTable
from training.states_evaluation.designs import Design, Reducer
from training.states_evaluation.exclusive_levels import other_people
from training.states_evaluation.figures import (
    DRAWS,
    Values,
    figure,
    ordinal_figures,
    people_weights,
    threshold_figures,
    weighted_auc,
)
from training.states_evaluation.framings import as_analyzed, moved, video_faces
from training.states_evaluation.inputs import face_blocks, network_blocks
from training.states_evaluation.validation import Fitted, Predicted, fitted, folds_fitted, pooled

#: Components of a block beyond which more cost time and change nothing.
_MOST = 300
#: What a learner-state head is compared with; fitted over the same folds.
BASELINES = (
    Design("head pose", {"pose": 1}, components=0),
    Design("gradient histograms", {"hog": 1}),
    Design("frozen features", {"features": 1}, components=_MOST),
)
#: Inputs and strength of the head that the comparison of inputs led to.
HEAD, STRENGTH = ("stage5_grid", "stage6_grid"), 0.3
#: Thresholds of the graded labels that figures are given for.
LEVELS = (1, 2)
#: Of DAiSEE's rows, one in so many is framed again.
_FRAMED = 4


@dataclass(frozen=True, slots=True)
class StatesEvaluation:
    """What the command was asked to do.

    Attributes:
        data: folder with DAiSEE and WACV-2016. base: weights whose inputs are used. out: folder of the results.
        videos: folder of webcam clips, for framing; None for none.
        test: also measure DAiSEE's test split, with heads fitted to the others, and the weights' own state head.
        head, strength: inputs of the head in question, and its regularisation.
        views: the faces as they are, and this many less one augmented versions that the head learns from.
        inputs: also compare inputs, on DAiSEE's train and validation people alone.
        leave_out: people of WACV-2016 who are in DAiSEE as well, of whom a score learned there says too much.
        limit: faces per split, for trials. draws: of the bootstrap.
    """

    data: Path
    base: str
    out: Path
    videos: Path | None = None
    head: tuple[str, ...] = HEAD
    strength: float = STRENGTH
    views: int = 1
    test: bool = False
    inputs: bool = False
    leave_out: tuple[str, ...] = ()
    limit: int | None = None
    draws: int = DRAWS

    @property
    def chosen(self) -> Design:
        """The head in question."""
        return Design(
            " + ".join(self.head),
            dict.fromkeys(self.head, 1.0),
            components=_MOST,
            strength=self.strength,
            augmented=True,
        )

    @property
    def kept(self) -> Path:
        """Where inputs are kept."""
        return self.out / "features"


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Labelled faces with what heads may see of them.

    Attributes:
        blocks: of the faces as they are. views: of augmented views of them.
    """

    table: SampleTable
    blocks: Blocks
    views: Sequence[Blocks] = ()

    @property
    def levels(self) -> IndexArray:
        """Graded labels; DataError where there are none."""
        if self.table.levels is None:
            raise DataError(f"data set '{self.table.name}' has no graded labels", "Give DAiSEE.")
        return self.table.levels

    def rows(self, index: IndexArray) -> Faces:
        """The given rows."""

        def own(blocks: Blocks) -> Blocks:
            return {name: values[index] for name, values in blocks.items()}

        return Faces(self.table.rows(index), own(self.blocks), [own(view) for view in self.views])

    def fit(self, design: Design, rows: IndexArray) -> Fitted:
        """A design fitted to the given rows."""
        _, people = np.unique(self.table.group, return_inverse=True)
        reducer = Reducer(self.blocks, rows, self.views)
        return fitted(design, reducer, self.levels, self.table.target, people)

    def folds(self, designs: Sequence[Design]) -> Iterator[tuple[IndexArray, dict[str, Fitted]]]:
        """Held-out rows of each fold, and the designs fitted to the others."""
        named = {design.name: design for design in designs}
        return folds_fitted(named, self.blocks, self.levels, self.table.target, self.table.group, self.views)


def evaluate_states(run: StatesEvaluation, say: Say = lambda _: None) -> dict[str, Any]:
    """Answer every question; write ``states.json`` and ``states.md``.

    Raises:
        DataError: a data set is missing, or has one person only.
    """
    from training.states_evaluation.report import report

    base = open_network(run.base)
    daisee = load(f"{run.data}:daisee")
    if run.limit:
        daisee = daisee.limited(run.limit)
    blocks = {**network_blocks(base, daisee, run.kept, say=say), **face_blocks(daisee, run.kept, say)}
    faces = Faces(
        daisee, blocks, [_view(run, base, daisee, blocks, view, say) for view in range(1, run.views)]
    )
    head = {"name": run.chosen.name, "strength": run.strength, "views": run.views}
    result: dict[str, Any] = {
        "weights": {"name": base.name, "sha256": base.sha256},
        "draws": run.draws,
        "chosen": head,
    }
    parts: dict[str, Callable[[], Any]] = {
        "daisee": lambda: cross_validate(faces, (*BASELINES, run.chosen), run.draws, say),
        "wacv2016": lambda: wacv(run, base, faces, say),
        "framing": lambda: framing(run, base, faces, say),
    }
    if run.videos is not None:
        parts["framing_of_videos"] = lambda: framing_of_videos(run, base, faces, say)
    if run.inputs:
        parts["inputs"] = lambda: compare_inputs(faces, run.draws, say)
    if run.test:
        parts["test"] = lambda: official_test(run, base, faces, say)
    run.out.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():  # written after each: a run that is stopped leaves what it has
        result[name] = plain(part())
        (run.out / "states.json").write_text(to_json(result), encoding="utf-8")
        (run.out / "states.md").write_text(report(result), encoding="utf-8")
    return result


def _view(
    run: StatesEvaluation, base: Opened, table: SampleTable, blocks: Blocks, view: int, say: Say
) -> Blocks:
    """The head's blocks in an augmented view; what does not come from the network is the same in every view."""
    found = network_blocks(base, table, run.kept, view, say=say)
    return {name: found.get(name, blocks[name]) for name in run.head if name in blocks}


def cross_validate(
    faces: Faces, designs: Sequence[Design], draws: int, say: Say = lambda _: None
) -> dict[str, Any]:
    """Five folds over all people of a table.

    Returns:
        ``people``, ``faces``, ``cross_validation`` (design -> state -> figures) and ``gains`` (baseline -> state ->
        AUC of the last design minus the baseline's).
    """
    levels, people = faces.levels, faces.table.group
    weights = people_weights(people, draws)
    found = _cross_validated(designs, faces, say)
    return {
        "people": len(set(people.tolist())),
        "faces": len(people),
        "cross_validation": {name: state_figures(p, levels, weights) for name, p in found.items()},
        "gains": gains(found, designs[-1].name, levels, weights),
    }


def state_figures(predicted: Predicted, levels: IndexArray, weights: FloatArray) -> dict[str, Any]:
    """State -> ``>=1``, ``>=2`` and ``ordinal`` -> figures.

    Args:
        levels: (n, states). weights: of ``people_weights``.
    """
    out: dict[str, Any] = {}
    for i, state in enumerate(LEARNER_STATES.classes):
        out[state] = {
            f">={level}": threshold_figures(
                predicted.prob[:, i, level - 1],
                predicted.balanced[:, i, level - 1],
                levels[:, i] >= level,
                predicted.share[:, i, level - 1],
                weights,
            )
            for level in LEVELS
        }
        out[state]["ordinal"] = ordinal_figures(
            predicted.expected[:, i], predicted.guess[:, i], levels[:, i], predicted.usual[:, i], weights
        )
    return out


def gains(
    found: Mapping[str, Predicted], chosen: str, levels: IndexArray, weights: FloatArray
) -> dict[str, Any]:
    """Other design -> state -> AUC of ``chosen`` minus its own, at the levels that mean present; paired."""
    areas = {name: _areas(predicted, levels, weights) for name, predicted in found.items()}
    return {
        name: {state: figure(areas[chosen][state] - own[state]) for state in LEARNER_STATES.classes}
        for name, own in areas.items()
        if name != chosen
    }


def compare_inputs(faces: Faces, draws: int, say: Say = lambda _: None) -> dict[str, Any]:
    """AUC of many inputs by cross-validation over train and validation: the test people choose nothing."""
    from training.states_evaluation.compared import compared

    faces = faces.rows(np.flatnonzero(faces.table.split != "test"))
    designs = [design for design in compared() if set(design.blocks) <= set(faces.blocks)]
    weights = people_weights(faces.table.group, draws)
    out: dict[str, Any] = {}
    for name, predicted in _cross_validated(designs, faces, say).items():
        areas = _areas(predicted, faces.levels, weights)
        out[name] = {state: figure(areas[state]) for state in areas}
    return {"people": len(set(faces.table.group.tolist())), "designs": out}


def official_test(
    run: StatesEvaluation, base: Opened, faces: Faces, say: Say = lambda _: None
) -> dict[str, Any]:
    """The official test split: the weights' own state head, and designs fitted to train and validation."""
    table, levels = faces.table, faces.levels
    fit = np.flatnonzero(table.split != "test")
    test = np.flatnonzero(table.split == "test")
    if not len(test) or not len(fit):
        raise DataError(f"data set '{table.name}' has no test split, or nothing else", "Leave --test out.")
    weights = people_weights(table.group[test], run.draws)
    held = faces.rows(test).blocks
    found: dict[str, Any] = {}
    for design in (*BASELINES, run.chosen):
        say(f"test split: {design.name}")
        predicted = faces.fit(design, fit).predict(held)
        found[design.name] = state_figures(predicted, levels[test], weights)
    out = {"people": len(set(table.group[test].tolist())), "faces": len(test), "designs": found}
    if "state" in base.heads:
        own, classes = base.probabilities("state", table.rows(test)), base.head("state").labels.classes
        often = np.array([(levels[fit, i] >= PRESENT[s]).mean() for i, s in enumerate(classes)], np.float32)
        frequent = as_often(own, often)
        out["shipped"] = {
            state: threshold_figures(
                frequent[:, i],
                own[:, i],
                levels[test, i] >= PRESENT[state],
                np.full(len(test), often[i], np.float32),
                weights,
            )
            for i, state in enumerate(classes)
        }
    return out


def framing(run: StatesEvaluation, base: Opened, faces: Faces, say: Say = lambda _: None) -> dict[str, Any]:
    """How much scores move when DAiSEE's crops are cut as `analyze` would; people that the head was not fitted to."""
    design, rows = run.chosen, np.arange(0, len(faces.table), _FRAMED)
    kept = faces.rows(rows)
    other = _seen(run, base, as_analyzed(kept.table, run.kept, say), say)
    first, second = [], []
    for held, heads in faces.folds([design]):
        own = np.flatnonzero(np.isin(rows, held))
        head = heads[design.name]
        first.append((own, head.predict(kept.rows(own).blocks)))
        second.append((own, head.predict({name: other[name][own] for name in run.head})))
    stored, framed = pooled(first), pooled(second)
    levels, weights = kept.levels, people_weights(kept.table.group, run.draws)
    before, after = _areas(stored, levels, weights), _areas(framed, levels, weights)
    return {
        state: {
            **moved(_present(stored, i, state), _present(framed, i, state)),
            "auc_stored": figure(before[state]),
            "auc_framed": figure(after[state]),
            "auc_change": figure(after[state] - before[state]),
            "n": len(rows),
        }
        for i, state in enumerate(LEARNER_STATES.classes)
    }


def framing_of_videos(
    run: StatesEvaluation, base: Opened, faces: Faces, say: Say = lambda _: None
) -> dict[str, Any]:
    """How much scores of real video faces move between `analyze`'s crop and one made as DAiSEE's were."""
    assert run.videos is not None
    from_frame, from_crop = video_faces(run.videos, say)
    head = faces.fit(run.chosen, np.arange(len(faces.table)))
    loose, tight = (head.predict(_seen(run, base, table, say)) for table in (from_frame, from_crop))
    return {
        state: {**moved(_present(tight, i, state), _present(loose, i, state)), "n": len(from_frame)}
        for i, state in enumerate(LEARNER_STATES.classes)
    }


def wacv(run: StatesEvaluation, base: Opened, faces: Faces, say: Say = lambda _: None) -> dict[str, Any]:
    """WACV-2016: heads fitted to other people of it, and DAiSEE's engagement score as it is."""
    table = load(f"{run.data}:wacv2016")
    if run.limit:
        table = table.limited(run.limit)
    own = {**network_blocks(base, table, run.kept, say=say), **face_blocks(table, run.kept, say)}
    score = faces.fit(run.chosen, np.arange(len(faces.table))).score(own)[
        :, LEARNER_STATES.index("engagement")
    ]
    auto = np.isin(table.sample_id, wacv2016(run.data, "auto").sample_id)
    designs = (*BASELINES, run.chosen)
    return other_people(table, own, designs, score, auto, run.leave_out, run.draws, say)


def _cross_validated(designs: Sequence[Design], faces: Faces, say: Say) -> dict[str, Predicted]:
    parts: dict[str, list[tuple[IndexArray, Predicted]]] = {design.name: [] for design in designs}
    for held, heads in faces.folds(designs):
        say(f"{faces.table.name}: {len(held)} faces of people that were held out")
        blocks = faces.rows(held).blocks
        for name, head in heads.items():
            parts[name].append((held, head.predict(blocks)))
    return {name: pooled(found) for name, found in parts.items()}


def _seen(run: StatesEvaluation, base: Opened, table: SampleTable, say: Say) -> Blocks:
    """Blocks of the head in question for faces in another framing."""
    found = network_blocks(base, table, run.kept, say=say)
    if set(run.head) <= set(found):
        return found
    return {**found, **face_blocks(table, run.kept, say)}


def _areas(predicted: Predicted, levels: IndexArray, weights: FloatArray) -> dict[str, Values]:
    return {
        state: weighted_auc(_present(predicted, i, state), levels[:, i] >= PRESENT[state], weights)
        for i, state in enumerate(LEARNER_STATES.classes)
    }


def _present(predicted: Predicted, index: int, state: str) -> FloatArray:
    """P(state present) under a balanced prior."""
    return predicted.balanced[:, index, PRESENT[state] - 1]
