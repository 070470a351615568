"""What a leaking split is worth: the same pictures, features and head, divided in several ways.

The head is a linear one on features that stay as they are, so it takes seconds, and whatever differs between
two figures is due to the split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from engagement.classification.network import HeadSpec
from engagement.errors import DataError
from engagement.faces.manifest import read_manifest
from engagement.types import FloatArray
from training import Say
from training.datasets.registry import load
from training.fitting.frozen import HeadFit, apply_head, features_of, fit_head
from training.inspection.leaks import KINDS, relations
from training.inspection.pictures import collect
from training.inspection.similar import SimilarOptions
from training.measuring.metrics import exclusive_figures, interval, resamplings
from training.measuring.opened import open_network
from training.samples.division import by_unit
from training.samples.table import SampleTable

#: Sets that come with a second split of the same pictures -> the reference of that one.
_PAIRS = {"student_states_demo": "student_states_demo_subject"}
_NAMES = {"student_states_demo": "split_frame", "student_states_demo_subject": "split_subject"}
#: Share that is held out where the splits are made here.
_SHARE = 0.25
_DRAWS = 1000

Figure = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class SplitFigures:
    """One way to divide, and what it makes of the same model.

    Attributes:
        name: of the split.
        train, test: pictures.
        near: test pictures with an exact, near, mirrored or turned copy in train.
        beside: those with a neighbouring frame in train.
        known: those whose person or source is in train; None where no picture names one.
        accuracy, macro_f1: value and 95 % interval, by resampling recordings (or persons) of the test pictures.
        majority: accuracy of always saying the commonest class of train.
    """

    name: str
    train: int
    test: int
    near: int
    beside: int
    known: int | None
    accuracy: Figure
    macro_f1: Figure
    majority: float


def compare_splits(
    data: Sequence[str],
    limit: int | None = None,
    options: SimilarOptions | None = None,
    base: str = "default",
    say: Say = lambda _: None,
) -> list[SplitFigures]:
    """Measure one quick head under every split, the leakiest first.

    Args:
        data: a set that has two splits (``FOLDER:student_states_demo``), or two references to the same pictures,
            or a set whose pictures name a source or person: then a random split by picture is compared with
            splits by those, made of its train split alone.
        limit: pictures per split, for trials.
        options: when two pictures count as one photograph.
        base: weights whose features are used.
        say: gets lines of progress.

    Raises:
        DataError: the pictures differ, have no classes, or name nothing to divide them by.
    """
    table, splits = _ways(data, limit, say)
    if table.labels.kind != "exclusive":
        raise DataError(
            f"'{table.name}' has independent states, not classes", "Compare the splits of a set of classes."
        )
    opened = open_network(base)
    features = features_of(opened.network, table, opened.chip, views=1, say=say)[0]
    out: list[SplitFigures] = []
    for name, split in splits.items():
        say(f"measuring {name}")
        out.append(_measured(name, replace(table, split=split), features, options or SimilarOptions()))
    return out


def as_dict(found: Sequence[SplitFigures]) -> dict[str, object]:
    """Plain values for JSON."""
    return {"splits": [asdict(one) for one in found], "head": "linear, on frozen features"}


def _ways(
    data: Sequence[str], limit: int | None, say: Say
) -> tuple[SampleTable, dict[str, NDArray[np.str_]]]:
    """The pictures, and their splits by name."""
    references = list(data)
    folder, _, name = references[0].rpartition(":")
    if len(references) == 1 and name in _PAIRS:
        references.append(f"{folder}:{_PAIRS[name]}")
    if len(references) > 2:
        raise DataError(
            f"{len(references)} sets were given", "Give one, or two references to the same pictures."
        )
    table = load(references[0])
    if len(references) == 2:
        other = load(references[1])
        if table.sample_id.tolist() != other.sample_id.tolist():
            raise DataError(
                f"'{references[0]}' and '{references[1]}' are not the same pictures",
                "Give two splits of one set, or one set whose pictures name their source.",
            )
        splits = {_NAMES.get(t.name, t.name): t.split for t in (table, other)}
        if limit is not None:
            chosen = np.random.default_rng(0).permutation(len(table))[: 2 * limit]
            return table.rows(np.sort(chosen)), {k: v[np.sort(chosen)] for k, v in splits.items()}
        return table, splits
    table = table.part("train") if (table.split == "train").any() else table
    table = table if limit is None else table.limited(limit)
    units = _units(table, Path(references[0]))
    splits: dict[str, NDArray[np.str_]] = {}
    for name, unit in {"by picture": table.sample_id, **units}.items():
        try:
            splits[name] = _held(table, unit)
        except DataError as error:
            say(f"{name}: {error.message}")
    if len(splits) < 2:
        raise DataError(
            f"'{references[0]}' cannot be divided by source or person",
            "Each class needs two of them, named in a manifest.csv or CSV (docs/datasets.md).",
        )
    return table, splits


def _units(table: SampleTable, folder: Path) -> dict[str, NDArray[np.str_]]:
    """What pictures have in common, the finest first: of captured faces blocks of time, videos, people."""
    n, source = len(np.unique(table.group)), table.source
    units = {"by group": table.group}
    if len(np.unique(source)) < n:
        units = {"by block of time": table.group, "by video": source}
    rows = {row["file"]: row.get("person", "") for row in read_manifest(folder, own=False)}
    person = np.array([rows.get(str(name), "") for name in table.sample_id], dtype=np.str_)
    if (person != "").all():
        units["by person"] = person
    return units if n < len(table) else {}


def _held(table: SampleTable, units: NDArray[np.str_]) -> NDArray[np.str_]:
    if len(np.unique(units)) == len(table):
        alone = replace(table, split=np.full(len(table), "train"), group=units)
        split = alone.with_validation(_SHARE, stratified=True).split
        return np.where(split == "val", "test", "train").astype(np.str_)
    labels = [table.labels.classes[i] for i in table.target.argmax(axis=1)]
    split = by_unit(units.tolist(), labels, {"test": _SHARE})
    if not (split == "test").any():
        raise DataError("every class comes from one of them, so none can be held out")
    return split


def _measured(name: str, table: SampleTable, features: FloatArray, options: SimilarOptions) -> SplitFigures:
    train, test = table.split == "train", table.split == "test"
    if not train.any() or not test.any():
        raise DataError(f"'{table.name}', {name}: no {'train' if test.any() else 'test'} pictures")
    spec, fit = HeadSpec(table.labels), HeadFit()
    logits = apply_head(features[test], fit_head(features[train][None], table.target[train], spec, fit))
    truth = table.target[test].argmax(axis=1)
    held = table.rows(test)
    draws = [
        exclusive_figures(logits[r], truth[r], table.labels) for r in resamplings(_recordings(held), _DRAWS)
    ]
    whole = exclusive_figures(logits, truth, table.labels)

    def figure(key: str) -> Figure:
        low, high = interval([float(str(draw[key])) for draw in draws])
        return float(str(whole[key])), low, high

    found = relations(collect([table.rows(train | test)]), options)
    several = len(set(table.group.tolist())) < len(table)
    known = np.isin(held.source, table.source[train])
    commonest = int(table.target[train].sum(axis=0).argmax())
    return SplitFigures(
        name,
        train=int(train.sum()),
        test=int(test.sum()),
        near=len(found.affected("test", KINDS[:3])),
        beside=len(found.affected("test", (KINDS[3],))),
        known=int(known.sum()) if several else None,
        accuracy=figure("accuracy"),
        macro_f1=figure("macro_f1"),
        majority=float((truth == commonest).mean()),
    )


def _recordings(table: SampleTable) -> NDArray[np.str_]:
    """What is resampled: frames of one recording are not independent of each other."""
    names = zip(table.group.tolist(), table.sample_id.tolist(), strict=True)
    return np.array([f"{group}|{PurePosixPath(name).parent}" for group, name in names], dtype=np.str_)
