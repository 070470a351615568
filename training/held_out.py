"""Which faces a training keeps from itself to validate on, and how to find them again afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engagement.errors import DataError
from engagement.wording import count
from training import Say
from training.measuring.opened import Opened
from training.recipes.recipe import Recipe
from training.samples.division import by_unit
from training.samples.table import ImageSource, SampleTable

#: Of the training faces, where own faces have no validation split.
TRANSFER_SHARE = 0.2
#: So many of the faces that were held out are recorded one by one.
_SOME = 40
#: Share of the validation pictures: fewer copies than that change no figure that is shown.
_FEW_COPIES = 0.01


def with_transfer_validation(table: SampleTable) -> SampleTable:
    """A share of one's own training faces validates: of each class, where the sources allow it."""
    if table.labels.kind != "exclusive":
        return table.with_validation(TRANSFER_SHARE, stratified=True)
    table = by_source(table)
    rows = np.flatnonzero(table.split == "train")
    if not len(rows) or len(np.unique(table.group[rows])) == len(rows):
        return table.with_validation(TRANSFER_SHARE, stratified=True)
    labels = [table.labels.classes[i] for i in table.target[rows].argmax(axis=1)]
    split = table.split.copy()
    split[rows] = by_unit(table.group[rows].tolist(), labels, {"val": TRANSFER_SHARE})
    # Nothing can be spared, or too little for a unit: what says why, or chooses by shares alone.
    return replace(table, split=split) if "val" in split else table.with_validation(TRANSFER_SHARE, True)


def by_source(table: SampleTable) -> SampleTable:
    """Whole videos as groups, where every class comes from two of them at least; else blocks of time.

    Blocks of one video resemble each other, so figures from other videos are the more honest ones.
    """
    source = table.source
    enough = all(len(np.unique(source[table.target[:, c] > 0.5])) > 1 for c in range(len(table.labels)))
    return replace(table, group=source) if enough else table


def require_disjoint(table: SampleTable) -> None:
    """Raise DataError when a group (a person) stands in two splits."""
    sides: dict[str, set[str]] = {}
    for group, split in zip(table.group.tolist(), table.split.tolist(), strict=True):
        sides.setdefault(group, set()).add(split)
    both = sorted(group for group, splits in sides.items() if len(splits) > 1)
    if both:
        stand = count(len(both), "person or source stands", "people or sources stand")
        raise DataError(
            f"data set '{table.name}': {stand} in two splits, first '{both[0]}'",
            "Split by person: figures on people that were trained on mean nothing.",
        )


def flattering(table: SampleTable) -> list[str]:
    """Why figures of the validation split may be too good: it holds what is learned from, or other seconds of it; else
    nothing."""
    return [*_copies(table), *_shared_videos(table)]


def _copies(table: SampleTable) -> list[str]:
    learned = {_content(image) for image in table.part("train").images}
    validating = table.part("val").images
    n = sum(_content(image) in learned for image in validating)
    if n < _FEW_COPIES * len(validating):
        return []
    return [
        f"learned from as well, under this or another name: {n} of {len(validating)} pictures that validate, so the figures "
        "flatter. `engagement dataset inspect --json` names them"
    ]


def _content(image: ImageSource) -> bytes:
    """Equal for files that are the same byte by byte."""
    return hashlib.sha256(image if isinstance(image, bytes) else image.read_bytes()).digest()


def _shared_videos(table: SampleTable) -> list[str]:
    said, learned = (set(table.part(split).source.tolist()) for split in ("val", "train"))
    if said & learned and len(np.unique(table.group)) < len(table):
        return [
            "validates on other seconds of the videos that are learned from, whose pictures look alike: "
            "the figures flatter. Capture two videos of each class, so that whole ones can be kept out"
        ]
    return []


def held_out(table: SampleTable, models: Sequence[Opened], say: Say) -> SampleTable:
    """The validation split as training chose it: never the test split, never pictures learned from.

    A set without one has it taken from its train split, as the trainings of the models did.

    Args:
        table: all splits of a data set.
        models: that are fitted or measured on the faces.
        say: is told where a model may know some of them all the same.

    Raises:
        DataError: the set has a test split alone.
    """
    if "val" in table.split:
        if fitted := sorted(m.name for m in models if fitted_to_validation(m, table.name)):
            say(
                f"warning: {', '.join(fitted)} learned from {table.name}'s validation split as well, so these figures flatter; "
                "the model card has those of people held out in turn"
            )
        return table.part("val")
    if set(table.split.tolist()) == {"test"}:
        raise DataError(
            f"data set '{table.name}' has a test split alone",
            "Nothing is chosen or fitted on it; give train or val.",
        )
    rule = _rule(table, models, say)
    chosen = rule.applied(table).part("val")
    if others := _divided_otherwise(table, rule, chosen, models):
        say(
            f"warning: {table.name}, or the way it is divided, is not as it was when {', '.join(sorted(others))} learned "
            "from it, so other faces are taken than were held out: some may have been learned, which flatters"
        )
    return chosen


