"""Composed sessions and their scores: what is said to be true is what is drawn."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.sessions_composed import CANVAS, TILES, render, there_and_back
from benchmarks.sessions_scenarios import SCENARIOS, gallery
from benchmarks.sessions_scores import bcubed


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("people", [4, 9])
def test_everybody_appears_once_at_a_time_and_the_same_seed_gives_the_same(name: str, people: int) -> None:
    session = SCENARIOS[name](people, 60, np.random.default_rng(1))
    assert session == SCENARIOS[name](people, 60, np.random.default_rng(1))
    for placements in session.samples:
        twice = len(placements) - len({at.person for at in placements})
        assert twice <= (name == "speaker above")  # in the old place and in the new one, for a moment
    assert {at.person for row in session.samples for at in row} <= set(range(people))


@pytest.mark.parametrize("count", [1, 2, 4, 5, 9, 11, 16])
def test_tiles_of_a_gallery_lie_within_the_picture_and_apart(count: int) -> None:
    tiles = gallery(count)
    covered = np.zeros((CANVAS[1], CANVAS[0]), int)
    for x, y, (width, height) in tiles:
        assert x >= 0 and y >= 0 and x + width <= CANVAS[0] and y + height <= CANVAS[1]
        covered[y : y + height, x : x + width] += 1
    assert len(tiles) == count and covered.max() == 1


def test_a_clip_is_played_there_and_back() -> None:
    assert [there_and_back(i, 4) for i in range(9)] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert there_and_back(5, 1) == 0


def test_a_drawn_session_has_a_picture_per_sample(sample_videos: Path, tmp_path: Path) -> None:
    clips = sorted(sample_videos.glob("*.mp4"))[:2]
    session = SCENARIOS["speakers"](2, 12, np.random.default_rng(0))
    video = render(session, clips, tmp_path / "session.mp4")
    with av.open(str(video)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == len(session.samples)
    assert (frames[0].width, frames[0].height) == TILES[1]


def test_bcubed_of_known_clusterings() -> None:
    true = np.array([0, 0, 1, 1])
    assert bcubed(true, np.array([5, 5, 7, 7])) == (1.0, 1.0)
    assert bcubed(true, np.zeros(4, int)) == (0.5, 1.0)
    # Faces that nobody was named for are clusters of their own.
    assert bcubed(true, np.array([3, -1, -1, -1])) == (1.0, 0.5)
