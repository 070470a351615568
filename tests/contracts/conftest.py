"""What several contract suites need."""

from __future__ import annotations

import pytest

from engagement.errors import BackendUnavailable, VideoError
from engagement.video import BACKENDS, open_video


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    try:
        open_video("/nowhere/clip.mp4", request.param)
    except BackendUnavailable as error:
        if request.param != "decord":  # the others are required
            raise
        pytest.skip(f"{request.param} has no wheel for this platform: {error.message}")
    except VideoError:
        pass
    return request.param
