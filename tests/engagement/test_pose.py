"""Head pose: signs, size, and faces whose rotation is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagement.faces.pose import head_pose, project

ANGLES = st.tuples(st.floats(-70, 70), st.floats(-50, 50), st.floats(-80, 80))


@given(pose=ANGLES, scale=st.floats(0.05, 20), x=st.floats(-1000, 1000), y=st.floats(-1000, 1000))
def test_a_projected_model_gives_its_own_pose(
    pose: tuple[float, float, float], scale: float, x: float, y: float
) -> None:
    landmarks = project(pose, scale).astype(np.float64) + [x, y]
    assert np.allclose(head_pose(landmarks[None])[0], pose, atol=0.5)


def test_signs_are_as_documented() -> None:
    frontal = project((0, 0, 0))
    nose_right, nose_up = project((30, 0, 0)), project((0, 20, 0))
    middle = frontal[:2].mean(axis=0)
    assert (nose_right[2] - nose_right[:2].mean(axis=0))[0] > (frontal[2] - middle)[0]
    assert (nose_up[2] - nose_up[:2].mean(axis=0))[1] < (frontal[2] - middle)[1]
    tilted = project((0, 0, 20))  # clockwise: the eye on the image's right is lower
    assert tilted[1, 1] > tilted[0, 1]


def test_no_faces_and_degenerate_landmarks() -> None:
    assert head_pose(np.zeros((0, 5, 2), np.float32)).shape == (0, 3)
    in_one_place, on_a_line = np.full((5, 2), 7.0), np.arange(5)[:, None] * [3.0, 1.0]
    assert not head_pose(np.stack([in_one_place, on_a_line]).astype(np.float32)).any()


def _portrait() -> np.ndarray:
    return pytest.importorskip("skimage.data", reason="needs scikit-image's portrait").astronaut()


@pytest.mark.parametrize("turn", [-40, -20, 0, 15, 35])
def test_roll_of_a_photograph_turned_by_a_known_angle(turn: int) -> None:
    import cv2

    from engagement.faces.mtcnn import MtcnnDetector

    rgb = _portrait()
    detector = MtcnnDetector()
    upright = head_pose(detector.detect(rgb).landmarks_xy)[0]
    height, width = rgb.shape[:2]
    # OpenCV turns counter-clockwise for positive angles.
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -turn, 1.0)
    turned = np.asarray(
        cv2.warpAffine(rgb, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )
    pose = head_pose(detector.detect(turned).landmarks_xy)[0]
    # The landmarks of the detector itself move by some degrees when the picture is turned.
    assert pose[2] - upright[2] == pytest.approx(turn, abs=6)


def test_a_mirrored_photograph_has_the_opposite_yaw_and_roll() -> None:
    from engagement.faces.mtcnn import MtcnnDetector

    rgb = _portrait()
    detector = MtcnnDetector()
    plain = head_pose(detector.detect(rgb).landmarks_xy)[0]
    mirrored = head_pose(detector.detect(np.ascontiguousarray(rgb[:, ::-1])).landmarks_xy)[0]
    assert mirrored[0] == pytest.approx(-plain[0], abs=5)
    assert mirrored[1] == pytest.approx(plain[1], abs=5)
    assert mirrored[2] == pytest.approx(-plain[2], abs=3)


@pytest.mark.shared
def test_a_head_that_turns_from_side_to_side(shared_videos: Path) -> None:
    """From left profile over frontal to three-quarter right and back: wide yaw of both signs, level pitch."""
    from engagement.faces.mtcnn import MtcnnDetector
    from engagement.video import open_video
    from engagement.video.sampling import select

    detector = MtcnnDetector()
    poses = []
    with open_video(shared_videos / "head_turns.mp4") as reader:
        for frame in select(reader.tickets(), 3):
            faces = detector.detect(frame.rgb)
            if len(faces):
                poses.append(head_pose(faces.landmarks_xy)[0])
    yaw, pitch, roll = np.stack(poses).T
    assert yaw.min() < -45
    assert yaw.max() > 30
    assert np.ptp(pitch) < 25
    assert np.abs(roll).max() < 12
