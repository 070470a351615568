"""New heads on a backbone that stays as it is: its features are computed once, the head fits in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from engagement.classification.network import FaceStateNet, HeadSpec, Read
from engagement.errors import DataError
from engagement.inference import channels_last
from engagement.types import ChipSpec, FloatArray
from training import Say
from training.fitting.loss import answer_weights, balanced_loss, class_weights
from training.samples.augment import policy
from training.samples.chip_dataset import ChipDataset
from training.samples.table import SampleTable

#: Features count as varying at least by this, and by this share of how large they are and of what varies most: what
#: varies less is rounding, and a weight divided by it leaves float16, in which heads are kept.
_LEAST, _LEAST_SHARE = 1e-4, 1e-3
#: Below it, of 1 or of how large they are, features do not vary at all: float32 holds no more digits.
_NOTHING = 1e-6


@dataclass(frozen=True, slots=True)
class HeadFit:
    """How a head is fitted to features.

    Attributes:
        hidden: units of one hidden layer per seed; 0 for a linear head (its optimum is unique).
        weight_decay: strength of the L2 penalty, per standardised feature.
        members: networks with different seeds whose logits are averaged; 1 for a linear head.
        steps, learning_rate, batch_size, dropout: of a hidden head's optimiser (AdamW).
        balance: weight of the classes: 0 pictures count equally, 1 classes do (exclusive labels).
        tied: columns that share one direction in the features, each with a threshold of its own: the steps of
            a grade (linear heads of independent labels).
        seed: of the first member.
    """

    hidden: int = 0
    weight_decay: float = 0.1
    members: int = 4
    steps: int = 300
    learning_rate: float = 2e-3
    batch_size: int = 512
    dropout: float = 0.4
    balance: float = 0.5
    tied: tuple[tuple[int, ...], ...] = ()
    seed: int = 1

    @property
    def units(self) -> int:
        """Hidden units of the exported head: the members stand side by side in it."""
        return self.hidden * self.members


@torch.inference_mode()
def features_of(
    network: FaceStateNet,
    table: SampleTable,
    chip: ChipSpec,
    views: int = 1,
    augmentation: str = "faces",
    seed: int = 1,
    say: Say = lambda _: None,
    reads: Sequence[Read] = (),
) -> FloatArray:
    """Backbone features of every face, without augmentation and then in augmented views.

    Args:
        reads: as of HeadSpec.

    Returns:
        float32 (views, n, d); ``[0]`` is what inference sees.
    """
    network = channels_last(network.eval())
    out: list[FloatArray] = []
    for view in range(views):
        dataset = ChipDataset(table, chip, policy(augmentation) if view else None, seed)
        dataset.epoch = view
        parts = []
        for start in range(0, len(dataset), 128):
            chips = torch.stack([dataset[i][0] for i in range(start, min(start + 128, len(dataset)))])
            trunk = network.trunk(chips.contiguous(memory_format=torch.channels_last), reads)
            parts.append(trunk.read(reads).numpy())
        out.append(np.concatenate(parts))
        say(f"{table.name}: features of view {view + 1} of {views} ({len(dataset)} faces)")
    return np.stack(out)


def require_varying(features: FloatArray, base: str) -> None:
    """Raise DataError when a base says the same of every face, so that no head can tell them apart.

    Args:
        features: (views, n, d).
        base: its name, for the message.
    """
    flat = torch.from_numpy(features.reshape(-1, features.shape[-1]))
    if not float(flat.std(dim=0).max()) > _NOTHING * max(1.0, _size(flat)):  # nor where they are no numbers
        raise DataError(
            f"the features of {base} are the same for all {features.shape[1]} faces, or no numbers: "
            "no head on it can tell them apart",
            "Give another --base: this one has not learned, or its training has failed.",
        )


def _size(flat: Tensor) -> float:
    """Root mean square."""
    return float(flat.square().mean().sqrt())


def fit_head(features: FloatArray, target: FloatArray, spec: HeadSpec, fit: HeadFit) -> dict[str, Tensor]:
    """Fit a head.

    Args:
        features: (views, n, d).
        target: (n, classes), as in SampleTable.
        spec: ``hidden`` must be ``fit.units``.
        fit: how.

    Returns:
        tensors of the head, with the names they have within it; features enter unstandardised.
    """
    views, n, width = features.shape
    flat = torch.from_numpy(np.ascontiguousarray(features.reshape(views * n, width)))
    mean, std = flat.mean(dim=0), flat.std(dim=0)
    # Dead features stay dead.
    std = std.clamp(min=max(_LEAST_SHARE * float(std.max()), _LEAST_SHARE * _size(flat), _LEAST))
    x = (flat - mean) / std
    y = torch.from_numpy(np.tile(target, (views, 1)))
    if not fit.hidden:
        weight, bias = _linear(x, y, spec, fit)
        return {"1.weight": weight / std, "1.bias": bias - weight @ (mean / std)}
    members = [_hidden(x, y, spec, fit, fit.seed + i) for i in range(fit.members)]
    first = torch.cat([m[0] for m in members])
    return {
        "1.weight": first / std,
        "1.bias": torch.cat([m[1] for m in members]) - first @ (mean / std),
        "4.weight": torch.cat([m[2] for m in members], dim=1) / fit.members,
        "4.bias": torch.stack([m[3] for m in members]).mean(dim=0),
    }


def apply_head(features: FloatArray, tensors: dict[str, Tensor]) -> FloatArray:
    """Logits (n, classes) of features (n, d) from the tensors of :func:`fit_head`."""
    x = torch.from_numpy(features) @ tensors["1.weight"].T + tensors["1.bias"]
    if "4.weight" in tensors:
        x = nn.functional.silu(x) @ tensors["4.weight"].T + tensors["4.bias"]
    return x.numpy()


def install_head(network: FaceStateNet, name: str, tensors: dict[str, Tensor]) -> None:
    """Put fitted tensors into a network's head."""
    network.heads[name].load_state_dict(tensors)


