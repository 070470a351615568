"""``engagement evaluate``: a model measured on a data set: same chips and calibration as in ``engagement analyze``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engagement.errors import ConfigError
from engagement.types import FloatArray
from engagement.wording import count
from training import Say
from training.datasets.framing import with_detected_faces
from training.datasets.registry import prepared
from training.held_out import held_out, learned_from
from training.measuring.opened import Model, open_model
from training.measuring.outcome import DRAWS, Outcome, answerable
from training.report.measurement import write_measurement
from training.samples.table import SampleTable


def chosen_split(table: SampleTable, split: str, model: Model, say: Say = lambda _: None) -> SampleTable:
    """``train``, ``val``, ``test`` or ``all`` of a table.

    A set without splits is taken whole for ``test``; ``val`` of one without is what the model's training held out.
    """
    if split not in ("train", "val", "test", "all"):
        raise ConfigError(f"--split '{split}' is none of train, val, test, all")
    if split == "val":
        return held_out(table, model.networks, say)
    without = split == "test" and set(table.split.tolist()) == {"train"}
    chosen = table if without or split == "all" else table.part(split)
    taught = [network.name for network in model.networks if learned_from(network, table.name)]
    if taught and "train" in chosen.split:
        what = (
            f"'{table.name}' has no test split"
            if without
            else f"--split {split} of '{table.name}' has training faces"
        )
        say(
            f"warning: {what}, and {', '.join(taught)} learned from it: these figures are of faces that "
            "taught it, and flatter. --split val takes those that it was not taught"
        )
    return chosen


def _one_box(box: FloatArray) -> list[float] | None:
    """The box that all pictures have, in fractions of their sides; None where they have their own."""
    return [round(v, 3) for v in box[0].tolist()] if (box == box[0]).all() else None


@dataclass(frozen=True, slots=True)
class EvaluateRun:
    """What ``engagement evaluate`` was asked to do; attributes are its options.

    Raises:
        ConfigError: pictures are asked for without a page.
    """

    data: str
    checkpoint: str = "default"
    split: str = "test"
    head: str | None = None
    detect: bool = False
    min_face_px: int = 24
    limit: int | None = None
    skip_bad: bool = False
    report: Path | None = None
    gallery: bool = False
    mirror: bool = True

    def __post_init__(self) -> None:
        if self.gallery and self.report is None:
            raise ConfigError("--gallery has no page to go to", "Add --report FOLDER, or leave it out.")
        ours = ("run.json", "recipe.json", "model_card.md")
        if self.report is not None and any((self.report / f).is_file() for f in ours):
            raise ConfigError(
                f"--report {self.report} is the folder of a training, whose report would be replaced",
                "Choose another folder.",
            )
        if self.min_face_px != 24 and not self.detect:
            raise ConfigError("--min-face says nothing without --detect", "Add --detect, or leave it out.")


def run_evaluation(run: EvaluateRun, say: Say = lambda _: None) -> dict[str, Any]:
    """Figures of :func:`figures` with intervals, and what was measured: data, split, checkpoint, head.

    Raises:
        DataError, ConfigError, WeightsError: naming the culprit.
    """
    model = open_model(run.checkpoint)
    if run.mirror:
        model.look_twice()
    head, left_out = run.head or "", dict[str, int]()

    def chosen(whole: SampleTable) -> SampleTable:
        """What is measured, in the head's order: classes that no head knows are refused before all is decoded."""
        nonlocal head, left_out
        part = chosen_split(whole, run.split, model, say)
        head, answered, left_out = answerable(model, run.head, part)
        for name, pictures in left_out.items():
            say(f"{part.name}: {count(pictures, 'picture')} of {name} left out: the model has no such class")
        if answered.labels.kind != part.labels.kind:
            say(f"{part.name}: each state against the others' faces, which count as not showing it")
        return answered

    table = prepared(run.data, run.limit, run.skip_bad, say, chosen, frame=not run.detect)
    pictures = len(table)
    if run.detect:
        table = with_detected_faces(table, run.min_face_px, say)
    outcome = Outcome.of(model, head, table)
    found = {
        "split": run.split,
        "checkpoint": model.name,
        "sha256": model.sha256,
        "head": head,
        "mirror": run.mirror and not model.head(head).once,
        "pictures": pictures,
        "without_face": pictures - len(table),
        **({"left_out": left_out} if left_out else {}),
        "face_box": _one_box(table.box),
        **outcome.figures(DRAWS),
    }
    if run.report is not None:
        write_measurement(run.report, model, outcome, found, run.gallery)
    return found
