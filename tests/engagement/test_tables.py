"""Every column of timeline and persons by hand: which number of a face stands where, and what a person's figures are of."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from engagement.labels import EXPRESSIONS, LEARNER_STATES
from engagement.records import FaceRecords
from engagement.timelines.columns import raw_scores, smoothed_scores
from engagement.timelines.episodes import EpisodesConfig
from engagement.timelines.session import SessionTables, TableOptions, build_tables

EXTRA = ("head_yes",)
TIMES = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
FRAMES = np.array([0, 6, 13, 18, 24, 30])
#: Four faces of Ana, the second too poor and the last one frozen, and before and between them two of Ben.
WHOSE = np.array([1, 0, 0, 1, 0, 0])
SAMPLES = [0, 1, 2, 2, 4, 5]
SIDES = [(20, 20), (30, 40), (50, 20), (20, 20), (60, 30), (20, 200)]
QUALITY = [0.9, 0.8, 0.29, 0.9, 0.3, 0.9]


def made() -> tuple[np.ndarray, np.ndarray]:
    """Records of the six faces, no two numbers of which are alike, and their smoothed scores."""
    rows = np.zeros(6, FaceRecords(EXTRA).rows.dtype)
    rows["sample"], rows["quality"] = SAMPLES, QUALITY
    rows["score"] = 0.9 + np.arange(6) / 100
    left_top = np.arange(12).reshape(6, 2) * 10.0
    rows["box"] = np.concatenate([left_top, left_top + SIDES], axis=1)
    rows["pose"] = np.arange(18).reshape(6, 3) - 5
    rows["prob"] = np.arange(60).reshape(6, 10) / 60
    rows["extra"] = (np.arange(6) / 7)[:, None]
    rows["frozen"] = np.arange(6) == 5
    smoothed = np.random.default_rng(0).random((6, 11)).astype(np.float32)
    smoothed[[2, 5]] = np.nan
    return rows, smoothed


@pytest.fixture(scope="module")
def tables() -> SessionTables:
    rows, smoothed = made()
    options = TableOptions(0.2, 0.3, 0.6, EpisodesConfig(), EXTRA, end_s=1.1)
    return build_tables(TIMES, FRAMES, rows, WHOSE, smoothed, options)


@pytest.mark.parametrize(("person", "index"), [("P01", 0), ("P02", 1)])
def test_each_number_of_a_face_stands_in_its_column(tables: SessionTables, person: str, index: int) -> None:
    rows, smoothed = made()
    own, scores = rows[index == WHOSE], smoothed[index == WHOSE]
    timeline = tables.timeline[tables.timeline["person_id"] == person]
    first, last = own["sample"][[0, -1]]
    assert timeline["time_s"].tolist() == TIMES[first : last + 1].tolist()
    assert timeline["frame_index"].tolist() == FRAMES[first : last + 1].tolist()
    seen = timeline[timeline["observed"]]
    assert seen["time_s"].tolist() == TIMES[own["sample"]].tolist()
    for columns, values in (
        (["x1", "y1", "x2", "y2"], own["box"]),
        (["detection_score", "quality"], np.stack([own["score"], own["quality"]], axis=1)),
        (["yaw_deg", "pitch_deg", "roll_deg"], own["pose"]),
        (raw_scores(), own["prob"]),
        (smoothed_scores(), scores[:, :10]),
        (["p_head_yes", "s_head_yes"], np.stack([own["extra"][:, 0], scores[:, 10]], axis=1)),
    ):
        np.testing.assert_array_equal(seen[columns].to_numpy(np.float32), values.astype(np.float32))
    assert seen["frozen"].tolist() == own["frozen"].tolist()
    assert not timeline.loc[~timeline["observed"], "frozen"].any()


def test_a_persons_figures_are_of_that_person(tables: SessionTables) -> None:
    ana, ben = tables.persons.iloc[0], tables.persons.iloc[1]
    assert (ana["person_id"], ana["first_s"], ana["last_s"]) == ("P01", 0.2, 1.0)
    assert (ben["person_id"], ben["first_s"], ben["last_s"]) == ("P02", 0.0, 0.4)
    # Four samples of 0.2 s, of which the last one ends with the video, 0.1 s later.
    assert (ana["observed_s"], ana["frozen_s"]) == pytest.approx((0.7, 0.1))
    assert (ben["observed_s"], ben["frozen_s"]) == pytest.approx((0.4, 0.0))
    assert (ana["coverage"], ana["session_share"]) == pytest.approx((4 / 5, 4 / 6))
    assert (ana["n_samples"], ana["n_used"], ana["low_quality_share"]) == (4, 2, 0.25)
    assert ana["median_face_px"] == 55  # of the longer sides 40, 50, 60 and 200
    used = made()[1][[1, 4]].astype(np.float64).mean(axis=0)
    means = ana[[f"mean_{state}" for state in LEARNER_STATES.classes]].to_numpy(np.float64)
    assert means == pytest.approx(used[7:10])
    assert ana["top_expression"] == EXPRESSIONS.classes[int(used[:7].argmax())]
    assert ana["top_expression_prob"] == pytest.approx(used[:7].max())
    assert ana["mean_head_yes"] == pytest.approx(used[10])


def test_whoever_could_never_be_read_has_no_means(tables: SessionTables) -> None:
    rows, smoothed = made()
    smoothed[WHOSE == 0] = np.nan
    options = TableOptions(0.2, 0.3, 0.6, EpisodesConfig(), EXTRA)
    ana = build_tables(TIMES, FRAMES, rows, WHOSE, smoothed, options).persons.iloc[0]
    assert ana["n_used"] == 0 and pd.isna(ana["top_expression"])
    of = ("top_expression_prob", "mean_head_yes", *(f"mean_{state}" for state in LEARNER_STATES.classes))
    assert all(math.isnan(ana[name]) for name in of)
    assert ana["observed_s"] == pytest.approx(
        0.8
    )  # where no end is known, the last one stands as long as others
