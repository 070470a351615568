"""What several contract suites need."""

from __future__ import annotations

import platform

import pytest

from engagement.errors import BackendUnavailable, VideoError
from engagement.video import BACKENDS, open_video

#: As in pyproject.toml: where decord is among the dependencies.
DECORD_HAS_A_WHEEL = platform.system() == "Windows" or (platform.system(), platform.machine()) == (
    "Linux",
    "x86_64",
)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    try:
        open_video("/nowhere/clip.mp4", request.param)
    except BackendUnavailable as error:
        if request.param != "decord" or DECORD_HAS_A_WHEEL:
            raise
        pytest.skip(f"{request.param} has no wheel for this platform: {error.message}")
    except VideoError:
        pass
    return request.param
