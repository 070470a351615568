"""Rules of the house: who imports whom, light start, short files."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("engagement", "temporal", "training", "reports_templates")
STAGES = ("video", "faces", "tracking", "classification", "timelines", "reports")
FOUNDATIONS = {
    "errors",
    "labels",
    "types",
    "geometry",
    "runs",
    "records",
    "followed",
    "device",
    "inference",
    "compat",
    "siblings",
    "spreadsheets",
    "given",
    "drafts",
    "wording",
}
HEAVY = (
    "torch",
    "torchvision",
    "pandas",
    "plotly",
    "cv2",
    "numpy",
    "av",
    "pytorch_lightning",
    "sklearn",
    "scipy",
    "openvino",
)


def sources() -> list[Path]:
    return [p for package in PACKAGES for p in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """Modules that a file imports anywhere, ``a.b.c`` for ``from a.b import c``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


@pytest.mark.parametrize("path", sources(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("stage", STAGES)
def test_stages_know_foundations_and_themselves(stage: str) -> None:
    for path in sorted((ROOT / "engagement" / stage).rglob("*.py")):
        for name in imported(path):
            parts = name.split(".")
            if parts[0] in ("training", "temporal"):
                raise AssertionError(f"{path.name} of stage '{stage}' imports {name}")
            if parts[0] != "engagement" or len(parts) < 2:
                continue
            allowed = parts[1] in FOUNDATIONS | {stage, "weights", "__version__", "RESULTS_VERSION"}
            # The pages read the tables; the classifier uses the one cutter; the search asks where shots begin.
            reads = {"reports": {"timelines"}, "classification": {"faces"}, "faces": {"video"}}
            assert allowed or parts[1] in reads.get(stage, set()), f"{path} imports {name}"


def test_temporal_imports_nothing_of_ours_and_engagement_never_training() -> None:
    for path in sources():
        top = path.relative_to(ROOT).parts[0]
        names = {name.split(".")[0] for name in imported(path)}
        if top == "temporal":
            assert names.isdisjoint({"engagement", "training"}), path
        if top == "engagement":
            assert "training" not in names, path
        if "temporal" in names and top == "engagement":
            assert path.name in ("smoothing.py", "clips.py"), path
        if "pytorch_lightning" in names:
            assert path.relative_to(ROOT).as_posix() == "training/fitting/lightning.py", path


def test_foundations_load_no_heavy_library_but_numpy() -> None:
    modules = sorted(f"engagement.{name}" for name in FOUNDATIONS)
    code = (
        f"import importlib, sys\nfor name in {modules!r}:\n    importlib.import_module(name)\n"
        f"print('LOADED', [m for m in {HEAVY!r} if m in sys.modules and m != 'numpy'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("LOADED []"), done.stdout[-300:]


def test_training_knows_what_the_architecture_says() -> None:
    stages = FOUNDATIONS | {"provenance", "video", "faces", "classification", "weights", "__version__"}
    for path in sorted((ROOT / "training").rglob("*.py")):
        for name in imported(path):
            if name.startswith("engagement."):
                named = name in ("engagement.smoothing", "engagement.smoothing.SmoothingConfig")
                named |= name.startswith("engagement.reports.page")
                assert named or name.split(".")[1] in stages, f"{path} imports {name}"


@pytest.mark.parametrize("package", ["engagement", "training"])
def test_nothing_imports_in_a_circle(package: str) -> None:
    """Neither the packages within it nor these and the files beside them."""
    home = ROOT / package
    there = {path.name.removesuffix(".py") for path in home.iterdir()}
    knows: dict[str, set[str]] = {}
    for path in sorted(home.rglob("*.py")):
        if path.name != "__main__.py":  # a command, which asks for the options of others
            own = path.relative_to(home).parts[0].removesuffix(".py")
            parts = {tuple(name.split(".")) for name in imported(path)}
            others = {p[1] for p in parts if p[0] == package and len(p) > 1} & there
            knows.setdefault(own, set()).update(others - {own})
    assert list(graphlib.TopologicalSorter(knows).static_order())


@pytest.mark.parametrize(
    "args", [["--help"], ["analyze", "--help"], ["train", "--help"], ["evaluate", "--help"]]
)
def test_help_loads_no_heavy_library(args: list[str]) -> None:
    code = (
        "import sys\nfrom engagement.cli import main\n"
        f"sys.argv = ['engagement', *{args!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print('LOADED', [m for m in {HEAVY!r} if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("LOADED []"), done.stdout[-300:]
