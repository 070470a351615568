"""The matrix trains each cell once, goes on after a kill, and states what it was trained on."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engagement.errors import ConfigError, DataError
from tests.training.invoking import error, ok
from training import matrix as matrix_module
from training.datasets import registry
from training.fitting.trainer import Limits
from training.matrix import MatrixRun, cells, set_name, train_matrix
from training.samples.table import SampleTable

SMALL = ("--recipe", "fer2013_lenet", "--epochs", "1", "--max-steps", "2", "--accelerator", "cpu")


@pytest.fixture
def asked(expression_folders: Path, tmp_path: Path) -> MatrixRun:
    limits = Limits(max_steps=2, accelerator="cpu")
    return MatrixRun(
        (str(expression_folders),),
        tmp_path / "m",
        "fer2013_lenet",
        ("lenet", "cnn_bn"),
        ("none", "crp"),
        "lenet",
        overrides={"epochs": "1", "batch_size": "16"},
        limits=limits,
        limit=14,
    )


def test_tables_are_printed_and_saved(expression_folders: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    words = ("train", "matrix", "--data", expression_folders, "-o", out, *SMALL, "--limit", "14")
    choice = ("--backbones", "lenet,cnn_bn", "--augmentations", "none,crp", "--ablation-backbone", "lenet")
    printed = ok(*words, *choice).stdout
    table = (out / "table.md").read_text()
    assert printed == table
    for stated in ("epochs: 1", "pictures per split: 14", "size: 48", "validation split", "steps at most: 2"):
        assert stated in table
    with (out / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    # crp is the recipe's own augmentation: that cell stands in both tables and is trained once.
    assert [(r["backbone"], r["augmentation"]) for r in rows] == [
        ("lenet", "crp"),
        ("cnn_bn", "crp"),
        ("lenet", "none"),
    ]
    assert table.count("| lenet |") == 1 and table.count("| crp |") == 1 and table.count("| none |") == 1
    kept = json.loads((out / "table.json").read_text())
    assert [c["parts"] for c in kept["cells"]] == [["table", "ablation"], ["table"], ["ablation"]]
    for cell, row in zip(kept["cells"], rows, strict=True):
        folder = out / "cells" / cell["name"]
        assert (folder / "report.html").is_file() and not (folder / "last.ckpt").exists()
        figures = json.loads((folder / "metrics.json").read_text())["val"]
        assert float(row["accuracy"]) == figures["accuracy"] == cell["figures"]["accuracy"]
        assert float(row["seconds"]) > 0


def test_a_killed_matrix_goes_on(asked: MatrixRun, monkeypatch: pytest.MonkeyPatch) -> None:
    class KilledError(Exception):
        pass

    def killer(text: str) -> None:
        if text.startswith("[2/3]") and "epoch 1" in text:
            raise KilledError

    with pytest.raises(KilledError):
        train_matrix(asked, killer)
    assert "finished cells: 1 of 3" in (asked.out / "table.md").read_text()
    half = json.loads((asked.out / "cells" / cells(asked)[1].name / "cell.json").read_text())
    assert not half["done"] and half["seconds"] > 0
    said: list[str] = []
    text = train_matrix(asked, said.append)
    told = [text for text in said if text.startswith("[")]
    assert told[0].endswith("finished before") and told[1].endswith("goes on")
    assert "finished" not in text
    again = json.loads((asked.out / "cells" / cells(asked)[1].name / "cell.json").read_text())
    assert again["done"] and again["seconds"] > half["seconds"]

    def never(*_: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(matrix_module, "train_base", never)
    assert train_matrix(asked) == text


def test_cells_of_other_settings_are_not_mixed_in(asked: MatrixRun, expression_folders: Path) -> None:
    folder = asked.out / "cells" / cells(asked)[0].name
    folder.mkdir(parents=True)
    kept = {**matrix_module._asked(asked, cells(asked)[0]), "limit": 99}
    kept["recipe"] = {**kept["recipe"], "epochs": 7}
    del kept["pictures, labels or splits"]  # as earlier versions wrote it
    (folder / "cell.json").write_text(json.dumps({"asked": kept, "seconds": 1, "done": True}))
    said = error(
        *("train", "matrix", "--data", expression_folders, "-o", asked.out, *SMALL, "--limit", "14"),
        *("--backbones", "lenet", "--augmentations", "", "--set", "batch_size=16"),
    )
    assert "differs in: --limit (99 before, 14 now), epochs" in said


def test_a_finished_cell_is_not_shown_for_other_pictures(asked: MatrixRun) -> None:
    folder = asked.out / "cells" / cells(asked)[0].name
    folder.mkdir(parents=True)
    kept = {**matrix_module._asked(asked, cells(asked)[0]), "pictures, labels or splits": "others"}
    (folder / "cell.json").write_text(json.dumps({"asked": kept, "seconds": 1, "done": True}))
    with pytest.raises(ConfigError, match="differs in: pictures, labels or splits"):
        train_matrix(asked)


def test_a_finished_cell_is_not_shown_for_other_framings(
    asked: MatrixRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As versions before took crops for faces from top to bottom."""
    one = replace(asked, backbones=("lenet",), augmentations=())
    train_matrix(one)
    monkeypatch.setattr(
        registry, "with_measured_framing", lambda table, _: replace(table, box=table.box * 0.9)
    )
    with pytest.raises(ConfigError, match="differs in: pictures, labels or splits"):
        train_matrix(one)


