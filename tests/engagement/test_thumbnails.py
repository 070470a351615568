"""Pictures of somebody are from all over the time in which the person was seen."""

from __future__ import annotations

import numpy as np
import pytest

from engagement.thumbnails import ThumbnailKeeper

BOX = np.array([20, 20, 60, 60], np.float32)
FRONTAL = np.zeros(3, np.float32)


def seen(keeper: ThumbnailKeeper, track: int, first_s: int, last_s: int, quality: float = 0.8) -> None:
    rgb = np.full((80, 80, 3), 120, np.uint8)
    for time_s in range(first_s, last_s):
        keeper.offer(track, float(time_s), rgb, BOX, quality, FRONTAL)


def times(keeper: ThumbnailKeeper, *tracks: int) -> list[float]:
    return [picture.time_s for picture in keeper.of(list(tracks))]


@pytest.mark.parametrize("length", [24, 600, 5400])
def test_of_each_quarter_of_the_time(length: int) -> None:
    keeper = ThumbnailKeeper()
    seen(keeper, 1, 0, length)
    found = times(keeper, 1)
    assert len(found) == 4
    last = max(p.time_s for p in keeper._held[1].by_time.values())
    assert [min(int(4 * t / last), 3) for t in found] == [0, 1, 2, 3]


def test_the_best_of_a_stretch_is_kept() -> None:
    keeper = ThumbnailKeeper()
    rgb = np.full((80, 80, 3), 120, np.uint8)
    seen(keeper, 1, 0, 400, 0.5)
    keeper.offer(1, 403.0, rgb, BOX, 0.9, FRONTAL)
    seen(keeper, 1, 404, 800, 0.5)
    assert 403.0 in times(keeper, 1)


def test_memory_does_not_grow_with_time() -> None:
    keeper = ThumbnailKeeper()
    seen(keeper, 1, 0, 3000)
    assert len(keeper._held[1].by_time) <= 8


def test_tracks_that_are_joined_or_divided_keep_the_pictures_of_their_time() -> None:
    keeper, further = ThumbnailKeeper(), ThumbnailKeeper()
    seen(keeper, 1, 0, 100)
    seen(further, 7, 100, 200)
    keeper.adopt(1, further, 7)
    assert times(keeper, 1)[0] < 50 and times(keeper, 1)[-1] >= 150
    keeper.divide(1, 120.0, 2)
    assert all(t < 120 for t in times(keeper, 1)) and all(t >= 120 for t in times(keeper, 2))
    assert times(keeper, 1, 2) == sorted(times(keeper, 1, 2))
    assert times(keeper, 99) == []
