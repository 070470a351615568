"""What is kept of faces: every number in its column, however many there are."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engagement.records import FaceRecords
from engagement.types import FaceDetections, FaceScores


def seen(records: FaceRecords, sample: int, n: int) -> dict[str, np.ndarray]:
    """Add ``n`` faces of made-up numbers; returns what is expected to be kept of them."""
    rng = np.random.default_rng(sample)
    of = {name: rng.random((n, size)).astype(np.float32) for name, size in (("box", 4), ("pose", 3))}
    score, quality = rng.random((2, n)).astype(np.float32)
    prob, extra = rng.random((n, 10)).astype(np.float32), rng.random((n, 3)).astype(np.float32)
    track, frozen = rng.integers(0, 99, n), rng.random(n) > 0.5
    scores = FaceScores(prob[:, :7], prob[:, 7:], prob, {"one": extra[:, :1], "two": extra[:, 1:]})
    before = len(records)
    faces = FaceDetections(sample, 0.2 * sample, of["box"], score, np.zeros((n, 5, 2), np.float32))
    rows = records.append(sample, faces, track, quality, of["pose"], scores, frozen)
    assert rows.tolist() == list(range(before, before + n))
    sample_of = np.full(n, sample)
    of |= {"sample": sample_of, "track": track, "score": score, "quality": quality, "prob": prob}
    return of | {"extra": extra, "frozen": frozen}


@given(st.lists(st.integers(0, 90), max_size=12), st.integers(0, 12))
@settings(max_examples=20)
def test_every_number_of_every_face_is_kept_in_order(sizes: list[int], joined_from: int) -> None:
    """Also where some of them come from other records, as those of a video's second range do."""
    records, others = FaceRecords(("a", "b", "c")), FaceRecords(("a", "b", "c"))
    expected = [seen(records if i < joined_from else others, i, n) for i, n in enumerate(sizes)]
    records.extend(others.rows)
    assert len(records) == len(records.rows) == sum(sizes)
    assert np.isnan(records.rows["clip"]).all()  # until a smoother says otherwise
    for name in expected[0] if expected else ():
        np.testing.assert_array_equal(records.rows[name], np.concatenate([e[name] for e in expected]))
