"""Runs that are gone on with: stopped early, moved; and what their first epoch measures."""

from __future__ import annotations

import csv
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from engagement.classification.network import HeadSpec, NetworkSpec
from engagement.cli import main
from engagement.labels import EXPRESSIONS
from tests.training.invoking import error, ok
from training.datasets.registry import load
from training.fitting.callbacks import Checkpoint, History
from training.fitting.lightning_module import HeadTrainer
from training.fitting.run import train_head
from training.fitting.trainer import Limits
from training.recipes.recipe import Recipe

SPEC = NetworkSpec("cnn_bn", {"expression": HeadSpec(EXPRESSIONS)})
RECIPE = Recipe(backbone="cnn_bn", size=48, epochs=2, batch_size=16, ema=0.0, validation_share=0.3)


def run(
    folders: Path, out: Path, say: Callable[[str], None] = lambda _: None, **changes: object
) -> dict[str, torch.Tensor]:
    recipe, limits = replace(RECIPE, **changes), Limits(accelerator="cpu", devices=1)
    table = load(str(folders))
    return train_head(table, "expression", SPEC, recipe, out, limits=limits, say=say)[0].state_dict()


def test_a_run_that_has_stopped_early_trains_no_further_when_it_is_started_again(
    expression_folders: Path, tmp_path: Path
) -> None:
    still = {"epochs": 9, "patience": 1, "learning_rate": 1e-12, "schedule": "constant"}
    first = run(expression_folders, tmp_path, **still)
    stopped = (tmp_path / "log/metrics.csv").read_text()
    assert len(stopped.splitlines()) < 9
    said: list[str] = []
    again = run(expression_folders, tmp_path, said.append, **still)
    assert not [text for text in said if text.startswith("epoch")]
    assert (tmp_path / "log/metrics.csv").read_text() == stopped
    assert all(torch.equal(first[key], again[key]) for key in first)


@pytest.mark.parametrize(("ema", "told"), [(0.999, True), (0.5, False)])
def test_a_running_mean_longer_than_the_run_is_told(
    ema: float, told: bool, expression_folders: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    run(expression_folders, tmp_path, said.append, ema=ema, epochs=2, batch_size=4)
    assert any(text.startswith(f"ema {ema} is a mean over about 1000 steps") for text in said) is told


def test_the_best_epoch_of_a_run_is_known_where_its_folder_lies_now(tmp_path: Path) -> None:
    before, now = tmp_path / "before", tmp_path / "now"
    old = str(before / "best.ckpt")
    state = {
        "dirpath": str(before),
        "best_model_score": torch.tensor(0.9),
        "best_model_path": old,
        "kth_best_model_path": old,
        "kth_value": torch.tensor(0.9),
        "best_k_models": {old: torch.tensor(0.9)},
        "last_model_path": "",
    }
    best = Checkpoint(now, "best", monitor="val_score", mode="max")
    best.load_state_dict(state)
    assert best.best_model_score == 0.9 and best.kth_value == 0.9
    assert best.best_model_path == best.kth_best_model_path == str(now / "best.ckpt")
    assert list(best.best_k_models) == [
        str(now / "best.ckpt")
    ]  # and not a file of the other folder is removed


def test_with_a_running_mean_the_first_epoch_measures_what_it_has_trained(
    expression_folders: Path, tmp_path: Path
) -> None:
    losses = []
    for name, rate in (("still", 1e-12), ("moving", 0.05)):
        run(expression_folders, tmp_path / name, ema=0.5, learning_rate=rate, schedule="constant")
        with (tmp_path / name / "log/metrics.csv").open(encoding="utf-8") as file:
            losses.append(float(next(csv.DictReader(file))["val_loss"]))
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)