def _rule(table: SampleTable, models: Sequence[Opened], say: Say) -> Rule:
    """How the trainings of the models held faces of a set out; says where they differ or do not tell."""
    rules = {(model.name, rule) for model in models for rule in rules_of(model, table.name)}
    known = sorted({rule for _, rule in rules if rule}, key=lambda rule: (rule.transfer, rule.share))
    unknown = sorted(name for name, rule in rules if rule is None)
    if len(known) > 1:
        say(
            f"warning: trainings held out different faces ({', '.join(map(str, known))}); {known[0]} is looked at, "
            "of which others may have learned some"
        )
    if unknown:
        say(
            f"warning: {table.name} has no validation split, and {', '.join(unknown)} may have learned from the faces "
            "taken for one: what comes of it flatters. Divide the set first (engagement faces split)"
        )
    return known[0] if known else Rule(Recipe().validation_share)


def _divided_otherwise(
    table: SampleTable, rule: Rule, chosen: SampleTable, models: Sequence[Opened]
) -> set[str]:
    """Names of the models whose trainings noted that they held out other faces than are ``chosen`` by the rule."""
    if rule.transfer or len(np.unique(table.group)) < len(table):
        there = digest_of(chosen)
        return {m.name for m in models if _noted(m, table.name) - {"", there}}
    # A hash of its name decides on each picture: none changes its side when others come or go, but all may
    # when they are called otherwise.
    names = set(_short(chosen))
    return {m.name for m in models if any(len(names & some) < len(some) / 2 for some in _some(m, table.name))}


def record_of(chosen: SampleTable) -> dict[str, Any]:
    """What trainings record of the faces that they held out: all by one digest, and some one by one."""
    return {
        "held_out": {chosen.name: digest_of(chosen)},
        "held_out_some": {chosen.name: _short(chosen)[:_SOME]},
    }


def _short(chosen: SampleTable) -> list[str]:
    """A short digest of each picture's name, sorted, so that the first ones are a fair choice."""
    return sorted(hashlib.sha256(str(name).encode()).hexdigest()[:8] for name in chosen.sample_id)


def digest_of(chosen: SampleTable) -> str:
    """Names the pictures of a table, whatever their order."""
    return hashlib.sha256("\n".join(sorted(chosen.sample_id.tolist())).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a training holds faces out: a share of them, in the way of base training or of transfer."""

    share: float
    transfer: bool = False

    def __str__(self) -> str:
        return f"{self.share:.0%} as {'transfer' if self.transfer else 'base training'} does"

    def applied(self, table: SampleTable) -> SampleTable:
        return with_transfer_validation(table) if self.transfer else table.with_validation(self.share)


def rules_of(model: Opened, data: str) -> set[Rule | None]:
    """Of all phases that learned from the set, or else of the first that has one; None where none is recorded."""
    made = list(phases(model.record.origin))
    # Of several sets each holds its share out, though the first one alone validates.
    about = {_of(phase) for phase in made if _learned(phase, data)}
    if about:
        return about
    rules = [rule for phase in made if (rule := _of(phase))]
    return {rules[-1] if rules else None}


def knows(model: Opened, held: SampleTable) -> bool:
    """Whether a model's training held out other faces of a set than these, so that it may have learned some of them."""
    about = [phase for phase in phases(model.record.origin) if _learned(phase, held.name)]
    return bool(about) and _noted(model, held.name) != {digest_of(held)}


def _noted(model: Opened, data: str) -> set[str]:
    """Digests of the faces of a set that the trainings on it held out; empty ones where none is recorded."""
    found = [p.get("held_out") for p in phases(model.record.origin) if _learned(p, data)]
    return {str(each.get(data, "")) if isinstance(each, Mapping) else "" for each in found}


def _some(model: Opened, data: str) -> list[set[str]]:
    """Of each training on a set, some of the faces it held out; none where none are recorded."""
    found = [p.get("held_out_some") for p in phases(model.record.origin) if _learned(p, data)]
    return [set(each[data]) for each in found if isinstance(each, Mapping) and each.get(data)]


def states_phase(model: Opened) -> Mapping[str, Any]:
    """What fitted a model's learner states, the last time; empty where nothing did."""
    for phase in phases(model.record.origin):
        head = phase.get("head")
        if isinstance(head, Mapping) and "name" not in head:  # of ``train states``
            return phase
    return {}


def fitted_to_validation(model: Opened, data: str) -> bool:
    """Whether a model's learner states were fitted to the validation split of a set as well, as is the default."""
    phase = states_phase(model)
    return _learned(phase, data) and "val" in (phase.get("fit") or ("val",))


def learned_from(model: Opened, data: str) -> bool:
    """Whether any phase of a model's training was on the data set of this name."""
    return any(_learned(phase, data) for phase in phases(model.record.origin))


def phases(origin: Any) -> Iterator[Mapping[str, Any]]:
    """What made a model, the last phase first."""
    while isinstance(origin, Mapping):
        yield origin
        origin = origin.get("base")


def _learned(phase: Mapping[str, Any], data: str) -> bool:
    # Several sets are joined by a sign that a name may have as well.
    return f"+{data}+" in f"+{phase.get('data', '')}+"


def _of(phase: Mapping[str, Any]) -> Rule | None:
    recipe, head = phase.get("recipe"), phase.get("head")
    # Null where the faces that were held out cannot be found again by their share.
    if isinstance(recipe, Mapping) and recipe.get("validation_share") is not None:
        return Rule(float(recipe["validation_share"]))
    if isinstance(head, Mapping) and "name" in head:  # a head of own classes (see training.transfer)
        return Rule(TRANSFER_SHARE, transfer=True)
    return None
