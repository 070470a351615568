"""Each option of ``engagement analyze`` changes its own setting and no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engagement.batch.options import Crew
from engagement.batch.tasks import Setup
from engagement.config import AnalysisConfig
from tests.sessions.command import Run

Command = Callable[..., Run]


@pytest.fixture
def asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engagement: Command
) -> Callable[..., tuple[Setup, Crew, list[str]]]:
    """What a run is started with, for some words of the command line; nothing is run."""
    for name in ("a.mp4", "b.vob"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).touch()
    seen: list[tuple[Setup, Crew, list[str]]] = []

    def begin(videos: Any, setup: Setup, _: object, crew: Crew, *further: object) -> list[Any]:
        seen.append((setup, crew, sorted(video.path.name for video in videos)))
        return []

    monkeypatch.setattr("engagement.batch.runner.run_batch", begin)

    def ask(*words: object) -> tuple[Setup, Crew, list[str]]:
        ended = engagement("analyze", tmp_path / "in", "-o", tmp_path / "out", *words)
        assert ended.status == 0, ended.err
        return seen[-1]

    return ask


def flat(settings: dict[str, Any], before: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in settings.items():
        out |= flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
    return out


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        ((), {}),
        (("--sample-rate", 2), {"sampling.rate_hz": 2}),
        (("--min-face", 40), {"detection.min_face_px": 40}),
        (("--scan-every", 1.5), {"search.scan_every_s": 1.5}),
        (("--min-quality", 0.5), {"quality.min_quality": 0.5}),
        (("--temporal", "none"), {"smoothing.method": "none"}),
        (
            ("--window", 4),
            {"smoothing.method": "box", "smoothing.window_s": 4, "smoothing.state_window_s": 4},
        ),
        (("--margin", 0.2), {"episodes.state_margin": 0.2}),
        (("--identity", "off"), {"persons.identity": "off"}),
        (("--weights", "open"), {"classifier.checkpoint": "open"}),
        (("--no-mirror",), {"classifier.mirror": False}),
        (("--backend", "pyav"), {"backend": "pyav"}),
        (("--no-thumbnails",), {"thumbnails": False}),
        (("--split", 5), {"split_s": 300}),
        (("--min-presence", "10s"), {"presence.min_s": 10, "presence.min_share": 0.0}),
        (("--min-presence", "5%"), {"presence.min_s": 0, "presence.min_share": 0.05}),
    ],
)
def test_each_option_changes_its_own_setting(asked: Any, words: tuple[object, ...], changed: dict) -> None:
    setup, crew, videos = asked(*words)
    default = flat(AnalysisConfig().to_dict())
    found = flat(setup.config.to_dict())
    assert {
        key: value for key, value in found.items() if default.get(key) != value or key not in default
    } == {key: value for key, value in changed.items() if default.get(key) != value or key not in default}
    assert (setup.device, setup.overwrite, crew, videos) == ("auto", False, Crew(), ["a.mp4"])


def test_options_of_the_run_itself(asked: Any) -> None:
    assert asked("--overwrite")[0].overwrite
    assert asked("--workers", 3)[1] == Crew(3)
    assert asked("--scheduler", "tcp://host:8786")[1] == Crew(1, "tcp://host:8786")
    assert asked("--device", "cpu")[0].device == "cpu"
    assert asked("--glob", "*.vob")[2] == ["a.mp4", "b.vob"]


def test_weights_are_found_from_elsewhere(
    asked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers begin in other folders."""
    from engagement.weights.store import load_weights, save_weights

    shipped = load_weights("open", "face_state")
    save_weights(tmp_path / "mine.safetensors", shipped.record, shipped.tensors)
    monkeypatch.chdir(tmp_path)
    setup, _, _ = asked("--checkpoint", "mine.safetensors")
    assert setup.config.classifier.checkpoint == str(tmp_path / "mine.safetensors")
