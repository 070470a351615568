"""A finished result to correct."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.engagement.corrected_sessions import Report, write_output
from tests.sessions.command import Run, run_command


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with one result; to be copied, not changed."""
    root = tmp_path_factory.mktemp("finished")
    write_output(root, "talk")
    return root


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def report(out: Path, capfd: pytest.CaptureFixture[str]) -> Report:
    """``report("P01: Ana", "--min-presence", "5s")``: applies a text to ``out``, as a user would."""

    def run(text: str | None, *options: object) -> Run:
        given: list[object] = []
        if text is not None:
            path = out.parent / "my names.txt"
            path.write_text(text, encoding="utf-8")
            given = ["--names", path]
        capfd.readouterr()
        status = run_command("report", out, *given, *options)
        printed = capfd.readouterr()
        return Run(status, printed.out, printed.err)

    return run
