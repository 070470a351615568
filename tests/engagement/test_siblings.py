"""The packages beside ``engagement`` are ours, or the intruder is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engagement import siblings
from engagement.errors import EngagementError
from engagement.siblings import check_sibling

ROOT = Path(siblings.__file__).parents[1]


@pytest.mark.parametrize("name", ["temporal", "training"])
def test_our_own_are_ours(name: str) -> None:
    check_sibling(name)


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ('OWNER = "engagement"\n', True),
        ('"""Docs."""\nimport os\n\nOWNER = "engagement"\n', True),
        ('OWNER = "somebody"\n', False),
        ("OWNER = str(7)\n", False),
        ('MAKER = "engagement"\n', False),
        ("", False),
    ],
)
def test_a_package_beside_ours_must_say_that_it_is_ours(
    text: str, ours: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "neighbour").mkdir()
    (tmp_path / "neighbour" / "__init__.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    elsewhere = pytest.raises(
        EngagementError, match=f"'neighbour' would be imported from {tmp_path}/neighbour,"
    )
    with elsewhere:  # whatever it says, it does not lie beside us
        check_sibling("neighbour")
    monkeypatch.setattr(siblings, "__file__", str(tmp_path / "engagement" / "siblings.py"))
    if ours:
        check_sibling("neighbour")
    else:
        with elsewhere:
            check_sibling("neighbour")


def test_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hollow").mkdir()  # a folder alone, as an uninstalled package leaves it
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("nowhere", "hollow"):
        with pytest.raises(
            EngagementError, match=f"the package '{name}' that belongs to engagement is missing"
        ):
            check_sibling(name)


def test_a_folder_of_the_user_that_is_called_like_ours_is_named_by_the_command(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "__init__.py").write_text("raise RuntimeError('never run')\n")
    code = f"import sys; sys.path.append({str(ROOT)!r}); from engagement.cli import main; main()"
    command = [sys.executable, "-c", code, "train", "base"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "which does not belong to engagement" in ended.stderr and str(tmp_path) in ended.stderr
    assert "Traceback" not in ended.stderr
