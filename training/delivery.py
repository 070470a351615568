"""From a trained network to the files a user gets: weights, figures, card.

The tensors are written first and read back: calibration and figures belong to the file (half
precision), not to the network that training held in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engagement.classification.classifier import calibrate
from engagement.classification.network import FaceStateNet
from engagement.types import ChipSpec, FloatArray
from engagement.weights.store import WeightRecord, save_weights
from training import Say
from training.figure_text import plain, to_json
from training.measuring.calibration import calibration_of
from training.measuring.opened import Opened, kept, open_network
from training.measuring.outcome import DRAWS, Outcome
from training.measuring.prediction import predict
from training.report.cards import split_title, write_card
from training.report.cost import cost, efficiency
from training.report.drawing import read_history
from training.report.page import write_report
from training.samples.table import SampleTable


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A network that was trained, and what is to be known of it.

    Attributes:
        network: in memory; what is written is half precision.
        head: the head that was trained.
        chip: geometry and normalisation it was trained with.
        measured_on: split name -> table; the first one calibrates.
        origin: command, data, settings, initial weights.
        licence: terms of the data and of the base.
        unseen: logits of the calibrating table's n faces, (n, classes), where the network learned from them: by heads
            that did not. Its figures are then about those.
        base: where the network's other heads come from, with their calibration and figures.
        beware: why figures of the calibrating table may be too good; kept with them.
    """

    network: FaceStateNet
    head: str
    chip: ChipSpec
    measured_on: Mapping[str, SampleTable]
    origin: Mapping[str, Any]
    licence: str
    unseen: FloatArray | None = None
    base: Opened | None = None
    beware: Sequence[str] = ()


def deliver(
    path: Path, trained: Trained, *, log: Path | None = None, gallery: bool = False, say: Say = lambda _: None
) -> dict[str, Any]:
    """Write the weight file, and beside it ``metrics.json``, ``cost.json``, ``model_card.md`` (and ``.json``)
    and ``report.html``.

    Args:
        path: of the weight file.
        trained: what is written.
        log: figures of each epoch, where there were any; a folder may hold those of an earlier run.
        gallery: show misclassified faces on the page: pictures of people on a disk.
        say: gets one line.

    Returns:
        the figures of the head: split -> figures.
    """
    head, base, spec = trained.head, trained.base, trained.network.spec
    calibrations = kept(base.record.calibration, spec, head) if base else {}
    metrics = kept(base.record.metrics, spec, head) if base else {}
    # A file that is not ready must not look like one that is.
    draft = path.with_name(path.stem + ".draft.safetensors")
    try:
        halved, outcomes = _measured(draft, trained, calibrations, metrics)
    finally:
        draft.unlink(missing_ok=True)
    found = {split: outcome.figures(DRAWS) for split, outcome in outcomes.items()}
    if trained.beware:
        calibrating = found[next(iter(trained.measured_on))]
        calibrating["beware"] = [*trained.beware, *calibrating.get("beware", ())]
    metrics[head] = plain(found)
    digest = write_network(
        path, halved.network, trained.chip, calibrations, metrics, trained.origin, trained.licence
    )
    folder, written = path.parent, open_network(str(path))
    spent = cost(written)
    if written.head(head).labels.kind == "exclusive":
        spent["accuracy_per_gflop"] = {
            split: efficiency(values, spent["gflops"]) for split, values in found.items()
        }
    (folder / "metrics.json").write_text(to_json(metrics[head]), encoding="utf-8")
    (folder / "cost.json").write_text(to_json(spent), encoding="utf-8")
    write_card(folder / "model_card.md", written.record, path.name, digest, spent)
    recipe = trained.origin.get("recipe")
    write_report(
        folder / "report.html",
        written,
        head,
        {split_title(split): values for split, values in found.items()},
        spent,
        outcomes={split_title(split): outcome for split, outcome in outcomes.items()} if gallery else None,
        history=read_history(log) if log else [],
        recipe=recipe if isinstance(recipe, Mapping) else None,
    )
    say(f"{path} written, sha256 {digest[:12]}…; report.html beside it shows its figures")
    return metrics[head]


def _measured(
    draft: Path, trained: Trained, calibrations: dict[str, Any], metrics: Mapping[str, Any]
) -> tuple[Opened, dict[str, Outcome]]:
    """The network as a file has it, and what it says of each split's faces.

    Args:
        draft: place of that file.
        calibrations: by head; gets that of the trained one.
        metrics: by head.
    """
    head, chip, origin, licence = trained.head, trained.chip, trained.origin, trained.licence
    write_network(draft, trained.network, chip, calibrations, metrics, origin, licence)
    halved = open_network(str(draft))
    calibrating, *others = trained.measured_on
    validation = trained.measured_on[calibrating]
    logits = trained.unseen
    if logits is None:
        logits = predict(halved.network, validation, chip)[head]
    calibrations[head] = calibration_of(logits, validation)
    write_network(draft, halved.network, chip, calibrations, metrics, origin, licence)
    halved = open_network(str(draft))
    known = calibrate(logits, halved.head(head).labels, calibrations[head])
    often = calibrations[head].get("often")
    shares = None if often is None else np.asarray(often, np.float32)
    outcomes = {calibrating: Outcome(validation, known, shares)}
    return halved, outcomes | {
        split: Outcome.of(halved, head, trained.measured_on[split]) for split in others
    }


def write_network(
    path: Path,
    network: FaceStateNet,
    chip: ChipSpec,
    calibration: Mapping[str, Any],
    metrics: Mapping[str, Any],
    origin: Mapping[str, Any],
    licence: str,
) -> str:
    """Write a FaceStateNet as a weight file; returns its sha256."""
    record = WeightRecord(
        kind="face_state",
        network=network.spec.to_dict(),
        chip=chip.to_dict(),
        calibration=calibration,
        metrics=metrics,
        licence=licence,
        origin=origin,
    )
    return save_weights(path, record, network.state_dict())
