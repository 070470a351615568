"""Knowledge distillation (Hinton et al. 2015): what stronger models say of the training faces."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from engagement.errors import ConfigError
from engagement.labels import LabelSet
from engagement.types import FloatArray
from training.initial import weights_digest
from training.keeping import kept_as_they_are
from training.opened import Model, open_model
from training.samples import SampleTable


def teacher_probabilities(
    files: Sequence[str],
    table: SampleTable,
    temperature: float,
    say: Callable[[str], None] = lambda _: None,
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
    return kept_as_they_are(path, lambda: {"prob": _asked(files, table, temperature, say)})["prob"]


def _asked(
    files: Sequence[str], table: SampleTable, temperature: float, say: Callable[[str], None]
) -> FloatArray:
    total = np.zeros((len(table), len(table.labels)), np.float32)
    for file in files:
        model = open_model(file)
        head, labels = _head(model, table)
        say(f"teacher {model.name}: looking at {len(table)} faces")
        prob = model.probabilities(head, table)[:, [labels.index(name) for name in table.labels.classes]]
        # Of a softmax this power is the softmax of logits divided by the temperature; it suits means as well.
        soft = np.clip(prob, 1e-12, 1) ** (1 / temperature)
        total += soft / soft.sum(axis=1, keepdims=True)
    return np.asarray(total / len(files), np.float32)


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


def _head(model: Model, table: SampleTable) -> tuple[str, LabelSet]:
    heads = model.heads
    for name, head in heads.items():
        if head.labels.kind == table.labels.kind and set(head.labels.classes) >= set(table.labels.classes):
            return name, head.labels
    have = "; ".join(f"{name}: {', '.join(head.labels.classes)}" for name, head in heads.items())
    raise ConfigError(
        f"distil: {model.name} has no head of the classes {', '.join(table.labels.classes)}",
        f"Choose a teacher that has. This one has {have}",
    )
