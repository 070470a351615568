"""Weights go into the package all at once or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engagement.weights.store import load_weights, manifest, sha256_of
from tests.training.tiny_models import write_model
from training import ship


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with one shipped network, in place of the real one."""
    place = tmp_path / "weights"
    place.mkdir()
    (place / "manifest.json").write_text("{}")
    for module in ("training.ship", "engagement.weights.store"):
        monkeypatch.setattr(f"{module}.folder", lambda: place)
    ship.main([f"first={_run(tmp_path / 'first')}"])
    return place


def _run(folder: Path, seed: int = 0) -> Path:
    folder.mkdir()
    (folder / "model_card.md").write_text("# model.safetensors\n", encoding="utf-8")
    return write_model(folder / "model.safetensors", seed=seed)


def _content(folder: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in folder.iterdir()}


def test_files_cards_and_manifest_come_together(package: Path, tmp_path: Path) -> None:
    source = _run(tmp_path / "second", seed=1)
    ship.main([f"second={source}"])
    assert sorted(_content(package)) == [
        "first.md",
        "first.safetensors",
        "manifest.json",
        "second.md",
        "second.safetensors",
    ]
    assert load_weights("second", "face_state").sha256 == sha256_of(source)
    assert sorted(manifest()) == ["first", "second"]
    assert (package / "second.md").read_text(encoding="utf-8") == "# second.safetensors\n"


@pytest.mark.parametrize(
    ("second", "options", "status", "said"),
    [
        ("second={bare}", [], 1, "has no model card beside it"),
        ("second={junk}", [], 1, "junk.safetensors is not a readable safetensors file"),
        ("second=nowhere.safetensors", [], 2, "no NAME=FILE of a file that is there"),
        ("{good}", [], 2, "no NAME=FILE of a file that is there"),
        ("default={good}", [], 2, "'default' stands for"),
        ("first={good}", [], 2, "'first' is given twice"),
        ("third={package}/third.safetensors", [], 2, "is the shipped file itself"),
        ("second={lstm}", ["--test", "nowhere"], 2, "is of kind 'lstm'"),
    ],
)
def test_what_cannot_be_shipped_leaves_the_package_as_it_is(
    second: str,
    options: list[str],
    status: int,
    said: str,
    package: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "junk.safetensors").write_text("junk")
    (tmp_path / "bare").mkdir()
    lstm = tmp_path / "lstm.safetensors"
    lstm.write_bytes((Path(__file__).parents[2] / "engagement" / "weights" / "lstm.safetensors").read_bytes())
    (package / "third.safetensors").write_bytes((package / "first.safetensors").read_bytes())
    places = {
        "bare": write_model(tmp_path / "bare" / "model.safetensors"),
        "junk": tmp_path / "junk.safetensors",
        "good": _run(tmp_path / "good", seed=2),
        "package": package,
        "lstm": lstm,
    }
    before = _content(package)
    with pytest.raises(SystemExit) as caught:
        ship.main([f"first={_run(tmp_path / 'other', seed=3)}", second.format(**places), *options])
    assert caught.value.code == status
    assert said in capsys.readouterr().err
    assert _content(package) == before


def test_a_disk_that_fills_leaves_the_package_as_it_is(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, copied = _content(package), []

    def copyfile(source: Path, target: Path) -> None:
        if copied:
            raise OSError("no space left")
        copied.append(target)
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr("shutil.copyfile", copyfile)
    with pytest.raises(OSError, match="no space"):
        ship.main([f"first={_run(tmp_path / 'a', seed=4)}", f"second={_run(tmp_path / 'b', seed=5)}"])
    assert _content(package) == before
    assert list(json.loads((package / "manifest.json").read_text())) == ["first"]
