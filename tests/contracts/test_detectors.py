"""Every detector: shapes, order, empty pictures; ours against facenet-pytorch's own cascade."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from engagement.errors import ConfigError
from engagement.faces.detector import FaceDetector
from engagement.faces.options import MtcnnConfig
from engagement.geometry import iou_matrix
from tests import made_up_yunet


def _mtcnn() -> FaceDetector:
    from engagement.faces.mtcnn import MtcnnDetector

    return MtcnnDetector(MtcnnConfig(min_face_px=24))


def _yunet() -> FaceDetector:
    from engagement.faces.yunet import YunetDetector

    if not MADE_UP["yunet"]:
        return YunetDetector(Path(os.environ["ENGAGEMENT_YUNET"]))
    with tempfile.TemporaryDirectory() as folder:
        return YunetDetector(made_up_yunet.write_model(Path(folder) / "made_up.onnx"))


#: How each is made, and the score above which it is sure of a face.
DETECTORS = {"mtcnn": (_mtcnn, 0.95), "yunet": (_yunet, 0.85)}
#: YuNet's own file is not shipped; a made-up one that takes red squares for faces stands in unless it is named.
MADE_UP = {"mtcnn": False, "yunet": not os.environ.get("ENGAGEMENT_YUNET")}


@pytest.fixture(scope="module", params=sorted(DETECTORS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def detector(name: str) -> FaceDetector:
    return DETECTORS[name][0]()


@pytest.fixture(scope="module")
def portrait(name: str) -> np.ndarray:
    """What the detector takes for one face."""
    if MADE_UP[name]:
        picture = np.full((512, 512, 3), 128, np.uint8)
        picture[200:208, 240:248] = (255, 0, 0)
        return picture
    return pytest.importorskip("skimage.data", reason="needs scikit-image's portrait").astronaut()


def test_one_face_with_its_landmarks_inside(name: str, detector: FaceDetector, portrait: np.ndarray) -> None:
    faces = detector.detect(portrait, 7, 1.4)
    strong = faces.take(faces.score > DETECTORS[name][1])
    assert detector.name == name
    assert len(strong) == 1
    assert (faces.frame_index, faces.time_s) == (7, 1.4)
    x1, y1, x2, y2 = strong.boxes_xyxy[0]
    points = strong.landmarks_xy[0]
    assert ((points > [x1, y1]) & (points < [x2, y2])).all()
    assert points[0, 0] < points[1, 0]  # the eye on the image's left comes first
    assert points[:2, 1].max() < points[2, 1] < points[3:, 1].min()


@pytest.mark.parametrize("shape", [(120, 160, 3), (11, 400, 3), (1, 1, 3)])
def test_no_face_is_no_row(detector: FaceDetector, shape: tuple[int, int, int]) -> None:
    faces = detector.detect(np.full(shape, 128, np.uint8))
    assert len(faces) == 0
    assert faces.boxes_xyxy.shape == (0, 4)


def test_two_calls_and_two_orders_agree(detector: FaceDetector, portrait: np.ndarray) -> None:
    first = detector.detect(portrait)
    detector.detect(np.ascontiguousarray(portrait[:, ::-1]))
    again = detector.detect(portrait)
    assert np.array_equal(first.boxes_xyxy, again.boxes_xyxy)


def test_refine_finds_the_face_near_a_guess_and_nothing_elsewhere(
    name: str, detector: FaceDetector, portrait: np.ndarray
) -> None:
    if MADE_UP[name]:
        pytest.skip("the made-up model gives faces of one size: set ENGAGEMENT_YUNET to YuNet's own file")
    true = detector.detect(portrait).boxes_xyxy[:1]
    side = true[0, 2] - true[0, 0]
    found = detector.refine(portrait, true + side * 0.1)
    assert len(found) == 1
    assert iou_matrix(found.boxes_xyxy, true)[0, 0] > 0.6
    away = np.array([[5, 5, 65, 65]], np.float32)
    assert len(detector.refine(portrait, away)) == 0
    assert len(detector.refine(portrait, np.zeros((0, 4), np.float32))) == 0


def test_the_smallest_face_is_checked() -> None:
    with pytest.raises(ConfigError, match="--min-face 5"):
        MtcnnConfig(min_face_px=5)


@pytest.mark.shared
@pytest.mark.parametrize("clip", ["classroom_occlusion.mp4", "street_walkers.mp4", "head_tilts_pair.mp4"])
def test_same_boxes_as_the_library(shared_videos: Path, clip: str) -> None:
    """Sure faces of facenet-pytorch's own cascade are found by ours, and the other way round."""
    from engagement.compat import load_torchvision
    from engagement.video import open_video
    from engagement.video.sampling import select

    load_torchvision()
    from facenet_pytorch import MTCNN

    library, ours = MTCNN(keep_all=True, min_face_size=24), _mtcnn()
    total = hits = back = mine = 0
    with open_video(shared_videos / clip) as reader:
        for frame in select(reader.tickets(), 0.7):
            boxes, prob = library.detect(frame.rgb)[:2]
            faces = ours.detect(frame.rgb)
            theirs = np.array([b for b, p in zip(boxes, prob, strict=True) if p > 0.95], np.float32).reshape(
                -1, 4
            )
            sure = faces.boxes_xyxy[faces.score > 0.95]
            every = np.array(list(boxes), np.float32).reshape(-1, 4)
            total, mine = total + len(theirs), mine + len(sure)
            hits += int((iou_matrix(theirs, faces.boxes_xyxy).max(axis=1) > 0.5).sum()) if len(faces) else 0
            back += int((iou_matrix(sure, every).max(axis=1) > 0.5).sum()) if len(every) else 0
    assert total > 5
    assert hits >= 0.95 * total
    assert back >= 0.9 * mine
