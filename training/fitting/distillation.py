"""Knowledge distillation (Hinton et al. 2015): what stronger models say of the training faces."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engagement.classification.network import FaceStateNet
from engagement.device import is_cpu
from engagement.errors import ConfigError
from engagement.faces.chips import normalize_chips, plain_chips, resized_chips
from engagement.inference import Run, openvino_there, runner
from engagement.labels import LabelSet
from engagement.types import ChipSpec, FloatArray
from training import Say
from training.cache import cached
from training.fitting.initial import weights_digest
from training.measuring.opened import Model, open_model
from training.recipes.recipe import Recipe
from training.samples.table import SampleTable


def taught_by(
    recipe: Recipe,
    table: SampleTable,
    chip: ChipSpec,
    device: torch.device,
    say: Say,
    keep: Path,
) -> Tensor | Teachers:
    """What a recipe's teachers say of n training faces, (n, classes), or who is to be asked about every batch.

    Args:
        chip: the student's.
        device: the student's.
        keep: see :func:`teacher_probabilities`.
    """
    if recipe.distil_views == "varied":
        return Teachers(recipe.distil, table.labels, chip, recipe.distil_temperature, str(device))
    return torch.from_numpy(teacher_probabilities(recipe.distil, table, recipe.distil_temperature, say, keep))


def teacher_probabilities(
    files: Sequence[str],
    table: SampleTable,
    temperature: float,
    say: Say = lambda _: None,
    keep: Path | None = None,
) -> FloatArray:
    """Averaged, softened probabilities of some models for every face, unvaried.

    Each model looks at the chips it was made for, and its own calibration comes before the softening: an
    overconfident one shall not outvote the others.

    Args:
        files: weight files of networks or ensembles (or ``default``) with a head of the table's classes
            and perhaps others, in whatever order.
        table: n faces with exclusive labels.
        temperature: logits are divided by it; above 1 tells more of the unlikely classes.
        say: gets one line per file.
        keep: folder where the answers stay and are looked for first: it takes minutes to give them, and a run that
            goes on, or another process of the same run, needs the same.

    Returns:
        float32 (n, classes) in the table's order, rows sum to 1.

    Raises:
        ConfigError: a model has no head that knows these classes.
        WeightsError: a file is missing or damaged.
    """
    if keep is None:
        return _asked(files, table, temperature, say)
    asked = "\n".join([table.digest(), str(temperature), *files, *map(weights_digest, files)])
    path = keep / f"teachers_{hashlib.sha256(asked.encode()).hexdigest()[:12]}.npz"
    return cached(path, lambda: {"prob": _asked(files, table, temperature, say)})["prob"]


def _asked(files: Sequence[str], table: SampleTable, temperature: float, say: Say) -> FloatArray:
    total = np.zeros((len(table), len(table.labels)), np.float32)
    for file in files:
        model = open_model(file)
        head, order = _head(model, table.labels)
        say(f"teacher {model.name}: looking at {len(table)} faces")
        total += _softened(model.probabilities(head, table)[:, order], temperature)
    return np.asarray(total / len(files), np.float32)


class Teachers:
    """Models that say of varied, even mixed pictures what :func:`teacher_probabilities` says of plain ones.

    Student and teachers then agree on far more pictures than there are, so that what the teachers do between the
    training faces is learned too (Beyer et al. 2022, "Knowledge distillation: a good teacher is patient and
    consistent"). Every step costs the teachers' passes.

    Args:
        files: weight files of networks or ensembles (or ``default``).
        labels: n classes of the answers; each model has a head with these, and perhaps others.
        chip: geometry and normalisation of the pictures that will be given. A teacher of another size gets them
            resized.
        temperature: see :func:`teacher_probabilities`.
        device: where the teachers run; what torch calls it.

    Raises:
        ConfigError: a model has no head of these classes, or was made for another part of the face.
        WeightsError: a file is missing or damaged.
    """

    def __init__(
        self, files: Sequence[str], labels: LabelSet, chip: ChipSpec, temperature: float, device: str
    ) -> None:
        self._temperature, self._labels, self._chip = temperature, labels, chip
        self._made_of = tuple(files), labels, chip, temperature, device
        device = "openvino" if is_cpu(device) and openvino_there() else device
        self._models = [self._ready(open_model(file), device) for file in files]

    def __reduce__(self) -> tuple[type[Teachers], tuple[Any, ...]]:
        return Teachers, self._made_of  # for another process, which makes its own ready

    def __deepcopy__(self, _: object) -> Teachers:
        return self  # they do not learn: who copies what is trained shares them

    def _ready(self, model: Model, device: str) -> _Teacher:
        head, order = _head(model, self._labels)
        for member in model.networks:
            still = "distil_views=still, which cuts a chip for each teacher."
            if member.chip.equalize:
                raise ConfigError(
                    f"distil_views 'varied': {member.name} sees faces in evened light", f"Set {still}"
                )
            if member.chip.margin != self._chip.margin:
                raise ConfigError(
                    f"distil_views 'varied': {member.name} sees faces with margin {member.chip.margin:g}, the student "
                    f"with margin {self._chip.margin:g}",
                    f"Set margin={member.chip.margin:g}, or {still}",
                )
        runs = [
            runner(_OfHead(member.network, head), self._example(member.chip), (0,), device)
            for member in model.networks
        ]
        return _Teacher(model, head, order, runs)

    def __call__(self, chips: Tensor) -> Tensor:
        """What they say, softened and averaged.

        Args:
            chips: float32 (n, 3, S, S), normalised as ``chip`` says.

        Returns:
            float32 (n, classes), rows sum to 1, on the device of the chips.
        """
        total = np.zeros((len(chips), len(self._labels)), np.float32)
        plain = plain_chips(chips.detach().float().cpu().numpy(), self._chip)
        for teacher in self._models:
            parts = [
                member.calibrated(
                    teacher.head,
                    run(normalize_chips(resized_chips(plain, member.chip.size), member.chip))[0],
                )
                for member, run in zip(teacher.model.networks, teacher.runs, strict=True)
            ]
            total += _softened(
                teacher.model.together(teacher.head, parts)[:, teacher.order], self._temperature
            )
        return torch.from_numpy(total / len(self._models)).to(chips.device)

    @staticmethod
    def _example(chip: ChipSpec) -> FloatArray:
        return np.zeros((2, 3, chip.size, chip.size), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Teacher:
    """A model ready to run: its head, where the head has the student's classes, and its networks in their order."""

    model: Model
    head: str
    order: list[int]
    runs: list[Run]


class _OfHead(nn.Module):
    def __init__(self, network: FaceStateNet, head: str) -> None:
        super().__init__()
        self.network, self.head = network, head

    def forward(self, chips: Tensor) -> Tensor:
        return self.network(chips.contiguous(memory_format=torch.channels_last)).logits[self.head]


def _softened(prob: FloatArray, temperature: float) -> FloatArray:
    """Of a softmax this power is the softmax of logits divided by the temperature; it suits means as well."""
    soft = np.clip(prob, 1e-12, 1) ** (1 / temperature)
    return np.asarray(soft / soft.sum(axis=1, keepdims=True), np.float32)


def distillation_loss(logits: Tensor, prob: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of softened predictions from the teachers', times temperature squared.

    The square keeps the gradients as large as those of the labels (Hinton et al. 2015, section 2).

    Args:
        logits: (n, classes) of the student.
        prob: (n, classes) of :func:`teacher_probabilities`, softened alike.
        temperature: of both.
    """
    softened = nn.functional.log_softmax(logits / temperature, dim=1)
    return nn.functional.kl_div(softened, prob, reduction="batchmean") * temperature**2


def _head(model: Model, wanted: LabelSet) -> tuple[str, list[int]]:
    """A head of these classes, and where it has them."""
    heads = model.heads
    for name, head in heads.items():
        if head.labels.kind == wanted.kind and set(head.labels.classes) >= set(wanted.classes):
            return name, [head.labels.index(c) for c in wanted.classes]
    have = "; ".join(f"{name}: {', '.join(head.labels.classes)}" for name, head in heads.items())
    raise ConfigError(
        f"distil: {model.name} has no head of the classes {', '.join(wanted.classes)}",
        f"Choose a teacher that has. This one has {have}",
    )
