"""Faces captured from videos are what training cuts again."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from engagement import collection
from engagement.cli.faces import faces
from engagement.errors import ConfigError, DataError, OutputError
from engagement.faces.capture import CaptureConfig, FaceCapture, Scene
from engagement.faces.chips import cut_chips
from engagement.faces.manifest import read_manifest, write_manifest
from engagement.faces.pose import project
from engagement.types import ByteArray, ChipSpec, FaceDetections, FloatArray, Frame
from tests import faulty_media, media
from tests.media import write_video
from tests.sessions.command import Run
from training.collection.split import SplitOptions, split_faces
from training.datasets.registry import load
from training.samples.chip_dataset import ChipDataset

CHIP = ChipSpec(96, 0.9, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


HAPPY = [Scene("happy")]


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
    work = FaceCapture(tmp_path, CaptureConfig(), Placed([box], [0.99], roll))
    assert work.add("lesson.mp4", HAPPY, frames(1)) == 1
    table = load(str(tmp_path))
    again = ChipDataset(table, CHIP).chip(0).astype(float)
    direct = cut_chips(scene(0), np.array([box], np.float32), np.array([roll], np.float32), CHIP)[0].astype(
        float
    )
    assert np.abs(again - direct).mean() < 6  # resampled twice, of 255
    assert np.corrcoef(again.ravel(), direct.ravel())[0, 1] > 0.98


def test_the_manifest_tells_where_each_face_comes_from(tmp_path: Path) -> None:
    work = FaceCapture(tmp_path, CaptureConfig(block_s=2.0), Placed([[100, 100, 180, 200]], [0.99]))
    work.add("a.mp4", HAPPY, frames())
    FaceCapture(tmp_path, CaptureConfig(), Placed([[100, 100, 180, 200]], [0.99])).add(
        "b.mp4", [Scene("sad")], frames(1)
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
    largest = FaceCapture(tmp_path / "one", CaptureConfig(), detector)
    assert largest.add("v", HAPPY, frames(1)) == 1
    assert float(rows_of(tmp_path / "one")[0]["x1"]) == 300.0
    everyone = FaceCapture(tmp_path / "all", CaptureConfig(all_faces=True), detector)
    assert everyone.add("v", HAPPY, frames(1)) == 2
    assert everyone.counts["faces below 40 px"] == 1
    assert everyone.counts["detections scored below 0.95"] == 1


def test_what_was_left_out_is_counted_by_its_reason(tmp_path: Path) -> None:
    work = FaceCapture(tmp_path, CaptureConfig(), Placed([[100, 100, 180, 200]], [0.99]))
    flat = Frame(0, 0.0, np.full((480, 640, 3), 120, np.uint8))
    blurred = Frame(2, 0.2, np.asarray(cv2.resize(scene()[100:200, 100:180], (640, 480))[:480], np.uint8))
    assert work.add("v", HAPPY, [flat, blurred]) == 0
    assert work.counts["faces too dark, too bright or without contrast"] == 1
    assert work.counts["faces blurred"] == 1
    assert not (tmp_path / "manifest.csv").exists()
    nobody = FaceCapture(tmp_path, CaptureConfig(), Placed([], []))
    nobody.add("v", HAPPY, frames(2))
    assert nobody.counts["frames without a face"] == 2
    outside = FaceCapture(tmp_path, CaptureConfig(), Placed([[-60, 100, 20, 200]], [0.99]))
    outside.add("v", HAPPY, frames(1))
    assert outside.counts["faces cut off by the picture's edge"] == 1


def test_capturing_again_replaces_instead_of_repeating(tmp_path: Path) -> None:
    for _ in range(2):
        FaceCapture(tmp_path, CaptureConfig(), Placed([[100, 100, 180, 200]], [0.99])).add(
            "v", HAPPY, frames()
        )
    assert len(rows_of(tmp_path)) == 3


def test_blocks_of_another_length_take_earlier_faces_along(tmp_path: Path) -> None:
    """Other frames in blocks of one second: the faces that lie there must not stay in blocks of two."""
    placed = Placed([[100, 100, 180, 200]], [0.99])
    FaceCapture(tmp_path, CaptureConfig(), placed).add(
        "v", HAPPY, [Frame(i, 0.5 * i, scene(i)) for i in range(8)]
    )
    write_manifest(tmp_path, [{**row, "split": "val"} for row in rows_of(tmp_path)])
    between = [Frame(100 + i, 0.5 * i + 0.25, scene(i)) for i in range(8)]
    FaceCapture(tmp_path, CaptureConfig(block_s=1.0), placed).add("v", HAPPY, between)
    rows = rows_of(tmp_path)
    assert len(rows) == 16
    assert all(row["group"] == f"v#{int(float(row['time_s']))}" for row in rows)
    assert {row["split"] for row in rows if float(row["time_s"]) >= 1} == {""}


@pytest.mark.parametrize("stretches_first", [False, True])
def test_stretches_and_the_whole_video_share_their_blocks(tmp_path: Path, stretches_first: bool) -> None:
    """Faces of one moment must not be in two groups because the video was captured whole and in stretches."""
    runs = [HAPPY, [Scene("happy", 0, 1.5), Scene("happy", 1.5, None)]]
    for late, scenes in enumerate(reversed(runs) if stretches_first else runs):
        seen = [Frame(100 * late + i, 0.5 * i + 0.25 * late, scene(i)) for i in range(8)]
        work = FaceCapture(tmp_path, CaptureConfig(), Placed([[100, 100, 180, 200]], [0.99]))
        work.add("v", scenes, seen)
        if not late:
            write_manifest(tmp_path, [{**row, "split": "val"} for row in rows_of(tmp_path)])
    rows = sorted(rows_of(tmp_path), key=lambda row: float(row["time_s"]))
    groups = [row["group"] for row in rows]
    assert len(groups) == 16
    assert sum(a != b for a, b in itertools.pairwise(groups)) == len(set(groups)) - 1  # none comes back
    assert not any(row["split"] for row in rows)  # which was one of other groups


def test_what_somebody_else_wrote_into_the_manifest_stays(tmp_path: Path) -> None:
    placed = Placed([[100, 100, 180, 200]], [0.99])
    work = FaceCapture(tmp_path, CaptureConfig(), placed)
    work.add("v", HAPPY, frames())
    # A column of notes, and faces that another capture has written meanwhile.
    changed = [{**row, "note": "smiles", "split": "val"} for row in rows_of(tmp_path)]
    write_manifest(tmp_path, changed[1:])  # and one was taken out
    FaceCapture(tmp_path, CaptureConfig(), placed).add("w", HAPPY, frames())
    work.add("u", HAPPY, frames())
    rows = rows_of(tmp_path)
    assert sorted(row["source"] for row in rows) == ["u"] * 3 + ["v"] * 2 + ["w"] * 3
    assert {(row["note"], row["split"]) for row in rows if row["source"] == "v"} == {("smiles", "val")}
    FaceCapture(tmp_path, CaptureConfig(), placed).add("v", HAPPY, frames())
    again = [row["note"] for row in rows_of(tmp_path) if row["source"] == "v"]
    assert sorted(again) == ["", "smiles", "smiles"]
    assert not list(tmp_path.glob("*.part"))


def test_another_label_for_the_same_faces_is_said(tmp_path: Path) -> None:
    counts = []
    for label in ("sad", "happy"):
        work = FaceCapture(tmp_path, CaptureConfig(), Placed([[100, 100, 180, 200]], [0.99]))
        work.add("v", [Scene(label)], frames())
        counts.append(len(work.twice))
    assert counts == [0, 3]
    # The same in one call: a video that lies in the folders of two classes, or that a list names in two ways.
    both = FaceCapture(tmp_path / "both", CaptureConfig(), Placed([[100, 100, 180, 200]], [0.99]))
    for label in ("sad", "happy", "happy"):
        both.add("v", [Scene(label)], frames())
    assert len(both.twice) == 3


def test_capturing_again_keeps_what_was_decided_about_a_face(tmp_path: Path) -> None:
    def run(block_s: float = 2.0, person: str = "") -> list[dict[str, str]]:
        work = FaceCapture(tmp_path, CaptureConfig(block_s=block_s), Placed([[100, 100, 180, 200]], [0.99]))
        work.add("v", [Scene("happy", person=person)], frames())
        return rows_of(tmp_path)

    write_manifest(tmp_path, [{**row, "split": "val", "person": "Ann"} for row in run()])
    assert {(row["split"], row["person"]) for row in run()} == {("val", "Ann")}
    assert {row["person"] for row in run(person="Bo")} == {"Bo"}
    # Other blocks ask for another split: the first frame's block is called as before, the last one's is not.
    assert [(row["group"], row["split"]) for row in run(block_s=1.5)] == [
        ("v#0", "val"),
        ("v#1", ""),
        ("v#2", ""),
    ]


@pytest.mark.parametrize("label", ["", "../up", "a/b", ".hidden", "Test", "training"])
def test_a_label_that_is_no_folder_is_refused(label: str) -> None:
    with pytest.raises(ConfigError, match="--label"):
        Scene(label)


def test_a_foreign_manifest_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("a,b\n1,2\n")
    with pytest.raises(OutputError, match="not a manifest"):
        FaceCapture(tmp_path, CaptureConfig(), Placed([], []))


def test_scenes_say_who_shows_what_when(tmp_path: Path) -> None:
    scenes = [Scene("happy", 0, 2, "Ann"), Scene("sad", 2.5, None)]
    work = FaceCapture(tmp_path, CaptureConfig(), Placed([[100, 100, 180, 200]], [0.99]))
    seen = [Frame(i, 0.5 * i, scene(i)) for i in range(8)]
    assert work.add("v", scenes, seen) == 7  # nothing is said of 2.0 s
    rows = {float(row["time_s"]): row for row in rows_of(tmp_path)}
    assert {t for t, row in rows.items() if row["label"] == "happy"} == {0.0, 0.5, 1.0, 1.5}
    assert [rows[t]["person"] for t in (0.0, 3.0)] == ["Ann", ""]
    assert 2.0 not in rows


def test_no_block_holds_two_stretches(tmp_path: Path) -> None:
    work = FaceCapture(tmp_path, CaptureConfig(), Placed([[100, 100, 180, 200]], [0.99]))
    for label in ("happy", "sad"):
        seen = [Frame(i, 0.5 * i, scene(i)) for i in range(8)]
        work.add(f"{label}.mp4", [Scene(label, 0, 1, "Ann"), Scene(label, 1, None, "Bo")], seen)
    rows = rows_of(tmp_path)
    assert list(dict.fromkeys(row["group"] for row in rows if row["label"] == "sad")) == [
        "sad.mp4#0.0",
        "sad.mp4#1.0",
        "sad.mp4#1.1",
    ]
    assert {row["group"].rpartition("#")[0] for row in rows} == {"happy.mp4", "sad.mp4"}
    split_faces(tmp_path, SplitOptions("person"))
    assert len({(row["person"], row["split"]) for row in rows_of(tmp_path)}) == 2


def test_faces_are_followed(tmp_path: Path) -> None:
    boxes = [[100, 100, 180, 200], [400, 100, 480, 200]]
    work = FaceCapture(tmp_path, CaptureConfig(all_faces=True), Placed(boxes, [0.99, 0.98]))
    work.add("v", HAPPY, [Frame(i, 0.2 * i, scene()) for i in range(3)], collection.follower())
    found = {(row["x1"], row["track"]) for row in rows_of(tmp_path)}
    assert found == {("100.0", "0"), ("400.0", "1")} or found == {("100.0", "1"), ("400.0", "0")}


def test_two_videos_of_one_name_stay_two_sources(tmp_path: Path) -> None:
    detector = Placed([[100, 100, 180, 200]], [0.99])
    work = FaceCapture(tmp_path, CaptureConfig(), detector)
    work.add(work.name_for("a.mp4", "one/a.mp4", "11"), HAPPY, frames(1), None, "11")
    again = FaceCapture(tmp_path, CaptureConfig(), detector)
    assert again.name_for("a.mp4", "one/a.mp4", "11") == "a.mp4"
    assert again.name_for("a.mp4", "two/a.mp4", "22") == "two/a.mp4"
    again.add("two/a.mp4", HAPPY, frames(1), None, "22")
    assert again.name_for("a.mp4", "two/a.mp4", "33") == "two/a.mp4 (2)"
    assert {row["source"] for row in rows_of(tmp_path)} == {"a.mp4", "two/a.mp4"}


def test_the_command_on_a_video_with_faces(sample_videos: Path, tmp_path: Path) -> None:
    arguments = ["capture", str(sample_videos / "video_call.mp4"), "--label", "happy", "-o", str(tmp_path)]
    result = CliRunner().invoke(faces, [*arguments, "--every", "150", "--all"])
    assert result.exception is None, result.output
    rows = rows_of(tmp_path)
    assert rows
    assert "written to" in result.output
    indices = [int(row["file"].split("_")[-2]) for row in rows]
    assert all(index % 150 == 0 for index in indices)


@pytest.mark.parametrize(("clip", "whole"), [("cut_mkv", False), ("damaged", False), ("lesson", True)])
def test_a_video_that_is_not_read_to_its_end_is_said(tmp_path: Path, clip: str, whole: bool) -> None:
    makers = {"cut_mkv": faulty_media.cut_mkv, "damaged": faulty_media.damaged}
    path = (
        makers[clip](tmp_path).path if clip in makers else write_video(tmp_path / "a.mkv", range(0, 400, 40))
    )
    said: list[str] = []
    work = FaceCapture(tmp_path / "out", CaptureConfig(), Placed([], []))
    wanted = [collection.Recording(p, (Scene("happy"),)) for p in (path, path)]
    assert collection.capture(wanted, 5, work, said.append) == []
    lines = [line for line in said if line.startswith(f"{path.name}: not read to its end: ")]
    assert len(lines) == (0 if whole else 2)
    assert all(line.partition("end: ")[2] for line in lines)


def test_stretches_that_the_video_has_no_time_for_are_said(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", range(0, 4000, 40))
    said: list[str] = []
    work = FaceCapture(tmp_path / "out", CaptureConfig(), Placed([], []))
    scenes = tuple(Scene("happy", *span) for span in ((0, 1), (1, 4.5), (4.5, 9), (4.9, 5)))
    assert collection.capture([collection.Recording(path, scenes[:2])], 25, work, said.append) == []
    assert not [line for line in said if "stretches" in line]
    collection.capture(
        [collection.Recording(path, (Scene("happy", 3, 9), *scenes[3:]))], 25, work, said.append
    )
    told = [line.partition("before ")[2] for line in said if "stretches" in line]
    assert told == ["the beginning of 1 of its stretches", "the end of 1 of its stretches"]


def test_a_video_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("no video")
    result = CliRunner().invoke(
        faces, ["capture", str(tmp_path / "notes.mp4"), "--label", "happy", "-o", str(tmp_path / "out")]
    )
    assert isinstance(result.exception, DataError)
    assert "notes.mp4" in result.output


def test_videos_whose_names_read_alike_keep_their_pictures(tmp_path: Path) -> None:
    work = FaceCapture(tmp_path / "f", CaptureConfig(), Placed([[100, 100, 180, 200]], [0.99]))
    names = ["lesson 1.mp4", "lesson_1.mp4", "lesson(1.mp4", "lesson 1.mp4"]
    for number, name in enumerate(names):
        source = work.name_for(name, f"x/{name}", f"{number % 3}")
        work.add(source, HAPPY, frames(1), None, f"{number % 3}")
    assert len(list((tmp_path / "f").rglob("*.png"))) == len(read_manifest(tmp_path / "f")) == 3


def test_where_no_face_was_saved_every_limit_is_named(tmp_path: Path, engagement: Callable[..., Run]) -> None:
    clip = media.steady(tmp_path).path
    ended = engagement("faces", "capture", clip, "--label", "happy", "-o", tmp_path / "out", "--min-score", 1)
    assert ended.status == 1
    assert "no face was saved from" in ended.err and "a lower --min-score or --min-quality" in ended.err
