from __future__ import annotations

from pathlib import Path

import pytest

from engagement.classification.network import BACKBONES
from engagement.errors import ConfigError
from training.recipe import Recipe, parse_overrides, read_recipe, shipped_recipes


@pytest.mark.parametrize("name", ["rafdb", "fer2013"])
@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_shipped_recipes_suit_every_backbone(name: str, backbone: str) -> None:
    recipe = read_recipe(name, {"backbone": backbone})
    assert recipe.backbone == backbone
    assert name in shipped_recipes()


def test_a_backbone_table_applies_to_that_backbone_alone() -> None:
    assert read_recipe("rafdb", {"backbone": "vgg16"}).learning_rate == 0.0001
    assert read_recipe("rafdb").learning_rate != 0.0001
    assert read_recipe("rafdb", {"backbone": "vgg16", "learning_rate": "0.5"}).learning_rate == 0.5


def test_overrides_are_typed_and_none_does_not_count() -> None:
    recipe = read_recipe("rafdb", {**parse_overrides(("epochs=3", "learning_rate=1e-4")), "seed": None})
    assert (recipe.epochs, recipe.learning_rate, recipe.seed) == (3, 1e-4, Recipe().seed)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"learning_rat": "1"}, "Did you mean 'learning_rate'"),
        ({"epochs": "three"}, "'three' is not a whole number"),
        ({"epochs": "0"}, "epochs 0 is below 1"),
        ({"backbone": "resnet50"}, "'resnet50' is none of efficientnet_b0"),
        ({"augmentation": "wild"}, "'wild' is none of"),
        ({"size": "4", "ema": "2"}, "size 4 is not within 32-512; ema 2.0"),
    ],
)
def test_wrong_values_are_named(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_recipe("rafdb", overrides)


def test_a_file_may_be_given(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("epochs = 2\n[resnet18]\nepochs = 5\n")
    assert read_recipe(path).epochs == 2
    assert read_recipe(path, {"backbone": "resnet18"}).epochs == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = ", "is not TOML"),
        ("[resnet99]\nepochs = 1", r"table \[resnet99\] is no backbone"),
        ("epoch = 1", "'epochs'"),
    ],
)
def test_a_wrong_file_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_recipe(path)


def test_an_unknown_recipe_names_the_shipped_ones() -> None:
    with pytest.raises(ConfigError, match=r"'nosuch' not found.*fer2013, rafdb"):
        read_recipe("nosuch")


def test_an_override_without_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="--set epochs=4"):
        parse_overrides(("epochs",))


def test_hub_weights_bring_their_normalisation() -> None:
    assert Recipe(init="hub").chip.mean == (0.485, 0.456, 0.406)
    assert Recipe().chip.mean == (0.5, 0.5, 0.5)
