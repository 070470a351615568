"""``engagement ensemble``: several checkpoints as one weight file that averages their probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from engagement.classification.ensemble import KIND, averaged
from engagement.errors import ConfigError
from engagement.labels import LabelSet
from engagement.provenance import terms_once
from engagement.types import FloatArray
from engagement.weights.store import WeightRecord, save_weights
from engagement.wording import count
from training import Say
from training.datasets.registry import prepared
from training.figure_text import plain
from training.fitting.initial import initial_file
from training.held_out import held_out, learned_from
from training.measuring.calibration import fit_temperature
from training.measuring.opened import Opened, open_model, open_network
from training.measuring.outcome import DRAWS, aligned, figures, measure
from training.report.cards import data_names, write_card
from training.report.cost import cost
from training.samples.table import SampleTable

#: Added to each vote in fitting: a member that is sure of nothing wrong must not make the loss infinite.
_TINY = 1e-9
#: Faces that speak for every member from the start: on few faces shares stay near equal ones.
_PRIOR = 3.0


@dataclass(frozen=True, slots=True)
class EnsembleRun:
    """What the command was asked to do.

    Attributes:
        checkpoints: two weight files or more, ``default`` and shipped names allowed.
        out: the weight file to write.
        shares: of the members, in proportion; None for equal ones, or fitted ones with ``fit``.
        fit: data set on whose validation split shares and a temperature are fitted.
        head: of exclusive classes that all members have.
        limit: pictures per split, None for all (trials).
        skip_bad: leave out damaged pictures instead of stopping.
        command: for the record.

    Raises:
        ConfigError: the options contradict each other.
    """

    checkpoints: tuple[str, ...]
    out: Path
    shares: tuple[float, ...] | None = None
    fit: str = ""
    head: str = "expression"
    limit: int | None = None
    skip_bad: bool = False
    command: str = "ensemble"

    def __post_init__(self) -> None:
        wrong: list[str] = []
        if len(self.checkpoints) < 2:
            wrong.append(f"{len(self.checkpoints)} checkpoint is no ensemble: give two or more")
        if self.shares is not None and self.fit:
            wrong.append("--weights and --fit exclude each other")
        if self.shares is not None and len(self.shares) != len(self.checkpoints):
            wrong.append(
                f"--weights has {count(len(self.shares), 'number')} for {count(len(self.checkpoints), 'checkpoint')}"
            )
        if self.shares is not None and not (
            all(np.isfinite(s) and s >= 0 for s in self.shares) and sum(self.shares) > 0
        ):
            wrong.append("--weights must be numbers of at least 0, one of them above 0")
        if self.limit is not None and not self.fit:
            wrong.append("--limit says nothing without --fit")
        if self.skip_bad and not self.fit:
            wrong.append("--skip-bad says nothing without --fit")
        # A shipped model has several names: its own, `default` perhaps, and its path.
        files = [file.resolve() for given in self.checkpoints if (file := initial_file(given))]
        if self.out.resolve() in files:
            wrong.append(f"-o {self.out.name} is one of the checkpoints, which would be lost")
        if len(set(files)) < len(files):
            wrong.append("one checkpoint is given twice: give it a larger share with --weights instead")
        if self.out.suffix != ".safetensors":
            wrong.append(f"-o {self.out.name} does not end in .safetensors")
        if wrong:
            raise ConfigError("; ".join(wrong))


def make_ensemble(run: EnsembleRun, say: Say = lambda _: None) -> dict[str, Any]:
    """Write the file, and beside it a card (``<name>.md`` and ``.json``).

    Returns:
        ``members`` (name, share and, with ``fit``, validation figures of each alone), ``temperature``, and
        with ``fit`` the ensemble's own validation figures under ``val``.

    Raises:
        ConfigError: a member has no such head, or one of other classes.
        DataError: the data have no validation split and none can be taken from a train split.
        WeightsError: a checkpoint is missing or damaged.
    """
    members = _opened(run.checkpoints)
    labels = _common_labels(members, run.head)
    shares = np.ones(len(members)) if run.shares is None else np.array(run.shares)
    shares = shares / shares.sum()
    found: dict[str, Any] = {"temperature": 1.0, "members": [{"name": m.name} for m in members]}
    table: SampleTable | None = None
    if run.fit:
        whole = prepared(run.fit, run.limit, run.skip_bad, say, lambda found: held_out(found, members, say))
        table = aligned(whole, labels)
        say(f"{table.name}: {len(table)} faces of the validation split to fit the shares on")
        # The half-precision file holds the same numbers as its members' files, so they can speak for it.
        parts = [m.probabilities(run.head, table) for m in members]
        shares = fit_shares(parts, table.target)
        mean = averaged(parts, shares.tolist())
        found["temperature"] = fit_temperature(np.log(mean + _TINY).astype(np.float32), table.target)
        for entry, part in zip(found["members"], parts, strict=True):
            alone = figures(part, table.target, table.group, labels)
            entry |= {key: alone[key] for key in ("accuracy", "mean_class_accuracy", "ece")}
    for entry, share in zip(found["members"], shares, strict=True):
        entry["share"] = float(share)
    path = run.out
    record = _record(run, members, labels, shares, found["temperature"])
    tensors = {f"{i}.{key}": value for i, m in enumerate(members) for key, value in _own(m, run.head).items()}
    digest = save_weights(path, record, tensors)
    if table is not None:
        found["val"] = measure(open_model(str(path)), run.head, table, DRAWS)
        if beware := _beware(members, run.head, table.name, found["val"]):
            found["val"]["beware"] = beware
        metrics = {run.head: {"val": plain(found["val"])}}
        record = _record(run, members, labels, shares, found["temperature"], metrics)
        digest = save_weights(path, record, tensors)
    write_card(path.with_suffix(".md"), record, path.name, digest, cost(open_model(str(path))))
    say(f"{path} written, {len(members)} members, sha256 {digest[:12]}…")
    return found


def _beware(members: Sequence[Opened], head: str, data: str, found: Mapping[str, Any]) -> list[str]:
    """Why figures of an ensemble may be too good: for what is known of it, and of each member on the same set.

    What is wrong with a member's figures of another set says nothing of these faces.
    """
    same = [m for m in members if learned_from(m, data)]
    told = [(m.record.metrics.get(head) or {}).get("val") or {} for m in same]
    return list(dict.fromkeys(why for each in (*told, found) for why in each.get("beware", ())))


def fit_shares(parts: Sequence[FloatArray], target: FloatArray) -> NDArray[np.float64]:
    """Shares of the members that minimise the cross-entropy of their mean, with a weak prior for equal ones.

    The problem is convex.

    Args:
        parts: (n, classes) per member.
        target: (n, classes), rows sum to 1.

    Returns:
        (members,), at least 0, summing to 1.
    """
    stack = np.stack(parts).astype(np.float64)  # (members, n, classes)

    def loss(shares: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        mean = np.tensordot(shares, stack, 1) + _TINY
        prior = _PRIOR / len(target)
        gradient = -(target / mean * stack).sum(axis=2).mean(axis=1) - prior / (shares + _TINY)
        wrong = -(target * np.log(mean)).sum(axis=1).mean() - prior * np.log(shares + _TINY).sum()
        return float(wrong), gradient

    count = len(parts)
    found = minimize(
        loss,
        np.full(count, 1 / count),
        jac=True,
        method="SLSQP",
        bounds=[(1e-6, 1.0)] * count,
        constraints={
            "type": "eq",
            "fun": lambda shares: shares.sum() - 1,
            "jac": lambda _: np.ones(count),
        },
    )
    shares = np.clip(found.x, 0, None)
    return np.asarray(shares / shares.sum(), np.float64)


def _opened(references: Sequence[str]) -> list[Opened]:
    """The members; files of the same name are told apart by their folders."""
    members = [open_network(reference) for reference in references]
    names = [member.name for member in members]
    return [
        replace(member, name=f"{Path(reference).resolve().parent.name}/{member.name}")
        if names.count(member.name) > 1 and Path(reference).is_file()
        else member
        for member, reference in zip(members, references, strict=True)
    ]


def _common_labels(members: Sequence[Opened], head: str) -> LabelSet:
    first = members[0].head(head).labels
    if first.kind != "exclusive":
        raise ConfigError(
            f"head '{head}' has independent classes ({', '.join(first.classes)})",
            "An ensemble averages probabilities of classes that exclude each other.",
        )
    for member in members[1:]:
        labels = member.head(head).labels
        # Only the order of the first one could be kept, and the heads would have to be rewritten.
        if labels.classes != first.classes:
            raise ConfigError(
                f"{member.name} has the classes {', '.join(labels.classes)}, {members[0].name} has "
                f"{', '.join(first.classes)}",
                "Members of an ensemble need the same classes in the same order.",
            )
    return first


def _own(member: Opened, head: str) -> dict[str, Any]:
    """Tensors of the backbone and of the one head."""
    starts = ("backbone.", f"heads.{head}.")
    return {k: v for k, v in member.network.state_dict().items() if k.startswith(starts)}


def _record(
    run: EnsembleRun,
    members: Sequence[Opened],
    labels: LabelSet,
    shares: NDArray[np.float64],
    temperature: float,
    metrics: Mapping[str, Any] | None = None,
) -> WeightRecord:
    head = run.head
    entries = [
        {
            "name": m.name,
            "sha256": m.sha256,
            "share": float(share),
            "network": replace(m.network.spec, heads={head: m.head(head)}, identity_dim=0).to_dict(),
            "chip": m.chip.to_dict(),
            "calibration": {head: dict(m.record.calibration.get(head, {}))},
            "licence": m.record.licence,
            "origin": dict(m.record.origin),
        }
        for m, share in zip(members, shares, strict=True)
    ]
    names = [name for m in members for name in data_names(m.record.origin)]
    return WeightRecord(
        kind=KIND,
        network={"heads": {head: {"labels": labels.to_dict(), "hidden": 0}}, "members": entries},
        calibration={head: {"temperature": temperature}},
        metrics=metrics or {},
        licence="; ".join(terms_once("; ".join(m.record.licence for m in members if m.record.licence))),
        origin={
            "command": run.command,
            "data": "+".join(dict.fromkeys(names)),
            "members": [f"{e['name']} (sha256 {e['sha256'][:12]}, share {e['share']:.3f})" for e in entries],
            "shares": "fitted on the validation split of " + Path(run.fit).name if run.fit else "given",
        },
    )
