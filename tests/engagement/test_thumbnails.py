"""Pictures of somebody are from all over the time in which the person was seen, and show what the face often showed."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from engagement.thumbnails import UNKNOWN, ThumbnailKeeper, encode

BOX = np.array([20, 20, 60, 60], np.float32)
FRONTAL = np.zeros(3, np.float32)


def seen(keeper: ThumbnailKeeper, track: int, first_s: int, last_s: int, quality: float = 0.8) -> None:
    rgb = np.full((80, 80, 3), 120, np.uint8)
    for time_s in range(first_s, last_s):
        keeper.offer(track, float(time_s), rgb, BOX, quality, FRONTAL)


def shown(keeper: ThumbnailKeeper, track: int, expressions: Sequence[int], first_s: float = 0.0) -> None:
    """Somebody with one apparent expression after another, whose pictures are the better the higher its number."""
    rgb = np.full((80, 80, 3), 120, np.uint8)
    for i, expression in enumerate(expressions):
        quality = 0.5 + 0.05 * int(expression)
        keeper.offer(track, first_s + 0.5 * i, rgb, BOX, quality, FRONTAL, int(expression))


def expressions(keeper: ThumbnailKeeper, *tracks: int) -> list[int]:
    return sorted(picture.expression for picture in keeper.of(list(tracks)))


def times(keeper: ThumbnailKeeper, *tracks: int) -> list[float]:
    return [picture.time_s for picture in keeper.of(list(tracks))]


def test_a_picture_shows_a_face_in_its_colours_with_some_of_what_is_around() -> None:
    rgb = np.zeros((200, 300, 3), np.uint8)
    rgb[60:100, 120:160] = (220, 120, 40)
    found = cv2.cvtColor(
        cv2.imdecode(np.frombuffer(encode(rgb, np.array([120, 60, 160, 100], np.float32)), np.uint8), 1),
        cv2.COLOR_BGR2RGB,
    )
    assert found.shape == (112, 112, 3)
    np.testing.assert_allclose(found[46:66, 46:66].mean(axis=(0, 1)), (220, 120, 40), atol=4)
    sides = [int((found[56, :, 0] > 110).sum()), int((found[:, 56, 0] > 110).sum())]
    assert sides == pytest.approx([112 / 1.5] * 2, abs=2)


@pytest.mark.parametrize("length", [24, 600, 5400])
def test_of_each_quarter_of_the_time(length: int) -> None:
    keeper = ThumbnailKeeper()
    seen(keeper, 1, 0, length)
    found = times(keeper, 1)
    assert len(found) == 4
    last = max(p.time_s for p in keeper._held[1].best.values())
    assert [min(int(4 * t / last), 3) for t in found] == [0, 1, 2, 3]


def test_the_best_of_a_stretch_is_kept() -> None:
    keeper = ThumbnailKeeper()
    rgb = np.full((80, 80, 3), 120, np.uint8)
    seen(keeper, 1, 0, 400, 0.5)
    keeper.offer(1, 403.0, rgb, BOX, 0.9, FRONTAL)
    seen(keeper, 1, 404, 800, 0.5)
    assert 403.0 in times(keeper, 1)


@pytest.mark.parametrize(("yaw", "pitch", "better"), [(10, 0, True), (-40, 0, False), (20, -20, False)])
def test_a_sharper_picture_is_better_unless_the_face_is_turned_away(
    yaw: float, pitch: float, better: bool
) -> None:
    keeper, rgb = ThumbnailKeeper(), np.full((80, 80, 3), 120, np.uint8)
    keeper.offer(1, 0.0, rgb, BOX, 0.75, FRONTAL)
    keeper.offer(1, 0.2, rgb, BOX, 0.9, np.array([yaw, pitch, 90], np.float32))  # pictures are turned upright
    assert times(keeper, 1) == [0.2 if better else 0.0]


def test_memory_does_not_grow_with_time() -> None:
    keeper = ThumbnailKeeper()
    rng = np.random.default_rng(0)
    shown(keeper, 1, rng.choice([*range(7), UNKNOWN], 6000))
    assert len(keeper._held[1].best) <= 8
    assert len({stretch for stretch, _ in keeper._held[1].seen}) <= 16
    keeper = ThumbnailKeeper()
    seen(keeper, 1, 0, 3000)
    assert len(keeper._held[1].best) <= 8
    # Nor with stretches of which no picture is held, since only what is rare was seen in them.
    keeper = ThumbnailKeeper()
    shown(keeper, 1, [0] * 160)
    for i in range(20):
        shown(keeper, 1, [5], first_s=80 + 10.0 * i)
    assert len({stretch for stretch, _ in keeper._held[1].seen}) <= 16
    assert sum(keeper._held[1].seen.values()) == 180


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


@pytest.mark.parametrize("length", [60, 1000, 9000])
def test_the_better_picture_of_a_rarer_expression_does_not_take_all_places(length: int) -> None:
    """A sharp crying face four times over would not be somebody who looked happy for half of the time."""
    rng = np.random.default_rng(length)
    mixed, in_turn = ThumbnailKeeper(), ThumbnailKeeper()
    sequence = rng.permutation(([1] * 11 + [5] * 7 + [0, 3]) * (length // 20))
    shown(mixed, 1, sequence)
    assert expressions(mixed, 1) == [1, 1, 5, 5]
    shown(in_turn, 1, np.sort(sequence))
    assert set(expressions(in_turn, 1)) == {1, 5}
    assert len(expressions(in_turn, 1)) == 4


def test_every_frequent_expression_is_shown_before_another_one_twice() -> None:
    keeper = ThumbnailKeeper()
    shown(keeper, 1, np.random.default_rng(1).choice([0, 1, 2], 2000, p=[0.66, 0.17, 0.17]))
    assert expressions(keeper, 1) == [0, 0, 1, 2]


def test_what_cannot_be_read_is_shown_where_nothing_else_is() -> None:
    keeper = ThumbnailKeeper()
    shown(keeper, 1, [UNKNOWN, 4] * 500)
    assert expressions(keeper, 1) == [4] * 4
    shown(keeper, 2, [UNKNOWN] * 500)
    assert expressions(keeper, 2) == [UNKNOWN] * 4


def test_expressions_are_counted_over_tracks_joined_and_divided() -> None:
    keeper, further = ThumbnailKeeper(), ThumbnailKeeper()
    shown(keeper, 1, [1] * 200)
    shown(further, 7, [5] * 600, first_s=100.0)
    keeper.adopt(1, further, 7)
    assert expressions(keeper, 1) == [1, 5, 5, 5]
    keeper.divide(1, 100.0, 2)
    assert set(expressions(keeper, 1)) == {1}
    assert set(expressions(keeper, 2)) == {5}
    counted = [sum(keeper._held[track].seen.values()) for track in (1, 2)]
    assert sum(counted) == 800 and counted[0] == pytest.approx(200, abs=64)  # to half a stretch
    assert set(expressions(keeper, 1, 2)) == {1, 5}
