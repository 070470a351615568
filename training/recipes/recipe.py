"""Recipes: how a network is trained. A small TOML file plus overrides, validated all together."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from engagement.errors import ConfigError
from engagement.types import ChipSpec
from training.recipes.rules import complaints

_HALF = (0.5, 0.5, 0.5)
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training run.

    Attributes:
        backbone: a key of ``engagement.classification.backbones.BACKBONES``.
        size, margin: chip geometry (see ChipSpec).
        init: path or shipped name of initial weights, ``hub`` (torchvision's ImageNet weights), or empty for random.
        normalization: of pixels: ``imagenet`` (torchvision's mean and std), ``half`` (0.5 and 0.5), or ``auto``: what the
            initial weights are used to; our files say it, ``hub`` and files saved by torch (``.pth``, ``.pt``) are taken
            for torchvision's.
        mode: ``finetune`` trains all but the first ``freeze`` stages; ``feature_extraction`` the head alone.
        freeze: number of the backbone's stages that stay as they are, BatchNorm's statistics included; -1 for
            all of them.
        renew: take BatchNorm's statistics anew from the training faces before the first epoch, so that frozen stages
            suit them.
        unfreeze_epoch: after so many epochs feature extraction turns into fine-tuning, and fine-tuning
            frees its frozen stages; 0 for never.
        augmentation: name of a policy.
        epochs, batch_size: pictures per step and device.
        optimizer: ``adamw`` (decay apart from the gradient), ``adam`` or ``sgd``; decay on matrices only.
        learning_rate, weight_decay: the largest rate of the schedule.
        momentum, nesterov: of SGD.
        backbone_rate: learning rate of the backbone relative to the heads'.
        schedule: ``onecycle`` (Smith 2018: rises from a tenth, falls to a ten-thousandth), ``cosine`` (linear
            rise, falls to 0), ``plateau`` (falls when the validation score no longer rises), ``constant``.
        warmup: share of the steps in which OneCycle and cosine rise.
        plateau_factor, plateau_patience: the plateau's rate is multiplied by the factor after more epochs
            than the patience without a better score.
        gradient_clip: largest norm of the gradient; 0 for no limit.
        precision: Lightning's: ``32-true``, ``bf16-mixed`` or ``16-mixed``.
        sam: distance of sharpness-aware minimisation (Foret et al. 2021; 0.05 is usual); 0 for none. Each
            step then costs two.
        label_smoothing: 0-1.
        balance: weights in the loss: 0 weighs pictures equally, 1 classes equally, between them partly.
        sampling: ``shuffle`` (every picture once per epoch) or ``balanced`` (as many pictures, drawn so that
            every class is as frequent as the others).
        ema: decay of the weights' running mean per step; 0 for none.
        dropout: before the head.
        mirror: whether the model, when asked, averages a face and its mirror image (see NetworkSpec).
        validation_share: of the train split, when the set has no validation split.
        teacher, imitate: file of a face embedding (see training.fitting.teacher), and the weight of imitating it
            beside the labels, from the backbone's features: teaches a backbone faces.
        distil: weight files whose averaged, calibrated expression probabilities the head imitates beside the
            labels (Hinton et al. 2015).
        distil_weight, distil_temperature: share of that in the loss, and how much it is softened.
        distil_views: what the teachers look at: ``still``, each face once as it is, or ``varied``, in every step
            the very pictures that the student sees (Beyer et al. 2022), which costs their passes each time.
        patience: epochs without a better validation score before the run stops; 0 for never.
        seed: of weights, order and augmentation.
    """

    backbone: str = "efficientnet_b0"
    size: int = 96
    margin: float = 0.9
    init: str = ""
    normalization: str = "auto"
    mode: str = "finetune"
    freeze: int = 0
    renew: bool = False
    unfreeze_epoch: int = 0
    augmentation: str = "faces"
    epochs: int = 8
    batch_size: int = 64
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    momentum: float = 0.9
    nesterov: bool = True
    backbone_rate: float = 1.0
    schedule: str = "onecycle"
    warmup: float = 0.1
    plateau_factor: float = 0.5
    plateau_patience: int = 2
    gradient_clip: float = 1.0
    precision: str = "32-true"
    sam: float = 0.0
    label_smoothing: float = 0.1
    balance: float = 0.5
    sampling: str = "shuffle"
    ema: float = 0.998
    dropout: float = 0.3
    mirror: bool = False
    validation_share: float = 0.1
    teacher: str = ""
    imitate: float = 0.0
    distil: tuple[str, ...] = ()
    distil_weight: float = 0.5
    distil_temperature: float = 2.0
    distil_views: str = "still"
    patience: int = 0
    seed: int = 1

    @property
    def chip(self) -> ChipSpec:
        """Geometry and normalisation; torchvision's weights were trained with their own mean and std."""
        torchvisions = self.init == "hub" or Path(self.init).suffix in (".pth", ".pt")
        if self.normalization == "imagenet" or (self.normalization == "auto" and torchvisions):
            return ChipSpec(self.size, self.margin, *_IMAGENET)
        return ChipSpec(self.size, self.margin, _HALF, _HALF)

    def frozen_stages(self, epoch: int) -> int:
        """How many of the backbone's first stages are frozen in an epoch (counted from 0); -1 for all."""
        begun = bool(self.unfreeze_epoch) and epoch >= self.unfreeze_epoch
        if self.mode == "feature_extraction":
            return self.freeze if begun else -1
        return 0 if begun else self.freeze

    def __post_init__(self) -> None:
        wrong = complaints(self)
        if wrong:
            raise ConfigError(_WRONG + "; ".join(wrong))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON gives them back."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


