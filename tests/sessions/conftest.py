"""Sessions analysed once for many tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sessions.command import Run, run_command


@pytest.fixture
def engagement(capfd: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """``engagement("analyze", …)`` as a user would, with what it printed."""

    def run(*args: object) -> Run:
        capfd.readouterr()
        status = run_command(*args)
        printed = capfd.readouterr()
        return Run(status, printed.out, printed.err)

    return run


@pytest.fixture(scope="session")
def sample_results(sample_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All sample videos, analysed with the shipped weights and default options."""
    out = tmp_path_factory.mktemp("samples")
    assert run_command("analyze", sample_videos, "-o", out, "--quiet") == 0
    return out
