"""Faces captured from videos are what training cuts again."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from engagement.cli.faces import faces
from engagement.errors import ConfigError, DataError, OutputError
from engagement.faces.capture import CaptureConfig, FaceCapture
from engagement.faces.chips import cut_chips
from engagement.faces.pose import project
from engagement.types import ByteArray, ChipSpec, FaceDetections, FloatArray, Frame
from training.chip_dataset import ChipDataset
from training.datasets.registry import load

CHIP = ChipSpec(96, 0.9, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class Placed:
    """A detector that finds faces where it is told."""

    name = "placed"

    def __init__(self, boxes: Sequence[Sequence[float]], scores: list[float], roll_deg: float = 0.0) -> None:
        self.boxes, self.scores, self.roll_deg = boxes, scores, roll_deg

    def detect(self, rgb: ByteArray, frame_index: int = 0, time_s: float = 0.0) -> FaceDetections:
        boxes = np.array(self.boxes, np.float32).reshape(-1, 4)
        centre = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
        points = centre + project((0.0, 0.0, self.roll_deg), 0.4)[None]
        return FaceDetections(
            frame_index, time_s, boxes, np.array(self.scores, np.float32), points.astype(np.float32)
        )

    def refine(
        self, rgb: ByteArray, boxes_xyxy: FloatArray, frame_index: int = 0, time_s: float = 0.0
    ) -> FaceDetections:
        raise AssertionError("not used")


def scene(seed: int = 0) -> ByteArray:
    """Coarse noise: detailed enough not to count as blurred, smooth enough to be resampled."""
    small = np.random.default_rng(seed).integers(0, 255, (60, 80, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(small, (640, 480), interpolation=cv2.INTER_CUBIC), np.uint8)


def frames(count: int = 3) -> list[Frame]:
    return [Frame(10 * i, 1.5 * i, scene(i)) for i in range(count)]


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("roll", [0.0, 20.0, -35.0])
def test_training_cuts_the_same_chip_again(tmp_path: Path, roll: float) -> None:
    box = [250.0, 150.0, 330.0, 260.0]
    work = FaceCapture(tmp_path, CaptureConfig("happy"), Placed([box], [0.99], roll))
    assert work.add("lesson.mp4", frames(1)) == 1
    table = load(str(tmp_path))
    again = ChipDataset(table, CHIP).chip(0).astype(float)
    direct = cut_chips(scene(0), np.array([box], np.float32), np.array([roll], np.float32), CHIP)[0].astype(
        float
    )
    assert np.abs(again - direct).mean() < 6  # resampled twice, of 255
    assert np.corrcoef(again.ravel(), direct.ravel())[0, 1] > 0.98


def test_the_manifest_tells_where_each_face_comes_from(tmp_path: Path) -> None:
    work = FaceCapture(tmp_path, CaptureConfig("happy", block_s=2.0), Placed([[100, 100, 180, 200]], [0.99]))
    work.add("a.mp4", frames())
    FaceCapture(tmp_path, CaptureConfig("sad"), Placed([[100, 100, 180, 200]], [0.99])).add(
        "b.mp4", frames(1)
    )
    rows = rows_of(tmp_path)
    assert [row["label"] for row in rows] == ["happy"] * 3 + ["sad"]
    assert [row["group"] for row in rows] == ["a.mp4#0", "a.mp4#0", "a.mp4#1", "b.mp4#0"]
    assert [row["time_s"] for row in rows[:3]] == ["0.0", "1.5", "3.0"]
    for row in rows:
        picture = cv2.imread(str(tmp_path / row["file"]))
        assert picture is not None
        assert picture.shape == (224, 224, 3)
    assert float(rows[0]["x1"]) == 100.0
    assert load(str(tmp_path)).group.tolist() == [row["group"] for row in rows]


def test_the_largest_or_all_faces_and_why_others_were_skipped(tmp_path: Path) -> None:
    boxes = [[10, 10, 90, 110], [300, 100, 420, 250], [500, 20, 520, 45], [200, 300, 300, 420]]
    detector = Placed(boxes, [0.99, 0.98, 0.99, 0.5])
    largest = FaceCapture(tmp_path / "one", CaptureConfig("x"), detector)
    assert largest.add("v", frames(1)) == 1
    assert float(rows_of(tmp_path / "one")[0]["x1"]) == 300.0
    everyone = FaceCapture(tmp_path / "all", CaptureConfig("x", all_faces=True), detector)
    assert everyone.add("v", frames(1)) == 2
    assert everyone.counts["faces below 40 px"] == 1
    assert everyone.counts["detections scored below 0.95"] == 1


def test_blurred_faces_and_empty_frames_are_counted(tmp_path: Path) -> None:
    work = FaceCapture(tmp_path, CaptureConfig("x"), Placed([[100, 100, 180, 200]], [0.99]))
    flat = Frame(0, 0.0, np.full((480, 640, 3), 120, np.uint8))
    assert work.add("v", [flat]) == 0
    assert work.counts["faces blurred, dark, turned away or cut off"] == 1
    nobody = FaceCapture(tmp_path, CaptureConfig("x"), Placed([], []))
    nobody.add("v", frames(2))
    assert nobody.counts["frames without a face"] == 2


def test_capturing_again_replaces_instead_of_repeating(tmp_path: Path) -> None:
    for _ in range(2):
        FaceCapture(tmp_path, CaptureConfig("x"), Placed([[100, 100, 180, 200]], [0.99])).add("v", frames())
    assert len(rows_of(tmp_path)) == 3


@pytest.mark.parametrize("label", ["", "../up", "a/b", ".hidden"])
def test_a_label_that_is_no_folder_is_refused(label: str) -> None:
    with pytest.raises(ConfigError, match="--label"):
        CaptureConfig(label)


def test_a_foreign_manifest_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("a,b\n1,2\n")
    with pytest.raises(OutputError, match="not a manifest"):
        FaceCapture(tmp_path, CaptureConfig("x"), Placed([], []))


def test_the_command_on_a_video_with_faces(sample_videos: Path, tmp_path: Path) -> None:
    arguments = ["capture", str(sample_videos / "video_call.mp4"), "--label", "happy", "-o", str(tmp_path)]
    result = CliRunner().invoke(faces, [*arguments, "--every", "150", "--all"])
    assert result.exception is None, result.output
    rows = rows_of(tmp_path)
    assert rows
    assert "written to" in result.output
    indices = [int(row["file"].split("_")[-2]) for row in rows]
    assert all(index % 150 == 0 for index in indices)


def test_a_video_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("no video")
    result = CliRunner().invoke(
        faces, ["capture", str(tmp_path / "notes.mp4"), "--label", "happy", "-o", str(tmp_path / "out")]
    )
    assert isinstance(result.exception, DataError)
    assert "notes.mp4" in result.output
