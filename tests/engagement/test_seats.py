"""Who sits where somebody sat before, and whether somebody who sat still was replaced: by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engagement.tracking.replacement import Stillness, replaced
from engagement.tracking.seats import Seats
from engagement.tracking.summary import TrackSummary


def track(
    samples: range, *places: tuple[float, float], shot: int = 0, side: float = 80, number: int = 0
) -> TrackSummary:
    """A track whose box, half as wide as high, is centred on these places, one after the other."""
    out = TrackSummary(number, shot)
    look = np.ones(2, np.float32)
    for place, sample in enumerate(samples):
        x, y = places[min(place, len(places) - 1)]
        box = np.array([x - side / 4, y - side / 2, x + side / 4, y + side / 2], np.float32)
        out.add(sample, box, 0.99, 1.0, look, look)
    return out


def near(tracks: list[TrackSummary], index: int) -> dict[int, float]:
    others, closeness = Seats(tracks).near(index)
    return {int(k): round(float(c), 3) for k, c in zip(others, closeness, strict=True)}


def test_a_seat_is_that_of_whoever_ended_there_before() -> None:
    tracks = [
        track(range(0, 10), (500, 300), (100, 200)),
        track(range(20, 30), (140, 200)),  # half a face aside
        track(range(20, 30), (100, 280)),  # a whole face lower: another seat
        track(range(20, 30), (100, 200), side=80 * np.exp(0.25)),  # as if half a face aside
        track(range(5, 15), (100, 200)),  # there at the same time
        track(range(9, 15), (100, 200)),  # in its last sample, too
        track(range(40, 50), (500, 300)),  # where the first one began
        track(range(20, 30), (60, 200), side=72),  # half a face of the larger one
    ]
    assert near(tracks, 0) == {1: 0.5, 3: 0.5, 7: 0.5}
    assert near(tracks, 1)[0] == 0.5
    assert near(tracks, 6) == {}


PLACES = [(100.0 + 200 * i, 200.0) for i in range(6)]


def cut(
    people: int, staying: int, *, ended: int = 9, began: int = 10, late: int | None = None
) -> list[TrackSummary]:
    """People before a cut and as many after it, of whom some stay where they were and the others sit elsewhere."""
    before = [track(range(ended - 5, ended + 1), place) for place in PLACES[:people]]
    after = [
        track(
            range(began if late is None or i >= staying else late, 60), (x, y + 500 * (i >= staying)), shot=1
        )
        for i, (x, y) in enumerate(PLACES[:people])
    ]
    return before + after


@pytest.mark.parametrize(
    ("tracks", "one_view"),
    [
        (cut(4, 4), True),
        (cut(4, 3), True),
        (cut(3, 2), False),  # too few to tell
        (cut(6, 3), False),  # too small a share
        (cut(6, 4), True),
        (cut(4, 4, ended=10, began=20), True),
        (cut(4, 4, ended=9, began=20), False),  # who was there long before says nothing of a cut
        (cut(4, 3, late=15), True),
        (cut(4, 3, late=16), False),  # nor does who comes long after
    ],
)
def test_after_a_cut_seats_count_where_most_people_stayed(tracks: list[TrackSummary], one_view: bool) -> None:
    assert near(tracks, 0) == ({len(tracks) // 2: 1.0} if one_view else {})


def test_those_who_come_with_a_cut_do_not_make_another_view_of_it() -> None:
    tracks = cut(4, 4) + [track(range(10, 60), (x, 900), shot=1) for x, _ in PLACES]
    assert near(tracks, 0) == {4: 1.0}


@pytest.mark.parametrize(("second", "third"), [("other", "other"), ("first", "other"), ("other", "first")])
def test_a_view_is_that_of_the_shot_right_before(second: str, third: str) -> None:
    """Two cuts, after each of which the seats are as before or others, but for one seat."""
    layouts = {"first": PLACES[:4], "other": [PLACES[0], *((x, y + 500) for x, y in PLACES[1:4])]}
    tracks = [track(range(0, 20), place) for place in PLACES[:4]]
    tracks += [track(range(20, 28), place, shot=1) for place in layouts[second]]
    tracks += [track(range(28, 60), place, shot=2) for place in layouts[third]]
    assert near(tracks, 0) == {"first": {4: 1.0}, "other": {8: 1.0} if third == "first" else {}}[second]
    assert near(tracks, 4).get(8) == (1.0 if second == third else None)


def test_one_face_in_a_flash_does_not_part_the_views_around_it() -> None:
    tracks = [track(range(0, 20), place) for place in PLACES[:4]]
    tracks += [track(range(20, 22), (500, 900), shot=1)]
    tracks += [track(range(22, 60), place, shot=2) for place in PLACES[:4]]
    assert near(tracks, 0) == {5: 1.0} and near(tracks, 4) == {}


def test_whoever_moves_little_for_some_samples_is_still() -> None:
    still = Stillness()
    still.take(0.1, 0.98)
    assert (still.shift, still.colours) == pytest.approx((0.1, 0.98))
    still.take(0.2, 0.9)
    assert (still.shift, still.colours) == pytest.approx((0.12, 0.964))
    for shift, colours, wanted in ((0.05, 0.99, True), (0.2, 0.99, False), (0.05, 0.95, False)):
        found = Stillness()
        steady = []
        for _ in range(5):
            found.take(shift, colours)
            steady.append(found.steady)
        assert steady == [False] * 3 + [wanted] * 2


@pytest.mark.parametrize(
    ("face", "colours", "shift", "quality", "wanted"),
    [
        (1.0, 0.99, 0.05, 1.0, False),
        (0.1, 0.9, 0.3, 1.0, True),
        (0.1, 0.9, 0.3, 0.05, True),  # log odds -10.09: a tenth of it against nine tenths
        (0.1, 0.9, 0.3, 0.02, False),  # too poor a crop to prove anything
        (1.0, 0.0, 9.0, 1.0, False),  # however far, in whatever light: the face is the same
        (0.2, 1.0, 0.0, 1.0, True),  # and in the same clothes: it is not
    ],
)
def test_somebody_else_is_told_by_the_face_above_all(
    face: float, colours: float, shift: float, quality: float, wanted: bool
) -> None:
    values = [np.full((2, 1), value, np.float32) for value in (face, colours, shift)]
    found = replaced(np.array([True, False]), *values, np.array([quality], np.float32))
    assert found.tolist() == [[wanted], [False]]  # of who does not sit still nothing is claimed
