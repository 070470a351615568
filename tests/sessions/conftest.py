"""Sessions analysed once for many tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sessions.command import run_command


@pytest.fixture(scope="session")
def sample_results(sample_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All sample videos, analysed with the shipped weights and default options."""
    out = tmp_path_factory.mktemp("samples")
    assert run_command("analyze", sample_videos, "-o", out, "--quiet") == 0
    return out