def test_how_faces_are_framed_is_looked_at_and_told_once(
    asked: MatrixRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables: list[SampleTable] = []
    said: list[str] = []
    framed = registry.with_measured_framing

    def counting(table: SampleTable, say: Callable[[str], None]) -> SampleTable:
        tables.append(replace(framed(table, say), box=table.box * 0.9))
        return tables[-1]

    monkeypatch.setattr(registry, "with_measured_framing", counting)
    train_matrix(asked, said.append)
    assert len(tables) == 1 and sum("how they are framed" in text for text in said) == 1
    for cell in cells(asked):
        begun = json.loads((asked.out / "cells" / cell.name / "run.json").read_text())
        learned = tables[0].limited(14).with_validation(cell.recipe.validation_share)
        assert begun["pictures, labels or splits"] == learned.digest()


def test_one_process_trains_whatever_devices_there_are(
    expression_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others would have no figures of a cell to put into the table."""
    asked: list[MatrixRun] = []

    def keep(run: MatrixRun, _: Any) -> str:
        asked.append(run)
        return ""

    monkeypatch.setattr(matrix_module, "train_matrix", keep)
    ok("train", "matrix", "--data", expression_folders, "-o", tmp_path / "m")
    assert asked[0].limits.devices == 1


def test_a_failing_cell_is_named(asked: MatrixRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> None:
        raise DataError("the set is empty", "Fill it.")

    monkeypatch.setattr(matrix_module, "train_base", failing)
    with pytest.raises(DataError, match=r"-lenet-crp: the set is empty\. Fill it\."):
        train_matrix(asked)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--backbones", "lenet,lenet"], "backbones are named twice"),
        (["--backbones", "lenet", "--augmentations", "fog"], "--augmentations: fog is none of"),
        (
            ["--backbones", "lenet,alexnet,vgg99", "--augmentations", "fog"],
            "--backbones: alexnet, vgg99 is none",
        ),
        (
            ["--backbones", "lenet,alexnet,vgg99", "--augmentations", "fog"],
            "; --augmentations: fog is none of",
        ),
        (["--backbones", "alexnet"], "alexnet"),
        (
            ["--backbones", "resnet18", "--augmentations", "", "--init", "x.pth"],
            "'x.pth' for resnet18 do not exist",
        ),
        (["--backbones", "lenet", "--augmentations", "", "--init", "vgg16="], "no cell uses"),
        (["--backbones", "", "--augmentations", ""], "there is nothing to train"),
        (["--backbones", "lenet", "--set", "augmentation=mix"], "are what the table varies"),
    ],
)
def test_mistakes_are_named_before_anything_is_trained(
    words: list[str], message: str, expression_folders: Path, tmp_path: Path
) -> None:
    said = error("train", "matrix", "--data", expression_folders, "-o", tmp_path / "m", *SMALL, *words)
    assert message in said
    assert not (tmp_path / "m").exists()


def test_sets_that_no_base_learns_are_named_before_anything_is_trained(
    expression_folders: Path, own_folders: Path, tmp_path: Path
) -> None:
    shutil.copytree(expression_folders, tmp_path / "fearless")
    shutil.rmtree(tmp_path / "fearless" / "train" / "fear")
    sets = [expression_folders, tmp_path / "fearless", own_folders]
    given = [word for folder in sets for word in ("--data", folder)]
    choice = ("--backbones", "lenet", "--augmentations", "")
    said = error("train", "matrix", *given, "-o", tmp_path / "m", *SMALL, *choice)
    assert "data set 'fearless' has no training picture of: fear; 'my classes' is labelled with" in said
    assert "engagement train personal" in said
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("reference", "name"), [("data:rafdb", "rafdb"), ("a/my set", "my set"), ("x/fer2013.csv", "fer2013")]
)
def test_sets_are_named_in_a_word(
    reference: str,
    name: str,
) -> None:
    assert set_name(reference) == name


def test_initial_weights_by_backbone(asked: MatrixRun, make_base: Callable[..., Path]) -> None:
    file = make_base("mobilenet_v2")
    run = replace(
        asked,
        recipe="rafdb",
        backbones=("mobilenet_v2", "resnet18"),
        augmentations=(),
        overrides={},
        init={"*": "", "mobilenet_v2": str(file)},
    )
    assert [cell.recipe.init for cell in cells(run)] == [str(file), ""]
    changed = replace(run, backbones=("mobilenet_v2",), init={}, overrides={"init": str(file)})
    assert [cell.recipe.init for cell in cells(changed)] == [str(file)]


def test_records_do_not_tell_where_files_lie(asked: MatrixRun, tmp_path: Path) -> None:
    run = replace(asked, overrides={"distil": str(tmp_path / "wise.safetensors")})
    told = [matrix_module._settings(run, cells(run)), matrix_module._asked(run, cells(run)[0])]
    assert "wise.safetensors" in json.dumps(told[0]) and "wise.safetensors" in json.dumps(told[1])
    assert str(tmp_path) not in json.dumps(told)
