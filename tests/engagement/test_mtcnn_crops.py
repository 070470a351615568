"""What MTCNN's second and third network are given: squares of the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engagement.faces.mtcnn import MtcnnDetector
from engagement.geometry import iou_matrix
from engagement.video import open_video
from engagement.video.sampling import select


@pytest.fixture(scope="module")
def detector() -> MtcnnDetector:
    return MtcnnDetector()


def ramp() -> np.ndarray:
    """Two grey levels brighter from column to column."""
    return np.broadcast_to(2 * np.arange(100, dtype=np.uint8)[None, :, None], (80, 100, 3)).copy()


@pytest.mark.parametrize("x", [20.0, 20.25, 20.5, 20.75])
def test_a_small_square_is_cut_from_its_exact_place(detector: MtcnnDetector, x: float) -> None:
    # 20 px: corners are the outermost pixels, counted from 1.
    box = np.array([[x, 10, x + 19, 29]], np.float32)
    crops, kept = detector._crops(ramp(), box, 48)
    assert kept.tolist() == [0]
    assert crops[0].mean() == pytest.approx(2 * (x - 1 + 9.5), abs=0.1)


def test_squares_outside_the_picture_are_left_out_and_those_across_its_edge_are_filled(
    detector: MtcnnDetector,
) -> None:
    boxes = np.array(
        [[200, 10, 219, 29], [90, 10, 109, 29], [-9, 10, 50, 69], [61, 50, 160, 149]], np.float32
    )
    crops, kept = detector._crops(ramp(), boxes, 24)
    assert kept.tolist() == [1, 2]  # of the last one an eighth is to be seen
    assert crops[0, :, -1].tolist() == [[127] * 3] * 24
    assert crops[1, :, 0].tolist() == [[127] * 3] * 24


def test_what_the_edge_leaves_of_a_square_is_not_stretched(detector: MtcnnDetector) -> None:
    picture = ramp()
    crops, _ = detector._crops(picture, np.array([[-9, 11, 50, 70]], np.float32), 30)
    # 60 px of which the first ten are beyond the edge, two to a pixel of the network.
    whole, _ = detector._crops(
        np.pad(picture, ((0, 0), (10, 0), (0, 0))), np.array([[1, 11, 60, 70]], np.float32), 30
    )
    assert (crops[0, :, 5:] == whole[0, :, 5:]).all()


@pytest.mark.parametrize("side", ["chin", "forehead"])
def test_a_face_that_the_edge_cuts_is_where_it_was(
    detector: MtcnnDetector, sample_videos: Path, side: str
) -> None:
    with open_video(sorted(sample_videos.glob("*.mp4"))[0]) as reader:
        rgb = next(iter(select(reader.tickets(), 1))).rgb
    whole = detector.detect(rgb).boxes_xyxy
    box = whole[np.argmax(whole[:, 3] - whole[:, 1])]
    share = 0.25 * (box[3] - box[1])
    top, bottom = (0, int(box[3] - share)) if side == "chin" else (int(box[1] + share), len(rgb))
    found = detector.detect(np.ascontiguousarray(rgb[top:bottom])).boxes_xyxy + np.array([0, top, 0, top])
    assert iou_matrix(box[None], found.astype(np.float32)).max() > 0.8