def test_figures_of_a_run_are_a_row_each_epoch_also_where_it_goes_on(tmp_path: Path) -> None:
    """The second epoch is broken off before it is measured: what is left of the first one's figures is not its own."""
    said: list[str] = []

    def ends(history: History, epoch: int, measured: bool, first: bool = True, **figures: float) -> None:
        state = SimpleNamespace(
            callback_metrics=figures, current_epoch=epoch, global_step=10 * (epoch + 1), is_global_zero=first
        )
        if measured:
            history.on_validation_end(state, None)  # type: ignore[arg-type]
        history.on_train_epoch_end(state, None)  # type: ignore[arg-type]

    path = tmp_path / "log" / "metrics.csv"
    before = History(path, said.append)
    ends(before, 0, True, val_score=0.5, train_loss=2.0)
    ends(before, 1, False, val_score=0.5, train_loss=1.5)
    later = History(tmp_path / "moved.csv", said.append, "step")
    later.load_state_dict(before.state_dict())
    ends(later, 2, True, val_score=0.75, train_loss=1.0, lr=0.1)
    with (tmp_path / "moved.csv").open(encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [
            {"epoch": "1", "step": "10", "train_loss": "2.0", "val_score": "0.5", "lr": ""},
            {"epoch": "2", "step": "20", "train_loss": "1.5", "val_score": "", "lr": ""},
            {"epoch": "3", "step": "30", "train_loss": "1.0", "val_score": "0.75", "lr": "0.1"},
        ]
    assert len(path.read_text().splitlines()) == 3  # the names and what it knew
    assert [text.rpartition(" (")[0] for text in said] == [
        *("epoch 1: score 0.5000", "epoch 2: not measured", "step 30: score 0.7500"),
    ]
    ends(History(tmp_path / "second.csv", said.append), 0, True, first=False, val_score=0.5)
    assert len(said) == 3 and not (tmp_path / "second.csv").exists()  # one process of several writes


def test_keys_given_with_set_count_unless_an_option_says_otherwise(
    expression_folders: Path, tmp_path: Path
) -> None:
    trial = ["--max-steps", "1", "--set", "batch_size=16", "--accelerator", "cpu", "--init", ""]
    asked = ["--set", "seed=7", "--set", "backbone=cnn_bn"]
    base = ["base", "--data", expression_folders, "--recipe", "fer2013_lenet", *trial, *asked]
    ok(*base, "-o", tmp_path / "set")
    ok(*base, "--seed", "3", "-o", tmp_path / "option")
    recipes = [json.loads((tmp_path / name / "recipe.json").read_text()) for name in ("set", "option")]
    assert [(r["seed"], r["backbone"]) for r in recipes] == [(7, "cnn_bn"), (3, "cnn_bn")]


@pytest.fixture
def trial(expression_folders: Path, tmp_path: Path) -> list[str | Path]:
    """A command that trains two steps; --limit is to follow."""
    words = ["base", "--data", expression_folders, "--recipe", "fer2013_lenet", "--set", "batch_size=16"]
    return [*words, "--init", "", "--accelerator", "cpu", "--max-steps", "2", "-o", tmp_path / "out"]


def test_another_limit_is_named_as_the_option_with_both_values(
    trial: list[str | Path], tmp_path: Path
) -> None:
    """And not as other pictures, which nobody has changed."""
    ok(*trial, "--limit", "20")
    said = error(*trial, "--limit", "21")
    assert "differs in: --limit (20 before, 21 now). " in said
    assert "differs in: --limit (20 before, not given now). " in error(*trial)
    said = error(*trial[:-4], "-o", tmp_path / "out", "--limit", "20", "--seed", "5")
    assert "differs in: --max-steps (2 before, not given now), seed. " in said
    record = json.loads((tmp_path / "out/run.json").read_text())
    del record["limit"]  # as earlier versions wrote it
    (tmp_path / "out/run.json").write_text(json.dumps(record))
    assert "differs in: pictures, labels or splits, data. " in error(*trial, "--limit", "21")


@pytest.mark.parametrize("text", ['{"engagement_version": "0.1.0", "videos": []}', "mine"])
def test_a_folder_of_something_else_is_refused(text: str, trial: list[str | Path], tmp_path: Path) -> None:
    """As the results of an analysis, whose run.json would be gone."""
    record = tmp_path / "out" / "run.json"
    record.parent.mkdir()
    record.write_text(text, encoding="utf-8")
    assert f"{record} is not of a training and would be replaced" in error(*trial)
    assert record.read_text(encoding="utf-8") == text and list(record.parent.iterdir()) == [record]


def test_a_finished_run_says_that_nothing_is_written_for_tensorboard(
    trial: list[str | Path], tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    ok(*trial)
    assert "tensorboard" not in ok(*trial).output
    assert "nor to write for --tensorboard" in ok(*trial, "--tensorboard").output
    assert not list(tmp_path.rglob("*tfevents*"))


def test_ctrl_c_says_that_the_same_command_goes_on(expression_folders: Path, tmp_path: Path) -> None:
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if text.startswith("epoch 2"):  # the first is saved by then
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(expression_folders, tmp_path, say, epochs=3)
    assert said[-1] == "the same command goes on after the last whole epoch"
    assert signal.getsignal(signal.SIGINT) is before
    said.clear()
    run(expression_folders, tmp_path, said.append, epochs=3)
    assert any("goes on after step" in text for text in said)


def test_ctrl_c_in_a_training_ends_as_it_does_in_an_analysis(
    expression_folders: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(HeadTrainer, "training_step", interrupted)
    words = ["train", "base", "--data", expression_folders, "--recipe", "fer2013", "--backbone", "cnn_bn"]
    words += ["--set", "size=48", "--init", "", "--accelerator", "cpu", "-o", tmp_path / "out"]
    monkeypatch.setattr(sys, "argv", ["engagement", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    said = capsys.readouterr()
    assert "interrupted" in said.err
    assert "the same command begins anew" in said.out + said.err


def test_a_run_that_is_told_to_end_otherwise_is_not_called_interrupted(
    expression_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(*_: object) -> None:
        raise SystemExit(7)

    monkeypatch.setattr(HeadTrainer, "training_step", ended)
    with pytest.raises(SystemExit) as told:
        run(expression_folders, tmp_path)
    assert told.value.code == 7
