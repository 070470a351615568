"""Every training command, a few steps on real files, and its output in use by ``analyze``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from engagement.weights.store import sha256_of
from tests.sessions.command import Run, run_command

pytestmark = [pytest.mark.shared, pytest.mark.slow]
Command = Callable[..., Run]
CLIP = "crossing"


@pytest.fixture(scope="module")
def base(shared_data: Path, shared_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model after two steps."""
    out = tmp_path_factory.mktemp("base")
    init = shared_weights / "efficientnet_b0_init_from_lite0.safetensors"
    options = (
        "--recipe",
        "rafdb",
        "--init",
        init,
        "--max-steps",
        2,
        "--limit",
        150,
        "--set",
        "batch_size=16",
    )
    assert run_command("train", "base", "--data", f"{shared_data}:rafdb", "-o", out, *options) == 0
    return out / "model.safetensors"


@pytest.fixture(scope="module")
def states(base: Path, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("states")
    args = ("--data", f"{shared_data}:daisee", "--base", base, "--limit", 120, "-o", out)
    assert run_command("train", "states", *args) == 0
    return out / "model.safetensors"


def analysed(checkpoint: Path, sample_videos: Path, out: Path, *options: object) -> pd.DataFrame:
    """The timeline of a sample clip scored with a checkpoint, which run.json must name by its hash."""
    clip = sample_videos / f"{CLIP}.mp4"
    args = ("analyze", clip, "-o", out, "--sample-rate", 1, "-q", "--checkpoint", checkpoint, *options)
    assert run_command(*args) == 0
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert sha256_of(checkpoint) in {w["sha256"] for w in run["weights"].values()}
    return pd.read_parquet(out / CLIP / "timeline.parquet")


def test_base(base: Path, sample_videos: Path, tmp_path: Path) -> None:
    timeline = analysed(base, sample_videos, tmp_path)
    assert timeline["s_happy"].notna().any()
    assert timeline["s_engagement"].notna().any(), "the shipped network serves the states"


def test_states(states: Path, sample_videos: Path, tmp_path: Path) -> None:
    timeline = analysed(states, sample_videos, tmp_path)
    assert timeline["s_boredom"].between(0, 1).any()


def test_identity(
    states: Path, shared_data: Path, shared_weights: Path, sample_videos: Path, tmp_path: Path
) -> None:
    teacher = shared_weights / "face_reid_0095.safetensors"
    args = ("--teacher", teacher, "--data", f"{shared_data}:rafdb", "--base", states, "--limit", 600)
    assert run_command("train", "identity", *args, "-o", tmp_path / "run") == 0
    timeline = analysed(tmp_path / "run" / "model.safetensors", sample_videos, tmp_path / "out")
    assert timeline["observed"].any()


@pytest.mark.parametrize("model", ["lstm", "cnn3d"])
def test_temporal(
    model: str, shared_data: Path, shared_videos: Path, sample_videos: Path, tmp_path: Path
) -> None:
    few = ("--max-steps", 2, "--limit", 60)
    args = ("--model", model, "--data", shared_data, "--videos", shared_videos, *few)
    assert run_command("train", "temporal", *args, "-o", tmp_path / "run") == 0
    (weights,) = (tmp_path / "run").rglob(f"{model}.safetensors")
    clip = sample_videos / f"{CLIP}.mp4"
    options = ("--temporal", model, "--temporal-weights", weights, "--sample-rate", 3, "-q")
    assert run_command("analyze", clip, "-o", tmp_path / "out", *options) == 0
    timeline = pd.read_parquet(tmp_path / "out" / CLIP / "timeline.parquet")
    assert timeline["s_happy"].notna().any()
    run = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert sha256_of(weights) in {w["sha256"] for w in run["weights"].values()}


def test_from_labelled_videos_to_personal_and_extension(sample_videos: Path, tmp_path: Path) -> None:
    """The ancestors' path: labelled videos, faces, transfer, in use."""
    faces = tmp_path / "faces"
    for label, clip in (("happy", "seminar"), ("neutral", "crossing")):
        shutil.copy(sample_videos / f"{clip}.mp4", tmp_path / f"{label}.mp4")
        video = tmp_path / f"{label}.mp4"
        assert (
            run_command("faces", "capture", video, "--label", label, "-o", faces, "--every", 10, "--all") == 0
        )
    assert (faces / "manifest.csv").is_file()
    assert run_command("train", "personal", "--data", faces, "-o", tmp_path / "personal") == 0
    personal = analysed(tmp_path / "personal" / "personal.safetensors", sample_videos, tmp_path / "out")
    seen = personal[personal["observed"]]
    assert (seen["p_angry"] == 0).all(), "a class that the personal model cannot name"
    assert (seen["p_happy"] + seen["p_neutral"]).between(0.99, 1.01).all()
    assert run_command("train", "extension", "--data", faces, "--name", "mood", "-o", tmp_path / "more") == 0
    extended = analysed(next((tmp_path / "more").glob("*.safetensors")), sample_videos, tmp_path / "out2")
    own = extended.loc[extended["observed"], ["p_mood_happy", "p_mood_neutral"]]
    assert own.sum(axis=1).between(0.99, 1.01).all()
    assert extended["p_angry"].max() > 0, "the seven expressions stay"


def test_temporal_weights_without_a_network_are_refused(
    engagement: Command, sample_videos: Path, tmp_path: Path
) -> None:
    clip = sample_videos / f"{CLIP}.mp4"
    ended = engagement("analyze", clip, "-o", tmp_path, "--temporal-weights", "x.safetensors")
    assert ended.status == 2
    assert "--temporal lstm" in ended.err
