"""What the frame model says of pictures it was not trained on, computed once and kept in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.special import log_softmax

from engagement.errors import ConfigError, DataError, WeightsError
from engagement.faces.chips import normalize_chips
from engagement.inference import channels_last
from engagement.labels import EXPRESSIONS, LEARNER_STATES
from engagement.types import ByteArray, ChipSpec, FloatArray
from temporal.base import SCORE_COUNT
from temporal.chips import grey_chips
from training import Say
from training.cache import Arrays, cached, key_of
from training.datasets.parquet import WACV_LEVELS
from training.datasets.registry import load
from training.held_out import fitted_to_validation, learned_from, rules_of, states_phase
from training.measuring.opened import Opened, open_network
from training.samples.augment import Augmentation
from training.samples.chip_dataset import ChipDataset
from training.samples.table import SampleTable
from training.temporal.sequences import Pool

#: How one face varies from frame to frame: the box moves, the light changes, the codec interferes.
FRAME_VARIATION = Augmentation(shift=0.04, scale=0.08, roll_deg=5, light=0.12, low_resolution=0.15, jpeg=0.2)
VARIATIONS = 4

#: Faces that go through the network together; bounds memory.
_BATCH = 64

#: Share of RAF-DB that the shipped networks' trainings kept from themselves.
_HELD_OUT = 0.1

#: A frame model whose head, of each kind, does not know the faces that smoothers learn from.
_BETTER = {
    "expression": f"a base that held out at least {_HELD_OUT:.0%} of RAF-DB (engagement train base with a "
    f"validation_share of {_HELD_OUT} or more), and --frame-weights of what train states makes of it",
    "state": "engagement train states --fit train, without --more, and --frame-weights of what it writes",
}

#: Engagement that each of WACV-2016's three levels stands for.
_LEVEL_ENGAGEMENT = np.array([0.0, 0.5, 1.0], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class FrameModel:
    """A face_state network ready to look at chips."""

    opened: Opened

    @property
    def chip(self) -> ChipSpec:
        """Geometry and normalisation of its chips."""
        return self.opened.chip

    @property
    def key(self) -> str:
        """Names this model, and that it looks twice, in file names."""
        return f"{self.opened.sha256[:12]}-twice"

    @property
    def learned(self) -> dict[str, list[str]]:
        """Head -> which pictures that smoothers are fitted to and judged by it has learned from; often none.

        Scores of faces that were learned from are near perfect, which makes every smoother look harmful.
        """
        known = {"expression": self._learned_expressions, "state": self._learned_states}
        return {head: faces for head, faces in known.items() if faces}

    @property
    def beware(self) -> list[str]:
        """What is wrong with heads that know the faces which smoothers learn from, and what would be better."""
        return [
            f"the {head} head of '{self.opened.name}' has learned from {' and '.join(faces)}, of whom its scores are "
            f"truer than of anybody else. Better: {_BETTER[head]}"
            for head, faces in self.learned.items()
        ]

    @property
    def _learned_expressions(self) -> list[str]:
        if not learned_from(self.opened, "rafdb"):
            return []
        rules = rules_of(self.opened, "rafdb")
        surely = all(rule and not rule.transfer and rule.share >= _HELD_OUT for rule in rules)
        return [] if surely else ["RAF-DB's validation faces"]

    @property
    def _learned_states(self) -> list[str]:
        validation = ["DAiSEE's validation people"] if fitted_to_validation(self.opened, "daisee") else []
        more = states_phase(self.opened).get("more")
        others = more.get("data", ()) if isinstance(more, Mapping) else ()
        return [*validation, *(f"people of {name}" for name in others)]

    def logits(self, chips: ByteArray) -> FloatArray:
        """Calibrated log probabilities and log odds.

        Args:
            chips: uint8 (n, S, S, 3); any number, they go through the network in batches.

        Returns:
            float32 (n, 10); softmax over the first 7, sigmoid of the last 3.
        """
        parts = [self._logits(chips[start : start + _BATCH]) for start in range(0, len(chips), _BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, SCORE_COUNT), np.float32)

    @torch.inference_mode()
    def _logits(self, chips: ByteArray) -> FloatArray:
        batch = torch.from_numpy(normalize_chips(chips, self.chip))
        out = self.opened.network(batch.contiguous(memory_format=torch.channels_last)).logits
        expression, state = (self.opened.scaled(head, out[head].numpy()) for head in ("expression", "state"))
        return np.concatenate([log_softmax(expression, axis=1), state], axis=1).astype(np.float32)


def load_frame_model(reference: str | Path) -> FrameModel:
    """A frame model by shipped name, ``default`` or path.

    Raises:
        WeightsError: it lacks one of the two heads, or has other labels.
    """
    opened = open_network(str(reference))
    for head, labels in (("expression", EXPRESSIONS), ("state", LEARNER_STATES)):
        if head not in opened.network.spec.heads or opened.head(head).labels != labels:
            raise WeightsError(
                f"the weights '{opened.name}' have no '{head}' head with our labels",
                "Train both heads before the temporal models.",
            )
    channels_last(opened.network.eval())
    opened.look_twice()  # as `analyze` does
    return FrameModel(opened)


def look_at(
    model: FrameModel, table: SampleTable, chip_px: int, variations: int = VARIATIONS
) -> tuple[FloatArray, ByteArray]:
    """What the frame model says of a table; variation 0 is the picture as inference cuts it.

    Returns:
        logits float32 (n, variations, 10) and grey chips uint8 (n, variations, chip_px, chip_px).
    """
    logits: list[FloatArray] = []
    small: list[ByteArray] = []
    for version in range(variations):
        dataset = ChipDataset(table, model.chip, FRAME_VARIATION if version else None)
        dataset.epoch = version
        for start in range(0, len(table), _BATCH):
            chips = np.stack([dataset.chip(i) for i in range(start, min(start + _BATCH, len(table)))])
            logits.append(model.logits(chips))
            small.append(grey_chips(chips, chip_px))
    n = len(table)
    return (
        np.concatenate(logits).reshape(variations, n, -1).swapaxes(0, 1).copy(),
        np.concatenate(small).reshape(variations, n, chip_px, chip_px).swapaxes(0, 1).copy(),
    )


def _truth(table: SampleTable) -> tuple[np.ndarray, FloatArray]:
    expression = np.full(len(table), -1, np.int64)
    state = np.full((len(table), len(LEARNER_STATES)), np.nan, np.float32)
    if table.labels == EXPRESSIONS:
        expression = table.target.argmax(axis=1).astype(np.int64)
    elif table.labels == LEARNER_STATES:
        state = table.target
    elif table.labels == WACV_LEVELS:
        state[:, LEARNER_STATES.index("engagement")] = _LEVEL_ENGAGEMENT[table.target.argmax(axis=1)]
    else:
        raise DataError(f"data set '{table.name}' labels '{table.labels.name}', which no smoother learns")
    return expression, state


def pool(
    model: FrameModel,
    data: Path,
    name: str,
    split: str,
    folder: Path,
    chip_px: int,
    limit: int | None = None,
    say: Say = lambda _: None,
) -> Pool:
    """The pool of one split of a data set; looked at once, then what the frame model said is read from ``folder``.

    Args:
        model: the frame model.
        data: folder of the Parquet sets.
        name: ``rafdb``, ``daisee`` or ``wacv2016``.
        split: ``train``, ``val`` or ``test``.
        folder: of the run; holds the file.
        chip_px: side of the grey chips.
        limit: at most so many random pictures, for trials; for WACV the first ones of each person,
            since their order counts.
        say: takes messages.

    Raises:
        ConfigError: the limit leaves too few pictures of an expression.
        DataError: the split is what the frame model was trained on.
    """
    if split == "train" and name in ("rafdb", "daisee"):
        raise DataError(f"the frame model was trained on the train split of '{name}'", "Use val or test.")
    # The same share and hash as in the frame model's training, so these are pictures that its
    # backbone did not see (of the state head see ``FrameModel.learned``).
    table = load(f"{data}:{name}").with_validation(_HELD_OUT).part(split)
    if limit is not None and limit < len(table):
        table = _first_of_each(table, limit) if name == "wacv2016" else table.limited(limit)
        _require_two_of_each(table, limit)
    # Labels and people are not kept: the file's name does not depend on them, and they may be corrected.
    expression, state = _truth(table)

    def look() -> Arrays:
        say(f"looking at {len(table)} pictures of {name} ({split}) with '{model.opened.name}'")
        # WACV's frames are in order and vary by themselves.
        logits, chips = look_at(model, table, chip_px, 1 if name == "wacv2016" else VARIATIONS)
        return {"logits": logits, "chips": chips}

    path = folder / "outputs" / f"{name}-{split}-{model.key}-{chip_px}px-{key_of(table)}.npz"
    held = cached(path, look)
    return Pool(name, held["logits"], held["chips"], expression, state, table.group)


def _first_of_each(table: SampleTable, limit: int) -> SampleTable:
    groups = list(dict.fromkeys(table.group.tolist()))
    each = max(1, limit // len(groups))
    return table.rows(np.concatenate([np.flatnonzero(table.group == g)[:each] for g in groups]))


def _require_two_of_each(table: SampleTable, limit: int) -> None:
    """One picture of each expression fits, another one validates; said before any is looked at."""
    lacking = [c for c, n in zip(table.labels.classes, table.target.sum(axis=0), strict=True) if n < 2]
    if table.labels == EXPRESSIONS and lacking:
        raise ConfigError(
            f"--limit {limit} leaves fewer than two pictures of: {', '.join(lacking)}",
            f"Give at least {2 * len(EXPRESSIONS)}, or leave it out.",
        )
