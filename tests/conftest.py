"""Fixtures for all tests: where shared data lies, and small conveniences.

Tests that need the shared data, videos or weights skip with a reason when they are absent; with
ENGAGEMENT_REQUIRE_SHARED=1 (as in CI) they fail instead, so that a run cannot pass by skipping.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from engagement.device import wait_asleep
from tests.sessions.command import Run, run_command

wait_asleep()  # as the command does, before torch is there

ROOT = Path(__file__).resolve().parent.parent

# The same examples in every run, so that a failure is of the change at hand; pytest --hypothesis-profile=default
# draws new ones. No deadlines: how fast a machine is today is nothing that a test may fail of.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


def _shared(part: str) -> Path:
    root = Path(os.environ.get("ENGAGEMENT_SHARED", ROOT.parent / "shared"))
    if not (root / part).is_dir():
        message = f"needs the folder '{part}' of the shared material (set ENGAGEMENT_SHARED)"
        if os.environ.get("ENGAGEMENT_REQUIRE_SHARED") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return root / part


@pytest.fixture(scope="session")
def shared_videos() -> Path:
    """Folder of the shared test videos."""
    return _shared("videos")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the shared data sets (Parquet)."""
    return _shared("data")


@pytest.fixture(scope="session")
def shared_weights() -> Path:
    """Folder of the shared initial weights."""
    return _shared("weights")


@pytest.fixture(scope="session")
def sample_videos() -> Path:
    """Folder of the project's own clips."""
    return ROOT / "sample_videos"


@pytest.fixture
def engagement(capfd: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """``engagement("analyze", …)`` as a user would, with what it printed."""

    def run(*args: object) -> Run:
        capfd.readouterr()
        status = run_command(*args)
        printed = capfd.readouterr()
        return Run(status, printed.out, printed.err)

    return run
