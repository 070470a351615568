"""The built wheel works outside the repository: templates, recipes and weights included."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content in a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT],
        check=True,
        cwd=folder,
    )
    (wheel,) = folder.glob("engagement-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_what_it_needs_and_no_more(installed: Path) -> None:
    names = {p.relative_to(installed).as_posix() for p in installed.rglob("*") if p.is_file()}
    for needed in (
        "engagement/weights/manifest.json",
        "engagement/weights/face_state.safetensors",
        "engagement/weights/face_state.md",
        "reports_templates/session.html",
        "training/recipes/rafdb.toml",
        "temporal/box.py",
    ):
        assert needed in names
    assert not [n for n in names if n.startswith(("tests/", "sample_videos/", "benchmarks/"))]


def test_it_analyses_from_an_empty_folder(installed: Path, sample_videos: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import engagement.cli as c; print(c.__file__); c.main()"]
        + ["analyze", str(sample_videos / "crossing.mp4"), "-o", "out", "--sample-rate", "1"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed))
    assert (tmp_path / "out" / "crossing" / "session.html").is_file()


def test_a_foreign_training_package_is_named(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "__init__.py").write_text("# somebody else's\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "engagement", "train", "base", "--help"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        check=False,
    )
    assert done.returncode == 1
    assert str(tmp_path / "training") in done.stderr
    assert "Traceback" not in done.stderr
