"""When a new shot begins: how much of the picture must change, by how much, and against what it did before."""

from __future__ import annotations

import numpy as np
import pytest

from engagement.types import ByteArray
from engagement.video.cuts import CutDetector

COLUMNS = 32


class Stage:
    """Grey columns, of which some change with every picture."""

    def __init__(self) -> None:
        self.levels = np.full((COLUMNS, 3), 100)

    def picture(self, changed: int = 0, by: int = 60, channels: slice = slice(3)) -> ByteArray:
        """The next one, in which so many columns are darker or lighter than in the one before."""
        own = self.levels[:changed, channels]
        self.levels[:changed, channels] = np.where(own == 100, 100 + by, 100)
        row = np.repeat(self.levels.astype(np.uint8), 10, axis=0)
        return np.repeat(row[None], 180, axis=0)


def cuts(*changed: int) -> list[bool]:
    """Whether each picture begins a shot, told by how many columns change in it."""
    stage, detector = Stage(), CutDetector()
    return [detector.is_cut(stage.picture(n)) for n in changed]


def test_the_first_picture_begins_none_and_neither_does_the_same_again() -> None:
    assert cuts(0, 0, 0) == [False] * 3
    assert cuts(32) == [False]


@pytest.mark.parametrize(("changed", "cut"), [(16, False), (19, False), (20, True), (32, True)])
def test_three_fifths_of_the_picture_must_change(changed: int, cut: bool) -> None:
    assert cuts(0, changed, 0) == [False, cut, False]


@pytest.mark.parametrize(
    ("by", "channels", "cut"),
    [(20, slice(3), False), (27, slice(3), False), (30, slice(3), True), (60, slice(2, 3), True)],
)
def test_light_that_changes_a_little_is_no_cut_another_colour_is(by: int, channels: slice, cut: bool) -> None:
    stage, detector = Stage(), CutDetector()
    detector.is_cut(stage.picture())
    assert detector.is_cut(stage.picture(32, by, channels)) is cut


def test_where_everything_moves_a_cut_must_change_twice_as_much() -> None:
    moving = [0, *[13] * 5]
    assert cuts(*moving, 24) == [False] * 7  # 0.75, where 0.41 is usual
    assert cuts(*moving, 32) == [False] * 6 + [True]
    # What was usual is of the last five changes: three calm ones are the most of them.
    assert cuts(*moving, 0, 0, 24) == [False] * 9
    assert cuts(*moving, 0, 0, 0, 24) == [False] * 9 + [True]
    # A cut begins anew.
    assert cuts(*moving, 32, 24) == [False] * 6 + [True] * 2
