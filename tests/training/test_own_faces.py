"""docs/own-faces.md as it stands there: three labelled videos to a model that `analyze` uses."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import av
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from engagement.cli import cli
from engagement.faces.manifest import read_manifest
from engagement.video import open_video
from training.datasets.registry import load
from training.measuring.opened import open_network

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "own-faces.md"


def cut(source: Path, start_s: float, seconds: float, out: Path, rate: int = 10) -> Path:
    """A stretch of a clip as a video of its own; what people show in it means nothing."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with open_video(source) as reader, av.open(str(out), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "crf": "18"})
        stream.width, stream.height = reader.info.width, reader.info.height
        due = start_s
        for ticket in reader.tickets():
            if ticket.time_s >= start_s + seconds:
                break
            if ticket.time_s < due:
                continue
            due += 1 / rate
            frame = av.VideoFrame.from_ndarray(ticket.load())
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out


@pytest.fixture(scope="module")
def place(sample_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the videos that the document begins with."""
    folder = tmp_path_factory.mktemp("own")
    cut(sample_videos / "crossing.mp4", 0, 4, folder / "recordings" / "happy.mp4")
    cut(sample_videos / "occluded.mp4", 0, 4, folder / "recordings" / "neutral.mp4")
    cut(sample_videos / "seminar.mp4", 0, 4, folder / "recordings" / "surprise.mp4")
    cut(sample_videos / "seminar.mp4", 8, 1.4, folder / "lesson.mp4")
    return folder


def documented() -> list[list[str]]:
    """The commands of the document's first block, in order."""
    block = re.search(r"```\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.S)
    assert block
    lines = [line.partition("#")[0].strip() for line in block.group(1).splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("engagement ")]


def run(words: list[str]) -> Result:
    result = CliRunner().invoke(cli, words)
    assert result.exception is None or (isinstance(result.exception, SystemExit) and not result.exit_code), (
        words,
        result.output,
        result.exception,
    )
    return result


def test_the_documented_path_from_videos_to_a_report(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    commands = documented()
    assert [" ".join(words[:2]) for words in commands] == [
        "faces capture", "faces review", "faces review", "faces split", "faces augment",
        "dataset inspect", "train personal", "analyze lesson.mp4",
    ]  # fmt: skip
    for words in commands:
        if "--apply" in words:  # what somebody who looked would have saved
            bad = read_manifest(Path("my_faces"))[0]["file"]
            answer = {"format": "engagement-faces-review-1", "changes": {bad: {"drop": True}}}
            Path("review.json").write_text(json.dumps(answer))
        run(words)
    rows = read_manifest(Path("my_faces"))
    assert {row["label"] for row in rows} == {"happy", "neutral", "surprise"}
    assert {row["split"] for row in rows} == {"train", "val"}
    assert len(list(Path("my_faces/.dropped").rglob("*.png"))) == 1
    copies = load("my_faces_augmented")
    assert len(copies) > len(rows)
    assert set(copies.group[copies.split == "val"].tolist()).isdisjoint(copies.group[copies.split == "train"])
    network = open_network("runs/personal/personal.safetensors")
    assert set(network.head("expression").labels.classes) == {"happy", "neutral", "surprise"}
    assert "| happy |" in Path("runs/personal/model_card.md").read_text(encoding="utf-8")
    pages = list(Path("report").rglob("session.html"))
    assert len(pages) == 1
    assert "personal" in pages[0].read_text(encoding="utf-8")
    timeline = pd.read_parquet(next(Path("report").rglob("timeline.parquet")))
    assert len(timeline)
