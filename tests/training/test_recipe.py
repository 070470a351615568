from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from engagement.classification.backbones import BACKBONES
from engagement.errors import ConfigError
from engagement.weights.store import WeightRecord, save_weights
from tests.conftest import ROOT
from training.cli.base import BACKBONE_NAMES
from training.fitting.initial import chip_of
from training.recipes.recipe import Recipe, parse_overrides, read_recipe, shipped_recipes
from training.samples.augment import POLICIES


@pytest.mark.parametrize("name", ["rafdb", "fer2013"])
@pytest.mark.parametrize("backbone", [name for name, made in BACKBONES.items() if not made.size])
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


def test_every_shipped_recipe_is_valid() -> None:
    for name in shipped_recipes():
        given = {"teacher": "face.safetensors"} if name == "faces" else {}
        assert read_recipe(name, given).epochs > 1


@pytest.mark.parametrize("name", ["feature_extraction", "finetune"])
@pytest.mark.parametrize("backbone", ["efficientnet_b0", "mobilenet_v2", "resnet18", "vgg16"])
def test_the_transfer_table_has_a_recipe_for_each_cell(name: str, backbone: str) -> None:
    recipe = read_recipe(name, {"backbone": backbone})
    assert recipe.frozen_stages(0) == -1
    assert recipe.frozen_stages(recipe.epochs - 1) == (-1 if name == "feature_extraction" else 0)
    assert recipe.chip.mean == (0.485, 0.456, 0.406)


def test_the_command_offers_every_backbone() -> None:
    assert list(BACKBONE_NAMES) == list(BACKBONES)


def test_stages_thaw_at_their_epoch() -> None:
    assert [Recipe(freeze=3).frozen_stages(e) for e in (0, 7)] == [3, 3]
    assert [Recipe(freeze=3, unfreeze_epoch=2).frozen_stages(e) for e in (1, 2)] == [3, 0]
    assert Recipe(mode="feature_extraction").frozen_stages(7) == -1
    staged = Recipe(mode="feature_extraction", unfreeze_epoch=2, freeze=4)
    assert [staged.frozen_stages(e) for e in (0, 1, 2, 7)] == [-1, -1, 4, 4]


def test_new_keys_mean_what_runs_did_before_there_were_any() -> None:
    recipe = Recipe()
    assert (recipe.optimizer, recipe.schedule, recipe.gradient_clip) == ("adamw", "onecycle", 1.0)
    assert (recipe.sampling, recipe.precision, recipe.sam, recipe.distil) == ("shuffle", "32-true", 0, ())
    assert [recipe.frozen_stages(e) for e in (0, 7)] == [0, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "lenet"}, "size 96 does not fit the backbone 'lenet', which is made for 48 px"),
        ({"backbone": "lenet", "size": 48, "init": "hub"}, "'hub' has no weights for the backbone 'lenet'"),
        ({"sampling": "balanced"}, "favour rare classes twice: set balance = 0"),
        ({"sam": 0.05, "precision": "16-mixed"}, "use bf16-mixed"),
        ({"mode": "feature_extraction", "freeze": 2}, "freeze 2 says nothing"),
        ({"unfreeze_epoch": 2}, "finds nothing frozen"),
        ({"unfreeze_epoch": 2, "mode": "feature_extraction", "freeze": -1}, "frees nothing"),
        ({"unfreeze_epoch": 8, "freeze": 1}, "not reached in 8 epochs"),
        ({"optimizer": "sgd", "momentum": 0.0}, "nesterov needs a momentum"),
        ({"teacher": "x", "imitate": 1.0, "augmentation": "mix"}, "mixes faces"),
        ({"imitate": 1.0}, "imitate 1.0 wants a teacher"),
        ({"teacher": "x"}, "imitate 0.0 lets the teacher 'x' idle"),
        ({"distil": ("x",), "distil_weight": 0.0}, "distil_weight 0.0 lets the teachers of distil idle"),
        ({"distil_views": "varied"}, "distil_views 'varied' wants teachers"),
        ({"distil_views": "moving", "distil": ("x",)}, "distil_views 'moving' is none of still, varied"),
        ({"optimizer": "lion"}, "optimizer 'lion' is none of adamw, adam, sgd"),
        ({"precision": "8"}, "precision '8' is none of 32-true"),
        ({"learning_rate": float("nan")}, "learning_rate nan is not above 0"),
        ({"learning_rate": float("inf")}, "learning_rate inf is not above 0 and finite"),
        ({"weight_decay": float("inf")}, "weight_decay is not finite"),
        ({"ema": 1.0}, "ema 1.0 is not within 0-1"),
        ({"freeze": -2}, "freeze -2 is below -1"),
    ],
)
def test_contradictions_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Recipe(**changes)  # type: ignore[arg-type]


def test_all_complaints_come_in_one_message(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        "optimiser = 'sgd'\nepochs = 1.5\nema = 2\nsize = 20\nnesterov = 'maybe'\n[resnet99]\nfreeze = 1\n"
        "[vgg16]\nlearning_rat = 1\n"
    )
    with pytest.raises(ConfigError) as caught:
        read_recipe(path)
    for part in (
        "table [resnet99] is no backbone",
        "table [vgg16]: unknown recipe key 'learning_rat'",
        "Did you mean 'optimizer'?",
        "'1.5' is not a whole number",
        "'maybe' is not true or false",
        "size 20 is not within",
        "ema 2.0 is not within",
    ):
        assert part in str(caught.value), part


