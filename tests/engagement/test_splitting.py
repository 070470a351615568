"""Tracks that ran on with somebody else, still people who are replaced, seats across cuts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engagement.tracking.evidence import Evidence
from engagement.tracking.persons import NOBODY, PersonsConfig, TrackSummary, join_tracks
from engagement.tracking.splitting import Persons, Split, find_persons
from engagement.tracking.tracker import FaceLook, FaceTracker
from engagement.types import FaceDetections

DIM, BINS = 16, 16


def face(person: int, sample: int = 0, alike: float = 0.0, noise: float = 0.05) -> np.ndarray:
    """A face feature of unit length; ``alike``: cosine that any two people have in common."""
    vector = np.zeros(DIM, np.float32)
    vector[person], vector[-1] = np.sqrt(1 - alike), np.sqrt(alike)
    vector += noise * np.random.default_rng((sample, person)).normal(size=DIM).astype(np.float32)
    return vector / np.linalg.norm(vector)


def colours(person: int, hair_seen: float = 1.0) -> np.ndarray:
    """Hair and chest of one colour; of the hair only a share may lie in the picture."""
    values = np.full(BINS // 2, 0.01, np.float32)
    values[person] += 0.5 - values.sum()
    return np.concatenate([hair_seen * values, values])


def box(x: float, side: float = 60.0) -> np.ndarray:
    return np.array([x, 100, x + side, 100 + side], np.float32)


def track(
    number: int, *stretches: tuple[int, range], x: float = 100.0, alike: float = 0.0, shot: int = 0
) -> TrackSummary:
    """A track that shows people one after the other."""
    out = TrackSummary(number, shot)
    for person, samples in stretches:
        for sample in samples:
            out.add(sample, box(x), 0.99, 1.0, face(person, sample, alike), colours(person))
    return out


@pytest.mark.parametrize("alike", [0.0, 0.6], ids=["strangers", "look-alikes"])
def test_two_who_swap_seats_within_their_tracks_are_told_apart(alike: float) -> None:
    tracks = [
        track(0, (0, range(100)), (1, range(100, 200)), x=100, alike=alike),
        track(1, (1, range(100)), (0, range(100, 200)), x=400, alike=alike),
    ]
    found = find_persons(tracks, PersonsConfig())
    sample = np.tile(np.arange(200), 2)
    number = np.repeat([0, 1], 200)
    who = np.array([found.person[t] for t in found.relabel(number, sample).tolist()])
    true = np.where(sample < 100, number, 1 - number)
    assert len(set(who.tolist())) == 2
    assert (who == true).mean() > 0.97


@pytest.mark.parametrize("shown", [0, 1, 2, 3, 9])
def test_a_change_lies_where_it_is_however_shortly_before_it_a_piece_began(shown: int) -> None:
    change = 100 + shown
    mixed = track(0, (0, range(change)), (1, range(change, 200)), alike=0.6)
    found = find_persons([mixed, track(1, (1, range(change)), x=400, alike=0.6)], PersonsConfig())
    assert [split.sample for split in found.splits] == [change]
    assert found.person[found.splits[0].new_track] == found.person[1] != found.person[0]


def test_the_last_moments_of_a_track_do_not_hide_the_change_before_them() -> None:
    mixed = track(0, (0, range(50)), (1, range(50, 55)))
    for sample in range(55, 58):  # turned away, and so less alike what was before than the newcomer is
        mixed.add(sample, box(100), 0.99, 1.0, -face(0, sample), colours(1))
    found = find_persons([mixed, track(1, (0, range(50, 150)), x=400)], PersonsConfig())
    assert [split.sample for split in found.splits] == [50]
    assert found.person[0] == found.person[1]


def test_a_track_of_one_person_stays_whole() -> None:
    found = find_persons([track(0, (0, range(300)))], PersonsConfig())
    assert found == Persons({0: 0})


@pytest.mark.parametrize("hair_seen", [1.0, 0.0], ids=["in the picture", "cut by its edge"])
@pytest.mark.parametrize("goes_on", [True, False], ids=["covered or cut", "somebody else"])
def test_colours_that_go_on_say_that_a_face_is_only_covered(goes_on: bool, hair_seen: float) -> None:
    one = track(0, (0, range(50)))
    for sample in range(50, 100):
        one.add(sample, box(100), 0.99, 1.0, face(1, sample), colours(0 if goes_on else 1, hair_seen))
    assert len(set(find_persons([one], PersonsConfig()).person.values())) == (1 if goes_on else 2)


def test_nobody_runs_on_without_the_face_feature() -> None:
    mixed = [track(0, (0, range(50)), (1, range(50, 100)))]
    assert find_persons(mixed, PersonsConfig(identity="appearance")).splits == ()
    assert find_persons(mixed, PersonsConfig(identity="off")) == Persons({0: 0})


def test_faces_get_the_new_ids_from_the_split_on() -> None:
    persons = Persons({0: 0, 7: 1, 8: 0}, (Split(0, 10, 7), Split(0, 20, 8)))
    sample = np.array([9, 10, 19, 20, 30, 15])
    number = np.array([0, 0, 0, 0, 0, 3])
    assert persons.relabel(number, sample).tolist() == [0, 7, 7, 8, 8, 3]


def test_parts_add_up_to_the_track() -> None:
    whole = track(0, (0, range(25)), (1, range(25, 40)))
    cut = next(i for i, piece in enumerate(whole.pieces) if piece.start >= 25)
    parts = [whole.part(0, 0, cut), whole.part(1, cut, len(whole.pieces))]
    assert [*parts[0].samples, *parts[1].samples] == whole.samples
    assert sum(p.weight for p in parts) == pytest.approx(whole.weight)
    total = parts[0].identity_sum + parts[1].identity_sum  # type: ignore[operator]
    assert total == pytest.approx(whole.identity_sum, abs=1e-3)
    assert parts[1].pieces[0].start == 0


def test_each_part_begins_and_ends_where_its_own_person_does() -> None:
    """A track ran on with somebody at the same place whose face is larger."""
    whole = TrackSummary(0, 0)
    for sample in range(40):
        who, side = (0, 30) if sample < 20 else (1, 58)
        whole.add(sample, box(100, side), 1.0, 1.0, face(who), colours(who))
    cut = next(i for i, piece in enumerate(whole.pieces) if piece.start >= 20)
    own, other = whole.part(0, 0, cut), whole.part(1, cut, len(whole.pieces))
    assert (own.side_px, other.side_px) == (30, 58)
    assert (
        own.last_box.tolist() == box(100, 30).tolist() and other.first_box.tolist() == box(100, 58).tolist()
    )


def test_a_stretch_too_short_to_be_somebody_is_nobody() -> None:
    assert join_tracks([track(0, (0, range(3)))], PersonsConfig()) == {0: NOBODY}
    assert join_tracks([track(0, (0, range(4)))], PersonsConfig()) == {0: 0}


def test_a_large_face_must_be_sure() -> None:
    def doubtful(side: float) -> TrackSummary:
        out = TrackSummary(0, 0)
        for sample in range(20):
            out.add(sample, box(100, side), 0.96 if sample == 0 else 0.84, 1.0, face(0), colours(0))
        return out

    assert join_tracks([doubtful(24)], PersonsConfig()) == {0: 0}
    assert join_tracks([doubtful(90)], PersonsConfig()) == {0: NOBODY}


def test_seats_count_across_a_cut_after_which_everybody_sits_where_they_sat() -> None:
    before = [track(i, (i, range(20)), x=100.0 + 200 * i) for i in range(4)]
    after = [track(4 + i, (i, range(22, 40)), x=105.0 + 200 * i, shot=1) for i in range(4)]
    evidence = Evidence([*before, *after])
    for i in range(4):
        others, closeness = evidence.near(i)
        assert others.tolist() == [4 + i] and closeness[0] > 0.5


def test_places_say_nothing_across_a_cut_to_another_view() -> None:
    before = [track(i, (i, range(20)), x=100.0 + 200 * i) for i in range(4)]
    after = [track(4, (0, range(22, 40)), x=105.0, shot=1)]
    evidence = Evidence([*before, *after])
    assert not any(len(evidence.near(i)[0]) for i in range(5))


def test_seats_that_faces_contradict_count_for_less() -> None:
    def session(order: list[int]) -> Evidence:
        before = [track(i, (i, range(20)), x=100.0 + 200 * i) for i in range(8)]
        after = [track(8 + k, (p, range(30, 50)), x=100.0 + 200 * k) for k, p in enumerate(order)]
        return Evidence([*before, *after])

    kept, moved = session(list(range(8))), session([*range(1, 8), 0])
    assert kept.seat_weight > 2 > 0.5 > moved.seat_weight


def _seen(index: int, person: int, x: float, background: int) -> tuple[FaceDetections, FaceLook]:
    one = np.ones(1, np.float32)
    boxes, points = box(x)[None], np.zeros((1, 5, 2), np.float32)
    look = FaceLook(face(person, index, 0.25)[None], colours(background)[None], one)
    return FaceDetections(index, index * 0.2, boxes, one, points), look


def test_somebody_else_in_a_still_picture_is_another_track_though_the_colours_stay() -> None:
    tracker = FaceTracker()
    first = [int(tracker.update(*_seen(i, 0, 100.0, 0))[0]) for i in range(10)]
    second = [int(tracker.update(*_seen(i, 1, 112.0, 0))[0]) for i in range(10, 15)]
    assert set(first) == {0} and set(second) == {1}


def test_who_walks_past_changing_colours_stays_on_one_track() -> None:
    tracker = FaceTracker()
    seen = [int(tracker.update(*_seen(i, 0, 100.0 + 25 * i, i % 3))[0]) for i in range(12)]
    assert set(seen) == {0}


def test_faces_that_the_detector_doubts_say_little_of_who_it_is() -> None:
    bowed, clear = TrackSummary(0, 0), TrackSummary(1, 0)
    for sample in range(10):
        bowed.add(sample, box(100), 0.6, 1.0, face(0, sample), colours(0))
        clear.add(sample + 20, box(400), 0.99, 1.0, face(0, sample), colours(1))
    assert bowed.weight < clear.weight / 3
    sure = Evidence([track(0, (0, range(10))), clear], ("face",)).ratios([0])[0, 1]
    doubted = Evidence([bowed, clear], ("face",)).ratios([0])[0, 1]
    assert doubted < sure - 1


@pytest.mark.parametrize(
    ("doubted", "side"), [(range(20, 40), 58.0), (range(20), 90.0)], ids=["after", "before"]
)
@pytest.mark.parametrize("elsewhere", ["never", "later", "then"])
def test_a_doubtful_part_goes_with_its_track_unless_the_person_is_elsewhere(
    doubted: range, side: float, elsewhere: str
) -> None:
    changing, other = TrackSummary(0, 0), TrackSummary(1, 0)
    for sample in range(40):
        person, size, score = (1, side, 0.8) if sample in doubted else (0, 30.0, 0.97)
        changing.add(sample, box(100, size), score, 0.9, face(person, sample), colours(person))
    for sample in {"never": range(0), "later": range(60, 90), "then": doubted}[elsewhere]:
        other.add(sample, box(600, 30.0), 0.97, 0.9, face(0, sample), colours(0))
    tracks = [changing, other] if other.samples else [changing]
    found = find_persons(tracks, PersonsConfig())
    person = [found.person[int(t)] for t in found.relabel(np.zeros(40, np.int64), np.arange(40))]
    of_doubted = NOBODY if elsewhere == "then" else 0
    assert person == [of_doubted if sample in doubted else 0 for sample in range(40)]
    assert all(found.person[t.track_id] == 0 for t in tracks[1:])


def test_a_doubtful_part_is_not_given_to_who_is_elsewhere_at_that_time() -> None:
    changing = TrackSummary(0, 0)
    for sample in range(40):
        person, side, score = (0, 30.0, 0.97) if sample < 20 else (1, 120.0, 0.8)
        changing.add(sample, box(100, side), score, 0.9, face(person, sample), colours(person))
    elsewhere = TrackSummary(1, 0)
    for sample in range(20, 60):
        elsewhere.add(sample, box(600, 30.0), 0.97, 0.9, face(0, sample), colours(0))
    found = find_persons([changing, elsewhere], PersonsConfig())
    track = np.array([0] * 40 + [1] * 40)
    sample = np.array([*range(40), *range(20, 60)])
    person = np.array([found.person[int(t)] for t in found.relabel(track, sample)])
    assert person[0] == person[-1] >= 0
    for at in range(60):
        here = person[(sample == at) & (person >= 0)]
        assert len(here) == len(set(here.tolist())), at


def test_who_is_a_person_alone_stays_one_in_company() -> None:
    far, near, doubted = (TrackSummary(i, 0) for i in range(3))
    for sample in range(100):
        far.add(sample, box(100, 30.0), 0.97 if sample == 0 else 0.86, 0.8, face(0, sample), colours(0))
    for sample in range(120, 180):
        near.add(sample, box(100, 120.0), 0.95, 0.8, face(0, sample), colours(0))
    for sample in range(200, 290):
        doubted.add(sample, box(100, 30.0), 0.7, 0.8, face(0, sample), colours(0))
    assert join_tracks([far], PersonsConfig()) == {0: 0}
    assert join_tracks([far, near], PersonsConfig()) == {0: 0, 1: 0}
    assert join_tracks([far, doubted], PersonsConfig())[0] == 0


@pytest.mark.parametrize(
    ("other", "begins", "ends", "persons"),
    [(0, 37, 80, 1), (1, 37, 80, 2), (0, 30, 80, 2), (0, 37, 43, 2)],
    ids=["a dissolve", "somebody else", "twins seen for longer", "for a moment alone"],
)
def test_a_moment_in_two_places_does_not_make_two_of_one(
    other: int, begins: int, ends: int, persons: int
) -> None:
    large, small = track(0, (0, range(40))), track(1, (other, range(begins, ends)), x=600)
    found = find_persons([large, small], PersonsConfig())
    number = np.repeat([0, 1], [40, ends - begins])
    sample = np.array([*range(40), *range(begins, ends)])
    person = np.array([found.person[int(t)] for t in found.relabel(number, sample)])
    assert len(set(person[person >= 0].tolist())) == persons
    # Where one is in both places, the new one counts.
    fading = (number == 0) & (sample >= begins)
    assert (person == NOBODY).tolist() == (fading & (persons == 1)).tolist()


@pytest.mark.parametrize(
    ("step_s", "most"),
    [
        (0.05, 16),
        (0.1, 8),
        (0.2, 4),
        (0.24, 4),
        (0.5, 4),
        (0.5005, 4),
        (1.0, 2),
        (1.001, 2),
        (2.0, 1),
        (10.0, 1),
    ],
)
def test_how_many_samples_a_moment_in_two_places_has_goes_by_time(step_s: float, most: int) -> None:
    for samples, people in ((most, 1), (most + 1, 2)):
        large, small = track(0, (0, range(40))), track(1, (0, range(40 - samples, 80)), x=600)
        found = find_persons([large, small], PersonsConfig(), step_s=step_s)
        assert len({found.person[0], found.person[1]}) == people


def test_a_track_that_runs_on_with_somebody_else_may_fade_before() -> None:
    """The large picture dissolves from one into another, and a small one of the first begins meanwhile."""
    speakers = track(0, (0, range(40)), (1, range(40, 80)))
    small = track(1, (0, range(38, 80)), x=600)
    found = find_persons([speakers, small], PersonsConfig())
    number, sample = np.repeat([0, 1], [80, 42]), np.array([*range(80), *range(38, 80)])
    person = np.array([found.person[int(t)] for t in found.relabel(number, sample)])
    assert person[0] == person[-1] and set(person[40:80].tolist()) == {1}
    assert set(person[38:40].tolist()) == {NOBODY}


@settings(deadline=None, max_examples=120)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 60),
            st.lists(st.tuples(st.integers(0, 2), st.integers(1, 16), st.booleans()), max_size=3),
        ),
        max_size=8,
    ),
    st.sampled_from([0.05, 0.2, 2.0]),
    st.lists(
        st.tuples(st.integers(0, 100), st.integers(1, 40), st.integers(0, 7), st.integers(0, 7)), max_size=6
    ),
)
def test_ids_follow_first_sight_and_nobody_is_in_two_places_though_parts_change_hands(
    tracks: list[tuple[int, list[tuple[int, int, bool]]]],
    step_s: float,
    alike: list[tuple[int, int, int, int]],
) -> None:
    """Each track shows people one after the other, some of them as a detector that doubts; some pictures are shown twice."""
    made, track, sample = [], list[int](), list[int]()
    for number, (start, stretches) in enumerate(tracks):
        if not stretches:
            continue
        own = TrackSummary(number, 0)
        begin = start
        for person, n, sure in stretches:
            for at in range(begin, begin + n):
                own.add(
                    at, box(200.0 * number), 0.97 if sure else 0.7, 0.9, face(person, at), colours(person)
                )
                track.append(number)
                sample.append(at)
            begin += n
        made.append(own)
    numbers = {own.track_id for own in made}
    copies = [
        (at, a, b)
        for first, n, a, b in alike
        for at in range(first, first + n)
        if a != b and {a, b} <= numbers
    ]
    found = find_persons(made, PersonsConfig(), step_s=step_s, copies=copies)
    whose = np.array(
        [found.person[int(t)] for t in found.relabel(np.array(track, int), np.array(sample, int))]
    )
    ids = sorted(set(whose[whose >= 0].tolist()))
    assert ids == list(range(len(ids)))
    firsts = [int(np.array(sample)[whose == i].min()) for i in ids]
    assert firsts == sorted(firsts)
    seen = list(zip(sample, whose.tolist(), strict=True))
    assert len({pair for pair in seen if pair[1] >= 0}) == int((whose >= 0).sum())
