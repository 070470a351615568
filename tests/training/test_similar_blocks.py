"""Copies are the same pairs however many pictures are compared at a time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engagement.types import ByteArray
from tests.training.test_inspection import OPTIONS, face, small
from training.inspection import similar
from training.inspection.similar import altered, near


def grey(seed: int) -> ByteArray:
    return small(np.asarray(cv2.cvtColor(face(seed), cv2.COLOR_RGB2GRAY), np.uint8))


#: Of 23 pictures three are there again as they are, three mirrored, and one three times.
PLAIN = [grey(seed) for seed in range(12)]
THUMBS = np.stack(
    [*PLAIN, *PLAIN[2:5], *(p[:, ::-1] for p in PLAIN[5:8]), PLAIN[9], PLAIN[9], *map(grey, (20, 21, 22))]
)
COPIES = {(2, 12), (3, 13), (4, 14), (9, 18), (9, 19), (18, 19)}


@pytest.mark.parametrize("block", [1, 2, 7, 12, 22, 23, 1024])
def test_pairs_do_not_depend_on_how_many_are_compared_at_a_time(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similar, "_BLOCK", block)
    found = near(THUMBS, OPTIONS)
    assert set(zip(found.a.tolist(), found.b.tolist(), strict=True)) == COPIES and len(found) == len(COPIES)
    assert (found.detail > 0.999).all() and not found.mirrored.any() and not found.angle_deg.any()
    rows = np.arange(len(THUMBS))
    turned = altered(THUMBS, rows[:12], rows[12:], OPTIONS)
    assert list(zip(turned.a.tolist(), turned.b.tolist(), strict=True)) == [(5, 15), (6, 16), (7, 17)]
    assert turned.mirrored.all() and not turned.angle_deg.any() and (turned.detail > 0.999).all()