def test_lists_and_switches_come_from_the_command_line_too(tmp_path: Path) -> None:
    given = parse_overrides(("distil=a.safetensors,b.safetensors", "nesterov=false"))
    recipe = read_recipe("rafdb", given)
    assert recipe.distil == ("a.safetensors", "b.safetensors") and recipe.nesterov is False
    path = tmp_path / "mine.toml"
    path.write_text('distil = ["a.safetensors", "b.safetensors"]')
    assert read_recipe(path).distil == recipe.distil
    assert json.loads(json.dumps(recipe.to_dict())) == recipe.to_dict()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"learning_rat": "1"}, "Did you mean 'learning_rate'"),
        ({"epochs": "three"}, "'three' is not a whole number"),
        ({"epochs": "0"}, "epochs 0 is below 1"),
        ({"epochs": "1.5"}, "'1.5' is not a whole number"),
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
        ("epochs = 1  # hé", "is not TOML"),
    ],
)
def test_a_wrong_file_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError, match=message):
        read_recipe(path)


def test_an_unknown_recipe_names_the_shipped_ones() -> None:
    with pytest.raises(ConfigError, match=r"'nosuch' not found.*fer2013, .*rafdb"):
        read_recipe("nosuch")


def test_an_override_without_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="--set epochs=4"):
        parse_overrides(("epochs",))


def test_hub_weights_bring_their_normalisation() -> None:
    assert Recipe(init="hub").chip.mean == (0.485, 0.456, 0.406)
    assert Recipe().chip.mean == (0.5, 0.5, 0.5)


def test_files_saved_by_torch_are_taken_for_torchvisions_unless_the_recipe_says_otherwise() -> None:
    imagenet = Recipe(init="hub").chip
    assert chip_of(Recipe(init="resnet18-f37072fd.pth")) == imagenet
    assert chip_of(Recipe(init="resnet18-f37072fd.pth", normalization="half")) == Recipe().chip
    assert chip_of(Recipe(normalization="imagenet")) == imagenet
    assert chip_of(Recipe(init="default", normalization="imagenet")) == imagenet


def test_weights_of_our_own_bring_their_normalisation_too(tmp_path: Path) -> None:
    """What feature extraction learned on ImageNet's mean and std is fine-tuned on them."""
    hub = Recipe(init="hub", size=64).chip
    save_weights(path := tmp_path / "a.safetensors", WeightRecord("face_state", {}, hub.to_dict()), {})
    chip = chip_of(Recipe(init=str(path), size=48, margin=1.0))
    assert (chip.size, chip.margin, chip.mean, chip.std) == (48, 1.0, hub.mean, hub.std)
    foreign = tmp_path / "b.safetensors"
    save_file({"a": torch.zeros(2)}, foreign)
    for init in (str(foreign), str(tmp_path / "none.safetensors"), ""):
        assert chip_of(Recipe(init=init)) == Recipe().chip


def test_the_documents_table_has_every_key_with_its_default() -> None:
    text = (ROOT / "docs/training.md").read_text(encoding="utf-8").split("### Recipes")[1].split("### ")[0]
    told: dict[str, str] = {}
    for line in text.split("| key |")[1].split("\n\n")[0].splitlines()[2:]:
        keys, defaults = (cell.strip() for cell in line.split("|")[1:3])
        names = [key.strip(" `") for key in keys.split(",")]
        told |= dict(zip(names, [d.strip() for d in defaults.split(",")], strict=True))
    assert list(told) and set(told) == set(Recipe().to_dict())
    for key, default in Recipe().to_dict().items():
        if isinstance(default, int | float) and not isinstance(default, bool):
            assert float(told[key]) == default, key
        else:
            assert told[key] == (str(default).lower() if default else ""), key


def test_the_documents_name_every_model_policy_and_recipe() -> None:
    text = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    for name in (*BACKBONES, *POLICIES, *(n for n in shipped_recipes() if n != "faces")):
        assert re.search(rf"\b{name}\b", text), name


@pytest.mark.parametrize(
    ("keys", "within", "beyond"),
    [
        (("size",), (32, 512), (31, 513)),
        (("margin",), (0.5, 2.0), (0.49, 2.01)),
        (("balance", "distil_weight"), (0.0, 1.0), (-0.01, 1.01)),
        (("ema", "label_smoothing", "dropout", "momentum"), (0.0, 0.999), (-0.01, 1.0)),
        (("warmup", "validation_share", "plateau_factor"), (0.001, 0.999), (0.0, 1.0)),
        (("learning_rate", "distil_temperature"), (1e-9, 1e9), (0.0,)),
        (("epochs",), (1,), (0,)),
        (("batch_size",), (2,), (1,)),
        (("weight_decay", "backbone_rate", "gradient_clip", "sam"), (0.0,), (-0.01,)),
        (("plateau_patience", "patience", "seed"), (0,), (-1,)),
        (("freeze",), (-1, 0), (-2,)),
    ],
)
def test_limits_are_within_and_what_lies_beyond_is_named(
    keys: tuple[str, ...], within: tuple[float, ...], beyond: tuple[float, ...]
) -> None:
    for key in keys:
        for value in within:
            assert getattr(read_recipe("rafdb", {"nesterov": "false", key: str(value)}), key) == value
        for value in beyond:
            with pytest.raises(ConfigError, match=rf"{key} {value} is (not (within|above)|below)"):
                read_recipe("rafdb", {"nesterov": "false", key: str(value)})
