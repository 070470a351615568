"""Neighbouring frames among captured faces, whose names end in the number of the face, not of the frame."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from engagement.faces.capture import CaptureConfig, FaceCapture, Scene
from engagement.faces.manifest import read_manifest, write_manifest
from engagement.types import Frame
from tests.training.test_capture import Placed, scene
from tests.training.test_inspection import face, inspected, jpeg, kinds, moving, table_of
from training.datasets.registry import load
from training.inspection.leaks import KINDS, relations
from training.inspection.pictures import collect
from training.inspection.similar import SimilarOptions


@pytest.fixture
def captured(tmp_path: Path) -> Path:
    """Two faces in each of eight frames of one scene, four frames a block; the second block checks."""
    boxes = [[60, 60, 220, 220], [380, 200, 520, 340]]
    work = FaceCapture(tmp_path / "f", CaptureConfig(all_faces=True), Placed(boxes, [0.99, 0.99]))
    shown = [
        Frame(15 * i, 0.5 * i, (0.75 * scene(0) + 0.25 * scene(i + 1)).astype(np.uint8)) for i in range(8)
    ]
    assert work.add("happy.mp4", [Scene("happy")], shown) == 16
    rows = read_manifest(tmp_path / "f")
    for row in rows:
        row["split"] = "train" if row["group"] == "happy.mp4#0" else "val"
    write_manifest(tmp_path / "f", rows)
    return tmp_path / "f"


def neighbours(folder: Path) -> set[tuple[str, ...]]:
    pictures = collect([load(str(folder))])
    found = relations(pictures, SimilarOptions())
    return {tuple(sorted(pictures.sample_id[list(pair)].tolist())) for pair in found.neighbours}


def test_neighbouring_frames_of_captured_faces_are_found_at_a_block_s_border(captured: Path) -> None:
    assert neighbours(captured) == {
        tuple(f"happy/happy.mp4_{frame:06d}_{face}.png" for frame in (45, 60)) for face in (0, 1)
    }
    found = relations(collect([load(str(captured))]), SimilarOptions())
    assert {len(leak.affected) for leak in found.leaks if leak.kind == KINDS[3]} == {2}


def test_copies_of_captured_faces_are_no_frames_of_their_own(captured: Path) -> None:
    rows = read_manifest(captured)
    for row in list(rows):
        if row["split"] == "train":
            file = row["file"].replace(".png", "_aug01.png")
            (captured / file).write_bytes((captured / row["file"]).read_bytes())
            rows.append({**row, "file": file, "original": row["file"]})
    write_manifest(captured, rows)
    assert len(neighbours(captured)) == 2


def test_numbers_that_capture_does_not_write_are_read_as_before(captured: Path) -> None:
    with (captured / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for k, row in enumerate(row for row in rows if row["file"].endswith("_0.png")):
        old, row["file"] = row["file"], f"happy/IMG_20240102_{120000 + k}.png"
        row["group"] = ""
        (captured / old).rename(captured / row["file"])
    for row in rows:
        if row["file"].endswith("_1.png"):
            (captured / row["file"]).unlink()
        row["source"] = "phone"
    write_manifest(captured, [row for row in rows if (captured / row["file"]).is_file()])
    assert neighbours(captured) == {("happy/IMG_20240102_120003.png", "happy/IMG_20240102_120004.png")}


def test_of_several_copies_the_most_alike_one_is_shown() -> None:
    train = [jpeg(face(1), 20), jpeg(face(1), 95), jpeg(face(1), 40)]
    for order in ([0, 1, 2], [1, 2, 0], [2, 0, 1]):
        _, found = inspected(table_of([*(train[i] for i in order), face(1)], ["train"] * 3 + ["val"]))
        (leak,) = found.leaks
        assert (leak.kind, leak.affected.tolist()) == (KINDS[1], [3])
        assert leak.partner.tolist() == [order.index(1)]


def test_copies_that_nobody_learns_do_not_leak() -> None:
    pictures = [face(1), face(2), face(2), jpeg(face(2), 90)]
    assert not inspected(table_of(pictures, ["train", "val", "val", "test"]))[1].leaks


def test_neighbouring_frames_count_beside_copies() -> None:
    frames = [*(moving(i) for i in range(4)), moving(0), face(9)]
    names = [*(f"walk_{i:03d}.png" for i in range(4)), "copy.png", "other.png"]
    split = ["train", "val", "train", "train", "val", "val"]
    _, found = inspected(table_of(frames, split, names=names))
    assert kinds(found) == {f"{KINDS[0]}, val": [4], f"{KINDS[3]}, val": [1]}
    assert found.affected("val").tolist() == [1, 4] and not len(found.affected("test"))
