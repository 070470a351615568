"""A mistake is named: what is wrong, in which option or file, and what to do."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.training.invoking import error

CASES: list[tuple[list[Any], str]] = [
    (["base", "--data", "{expr}", "--recipe", "nosuch"], "recipe 'nosuch' not found"),
    (["base", "--data", "{expr}", "--recipe", "rafdb", "--set", "epoch=1"], "Did you mean 'epochs'"),
    (
        ["base", "--data", "{expr}", "--recipe", "rafdb", "--init", "nosuch.pth"],
        "initial weights 'nosuch.pth' not found",
    ),
    (["base", "--data", "{expr}", "--recipe", "rafdb", "--init", "{pickled}"], "something else than tensors"),
    (["identity", "--data", "{expr}", "--teacher", "{notes}"], "is not a readable safetensors file"),
    (["base", "--data", "{own}", "--recipe", "rafdb"], "engagement train personal"),
    (["base", "--data", "nosuch", "--recipe", "rafdb"], "'nosuch' does not exist"),
    (["base", "--data", "{expr}/none.csv", "--recipe", "rafdb"], "none.csv' does not exist"),
    (["base", "--data", "{expr}:rafbd", "--recipe", "rafdb"], ":rafdb?"),
    (["base", "--data", "{notes}", "--recipe", "rafdb"], "is no data set. Give a folder of class folders"),
    (["base", "--data", "{nofear}", "--recipe", "rafdb"], "no training picture of: fear"),
    (["base", "--data", "{nofear}", "--recipe", "rafdb"], "Add some, or raise --limit"),
    (
        ["base", "--data", "{expr}", "--recipe", "rafdb", "--limit", "1"],
        "'expressions0': a single training picture",
    ),
    (
        ["base", "--data", "{expr}", "--data", "{eight}", "--recipe", "rafdb"],
        "contempt. The first --data says what is learned: angry, ",
    ),
    (["base", "--data", "{empty}", "--recipe", "rafdb"], "fear holds no picture"),
    (["base", "--data", "{nosplit}", "--recipe", "rafdb"], "test holds no class folder"),
    (["base", "--data", "{notrain}", "--recipe", "rafdb"], "has no 'train' split"),
    (["base", "--data", "{beside}", "--recipe", "rafdb"], "vali holds pictures, but lies beside"),
    (["base", "--data", "{corrupt}", "--recipe", "rafdb"], "3.png cannot be decoded"),
    (["base", "--data", "{expr}:ferplus", "--recipe", "rafdb"], "does not hold the data set 'ferplus'"),
    (["base", "--data", "{expr}", "--recipe", "rafdb", "--backbone", "resnet50"], "resnet50"),
    (["base", "--data", "{expr}", "--recipe", "rafdb", "--limit", "0"], "--limit"),
    (["states", "--data", "{own}", "--base", "{base}"], "not with learner states"),
    (["states", "--data", "{daisee}", "--base", "nosuch"], "'nosuch' is neither a file nor shipped weights"),
    (["states", "--data", "{daisee}", "--base", "{base}", "--stages", "6"], "has no stages [6]"),
    (["states", "--data", "{daisee}", "--base", "{base}", "--stages", "last"], "'last' is no list"),
    (["personal", "--data", "{daisee}", "--base", "{base}"], "engagement train states"),
    (["personal", "--data", "{one}", "--base", "{base}"], "one class ('happy')"),
    (["personal", "--data", "{own}", "--base", "{base}", "--unfreeze", "99"], "--unfreeze 99"),
    (["personal", "--data", "{own}", "--base", "{base}", "--max-steps", "2"], "--max-steps 2 says nothing"),
    (["personal", "--data", "{own}", "--base", "{base}", "--test"], "has no 'test' split"),
    (["personal", "--data", "{own}", "--base", "{notes}"], "is not a readable safetensors file"),
    (["personal", "--data", "{own}", "--base", "{one}"], "one' is a folder"),
    (["extension", "--data", "{own}", "--base", "{base}", "--name", "Bad Name"], "--name 'Bad Name'"),
    (["extension", "--data", "{own}", "--base", "{base}", "--name", "expression"], "--name 'expression'"),
    (["extension", "--data", "{own}", "--base", "{base}", "--name", "forward"], "--name 'forward'"),
]


def faulty(good: Path, folder: Path) -> dict[str, Path]:
    """Copies of a good set, each with one fault."""
    names = ("nofear", "empty", "nosplit", "notrain", "corrupt", "beside", "eight")
    places = {name: folder / name for name in names}
    for place in places.values():
        shutil.copytree(good, place)
    shutil.rmtree(places["nofear"] / "train" / "fear")
    for picture in (places["empty"] / "train" / "fear").iterdir():
        picture.unlink()
    for child in (places["nosplit"] / "test").iterdir():
        shutil.rmtree(child)
    shutil.rmtree(places["notrain"] / "train")
    shutil.copytree(good / "test", places["beside"] / "vali")
    shutil.copytree(good / "train" / "fear", places["eight"] / "train" / "contempt")
    (places["corrupt"] / "train" / "sad" / "3.png").write_bytes(b"\x89PNG\r\n")
    return places


@pytest.fixture(scope="module")
def places(
    expression_folders: Path,
    own_folders: Path,
    daisee_folder: Path,
    base_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """What arguments name: good things, and others with one fault each. No command writes there."""
    folder = tmp_path_factory.mktemp("mistakes")
    made = {"one": {"happy": "happy"}, "misspelt": {"happy": "happy", "surprise": "suprise"}}
    for name, classes in (made | {"numbers": {"happy": "0", "surprise": "1"}}).items():
        for source, called in classes.items():
            shutil.copytree(expression_folders / "test" / source, folder / name / called)
    files = {"notes": folder / "notes.safetensors", "pickled": folder / "pickled.pth"}
    files["notes"].write_text("nothing")
    files["pickled"].write_bytes(pickle.dumps(Path(), protocol=2))
    (folder / "run.json").write_text("{}")
    good = {"expr": expression_folders, "own": own_folders, "daisee": daisee_folder, "base": base_file}
    own = {name: folder / name for name in ("one", "misspelt", "numbers")}
    return {**good, **own, **files, "run": folder, **faulty(expression_folders, folder)}


@pytest.mark.parametrize(("arguments", "message"), CASES, ids=[" ".join(map(str, c[0])) for c in CASES])
def test_mistakes_are_named(
    arguments: list[str], message: str, places: dict[str, Path], tmp_path: Path
) -> None:
    assert message in error(*(a.format(**places) for a in arguments), "-o", tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{own}"], "it does not know awake, away, tired"),
        (["{misspelt}"], "does not know suprise. Perhaps 'suprise' is 'surprise': rename it"),
        (["{numbers}"], "Numbers mean what a set says: where the faces are of one, give FOLDER:rafdb"),
        (["{own}", "--head", "expression"], "does not know: awake, away, tired"),
        (["{expr}", "--head", "mood"], "has no head 'mood'"),
        (["{daisee}"], "has no head for the classes"),
        (["{expr}", "--min-face", "40"], "--min-face says nothing without --detect"),
        (["{expr}", "--report", "{run}"], "is the folder of a training"),
    ],
)
def test_mistakes_in_evaluation_are_named(
    arguments: list[str], message: str, places: dict[str, Path]
) -> None:
    words = ["evaluate", *(a.format(**places) for a in arguments), "--checkpoint", str(places["base"])]
    assert message in error(*words)


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (("evaluate",), "--json"),
        (("evaluate",), "--report"),
        (("dataset", "inspect"), "--html"),
        (("dataset", "inspect"), "--json"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is_read(
    command: tuple[str, ...], option: str, tmp_path: Path
) -> None:
    (tmp_path / "notes").write_text("mine", encoding="utf-8")
    said = " ".join(error(*command, tmp_path / "nosuch", option, tmp_path / "notes" / "x").split())
    assert f"'{option}'" in said and f"{tmp_path / 'notes'} is no folder" in said
