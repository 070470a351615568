"""Export, quantise, compare, and only then give the file its name."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engagement import __version__, drafts
from engagement.errors import BackendUnavailable, ConfigError, DataError
from engagement.types import ByteArray, FloatArray
from training import Say
from training.datasets.registry import prepared
from training.export.graph import chip_inputs, torch_outputs, write_graph
from training.export.quantisation import quantise
from training.figure_text import plain, to_json
from training.measuring.opened import Model, open_model
from training.measuring.outcome import aligned, head_for
from training.recipes.recipe import Recipe
from training.samples.chip_dataset import ChipDataset
from training.samples.table import SampleTable

#: Faces per comparison, in batches that no size divides: the number of faces is open.
_RANDOM, _BATCH = 20, 7
#: Real faces that are compared, and those that set the ranges of 8-bit numbers.
_COMPARED, _RANGES = 400, 256
#: Of the first classes, 8 bits and float.
_AGREEMENT = 0.95


@dataclass(frozen=True, slots=True)
class ExportRun:
    """What the command was asked to do.

    Attributes:
        checkpoint: ``default``, shipped name or file; also an ensemble.
        out: the ONNX file.
        int8: 8-bit weights and activations.
        data: faces to compare on; ``int8`` needs them, and sets its ranges on the train split.
        tolerance: largest difference of a float file's output from torch's.
        min_agreement: share of faces whose first class an 8-bit file must leave as it is.
        limit, skip_bad: of the data.

    Raises:
        ConfigError: the options contradict each other.
        BackendUnavailable: onnx or onnxruntime is not installed.
    """

    checkpoint: str
    out: Path
    int8: bool = False
    data: str = ""
    tolerance: float = 1e-4
    min_agreement: float = _AGREEMENT
    limit: int | None = None
    skip_bad: bool = False

    def __post_init__(self) -> None:
        wrong: list[str] = []
        if self.out.suffix != ".onnx":
            wrong.append(f"-o {self.out.name} does not end in .onnx")
        if self.int8 and not self.data:
            wrong.append("--int8 needs --data: faces that set the ranges and show what 8 bits change")
        if self.limit is not None and not self.data:
            wrong.append("--limit says nothing without --data")
        if self.skip_bad and not self.data:
            wrong.append("--skip-bad says nothing without --data")
        if self.min_agreement != _AGREEMENT and not self.int8:
            wrong.append("--min-agreement says nothing without --int8")
        if not 0 < self.tolerance < 1:
            wrong.append(f"--tolerance {self.tolerance} is not within 0-1")
        if not 0 <= self.min_agreement <= 1:
            wrong.append(f"--min-agreement {self.min_agreement} is not within 0-1")
        if wrong:
            raise ConfigError("; ".join(wrong))
        lacking = [name for name in ("onnx", "onnxruntime") if not importlib.util.find_spec(name)]
        if lacking:
            raise BackendUnavailable(
                f"the export needs {' and '.join(lacking)}, which is not installed",
                "pip install 'engagement[export]'",
            )


def run_export(run: ExportRun, say: Say = lambda _: None) -> dict[str, Any]:
    """Write the ONNX file, and ``<name>.onnx.json`` with what was compared.

    Returns:
        ``inputs``, ``outputs``, ``largest_difference`` per output (random faces, and real ones where given)
        and ``tolerance``; with ``int8`` also ``agreement`` (share of real faces with the same first class, per
        exclusive head; same side of 0.5 for independent ones), ``mean_difference``, and the accuracy of both
        where the data are labelled for the head.

    Raises:
        ConfigError: the model evens out light.
        DataError: the file does not do what torch does; nothing is written then.
        WeightsError: the checkpoint is missing or damaged.
    """
    model = open_model(run.checkpoint)
    for member in model.networks:
        if member.chip.equalize:
            raise ConfigError(
                f"{member.name} evens out the light of every face first, which an ONNX file does not hold",
                "Train without --equalize to export.",
            )
    ranges, compared = _faces(run, say)
    run.out.parent.mkdir(parents=True, exist_ok=True)
    draft = run.out.with_suffix(".draft.onnx")
    small = run.out.with_suffix(".draft8.onnx")
    try:
        outputs = write_graph(draft, model)
        inputs = chip_inputs(model)
        found: dict[str, Any] = {
            "checkpoint": model.name,
            "sha256": model.sha256,
            "inputs": {name: spec.to_dict() for name, spec in inputs.items()},
            "outputs": outputs,
            "tolerance": run.tolerance,
            "largest_difference": {"random faces": _difference(draft, model, _random(model))},
        }
        if compared is not None:
            found["largest_difference"]["real faces"] = _difference(draft, model, _chips(model, compared))
            found["faces_compared"] = len(compared)
        _within(run, found["largest_difference"])
        chosen = draft
        if run.int8:
            assert ranges is not None and compared is not None
            found["float_bytes"] = draft.stat().st_size
            say(f"ranges of the activations from {len(ranges)} faces")
            names, faces = list(chip_inputs(model)), _chips(model, ranges)
            quantise(draft, small, (dict(zip(names, own, strict=True)) for own in _batches(faces)))
            found |= _agreement(small, model, compared)
            found["ranges_from"] = len(ranges)
            chosen = small
        found["bytes"] = chosen.stat().st_size
        _describe(chosen, model, found, run.int8)
        if run.int8:
            _agrees(run, found)
        chosen.replace(run.out)
    finally:
        for path in (draft, small):
            path.unlink(missing_ok=True)
    # Not `<name>.json`: that is the card of an ensemble of this name.
    drafts.write(run.out.with_name(f"{run.out.name}.json"), to_json(found))
    say(f"{run.out} written, {found['bytes'] / 2**20:.1f} MiB")
    return found


def _faces(run: ExportRun, say: Say) -> tuple[SampleTable | None, SampleTable | None]:
    """Faces that set the ranges, and others that are compared on."""
    if not run.data:
        return None, None
    table = prepared(run.data, run.limit, run.skip_bad, say)
    if "train" in table.split:
        table = table.with_validation(Recipe().validation_share)  # so that no test face is looked at
    rng = np.random.default_rng(0)

    def some(rows: np.ndarray, count: int) -> SampleTable:
        return table.rows(np.sort(rng.permutation(rows)[:count]))

    own = np.flatnonzero(table.split == "train")
    others = np.flatnonzero(table.split == ("val" if "val" in table.split else "test"))
    if not len(own) or not len(others):  # one split: halves
        order = rng.permutation(len(table))
        own, others = order[: len(order) // 2], order[len(order) // 2 :]
    if not len(own) or not len(others):
        raise DataError(f"data set '{table.name}' has too few faces to compare on")
    return some(own, _RANGES), some(others, _COMPARED)


def _chips(model: Model, table: SampleTable) -> list[ByteArray]:
    return [
        np.stack([faces.chip(row) for row in range(len(table))])
        for faces in (ChipDataset(table, spec) for spec in chip_inputs(model).values())
    ]


def _random(model: Model) -> list[ByteArray]:
    rng = np.random.default_rng(0)
    return [
        rng.integers(0, 256, (_RANDOM, spec.size, spec.size, 3)).astype(np.uint8)
        for spec in chip_inputs(model).values()
    ]


def _batches(chips: Sequence[ByteArray]) -> Iterator[list[ByteArray]]:
    for start in range(0, len(chips[0]), _BATCH):
        yield [own[start : start + _BATCH] for own in chips]


def onnx_outputs(path: Path, chips: Sequence[ByteArray]) -> dict[str, FloatArray]:
    """Outputs of an exported file on a CPU.

    Args:
        chips: for each input, uint8 (n, S, S, 3).
    """
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs, outputs = ([v.name for v in values] for values in (session.get_inputs(), session.get_outputs()))
    parts = [session.run(outputs, dict(zip(inputs, own, strict=True))) for own in _batches(chips)]
    return {name: np.concatenate([np.asarray(part[i]) for part in parts]) for i, name in enumerate(outputs)}


def _both(
    path: Path, model: Model, chips: Sequence[ByteArray]
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    parts = [torch_outputs(model, own) for own in _batches(chips)]
    wanted = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return wanted, onnx_outputs(path, chips)


def _difference(path: Path, model: Model, chips: Sequence[ByteArray]) -> dict[str, float]:
    wanted, got = _both(path, model, chips)
    return {name: float(np.abs(got[name] - value).max()) for name, value in wanted.items()}


def _within(run: ExportRun, found: dict[str, dict[str, float]]) -> None:
    for faces, values in found.items():
        name = max(values, key=lambda key: values[key])
        if not values[name] <= run.tolerance:  # NaN is not within either
            raise DataError(
                f"the exported model differs from the original by {values[name]:.2g} in '{name}' on {faces}, more "
                f"than {run.tolerance:g}: nothing was written",
                "Raise --tolerance if that is near enough.",
            )


def _agreement(path: Path, model: Model, table: SampleTable) -> dict[str, Any]:
    wanted, got = _both(path, model, _chips(model, table))
    agreement: dict[str, float] = {}
    for name, head in model.heads.items():
        if head.labels.kind == "exclusive":
            same = wanted[name].argmax(axis=1) == got[name].argmax(axis=1)
        else:
            same = (wanted[name] >= 0.5) == (got[name] >= 0.5)
        agreement[name] = float(same.mean())
    found: dict[str, Any] = {
        "agreement": agreement,
        "mean_difference": {name: float(np.abs(got[name] - v).mean()) for name, v in wanted.items()},
        "int8_largest_difference": {name: float(np.abs(got[name] - v).max()) for name, v in wanted.items()},
    }
    try:
        head = head_for(model, table)
        labelled = aligned(table, model.head(head).labels)
    except DataError:  # faces without labels of this model's: they compare all the same
        return found
    if labelled.labels.kind == "exclusive":
        truth = labelled.target.argmax(axis=1)
        found["accuracy"] = {
            kind: float((prob[head].argmax(axis=1) == truth).mean())
            for kind, prob in (("float", wanted), ("int8", got))
        }
    return found


def _agrees(run: ExportRun, found: dict[str, Any]) -> None:
    name = min(found["agreement"], key=lambda key: found["agreement"][key])
    if found["agreement"][name] < run.min_agreement:
        raise DataError(
            f"8 bits leave '{name}' as it is for {found['agreement'][name]:.1%} of {found['faces_compared']} faces, "
            f"fewer than {run.min_agreement:.0%}: nothing was written",
            "Export without --int8, or lower --min-agreement if that is good enough.",
        )


def _describe(path: Path, model: Model, found: dict[str, Any], int8: bool) -> None:
    """Put into the file what its user must know."""
    import onnx

    graph = onnx.load(str(path))
    heads = {name: head.labels.to_dict() for name, head in model.heads.items()}
    looks = sorted({"two" if network.network.spec.mirror else "one" for network in model.networks})
    facts = {
        "engagement_version": __version__,
        "checkpoint": model.name,
        "sha256": model.sha256,
        "licence": model.record.licence,
        "labels": json.dumps(heads),
        "chips": json.dumps(found["inputs"]),
        "calibration": json.dumps({"in_the_graph": True, **plain(dict(model.record.calibration))}),
        "input": "uint8 (faces, size, size, 3), RGB, cut as 'chips' says; normalisation is part of the graph",
        "output": "calibrated probabilities per head; softmax for exclusive labels, independent ones by themselves",
        "looks": f"{' or '.join(looks)} at each face; `engagement analyze` takes two (a face and its mirror image, averaged) "
        "unless told --no-mirror",
        "precision": "int8" if int8 else "float32",
        "compared_with_torch": json.dumps(
            plain({k: v for k, v in found.items() if "difference" in k or k == "agreement"})
        ),
    }
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, facts)
    onnx.save(graph, str(path))
