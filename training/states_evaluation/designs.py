"""Linear heads on named blocks of inputs: reduced by principal components, fitted by weighted ridge regression.

Such a head is one matrix on the unreduced, unstandardised inputs (:meth:`LinearHead.folded`), so it costs
nothing in `analyze` beyond the inputs themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from engagement.errors import ConfigError, DataError
from engagement.types import FloatArray, IndexArray
from training.cache import Blocks

#: Ways to weigh the rows a head is fitted to.
WEIGHTINGS = ("answers", "people")


@dataclass(frozen=True, slots=True)
class Design:
    """A head that can be put into the network, or a baseline.

    Attributes:
        name: for tables.
        blocks: block -> its share of the inputs' total variance, before :attr:`strength` shrinks them.
        components: principal components kept of a block; 0 for all.
        strength: of the L2 penalty, in units of the mean variance of a reduced input.
        graded: fit the graded level instead of whether a state is present.
        weighting: ``answers``: both answers of a state count the same in total; ``people``: and each person by
            the root of their number of faces only.
        augmented: also fit to augmented views of the faces, where they are given.
    """

    name: str
    blocks: Mapping[str, float]
    components: int = 150
    strength: float = 0.3
    graded: bool = False
    weighting: str = "answers"
    augmented: bool = False

    def __post_init__(self) -> None:
        if not self.blocks or min(self.blocks.values()) <= 0:
            raise ConfigError(f"design '{self.name}': blocks {dict(self.blocks)} need shares above 0")
        if self.strength <= 0 or self.components < 0:
            raise ConfigError(f"design '{self.name}': strength or components out of range")
        if self.weighting not in WEIGHTINGS:
            raise ConfigError(
                f"design '{self.name}': weighting '{self.weighting}' is unknown",
                f"Choose one of: {', '.join(WEIGHTINGS)}",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Reduction:
    """Standardised principal components of one block: ``(x - mean) @ matrix``, total variance 1."""

    mean: FloatArray
    matrix: FloatArray

    def __call__(self, x: FloatArray) -> FloatArray:
        return np.asarray((x - self.mean) @ self.matrix, np.float32)


def fit_reduction(x: FloatArray, components: int) -> Reduction:
    """Standardise columns, keep the principal components (not whitened: large ones stay large).

    Args:
        x: (n, d). components: at most this many; 0 keeps all columns as they are.
    """
    import torch

    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.maximum(spread, max(1e-3 * float(spread.max()), 1e-6))  # dead inputs stay dead
    matrix = np.diag(1 / spread)
    if 0 < components < min(x.shape):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the method starts from random directions
            standard = torch.from_numpy(((x - mean) / spread).astype(np.float32))
            _, _, axes = torch.svd_lowrank(standard, q=min(components + 10, *x.shape), niter=2)
        matrix = axes[:, :components].numpy() / spread[:, None]
    reduced = (x - mean) @ matrix
    total = float(np.sqrt((reduced.astype(np.float64) ** 2).sum(axis=1).mean()))
    return Reduction(mean.astype(np.float32), (matrix / max(total, 1e-9)).astype(np.float32))


@dataclass(slots=True, eq=False)
class Reducer:
    """Reductions fitted to some rows, each made once for all designs that want it.

    Attributes:
        blocks: block -> (n, d). rows: those that reductions and heads are fitted to.
        views: blocks of augmented views of the same n faces.
    """

    blocks: Blocks
    rows: IndexArray
    views: Sequence[Blocks] = ()
    made: dict[tuple[str, int], tuple[Reduction, FloatArray]] = field(default_factory=dict)

    def reduction(self, block: str, components: int) -> tuple[Reduction, FloatArray]:
        """The reduction and what it makes of all rows."""
        if block not in self.blocks:
            raise ConfigError(
                f"there is no block of inputs '{block}'", f"There are: {', '.join(self.blocks)}"
            )
        if (block, components) not in self.made:
            found = fit_reduction(self.blocks[block][self.rows], components)
            self.made[block, components] = found, found(self.blocks[block])
        return self.made[block, components]

    def inputs(self, design: Design) -> list[FloatArray]:
        """(n, reduced) of all rows as they are, and of each augmented view that the design learns from."""
        found = [self.reduction(block, design.components) for block in design.blocks]
        out = [joined(design, [own for _, own in found])]
        for view in self.views if design.augmented else ():
            out.append(joined(design, [r(view[b]) for b, (r, _) in zip(design.blocks, found, strict=True)]))
        return out


def joined(design: Design, reduced: Sequence[FloatArray]) -> FloatArray:
    """Reduced blocks side by side, each with its share; float32 (n, reduced)."""
    shares = design.blocks.values()
    return np.concatenate(
        [np.float32(np.sqrt(s)) * own for s, own in zip(shares, reduced, strict=True)], axis=1
    )


@dataclass(frozen=True, slots=True, eq=False)
class LinearHead:
    """Scores ``inputs @ weight + bias`` of reduced inputs; weight (reduced, outputs), bias (outputs,)."""

    weight: FloatArray
    bias: FloatArray

    def __call__(self, inputs: FloatArray) -> FloatArray:
        return inputs @ self.weight + self.bias

    def folded(self, design: Design, reductions: Sequence[Reduction]) -> tuple[FloatArray, FloatArray]:
        """Weight (d, outputs) and bias for the blocks as they come from the network, side by side.

        Args:
            reductions: of the design's blocks, in order.
        """
        parts, bias, start = [], self.bias.copy(), 0
        for share, reduction in zip(design.blocks.values(), reductions, strict=True):
            width = reduction.matrix.shape[1]
            own = np.float32(np.sqrt(share)) * reduction.matrix @ self.weight[start : start + width]
            bias -= reduction.mean @ own
            parts.append(own)
            start += width
        return np.concatenate(parts).astype(np.float32), bias.astype(np.float32)


def fit_linear(inputs: FloatArray, answers: FloatArray, weights: FloatArray, strength: float) -> LinearHead:
    """Weighted ridge regression, one per output, in closed form.

    Args:
        inputs: (n, d). answers: (n, outputs). weights: (n, outputs), not negative.
        strength: of the penalty, in units of the inputs' mean variance.

    Returns:
        scores centred on 0 and of spread 1 over the rows (weighted), or all 0 where nothing is to be learned.

    Raises:
        DataError: an output has no weight at all.
    """
    columns, biases = [], []
    for answer, weight in zip(answers.T, weights.T, strict=True):
        if weight.sum() <= 0:
            raise DataError("a state is labelled on no face")
        own = (weight / weight.sum()).astype(np.float32)
        mean = own @ inputs
        centred = inputs - mean
        square = (centred * own[:, None]).T @ centred
        square[np.diag_indices_from(square)] += strength * max(float(np.trace(square)) / len(square), 1e-12)
        found = np.linalg.solve(square.astype(np.float64), centred.T @ (own * (answer - own @ answer)))
        spread = float(np.sqrt(own @ (centred @ found) ** 2))
        column = (found / spread if spread > 1e-9 else np.zeros_like(found)).astype(np.float32)
        columns.append(column)
        biases.append(-float(mean @ column))
    return LinearHead(np.stack(columns, axis=1), np.array(biases, np.float32))


def row_weights(answers: FloatArray, people: IndexArray, design: Design) -> FloatArray:
    """(n, outputs): both answers of each output the same in total, people as the design says.

    Args:
        answers: (n, outputs) of 0/1. people: (n,) numbers of persons.
    """
    own = np.ones(len(answers)) if design.weighting == "answers" else np.bincount(people)[people] ** -0.5
    out = np.empty(answers.shape, np.float32)
    for i, yes in enumerate(answers.T > 0.5):
        there, absent = float(own[yes].sum()), float(own[~yes].sum())
        out[:, i] = own * np.where(yes, 0.5 / max(there, 1e-9), 0.5 / max(absent, 1e-9))
    return out
