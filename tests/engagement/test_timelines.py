"""Runs, events, tables, class curves: gaps stay gaps, nothing is claimed of what was not seen."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagement.errors import ConfigError, DataError
from engagement.followed import FOLLOWED
from engagement.labels import LEARNER_STATES, UNCERTAIN
from engagement.provenance import headline, weak_states
from engagement.records import FaceRecords
from engagement.reports.thinning import spans
from engagement.runs import find_runs
from engagement.smoothing import SmoothingConfig
from engagement.timelines import table
from engagement.timelines.columns import EVENTS, PERSONS, TIMELINE, names
from engagement.timelines.curves import class_curves, visibility
from engagement.timelines.episodes import EpisodesConfig, find_episodes, leading
from engagement.timelines.session import TableOptions, build_tables
from engagement.types import FaceDetections, FaceScores
from engagement.video.reader import FrameTicket
from engagement.video.sampling import select, typical_step_s
from engagement.weights.store import LoadedWeights, WeightRecord, folder, manifest, read_record

STEP = 0.2
OPTIONS = TableOptions(step_s=STEP, min_quality=0.3, max_gap_s=0.6, episodes=EpisodesConfig())


def test_a_pause_begins_a_new_run() -> None:
    times = np.array([0, 0.2, 0.4, 1.2, 1.4, 2.0])
    assert find_runs(times, 0.6).tolist() == [0, 0, 0, 1, 1, 1]
    assert find_runs(np.zeros(0), 0.6).tolist() == []


def scores(*rows: tuple[float, float, float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_the_winner_may_be_rare_and_a_small_lead_is_uncertain() -> None:
    table_of = scores((0.6, 0.2, 0.1), (0.5, 0.45, 0.1), (0.1, 0.2, 0.9))
    assert leading(table_of, EpisodesConfig(0.1)).tolist() == ["boredom", UNCERTAIN, "confusion"]
    with pytest.raises(ConfigError, match=r"--margin 1\.5"):
        EpisodesConfig(1.5)


def test_a_lead_of_the_margin_is_enough() -> None:
    """Of scores that floats hold exactly."""
    table_of = scores((0.75, 0.625, 0.0), (0.75, 0.6251, 0.0), (0.0, 0.625, 0.375), (0.0, 0.625, 0.3751))
    config = EpisodesConfig(0.125, wide=("engagement",))
    assert leading(table_of, config).tolist() == ["boredom", UNCERTAIN, "engagement", UNCERTAIN]


def test_a_state_told_little_better_than_chance_needs_twice_the_lead() -> None:
    table_of = scores((0.6, 0.45, 0.1), (0.7, 0.45, 0.1), (0.45, 0.6, 0.1))
    known = leading(table_of, EpisodesConfig(0.1, wide=("boredom", "confusion"))).tolist()
    assert known == [UNCERTAIN, "boredom", "engagement"]


def test_which_states_are_weak_is_what_the_weights_say_of_themselves() -> None:
    def weights(**areas: float) -> LoadedWeights:
        metrics = {"state": {"test": {name: {"auc": value} for name, value in areas.items()}}}
        record = WeightRecord("face_state", {"heads": {"state": {}}}, metrics=metrics)
        return LoadedWeights("x", "0", record, {})

    assert weak_states([weights(boredom=0.6, engagement=0.7, confusion=0.65)]) == ("boredom",)
    assert weak_states([weights(engagement=0.7)]) == ("boredom", "confusion")  # not measured is no better


def test_a_figure_that_could_not_be_measured_is_none() -> None:
    metrics = {"state": {"test": {"boredom": {"auc": None}, "engagement": {"auc": float("nan")}}}}
    record = WeightRecord("face_state", {"heads": {"state": {}}}, metrics=metrics)
    assert headline(metrics) == {}
    assert weak_states([LoadedWeights("x", "0", record, {})]) == LEARNER_STATES.classes


def test_pages_and_manifest_quote_every_set_that_a_model_was_measured_on() -> None:
    splits = {
        "rafdb test": {"accuracy": 0.7},
        "test": {"accuracy": 0.8, "ece": 0.1},
        "val": {"accuracy": 0.9},
    }
    quoted = {"expression_accuracy": 0.8, "expression_ece": 0.1, "expression_accuracy_on_rafdb": 0.7}
    assert headline({"expression": splits}) == quoted
    for name, entry in manifest().items():
        record = read_record(folder() / entry["file"])
        assert headline(record.metrics) == entry["metrics"], name


@pytest.mark.parametrize("fps", [1.0, 2.0, 3.0, 4.5, 6.0, 7.5, 8.0, 25.0, 29.97])
@pytest.mark.parametrize("rate", [0.5, 1.0, 5.0, 20.0, 30.0])
def test_seconds_follow_the_stamps_at_any_rate(fps: float, rate: float) -> None:
    stamps = np.arange(int(60 * fps)) / fps
    tickets = [FrameTicket(i, float(t), lambda: np.zeros((1, 1, 3), np.uint8)) for i, t in enumerate(stamps)]
    times = np.array([frame.time_s for frame in select(tickets, rate)])
    step = typical_step_s(times, rate)
    assert len(times) * step == pytest.approx(60, rel=0.06)
    seen = spans(times, np.ones(len(times), bool), step)
    assert len(seen) == 1 and seen[0][1] == pytest.approx(60, abs=2 * step)
    runs = find_runs(times, SmoothingConfig().gap_s(step))
    assert runs.max() == 0
    known = np.tile(np.array([[0.1, 0.8, 0.1]], np.float32), (len(times), 1))
    known[: len(times) // 2] = (0.8, 0.1, 0.1)
    first, second = find_episodes(times, known, runs, step, EpisodesConfig())
    assert first.end_s == second.start_s


@pytest.mark.parametrize(
    "stamps",
    [
        np.arange(0, 2, 0.04),
        np.concatenate([np.arange(0, 1, 0.04), np.arange(2, 3.1, 0.04)]),
        np.concatenate([np.arange(0, 1, 0.04), np.arange(61, 62, 0.04)]),
        np.concatenate([np.arange(start, start + 2, 0.04) for start in range(0, 24, 6)]),
        np.concatenate([np.arange(start, start + 1.5, 0.3) for start in range(0, 60, 10)]),
    ],
    ids=["whole", "a second lost", "a minute lost", "bursts", "slow bursts"],
)
def test_pauses_of_a_stream_do_not_stretch_what_a_sample_stands_for(stamps: np.ndarray) -> None:
    tickets = [FrameTicket(i, float(t), lambda: np.zeros((1, 1, 3), np.uint8)) for i, t in enumerate(stamps)]
    times = np.array([frame.time_s for frame in select(tickets, 5.0)])
    own_s = max(0.2, float(np.median(np.diff(stamps))))
    assert typical_step_s(times, 5.0) == pytest.approx(own_s, rel=0.05)


def test_events_end_at_gaps_and_poor_samples() -> None:
    times = np.array([0, 0.2, 0.4, 0.6, 3.0, 3.2])
    values = scores(*[(0.1, 0.8, 0.1)] * 6)
    values[2] = np.nan
    episodes = find_episodes(times, values, find_runs(times, 0.6), STEP, EpisodesConfig())
    spans = [(round(e.start_s, 3), round(e.end_s, 3), e.state) for e in episodes]
    assert spans == [(0, 0.4, "engagement"), (0.6, 0.8, "engagement"), (3.0, 3.4, "engagement")]
    assert all(e.mean_prob == pytest.approx(0.8) for e in episodes)


def test_an_event_ends_where_the_next_begins_and_tells_its_leaders_mean_score() -> None:
    times = np.array([0.0, 0.2, 0.45, 0.6, 0.8])
    values = scores((0.1, 0.5, 0.2), (0.3, 0.9, 0.7), (0.5, 0.45, 0.1), (0.3, 0.35, 0.1), (0.9, 0.2, 0.1))
    found = find_episodes(times, values, find_runs(times, 0.6), STEP, EpisodesConfig())
    told = [(e.start_s, e.end_s, e.state, round(e.mean_prob, 4)) for e in found]
    assert told == [
        (0.0, 0.45, "engagement", 0.7),
        (0.45, 0.8, UNCERTAIN, 0.425),
        (0.8, 1.0, "boredom", 0.9),
    ]
    # The last sample of all begins an event, later than a step after the one before.
    ends = [e.end_s for e in find_episodes(times[:3], values[:3], np.zeros(3, int), STEP, EpisodesConfig())]
    assert ends == pytest.approx([0.45, 0.65])


def test_nothing_reaches_beyond_the_end_of_the_video() -> None:
    """A sample a minute, and a video that ends half a second after the last one."""
    times, values = np.arange(4) * 60.0, scores(*[(0.1, 0.8, 0.1)] * 4)
    (event,) = find_episodes(times, values, find_runs(times, 180.0), 60.0, EpisodesConfig(), 180.5)
    assert (event.start_s, event.end_s) == (0.0, 180.5)
    options = replace(OPTIONS, step_s=60.0, max_gap_s=180.0, end_s=180.5)
    kept = records([0, 1, 2, 3], 0)
    for seen, seconds in (([0, 1, 2, 3], 180.5), ([0, 1, 2], 180.0)):
        rows = kept.rows[seen]
        tables = build_tables(times, np.arange(4), rows, np.zeros(len(seen), np.int64), rows["prob"], options)
        assert tables.persons["observed_s"].tolist() == [seconds]


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.booleans()), min_size=1, max_size=40
    ),
    st.floats(0, 0.5),
)
def test_events_cover_what_is_known_exactly_once(
    rows: list[tuple[float, float, float, bool]], margin: float
) -> None:
    values = np.array([r[:3] if r[3] else (np.nan,) * 3 for r in rows], np.float32)
    times = np.arange(len(rows)) * STEP
    episodes = find_episodes(times, values, find_runs(times, 0.6), STEP, EpisodesConfig(margin))
    total = sum(e.end_s - e.start_s for e in episodes)
    assert total == pytest.approx(STEP * sum(r[3] for r in rows), abs=1e-6)
    for a, b in pairwise(episodes):
        assert a.end_s <= b.start_s + 1e-9


def records(samples: list[int], track: int, quality: float = 1.0) -> FaceRecords:
    out = FaceRecords()
    add(out, samples, track, quality)
    return out


def add(out: FaceRecords, samples: list[int], track: int, quality: float = 1.0) -> None:
    for sample in samples:
        box = np.array([[10, 10, 40, 50]], np.float32)
        faces = FaceDetections(
            sample, sample * STEP, box, np.ones(1, np.float32), np.zeros((1, 5, 2), np.float32)
        )
        expression = np.full((1, 7), 0.05, np.float32)
        expression[0, 3] = 0.7
        found = FaceScores(
            expression, np.array([[0.1, 0.8, 0.2]], np.float32), np.zeros((1, 0), np.float32), {}
        )
        out.append(
            sample,
            faces,
            np.array([track]),
            np.array([quality], np.float32),
            np.zeros((1, 3), np.float32),
            found,
            np.zeros(1, bool),
        )


def test_rows_between_first_and_last_sight_and_empty_where_unobserved() -> None:
    kept = records([2, 3, 7], 0)
    times = np.arange(10) * STEP
    person = np.zeros(3, np.int64)
    tables = build_tables(times, np.arange(10) * 6, kept.rows, person, kept.rows["prob"], OPTIONS)
    timeline = tables.timeline
    assert list(timeline.columns) == names(TIMELINE)
    assert timeline["time_s"].tolist() == pytest.approx([0.4, 0.6, 0.8, 1.0, 1.2, 1.4])
    assert timeline["observed"].tolist() == [True, True, False, False, False, True]
    hidden = timeline[~timeline["observed"]]
    assert hidden[[c.name for c in TIMELINE if c.nullable]].isna().all().all()
    person_row = tables.persons.iloc[0]
    assert person_row["coverage"] == pytest.approx(0.5)
    assert person_row["session_share"] == pytest.approx(0.3)
    assert person_row["top_expression"] == "happy"
    assert tables.events["state"].tolist() == ["engagement", "engagement"]


def test_a_followed_head_has_a_place_and_nothing_else() -> None:
    kept = records([2, 3, 7], 0)
    followed = np.zeros(3, FOLLOWED)
    followed["sample"], followed["box"] = [1, 4, 5], [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
    tables = build_tables(
        np.arange(10) * STEP,
        np.arange(10) * 6,
        kept.rows,
        np.zeros(3, np.int64),
        kept.rows["prob"],
        OPTIONS,
        followed=followed,
    )
    timeline = tables.timeline
    assert timeline["followed"].tolist() == [False, False, True, True, False, False]
    assert timeline.loc[timeline["followed"], "head_x1"].tolist() == [5, 9]
    nothing = [c.name for c in TIMELINE if c.nullable and not c.name.startswith("head_")]
    assert timeline.loc[timeline["followed"], nothing].isna().all().all()
    assert timeline.loc[~timeline["followed"], "head_x1"].isna().all()
    assert tables.persons.iloc[0]["followed_s"] == pytest.approx(2 * STEP)
    assert tables.persons.iloc[0]["coverage"] == pytest.approx(0.5)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_table_of_an_earlier_version_follows_nobody(tmp_path: Path, suffix: str) -> None:
    kept = records([2, 3], 0)
    tables = build_tables(
        np.arange(5) * STEP, np.arange(5), kept.rows, np.zeros(2, np.int64), kept.rows["prob"], OPTIONS
    )
    old = tables.timeline.drop(
        columns=[c for c in tables.timeline if c == "followed" or c.startswith("head_")]
    )
    path = tmp_path / f"timeline.{suffix}"
    {"parquet": table.write_parquet, "csv": table.write_csv}[suffix](old, path)
    found = table.read(path, TIMELINE)
    assert not found["followed"].any()
    assert found["head_x1"].isna().all()
    assert len(found) == 2


def test_poor_crops_are_shown_and_claimed_of_nothing() -> None:
    kept = records([0, 1, 2], 0, quality=0.1)
    smoothed = np.full((3, 10), np.nan, np.float32)
    tables = build_tables(
        np.arange(3) * STEP, np.arange(3), kept.rows, np.zeros(3, np.int64), smoothed, OPTIONS
    )
    assert tables.persons.iloc[0]["low_quality_share"] == 1
    assert tables.persons.iloc[0]["n_used"] == 0
    assert pd.isna(tables.persons.iloc[0]["top_expression"])
    assert tables.timeline["p_happy"].notna().all()
    assert tables.timeline["s_happy"].isna().all()
    assert tables.events.empty


def test_nobody_gives_empty_tables_with_all_columns() -> None:
    kept = FaceRecords()
    none = np.zeros((0, 10), np.float32)
    tables = build_tables(np.arange(5) * STEP, np.arange(5), kept.rows, np.zeros(0, np.int64), none, OPTIONS)
    for frame, columns in ((tables.timeline, TIMELINE), (tables.persons, PERSONS), (tables.events, EVENTS)):
        assert frame.empty
        assert list(frame.columns) == names(columns)
    curves = class_curves(tables.timeline, np.arange(5) * STEP)
    assert curves["n_visible"] == [0]
    assert visibility(tables.timeline, 5) == {"coverage": 0.0, "mean_visible": 0.0, "max_visible": 0}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables_survive_the_disk(tmp_path: Path, suffix: str) -> None:
    kept = records([0, 1, 4], 0)
    timeline = build_tables(
        np.arange(6) * STEP, np.arange(6), kept.rows, np.zeros(3, np.int64), kept.rows["prob"], OPTIONS
    ).timeline
    path = tmp_path / f"timeline{suffix}"
    (table.write_csv if suffix == ".csv" else table.write_parquet)(timeline, path)
    again = table.read(path, TIMELINE)
    pd.testing.assert_frame_equal(again, timeline, check_dtype=True, atol=1e-4)
    written = list(pd.read_csv(path).columns) if suffix == ".csv" else pq.read_schema(path).names
    assert written == names(TIMELINE)
    with pytest.raises(DataError, match="does not exist"):
        table.read(tmp_path / "other.csv", TIMELINE)


def test_a_timeline_without_rows_has_the_types_of_others(tmp_path: Path) -> None:
    """Sessions in which nobody was found are read together with others."""
    kept, nobody = records([0, 1], 0), FaceRecords()
    for name, found in (("some", kept), ("none", nobody)):
        scores, person = found.rows["prob"], np.zeros(len(found.rows), np.int64)
        tables = build_tables(np.arange(2) * STEP, np.arange(2), found.rows, person, scores, OPTIONS)
        table.write_parquet(tables.timeline, tmp_path / f"{name}.parquet")
    of_some, of_none = (pq.read_schema(tmp_path / f"{name}.parquet") for name in ("some", "none"))
    assert of_none.equals(of_some)
    assert len(pd.read_parquet([tmp_path / "none.parquet", tmp_path / "some.parquet"])) == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("persons.csv", b"", "persons.csv cannot be read"),
        ("persons.csv", "person_id\nRené\n".encode("latin-1"), "persons.csv cannot be read"),
        ("persons.csv", b"person_id\nP01\n", "persons.csv: table lacks the columns first_s"),
        ("persons.parquet", b"nothing", "persons.parquet cannot be read"),
    ],
)
def test_a_table_that_somebody_damaged_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        table.read(tmp_path / name, PERSONS)
    assert "--overwrite" in caught.value.hint


def test_a_word_among_numbers_is_damage_too(tmp_path: Path) -> None:
    columns = names(PERSONS)
    (tmp_path / "persons.csv").write_text(f"{','.join(columns)}\n{','.join('much' for _ in columns)}\n")
    with pytest.raises(DataError, match=r"persons\.csv cannot be read .*much"):
        table.read(tmp_path / "persons.csv", PERSONS)


def test_class_curves_count_people_not_samples() -> None:
    kept = FaceRecords()
    for sample in range(10):
        add(kept, [sample], 0)
        if sample < 2:
            add(kept, [sample], 1)
    smoothed = kept.rows["prob"].copy()
    person = kept.rows["track"].astype(np.int64)
    smoothed[person == 1, 8] = 0.2
    times = np.arange(10) * STEP
    tables = build_tables(times, np.arange(10), kept.rows, person, smoothed, OPTIONS)
    curves = class_curves(tables.timeline, times)
    assert curves["n_visible"] == [2, 1]
    assert curves["engagement"][0] == pytest.approx(0.5)  # the mean of two people, not of seven samples
    assert curves["engagement_lo"][1] is None  # one person has no spread between people


def test_the_timeline_joins_with_a_readers_own_annotations(finished: Path) -> None:
    timeline = pd.read_parquet(finished / "talk" / "timeline.parquet").sort_values("time_s")
    own = pd.DataFrame({"person_id": ["P01", "P02"], "time_s": [3.0, 5.0], "said": ["bored", "not"]})
    joined = pd.merge_asof(own, timeline, on="time_s", by="person_id", direction="nearest")
    assert joined["s_boredom"].notna().all()
