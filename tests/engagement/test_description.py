"""Describing faces: the same numbers however faces and frames are grouped, and stages timed apart."""

from __future__ import annotations

import numpy as np
import pytest

from engagement.classification.classifier import FaceClassifier
from engagement.description import FaceDescriber
from engagement.faces.search import Sighting
from engagement.stopwatch import Stopwatch
from engagement.types import FaceDetections, Frame


@pytest.fixture(scope="module")
def classifier() -> FaceClassifier:
    return FaceClassifier()


def sightings(faces_per_frame: list[int]) -> list[Sighting]:
    rng = np.random.default_rng(0)
    out = []
    for i, n in enumerate(faces_per_frame):
        rgb = rng.integers(0, 255, (120, 200, 3)).astype(np.uint8)
        corner = rng.uniform(0, 80, (n, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(20, 60, (n, 1))], axis=1).astype(np.float32)
        points = boxes[:, None, :2] + np.array([[6, 8], [18, 8], [12, 14], [7, 19], [17, 19]], np.float32)
        faces = FaceDetections(i, i / 5, boxes, np.full(n, 0.99, np.float32), points.astype(np.float32))
        out.append(Sighting(Frame(i, i / 5, rgb), faces, False))
    return out


def test_a_face_scores_the_same_alone_and_among_others(classifier: FaceClassifier) -> None:
    rng = np.random.default_rng(1)
    spec = classifier.chip_specs[0]
    chips = rng.integers(0, 255, (19, spec.size, spec.size, 3)).astype(np.uint8)
    together = classifier.score([chips])
    for rows in (np.arange(1), np.array([7]), np.arange(3, 14)):
        apart = classifier.score([chips[rows]])
        for name in ("expression_prob", "state_prob", "identity"):
            # Libraries sum in another order for another number of pictures: the last bits differ.
            np.testing.assert_allclose(getattr(apart, name), getattr(together, name)[rows], atol=5e-6)


def test_groups_of_frames_change_nothing(classifier: FaceClassifier) -> None:
    describer = FaceDescriber(classifier)
    frames = sightings([2, 0, 40, 1, 1, 0, 3, 0, 0, 2, 1])
    together = list(describer.describe(iter(frames)))
    apart = [one for frame in frames for one in describer.describe([frame])]
    assert [d.sighting for d in together] == frames
    for a, b in zip(together, apart, strict=True):
        assert len(a.pose) == len(a.sighting.faces) == len(a.scores.expression_prob)
        for name in ("pose", "quality", "colours", "chips"):
            assert np.array_equal(getattr(a, name), getattr(b, name)), name
        np.testing.assert_allclose(a.scores.expression_prob, b.scores.expression_prob, atol=5e-6)


def test_nothing_in_gives_nothing_out(classifier: FaceClassifier) -> None:
    assert list(FaceDescriber(classifier).describe([])) == []


def test_waiting_is_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def work(seconds: float, items: list[int]):
        nonlocal now
        for item in items:
            now += seconds
            yield item

    def slower(items):
        nonlocal now
        for item in items:
            now += 10.0
            yield item

    monkeypatch.setattr("engagement.stopwatch.time.perf_counter", lambda: now)
    seconds: dict[str, float] = {}
    watch = Stopwatch(seconds)
    first = watch.over("first", work(1.0, [1, 2, 3]))
    assert list(watch.over("second", slower(watch.waiting(first)))) == [1, 2, 3]
    assert seconds == {"first": 3.0, "second": 30.0}