def _weights(y: Tensor, spec: HeadSpec, balance: float) -> Tensor:
    return class_weights(y.numpy(), balance) if spec.labels.kind == "exclusive" else answer_weights(y.numpy())


def _linear(x: Tensor, y: Tensor, spec: HeadSpec, fit: HeadFit) -> tuple[Tensor, Tensor]:
    row = torch.arange(y.shape[1])
    for columns in fit.tied:
        row[list(columns)] = columns[0]
    directions, row = torch.unique(row, return_inverse=True)
    weight = torch.zeros(len(directions), x.shape[1], requires_grad=True)
    bias = torch.zeros(y.shape[1], requires_grad=True)
    balance = _weights(y, spec, fit.balance)
    solver = torch.optim.LBFGS([weight, bias], max_iter=100, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        solver.zero_grad()
        logits = (x @ weight.T)[:, row] + bias
        loss = balanced_loss(logits, y, balance) + fit.weight_decay / 2 * (weight**2).sum()
        loss.backward()
        return loss

    solver.step(closure)
    return weight.detach()[row], bias.detach()


def _hidden(
    x: Tensor, y: Tensor, spec: HeadSpec, fit: HeadFit, seed: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first, last = nn.Linear(x.shape[1], fit.hidden), nn.Linear(fit.hidden, y.shape[1])
        net = nn.Sequential(nn.Dropout(fit.dropout), first, nn.SiLU(), nn.Dropout(fit.dropout), last)
        balance = _weights(y, spec, fit.balance)
        solver = torch.optim.AdamW(net.parameters(), fit.learning_rate, weight_decay=fit.weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(solver, fit.steps)
        for _ in range(fit.steps):
            rows = torch.randint(len(x), (min(fit.batch_size, len(x)),), generator=generator)
            solver.zero_grad()
            balanced_loss(net(x[rows]), y[rows], balance).backward()
            solver.step()
            schedule.step()
    return tuple(p.detach() for p in (first.weight, first.bias, last.weight, last.bias))  # type: ignore[return-value]
