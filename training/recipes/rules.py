"""What a recipe may say: ranges, names, and keys that need or exclude each other."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from engagement.wording import count
from training.samples.augment import POLICIES

if TYPE_CHECKING:
    from training.recipes.recipe import Recipe

MODES = ("finetune", "feature_extraction")
OPTIMIZERS = ("adamw", "adam", "sgd")
SCHEDULES = ("onecycle", "cosine", "plateau", "constant")
SAMPLINGS = ("shuffle", "balanced")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
NORMALIZATIONS = ("auto", "half", "imagenet")
DISTIL_VIEWS = ("still", "varied")


def complaints(recipe: Recipe) -> list[str]:
    """Everything that is wrong with a recipe, one sentence part each."""
    return [*_names(recipe), *_ranges(recipe), *_contradictions(recipe)]


def _names(r: Recipe) -> Iterable[str]:
    from engagement.classification.backbones import BACKBONES

    for key, known in (
        ("backbone", BACKBONES),
        ("augmentation", POLICIES),
        ("mode", MODES),
        ("optimizer", OPTIMIZERS),
        ("schedule", SCHEDULES),
        ("sampling", SAMPLINGS),
        ("precision", PRECISIONS),
        ("normalization", NORMALIZATIONS),
        ("distil_views", DISTIL_VIEWS),
    ):
        if getattr(r, key) not in known:
            yield f"{key} '{getattr(r, key)}' is none of {', '.join(known)}"


def _ranges(r: Recipe) -> Iterable[str]:
    # Written so that NaN is refused too.
    for key, low, high in (("size", 32, 512), ("margin", 0.5, 2), ("balance", 0, 1), ("distil_weight", 0, 1)):
        if not low <= getattr(r, key) <= high:
            yield f"{key} {getattr(r, key)} is not within {low}-{high}"
    for key in ("ema", "label_smoothing", "dropout", "momentum"):
        if not 0 <= getattr(r, key) < 1:
            yield f"{key} {getattr(r, key)} is not within 0-1 (1 excluded)"
    for key in ("warmup", "validation_share", "plateau_factor"):
        if not 0 < getattr(r, key) < 1:
            yield f"{key} {getattr(r, key)} is not within 0-1 (both excluded)"
    for key in ("learning_rate", "distil_temperature"):
        if not 0 < getattr(r, key) < math.inf:
            yield f"{key} {getattr(r, key)} is not above 0 and finite"
    for key, low in (
        ("epochs", 1),
        ("batch_size", 2),
        ("weight_decay", 0),
        ("backbone_rate", 0),
        ("plateau_patience", 0),
        ("gradient_clip", 0),
        ("sam", 0),
        ("imitate", 0),
        ("patience", 0),
        ("seed", 0),
        ("unfreeze_epoch", 0),
        ("freeze", -1),
    ):
        if not getattr(r, key) >= low:
            yield f"{key} {getattr(r, key)} is below {low}"
        elif getattr(r, key) == math.inf:
            yield f"{key} is not finite"


def _contradictions(r: Recipe) -> Iterable[str]:
    yield from _of_backbone(r)
    yield from _of_teachers(r)
    if r.sampling == "balanced" and r.balance:
        yield f"sampling 'balanced' and balance {r.balance} favour rare classes twice: set balance = 0"
    if r.sam and r.precision == "16-mixed":
        yield "sam does not go with precision '16-mixed', whose loss scaling takes one gradient: use bf16-mixed"
    yield from _of_freezing(r)
    if r.optimizer == "sgd" and r.nesterov and not r.momentum:
        yield "nesterov needs a momentum above 0"


def _of_backbone(r: Recipe) -> Iterable[str]:
    from engagement.classification.backbones import BACKBONES

    made = BACKBONES.get(r.backbone)
    if made is None:
        return  # said by `_names`
    if made.size and r.size != made.size:
        yield f"size {r.size} does not fit the backbone '{r.backbone}', which is made for {made.size} px"
    if r.init == "hub" and not made.hub:
        yield f"init 'hub' has no weights for the backbone '{r.backbone}'"


def _of_teachers(r: Recipe) -> Iterable[str]:
    if r.imitate and not r.teacher:
        yield f"imitate {r.imitate} wants a teacher (--set teacher=FILE)"
    if r.teacher and not r.imitate:
        yield f"imitate {r.imitate} lets the teacher '{r.teacher}' idle"
    if r.distil and not r.distil_weight:
        yield f"distil_weight {r.distil_weight} lets the teachers of distil idle"
    if r.distil_views == "varied" and not r.distil:
        yield "distil_views 'varied' wants teachers (--set distil=FILE)"
    policy = POLICIES.get(r.augmentation)
    if r.imitate and policy and (policy.mixup or policy.cutmix):
        yield f"augmentation '{r.augmentation}' mixes faces, of which imitate {r.imitate} wants one at a time"


def _of_freezing(r: Recipe) -> Iterable[str]:
    extraction = r.mode == "feature_extraction"
    if not r.unfreeze_epoch:
        if extraction and r.freeze:
            yield f"freeze {r.freeze} says nothing in mode 'feature_extraction' without unfreeze_epoch"
        return
    if r.mode == "finetune" and not r.freeze:
        yield f"unfreeze_epoch {r.unfreeze_epoch} finds nothing frozen: set freeze, or mode 'feature_extraction'"
    if extraction and r.freeze == -1:
        yield f"unfreeze_epoch {r.unfreeze_epoch} frees nothing, because freeze -1 keeps all stages frozen"
    if r.unfreeze_epoch >= r.epochs:
        yield f"unfreeze_epoch {r.unfreeze_epoch} is not reached in {count(r.epochs, 'epoch')}"
