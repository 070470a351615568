"""What documents say of the program is what the program says of itself."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def test_the_columns_document_is_current() -> None:
    command = [sys.executable, "-m", "engagement", "columns", "--markdown"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert printed.strip() in (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_to_headings_lead_somewhere(path: Path) -> None:
    for file, heading in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", path.read_text(encoding="utf-8")):
        there = path.parent / file if file else path
        if there.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            # As GitHub makes them.
            assert heading in {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}, (
                heading
            )


def test_the_readmes_first_screen_has_two_commands() -> None:
    first = (ROOT / "README.md").read_text(encoding="utf-8").split("```")[1].strip().splitlines()
    assert [line.split("#")[0].strip() for line in first] == ["make demo", "make test"]


@pytest.mark.parametrize("name", ["face_state", "open"])
def test_the_results_name_the_networks_that_are_shipped(name: str) -> None:
    (row,) = re.findall(
        rf"^\| `{name}` \| \[training\.md\].*$",
        (ROOT / "docs/results.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    shipped = (ROOT / "engagement" / "weights" / f"{name}.safetensors").read_bytes()
    assert f"sha256 `{hashlib.sha256(shipped).hexdigest()[:12]}…`" in row
