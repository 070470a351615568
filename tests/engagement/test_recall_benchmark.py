"""The recall benchmark: matching on made-up boxes, and that the annotations are sane."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks import recall as benchmark
from engagement.geometry import iou_matrix

REASONS = {"small", "profile", "half", "away", "hidden", "unclear", "reflection"}
FRAMES = json.loads(benchmark.ANNOTATIONS.read_text(encoding="utf-8"))["frames"]


def _found(*boxes: Sequence[float], score: Sequence[float] | None = None) -> benchmark.Found:
    return benchmark.Found(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(score if score is not None else [0.9] * len(boxes), np.float32),
    )


def _frame(
    boxes: Sequence[Sequence[float]], ignore: Sequence[Sequence[float]] = ()
) -> benchmark.AnnotatedFrame:
    rows = [np.array(b, np.float32).reshape(-1, 4) for b in (boxes, ignore)]
    return benchmark.AnnotatedFrame("made_up.mp4", 0, 0.0, *rows)


def test_one_box_meets_one_face() -> None:
    two_on_one = _found([0, 0, 40, 40], [2, 2, 42, 42])
    assert benchmark.count(two_on_one, _frame([[0, 0, 40, 40]]), 0.4) == (1, 0, 1)
    assert benchmark.count(_found(), _frame([[0, 0, 40, 40]]), 0.4) == (0, 1, 0)
    assert benchmark.count(two_on_one, _frame([]), 0.4) == (0, 0, 2)
    far = _frame([[0, 0, 40, 40], [100, 0, 140, 40]])
    assert [m["box"] for m in benchmark.missed([two_on_one], [far], 0.4)] == [[100, 0, 140, 40]]


def test_as_many_pairs_as_possible_come_before_overlap() -> None:
    # Taking the best overlap first would leave the second box and the second face alone.
    true = np.array([[0, 0, 40, 40], [16, 0, 56, 40]], np.float32)
    found = np.array([[0, 0, 40, 40], [-16, 0, 24, 40]], np.float32)
    iou = iou_matrix(found, true)
    assert iou[0, 0] == 1 and iou[1, 0] > 0.4 > iou[1, 1] and iou[0, 1] > 0.4
    assert sorted(benchmark.assign(found, true, 0.4)) == [(0, 1), (1, 0)]


def test_ignored_faces_count_neither_way_and_excuse_no_face_that_counts() -> None:
    frame = _frame([[0, 0, 40, 40]], [[100, 0, 140, 40]])
    assert benchmark.count(_found([102, 2, 138, 38]), frame, 0.4) == (0, 1, 0)
    assert benchmark.count(_found([110, 10, 120, 20]), frame, 0.4) == (0, 1, 0)  # a part inside it
    assert benchmark.count(_found([130, 30, 190, 90]), frame, 0.4) == (0, 1, 1)  # a corner alone does not
    assert benchmark.count(_found([0, 0, 40, 40]), frame, 0.4) == (1, 0, 0)


def test_equal_precision_takes_the_threshold_of_best_recall() -> None:
    frames = [_frame([[0, 0, 40, 40], [100, 0, 140, 40]])]
    found = [_found([0, 0, 40, 40], [100, 0, 140, 40], [200, 0, 240, 40], score=[0.9, 0.8, 0.7])]
    counts = benchmark.count_all(found, frames, 0.4)
    assert benchmark.precision(counts) == pytest.approx(2 / 3)
    reached = benchmark.at_precision(found, frames, 1.0, 0.4)
    assert reached is not None
    assert reached[0] == pytest.approx(0.8)
    assert benchmark.recall(reached[1]) == 1
    assert benchmark.at_precision([_found([200, 0, 240, 40])], frames, 1.0, 0.4) is None


def test_interval_holds_the_value_and_is_zero_against_itself() -> None:
    counts = np.array([[3, 1, 0], [1, 1, 1], [4, 0, 0], [2, 2, 0]])
    low, high = benchmark.interval(benchmark.recall, counts)
    assert 0 <= low < benchmark.recall(counts) < high <= 1
    assert benchmark.interval(benchmark.recall, counts, counts) == (0, 0)


@pytest.mark.parametrize("entry", FRAMES, ids=lambda e: f"{e['video']}-{e['frame_index']}")
def test_annotated_boxes_lie_inside_the_frame_and_are_no_duplicates(entry: dict) -> None:
    boxes = np.array(entry["boxes"] + [i["box"] for i in entry["ignore"]], np.float32)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= [entry["width"], entry["height"]]).all()
    assert (boxes[:, 2:] - boxes[:, :2] >= 8).all()
    overlap = iou_matrix(boxes, boxes) - np.eye(len(boxes))
    assert overlap.max(initial=0) < 0.4
    counted = np.array(entry["boxes"])
    assert (counted[:, 3] - counted[:, 1] >= 24).all()
    assert {i["reason"] for i in entry["ignore"]} <= REASONS


def test_no_frame_twice_and_harder_faces_can_count() -> None:
    clear, smallest, rate = benchmark.load_annotations()
    every, _, _ = benchmark.load_annotations(also=benchmark.TARGETS["every face"])
    assert len({(f.video, f.index) for f in clear}) == len(clear) >= 12
    assert (smallest, rate) == (24, 5.0)
    for a, b in zip(clear, every, strict=True):
        assert len(b.boxes) - len(a.boxes) == len(a.ignore) - len(b.ignore) >= 0


def test_absent_videos_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["recall.py", str(tmp_path)])
    benchmark.main()
    said = capsys.readouterr().out
    assert said.startswith("Skipped:") and "street_walkers.mp4" in said


@pytest.mark.shared
def test_annotated_frames_are_among_those_sampled(shared_videos: Path) -> None:
    from engagement.video import open_video
    from engagement.video.sampling import select

    frames, _, rate = benchmark.load_annotations()
    name = "classroom_small.mp4"
    with open_video(shared_videos / name) as reader:
        sampled = {f.index: f.time_s for f in select(reader.tickets(), rate)}
    for frame in (f for f in frames if f.video == name):
        assert sampled[frame.index] == pytest.approx(frame.time_s, abs=1e-5)
