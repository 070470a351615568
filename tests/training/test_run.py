"""Runs: schedules of any length, killed and resumed runs, folders that hold another run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engagement.classification.network import FaceStateNet, HeadSpec, NetworkSpec
from engagement.errors import BackendUnavailable, ConfigError, DataError
from engagement.labels import EXPRESSIONS
from tests.training.tiny_models import write_model
from training.datasets.registry import load
from training.fitting.batch_norm import renew_statistics
from training.fitting.initial import initialise
from training.fitting.lightning_module import HeadTrainer
from training.fitting.run import train_head, train_network
from training.fitting.trainer import Limits
from training.measuring.opened import open_network
from training.recipes.recipe import Recipe
from training.report.drawing import read_history
from training.samples.chip_dataset import ChipDataset

SPEC = NetworkSpec("mobilenet_v2", {"expression": HeadSpec(EXPRESSIONS)})
RECIPE = Recipe(backbone="mobilenet_v2", size=32, epochs=3, batch_size=16, ema=0.5, validation_share=0.3)
LIMITS = Limits(accelerator="cpu", devices=1)


class KilledError(Exception):
    """Stands for a kill at a moment of our choice."""


def run(
    folders: Path, out: Path, say: Callable[[str], None] = lambda _: None, **changes: object
) -> FaceStateNet:
    recipe = replace(RECIPE, **changes)
    spec = replace(SPEC, backbone=recipe.backbone)
    return train_head(load(str(folders)), "expression", spec, recipe, out, limits=LIMITS, say=say)[0]


#: A small network with BatchNorm and dropout, so that a run takes a second.
SMALL_RUN = {"backbone": "cnn_bn", "size": 48, "ema": 0.0}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            **SMALL_RUN,
            "schedule": "plateau",
            "plateau_patience": 0,
            "optimizer": "sgd",
            "learning_rate": 0.01,
        },
        {**SMALL_RUN, "sam": 0.05, "augmentation": "mix", "schedule": "cosine", "optimizer": "adam"},
        {
            **SMALL_RUN,
            "mode": "feature_extraction",
            "unfreeze_epoch": 1,
            "sampling": "balanced",
            "balance": 0.0,
        },
        {
            **SMALL_RUN,
            "freeze": 2,
            "unfreeze_epoch": 2,
            "ema": 0.5,
            "schedule": "constant",
            "precision": "bf16-mixed",
        },
        {**SMALL_RUN, "backbone": "cnn_dropblock", "size": 32, "augmentation": "crp_cutout", "patience": 1},
    ],
    ids=[
        "shipped",
        "plateau-sgd",
        "sam-mix-cosine",
        "feature-extraction-balanced",
        "thaw-ema-bf16",
        "dropblock-patience",
    ],
)
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    changes: dict[str, object], expression_folders: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    unbroken = run(expression_folders, tmp_path / "a", told.append, **changes)

    def killer(text: str) -> None:
        if text.startswith("epoch 2"):
            raise KilledError

    with pytest.raises(KilledError):
        run(expression_folders, tmp_path / "b", killer, **changes)
    said: list[str] = []
    resumed = run(expression_folders, tmp_path / "b", said.append, **changes)
    epochs, resumed_at = ([w.split(":")[0] for w in words if w[:5] == "epoch"] for words in (told, said))
    assert resumed_at == epochs[1:] and resumed_at[0] == "epoch 2"
    assert (tmp_path / "a/log/metrics.csv").read_text() == (tmp_path / "b/log/metrics.csv").read_text()
    for key, value in unbroken.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


def test_a_run_begun_with_tensorboard_goes_on_without_it(expression_folders: Path, tmp_path: Path) -> None:
    """Its learning rates are in the rows of before alone; none of the rows is lost."""
    pytest.importorskip("tensorboard")
    table = load(str(expression_folders))
    recipe = replace(RECIPE, **SMALL_RUN, schedule="plateau")
    spec = replace(SPEC, backbone=recipe.backbone)

    def killer(text: str) -> None:
        if text.startswith("epoch 2"):
            raise KilledError

    watched = replace(LIMITS, tensorboard=True)
    with pytest.raises(KilledError):
        train_head(table, "expression", spec, recipe, tmp_path, limits=watched, say=killer)
    train_head(table, "expression", spec, recipe, tmp_path, limits=LIMITS)
    rows = read_history(tmp_path / "log" / "metrics.csv")
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [any(name.startswith("lr-") for name in row) for row in rows] == [True, False, False]
    assert all("val_loss" in row for row in rows)


def test_what_is_frozen_stays_until_it_thaws(expression_folders: Path, tmp_path: Path) -> None:
    """Bit for bit, statistics of BatchNorm included; and the head learns meanwhile."""

    def states(changes: dict[str, object]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        recipe = replace(RECIPE, **{**SMALL_RUN, "epochs": 2, **changes})
        torch.manual_seed(0)
        network = FaceStateNet(NetworkSpec("cnn_bn", {"expression": HeadSpec(EXPRESSIONS)}))
        before = {k: v.clone() for k, v in network.state_dict().items()}
        after_one: list[dict[str, torch.Tensor]] = []

        def look(text: str) -> None:
            if text.startswith("epoch 1"):
                after_one.append({k: v.clone() for k, v in network.state_dict().items()})

        table = load(str(expression_folders))
        train_network(
            network,
            table,
            "expression",
            recipe,
            tmp_path,
            chip=recipe.chip,
            limits=LIMITS,
            resume=False,
            say=look,
        )
        last = torch.load(tmp_path / "last.ckpt", weights_only=False)["state_dict"]
        first = {k for k, v in after_one[0].items() if not torch.equal(v, before[k])}
        second = {k for k, v in before.items() if not torch.equal(last[f"network.{k}"], v)}
        return (
            {k: before[k] for k in first},
            {k: before[k] for k in second},
        )

    def stages(changed: dict[str, torch.Tensor]) -> set[str]:
        return {k.split(".")[1] for k in changed if k.startswith("backbone.")}

    first, second = states({"mode": "feature_extraction"})
    assert stages(first) == stages(second) == set() and first
    first, second = states({"mode": "feature_extraction", "unfreeze_epoch": 1})
    assert stages(first) == set() and stages(second) == {"0", "1", "2", "3", "4"}
    first, second = states({"mode": "feature_extraction", "unfreeze_epoch": 1, "freeze": 3})
    assert stages(first) == set() and stages(second) == {"3", "4"}
    first, second = states({"freeze": 3, "unfreeze_epoch": 1})
    assert stages(first) == {"3", "4"} and stages(second) == {"0", "1", "2", "3", "4"}


def test_statistics_of_frozen_stages_are_those_of_the_training_faces(expression_folders: Path) -> None:
    torch.manual_seed(0)
    network = FaceStateNet(SPEC)
    table = load(str(expression_folders)).part("train").rows(np.arange(40))  # one batch: its mean is theirs
    dataset = ChipDataset(table, replace(RECIPE, size=32).chip)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    renew_statistics(network, dataset, seed=1)
    after = network.state_dict()
    changed = {k for k, v in after.items() if not torch.equal(v, before[k])}
    assert changed and all("running_" in k or k.endswith("num_batches_tracked") for k in changed)
    stem = network.backbone[0]
    assert isinstance(stem, torch.nn.Sequential)
    with torch.no_grad():
        seen = stem[0](torch.stack([dataset[i][0] for i in range(len(dataset))]))
    torch.testing.assert_close(
        after["backbone.0.1.running_mean"], seen.mean(dim=(0, 2, 3)), rtol=1e-3, atol=1e-4
    )
    assert {m.momentum for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {0.1}


@pytest.mark.parametrize(("faces", "batch", "counted"), [(40, 16, 32), (40, 20, 40), (11, 16, 11)])
def test_no_face_counts_more_than_others_in_renewed_statistics(
    faces: int, batch: int, counted: int, expression_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = FaceStateNet(SPEC)
    table = load(str(expression_folders)).part("train").rows(np.arange(faces))
    dataset = ChipDataset(table, replace(RECIPE, size=32).chip)
    monkeypatch.setattr("training.fitting.batch_norm._BATCH", batch)
    renew_statistics(network, dataset, seed=1)
    rows = np.random.default_rng(1).permutation(faces)[:counted]
    stem = network.backbone[0]
    assert isinstance(stem, torch.nn.Sequential)
    with torch.no_grad():
        seen = stem[0](torch.stack([dataset[int(i)][0] for i in rows]))
    torch.testing.assert_close(stem[1].running_mean, seen.mean(dim=(0, 2, 3)), rtol=1e-3, atol=1e-4)


def test_a_run_begun_before_a_key_existed_goes_on(expression_folders: Path, tmp_path: Path) -> None:
    run(expression_folders, tmp_path, **SMALL_RUN, epochs=1)
    record = json.loads((tmp_path / "run.json").read_text())
    for key in ("sam", "distil", "optimizer", "schedule", "mode", "sampling", "precision"):
        record["recipe"].pop(key)
    record.pop("processes")
    (tmp_path / "run.json").write_text(json.dumps(record))
    said: list[str] = []
    run(expression_folders, tmp_path, said.append, **SMALL_RUN, epochs=1)
    assert not [line for line in said if line.startswith("epoch")]
    with pytest.raises(ConfigError, match="differs in: sam"):
        run(expression_folders, tmp_path, **SMALL_RUN, epochs=1, sam=0.1)


def test_a_run_of_other_pictures_labels_or_weights_is_not_gone_on_with(
    expression_folders: Path, tmp_path: Path
) -> None:
    """Not even where the names are the same, as they are from one phase to the next."""
    data, init, out = tmp_path / "set", tmp_path / "model.safetensors", tmp_path / "out"
    shutil.copytree(expression_folders, data)
    write_model(init, seed=1)
    run(data, out, **SMALL_RUN, epochs=1, init=str(init))
    run(data, out, **SMALL_RUN, epochs=1, init=str(init))
    write_model(init, seed=2)
    with pytest.raises(ConfigError, match="differs in: the files of init"):
        run(data, out, **SMALL_RUN, epochs=1, init=str(init))
    write_model(init, seed=1)
    (data / "train/happy").rename(data / "train/x")
    (data / "train/sad").rename(data / "train/happy")
    (data / "train/x").rename(data / "train/sad")
    with pytest.raises(ConfigError, match="differs in: pictures, labels or splits"):
        run(data, out, **SMALL_RUN, epochs=1, init=str(init))
    (out / "run.json").write_text("{")
    with pytest.raises(ConfigError, match=r"run\.json cannot be read"):
        run(data, out, **SMALL_RUN, epochs=1, init=str(init))


def test_training_that_diverges_stops_instead_of_writing_a_model(
    expression_folders: Path, tmp_path: Path
) -> None:
    wild = {
        "optimizer": "sgd",
        "learning_rate": 1e12,
        "gradient_clip": 0.0,
        "schedule": "constant",
        "ema": 0.0,
    }
    with pytest.raises(ConfigError, match=r"diverged in epoch 1.*learning_rate"):
        run(expression_folders, tmp_path, **(SMALL_RUN | wild), epochs=2)


def test_a_run_stopped_within_an_epoch_repeats_no_measurement(
    expression_folders: Path, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, **SMALL_RUN, epochs=3, batch_size=16)
    table = load(str(expression_folders))
    steps = len(table.with_validation(recipe.validation_share).part("train")) // 16
    spec = NetworkSpec("cnn_bn", {"expression": HeadSpec(EXPRESSIONS)})
    said: list[str] = []
    limits = replace(LIMITS, max_steps=steps + 1)
    train_head(table, "expression", spec, recipe, tmp_path, limits=limits, say=said.append)
    lines = [line for line in said if line.startswith("epoch")]
    assert "accuracy" in lines[0]
    assert all("not measured" in line for line in lines[1:])


def test_more_stages_than_there_are_cannot_be_frozen(expression_folders: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="freeze 99: the backbone has"):
        run(expression_folders, tmp_path, **SMALL_RUN, epochs=1, freeze=99)


def test_sam_counts_a_step_once(expression_folders: Path, tmp_path: Path) -> None:
    """Two passes a step, but BatchNorm counts the batches of the first alone, and so does the schedule."""
    run(expression_folders, tmp_path, **SMALL_RUN, epochs=2, sam=0.05)
    kept = torch.load(tmp_path / "last.ckpt", weights_only=False)
    plain = tmp_path / "plain"
    run(expression_folders, plain, **SMALL_RUN, epochs=2)
    without = torch.load(plain / "last.ckpt", weights_only=False)
    assert kept["global_step"] == without["global_step"]
    rates = [c["optimizer_states"][0]["param_groups"][0]["lr"] for c in (kept, without)]
    assert rates[0] == rates[1]
    weights = [c["state_dict"]["network.backbone.0.0.weight"] for c in (kept, without)]
    assert not torch.equal(*weights)


def test_tensorboard_is_written_beside_the_table(expression_folders: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    limits = replace(LIMITS, tensorboard=True)
    recipe = replace(RECIPE, **SMALL_RUN, epochs=1)
    spec = NetworkSpec("cnn_bn", {"expression": HeadSpec(EXPRESSIONS)})
    train_head(load(str(expression_folders)), "expression", spec, recipe, tmp_path, limits=limits)
    assert list((tmp_path / "log/tensorboard").glob("events.out.tfevents*"))
    assert (tmp_path / "log/metrics.csv").is_file()


def test_tensorboard_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BackendUnavailable, match=r"pip install 'engagement\[tensorboard\]'"):
        Limits(tensorboard=True)


def test_a_finished_run_is_not_trained_again(expression_folders: Path, tmp_path: Path) -> None:
    first = run(expression_folders, tmp_path, epochs=1)
    said: list[str] = []
    second = run(expression_folders, tmp_path, said.append, epochs=1)
    assert not [line for line in said if line.startswith("epoch")]
    assert all(torch.equal(v, second.state_dict()[k]) for k, v in first.state_dict().items())


def test_a_folder_with_another_run_is_refused(expression_folders: Path, tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"")
    asked = {"recipe": RECIPE.to_dict(), "data": {}, "max_steps": -1}
    (tmp_path / "run.json").write_text(json.dumps(asked))
    with pytest.raises(ConfigError, match=r"differs in: data, .*learning_rate.*Remove .*last\.ckpt"):
        run(expression_folders, tmp_path, learning_rate=0.5)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04"], ids=["empty", "text", "cut"])
def test_a_damaged_checkpoint_is_named(content: bytes, expression_folders: Path, tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(DataError, match=r"last\.ckpt is damaged\. Remove .*last\.ckpt: the run then"):
        run(expression_folders, tmp_path, **SMALL_RUN)


def test_a_class_without_training_pictures_is_named(expression_folders: Path, tmp_path: Path) -> None:
    table = load(str(expression_folders))
    fear = EXPRESSIONS.index("fear")
    table = table.rows((table.target[:, fear] == 0) | (table.split != "train"))
    with pytest.raises(DataError, match="no training picture of: fear"):
        train_head(table, "expression", SPEC, RECIPE, tmp_path, limits=LIMITS)


@pytest.mark.parametrize("steps", [1, 2, 5, 10, 20])
def test_a_run_of_any_length_has_a_schedule(steps: int) -> None:
    """OneCycleLR stops with a division by zero when its rise is exactly one step long."""
    recipe = Recipe(backbone="mobilenet_v2", warmup=0.5 if steps == 2 else 0.1)
    network = FaceStateNet(NetworkSpec("mobilenet_v2", {"expression": HeadSpec(EXPRESSIONS)}))
    made = HeadTrainer(network, "expression", recipe, torch.ones(7), steps).configure_optimizers()
    rates = []
    for step in range(steps):
        rates.append(made["optimizer"].param_groups[0]["lr"])
        made["optimizer"].step()
        if step + 1 < steps:
            made["lr_scheduler"]["scheduler"].step()
    assert np.isfinite(rates).all()
    assert max(rates) <= recipe.learning_rate * 1.0001


def test_shipped_weights_are_initial_weights_by_name() -> None:
    shipped = open_network("default")
    fresh = FaceStateNet(NetworkSpec("efficientnet_b0", {"expression": shipped.head("expression")}))
    assert initialise(fresh, "default") == "face_state.safetensors"
    chips = torch.zeros(1, 3, shipped.chip.size, shipped.chip.size)
    with torch.no_grad():
        a, b = shipped.network(chips).logits["expression"], fresh.eval()(chips).logits["expression"]
    assert torch.equal(a, b)


def test_the_face_feature_stays_as_it_is_while_a_backbone_learns(
    expression_folders: Path, tmp_path: Path
) -> None:
    """Bit for bit, statistics of its BatchNorm included: it is handed on where the stages that it taps are frozen."""
    recipe = replace(RECIPE, backbone="efficientnet_b0", epochs=1, batch_size=8, freeze=6, ema=0.0)
    torch.manual_seed(0)
    network = FaceStateNet(NetworkSpec("efficientnet_b0", {"expression": HeadSpec(EXPRESSIONS)}, 8))
    assert network.identity is not None
    before = {k: v.clone() for k, v in network.identity.state_dict().items()}
    table, limits = load(str(expression_folders)), replace(LIMITS, max_steps=2)
    made, _ = train_network(
        network, table, "expression", recipe, tmp_path, chip=recipe.chip, limits=limits, resume=False
    )
    assert made.identity is not None
    after = made.identity.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
