"""Colours of hair and chest: what lies outside the picture is no colour."""

from __future__ import annotations

import numpy as np
import pytest

from engagement.tracking.appearance import COLOUR_BINS, colour_roots, colours_alike, head_colours
from engagement.types import ByteArray

RED, BLUE, GREEN, GREY = (200, 30, 30), (30, 30, 200), (30, 160, 30), (128, 128, 128)
#: A face in the middle of `drawn`: 60 px high from 100 on.
FACE = np.array([[130, 100, 190, 160]], np.float32)


def drawn(hair: tuple[int, int, int], chest: tuple[int, int, int]) -> ByteArray:
    rgb = np.full((320, 320, 3), GREY, np.uint8)
    rgb[60:110, 125:195], rgb[172:250, 100:220] = hair, chest
    return rgb


def colours(rgb: ByteArray, top: int = 0, bottom: int = 320) -> np.ndarray:
    """Of the face in a picture that shows only the rows from ``top`` to before ``bottom``."""
    return head_colours(rgb[top:bottom], FACE - np.array([0, top, 0, top], np.float32))


def alike(a: np.ndarray, b: np.ndarray) -> float:
    return colours_alike(colour_roots(a), colour_roots(b), -1.0).item()


@pytest.mark.parametrize(("top", "bottom"), [(80, 320), (125, 320), (0, 230), (0, 150)])
def test_who_is_cut_by_the_edge_has_the_same_colours_as_before(top: int, bottom: int) -> None:
    whole = colours(drawn(RED, BLUE))
    assert alike(whole, colours(drawn(RED, BLUE), top, bottom)) > 0.97
    assert alike(whole, colours(drawn(GREEN, GREEN), top, bottom)) < 0.5


def test_what_only_one_of_two_shows_does_not_tell_them_apart() -> None:
    assert alike(colours(drawn(RED, BLUE), top=125), colours(drawn(GREEN, BLUE))) > 0.97
    assert alike(colours(drawn(RED, BLUE), bottom=150), colours(drawn(RED, GREEN))) > 0.97


def test_of_two_who_show_nothing_in_common_nothing_is_said() -> None:
    hair, chest = colours(drawn(RED, BLUE), bottom=150), colours(drawn(RED, BLUE), top=125)
    assert alike(hair, chest) == alike(np.zeros((1, COLOUR_BINS), np.float32), hair) == -1


def test_regions_count_by_the_share_that_is_seen() -> None:
    seen = [colours(drawn(RED, BLUE), top).sum() for top in (0, 80, 125)]
    assert seen == pytest.approx([1.0, 0.8, 0.5], abs=0.05)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((200, 30, 30), (30, 30, 200), False),
        ((200, 30, 30), (30, 200, 30), False),
        ((128, 128, 128), (250, 250, 250), False),
        ((200, 30, 30), (190, 130, 130), False),  # strong and pale
        ((255, 255, 255), (250, 250, 250), True),
        # Hue means nothing where there is little light or colour.
        ((25, 0, 0), (0, 0, 25), True),
        ((140, 128, 128), (128, 128, 140), True),
    ],
)
def test_colours_are_told_apart_by_hue_and_strength_or_else_by_light(
    one: tuple[int, int, int], other: tuple[int, int, int], same: bool
) -> None:
    first, second = colours(drawn(one, one)), colours(drawn(other, other))
    assert first.sum() == pytest.approx(1, abs=0.01)
    assert (alike(first, second) > 0.95) is same and (alike(first, second) < 0.3) is not same
