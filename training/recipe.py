"""Recipes: how a network is trained. A small TOML file plus overrides, validated all together."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

from engagement.errors import ConfigError
from engagement.types import ChipSpec
from training.augment import POLICIES

_HALF = (0.5, 0.5, 0.5)
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training run.

    Attributes:
        backbone: a key of ``engagement.classification.network.BACKBONES``.
        size, margin: chip geometry (see ChipSpec).
        init: path of initial weights, ``hub`` (torchvision's ImageNet weights), or empty for random.
        augmentation: name of a policy.
        epochs, batch_size, learning_rate, weight_decay: of AdamW; decay on matrices only.
        backbone_rate: learning rate of the backbone relative to the heads'.
        warmup: share of the steps in which the OneCycle schedule rises.
        label_smoothing: 0-1.
        balance: 0 weighs pictures equally, 1 classes equally, between them partly.
        freeze: number of the backbone's stages that stay as they are; -1 for all of them.
        ema: decay of the weights' running mean per step; 0 for none.
        dropout: before the head.
        validation_share: of the train split, when the set has no validation split.
        teacher, imitate: file of a face embedding (see training.teacher), and the weight of imitating it
            beside the labels, from the backbone's features: teaches a backbone faces.
        patience: epochs without a better validation score before the run stops; 0 for never.
        seed: of weights, order and augmentation.
    """

    backbone: str = "efficientnet_b0"
    size: int = 96
    margin: float = 0.9
    init: str = ""
    augmentation: str = "faces"
    epochs: int = 8
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    backbone_rate: float = 1.0
    warmup: float = 0.1
    label_smoothing: float = 0.1
    balance: float = 0.5
    freeze: int = 0
    ema: float = 0.998
    dropout: float = 0.3
    validation_share: float = 0.1
    teacher: str = ""
    imitate: float = 0.0
    patience: int = 0
    seed: int = 1

    @property
    def chip(self) -> ChipSpec:
        """Geometry and normalisation; torchvision's hub weights were trained with their own mean and std."""
        if self.init == "hub":
            return ChipSpec(self.size, self.margin, *_IMAGENET)
        return ChipSpec(self.size, self.margin, _HALF, _HALF)

    def __post_init__(self) -> None:
        from engagement.classification.network import BACKBONES

        wrong = [
            message
            for bad, message in (
                (
                    self.backbone not in BACKBONES,
                    f"backbone '{self.backbone}' is none of {', '.join(BACKBONES)}",
                ),
                (
                    self.augmentation not in POLICIES,
                    f"augmentation '{self.augmentation}' is none of {', '.join(POLICIES)}",
                ),
                (not 32 <= self.size <= 512, f"size {self.size} is not within 32-512"),
                (not 0.5 <= self.margin <= 2, f"margin {self.margin} is not within 0.5-2"),
                (self.epochs < 1, f"epochs {self.epochs} is below 1"),
                (self.batch_size < 2, f"batch_size {self.batch_size} is below 2"),
                (self.learning_rate <= 0, f"learning_rate {self.learning_rate} is not above 0"),
                (not 0 <= self.ema < 1, f"ema {self.ema} is not within 0-1"),
                (
                    not 0 <= self.label_smoothing < 1,
                    f"label_smoothing {self.label_smoothing} is not within 0-1",
                ),
                (not 0 < self.warmup < 1, f"warmup {self.warmup} is not within 0-1"),
                (
                    not 0 < self.validation_share < 1,
                    f"validation_share {self.validation_share} is not within 0-1",
                ),
                (self.imitate < 0, f"imitate {self.imitate} is below 0"),
                (
                    bool(self.imitate) != bool(self.teacher),
                    f"imitate {self.imitate} and teacher '{self.teacher}' need each other",
                ),
                (not 0 <= self.balance <= 1, f"balance {self.balance} is not within 0-1"),
            )
            if bad
        ]
        if wrong:
            raise ConfigError("the recipe is not valid: " + "; ".join(wrong))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_recipe(name: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """A recipe by name of a shipped one or by path, with overrides applied.

    Raises:
        ConfigError: no such recipe, unknown keys (with the nearest valid name), values of another type.
    """
    from engagement.classification.network import BACKBONES

    path = Path(name)
    if path.suffix == ".toml" and path.is_file():
        text = path.read_text(encoding="utf-8")
    else:
        shipped = resources.files("training.recipes") / f"{name}.toml"
        if not shipped.is_file():
            raise ConfigError(f"recipe '{name}' not found", f"Shipped: {', '.join(shipped_recipes())}")
        text = shipped.read_text(encoding="utf-8")
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"recipe '{name}' is not TOML ({error})") from error
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    backbone = str(given.get("backbone", values.get("backbone", Recipe.backbone)))
    # A table [vgg16] in a recipe holds what differs for that backbone.
    tables = {key: values.pop(key) for key in [k for k, v in values.items() if isinstance(v, dict)]}
    for key in tables:
        if key not in BACKBONES:
            raise ConfigError(
                f"recipe '{name}': table [{key}] is no backbone", f"Known: {', '.join(BACKBONES)}"
            )
    values.update(tables.get(backbone, {}))
    values.update(given)
    return Recipe(**{key: _typed(key, value) for key, value in values.items()})


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


def _typed(key: str, value: Any) -> Any:
    types = {field.name: field.type for field in fields(Recipe)}
    if key not in types:
        near = difflib.get_close_matches(key, types, 1)
        raise ConfigError(
            f"unknown recipe key '{key}'",
            f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(types)}",
        )
    kind = {"int": int, "float": float, "str": str}[str(types[key])]
    try:
        return kind(value)
    except ValueError as error:
        kinds = {int: "a whole number", float: "a number", str: "text"}
        raise ConfigError(f"recipe key '{key}': '{value}' is not {kinds[kind]}") from error