_WRONG = "the recipe is not valid: "


def read_recipe(name: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """A recipe by name of a shipped one or by path, with overrides applied.

    Raises:
        ConfigError: no such recipe; or one message with all that is wrong: unknown keys (with the nearest
            valid name), values of another type or outside their range, keys that contradict each other.
    """
    from engagement.classification.backbones import BACKBONES

    path = Path(name)
    if path.suffix == ".toml" and path.is_file():
        file: Traversable = path
    else:
        file = resources.files("training.recipes") / f"{name}.toml"
        if not file.is_file():
            raise ConfigError(f"recipe '{name}' not found", f"Shipped: {', '.join(shipped_recipes())}")
    try:
        values: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"recipe '{name}' is not TOML ({error})") from error
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    backbone = str(given.get("backbone", values.get("backbone", Recipe.backbone)))
    # A table [vgg16] in a recipe holds what differs for that backbone.
    tables = {key: values.pop(key) for key in [k for k, v in values.items() if isinstance(v, dict)]}
    wrong = [
        f"table [{key}] is no backbone (known: {', '.join(BACKBONES)})"
        for key in tables
        if key not in BACKBONES
    ]
    # Also what is meant for other backbones: a slip there would wait for the day when one of them is trained.
    for other, table in tables.items():
        if other in BACKBONES and other != backbone:
            wrong += [f"table [{other}]: {complaint}" for complaint in _all_typed(table)[1]]
    typed, mistyped = _all_typed({**values, **tables.get(backbone, {}), **given})
    wrong += mistyped
    try:
        recipe = Recipe(**typed)
    except ConfigError as error:
        raise ConfigError(_WRONG + "; ".join([*wrong, error.message.removeprefix(_WRONG)])) from error
    if wrong:
        raise ConfigError(_WRONG + "; ".join(wrong))
    return recipe


def changed_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Keys of a written-down recipe that another one says differently; one from before a key existed had its default."""
    default = Recipe().to_dict()
    return [key for key, value in new.items() if old.get(key, default.get(key)) != value]


def shipped_recipes() -> list[str]:
    """Names of the recipes in the package."""
    root = resources.files("training.recipes")
    return sorted(p.name.removesuffix(".toml") for p in root.iterdir() if p.name.endswith(".toml"))


def parse_overrides(pairs: tuple[str, ...]) -> dict[str, str]:
    """``key=value`` strings as a mapping."""
    out: dict[str, str] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise ConfigError(f"'{pair}' is no key=value", "Write for example --set epochs=4.")
        out[key.strip()] = value.strip()
    return out


def _all_typed(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Values by key, each of the type that its key has, and what is wrong with the others."""
    typed: dict[str, Any] = {}
    wrong: list[str] = []
    for key, value in values.items():
        try:
            typed[key] = _typed(key, value)
        except ConfigError as error:
            wrong.append(f"{error.message} ({error.hint})" if error.hint else error.message)
    return typed, wrong


def _typed(key: str, value: Any) -> Any:
    types = {field.name: str(field.type) for field in fields(Recipe)}
    if key not in types:
        near = difflib.get_close_matches(key, types, 1)
        raise ConfigError(
            f"unknown recipe key '{key}'",
            f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(types)}",
        )
    kind, text = types[key], str(value)
    try:
        if kind == "int":
            return int(text)  # of the text: a fraction is refused, not cut off
        if kind == "float":
            return float(text)
        if kind == "bool":
            return {"true": True, "false": False}[text.lower()]
    except (ValueError, KeyError):
        kinds = {"int": "a whole number", "float": "a number", "bool": "true or false"}
        raise ConfigError(f"recipe key '{key}': '{value}' is not {kinds[kind]}") from None
    if kind == "str":
        return text
    return tuple(map(str, value)) if isinstance(value, list | tuple) else tuple(filter(None, text.split(",")))
