"""Head pose from five landmarks: a rigid face model under scaled orthographic projection.

The model's frontal projection is the mean layout of detected landmarks on frontal faces; depths are
anthropometric. Pose from orthography and scaling: DeMenthon & Davis 1995, solved in one step.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engagement.types import FloatArray

#: Millimetres; x to the image's right, y down, z towards the camera. Eyes, nose tip, mouth corners.
_MODEL = np.array(
    [[-32.0, 0.0, 0.0], [32.0, 0.0, 0.0], [0.0, 36.6, 33.0], [-26.5, 74.2, 8.0], [26.5, 74.2, 8.0]]
)
_CENTRED = _MODEL - _MODEL.mean(axis=0)
_INVERSE = np.linalg.pinv(_CENTRED)  # (3, 5)


def head_pose(landmarks_xy: FloatArray) -> FloatArray:
    """Yaw, pitch and roll of each face.

    Args:
        landmarks_xy: (n, 5, 2) source pixels, in the order of FaceDetections.

    Returns:
        float32 (n, 3), degrees: yaw positive when the nose points to the image's right, pitch positive
        when it points up, roll positive when the head is tilted clockwise in the image. Zero for
        degenerate landmarks.
    """
    n = len(landmarks_xy)
    if not n:
        return np.zeros((0, 3), np.float32)
    points = np.asarray(landmarks_xy, np.float64)
    points = points - points.mean(axis=1, keepdims=True)
    affine = np.einsum("kp,npc->nck", _INVERSE, points)  # (n, 2, 3): image axes from model axes
    u, s, vt = np.linalg.svd(affine, full_matrices=False)
    rows = u @ vt  # nearest pair of orthonormal rows
    third = np.cross(rows[:, 0], rows[:, 1])
    forward = np.stack([rows[:, 0, 2], rows[:, 1, 2], third[:, 2]], axis=1)  # where the face's +z points
    yaw = np.degrees(np.arctan2(forward[:, 0], forward[:, 2]))
    pitch = np.degrees(np.arctan2(-forward[:, 1], np.hypot(forward[:, 0], forward[:, 2])))
    whole = np.stack([rows[:, 0], rows[:, 1], third], axis=1)
    # What is left once turning and raising are undone is the tilt in the face's own plane.
    tilt = np.einsum("nij,nik->njk", _turned_raised(np.radians(yaw), np.radians(pitch)), whole)
    roll = np.degrees(np.arctan2(tilt[:, 1, 0], tilt[:, 0, 0]))
    pose = np.stack([yaw, pitch, roll], axis=1)
    pose[s[:, 1] < 1e-6] = 0.0
    return pose.astype(np.float32)


def rotation(yaw_deg: float, pitch_deg: float, roll_deg: float) -> NDArray[np.float64]:
    """The rotation matrix (3, 3) of a pose, with the signs of :func:`head_pose`.

    The face is first rolled in its own plane, then raised, then turned.
    """
    yaw, pitch, r = np.radians([yaw_deg, pitch_deg, roll_deg])
    tilt = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return _turned_raised(np.array([yaw]), np.array([pitch]))[0] @ tilt


def project(pose_deg: tuple[float, float, float], scale: float = 1.0) -> FloatArray:
    """Landmarks (5, 2) of the model face at a pose, centred on the origin; for tests and drawings."""
    return (scale * (_CENTRED @ rotation(*pose_deg).T)[:, :2]).astype(np.float32)


def _turned_raised(yaw: NDArray[np.float64], pitch: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotations (n, 3, 3) of heads raised by ``pitch``, then turned by ``yaw``; radians."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    zero = np.zeros_like(cy)
    rows = [[cy, sy * sp, sy * cp], [zero, cp, -sp], [-sy, cy * sp, cy * cp]]
    return np.moveaxis(np.array(rows), 2, 0)
