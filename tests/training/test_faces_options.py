"""Options of ``engagement faces`` reach what they are called after, each alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from engagement.cli.faces import faces
from engagement.faces.capture import CaptureConfig
from engagement.faces.manifest import write_manifest
from training.collection.augment import CopyOptions
from training.collection.split import SplitOptions


def called(*words: object) -> None:
    CliRunner().invoke(faces, [str(word) for word in words])


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        ((), {}),
        (("--size", 300), {"size": 300}),
        (("--all",), {"all_faces": True}),
        (("--min-face", 60), {"min_face_px": 60}),
        (("--min-score", 0.5), {"min_score": 0.5}),
        (("--min-quality", 0.6), {"min_quality": 0.6}),
        (("--block", 7), {"block_s": 7}),
        (("--every", 3), {"every": 3}),
        (("--person", "Ann"), {"person": "Ann"}),
    ],
)
def test_options_of_capture(
    words: tuple[object, ...], changed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, ...]] = []
    monkeypatch.setattr("engagement.collection.capture", lambda *given: seen.append(given) or [])
    monkeypatch.setattr("engagement.faces.mtcnn.MtcnnDetector", lambda config: config)
    (tmp_path / "a.mp4").touch()
    called("capture", tmp_path / "a.mp4", "--label", "happy", "-o", tmp_path / "out", *words)
    ((wanted, every, work, _),) = seen
    own = {key: value for key, value in changed.items() if key not in ("every", "person")}
    assert work.config == replace(CaptureConfig(), **own) and work.folder == tmp_path / "out"
    assert every == changed.get("every", 5)
    ((scene,),) = (recording.scenes for recording in wanted)
    assert (scene.label, scene.person) == ("happy", changed.get("person", ""))


@pytest.mark.parametrize(
    ("command", "words", "expected"),
    [
        ("split", (), SplitOptions()),
        ("split", ("--by", "time"), SplitOptions(by="time")),
        ("split", ("--val", 0.3), SplitOptions(val=0.3)),
        ("split", ("--test", 0.1), SplitOptions(test=0.1)),
        ("augment", (), CopyOptions()),
        ("augment", ("-n", 2), CopyOptions(copies=2)),
        ("augment", ("--flip", 0.1), CopyOptions(flip=0.1)),
        ("augment", ("--rotation", 3), CopyOptions(rotation_deg=3)),
        ("augment", ("--light", 0.1), CopyOptions(light=0.1)),
        ("augment", ("--seed", 7), CopyOptions(seed=7)),
    ],
)
def test_options_of_split_and_augment(
    command: str, words: tuple[object, ...], expected: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, ...]] = []
    write_manifest(tmp_path, [])
    monkeypatch.setattr(f"training.collection.{command}.{command}_faces", lambda *given: seen.append(given))
    called(command, tmp_path, *words)
    assert expected in seen[0]
