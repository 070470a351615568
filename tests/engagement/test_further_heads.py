"""Classes of a user's own: smoothed like the others, on the pages, with what was measured of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engagement.corrections.rebuild import settings
from engagement.errors import DataError
from engagement.provenance import measured
from engagement.records import FaceRecords
from engagement.reports.figures import heads_figure
from engagement.smoothing import SmoothingConfig, load_smoother, smooth_further, smooth_persons
from engagement.timelines import table
from engagement.timelines.columns import PERSONS, TIMELINE
from engagement.timelines.session_summary import SessionSummary
from engagement.timelines.table import read_all
from engagement.weights.store import LoadedWeights, WeightRecord
from temporal.hmm import HmmSmoother
from tests.engagement.corrected_sessions import OPTIONS, SMOOTHING, Report, observations


def test_a_box_treats_them_as_it_treats_expressions() -> None:
    """Scores that are also among the ten come out alike, gaps, poor pictures and nobody's faces included."""
    times, _, rows, person = observations({"P01": [(0, 20), (22, 30)], "P02": [(5, 9)]}, 30.0)
    rows["extra"] = rows["prob"][:, :2]
    person = np.where(np.arange(len(rows)) % 17 == 0, -1, person)
    smoother, _ = load_smoother(replace(SMOOTHING, method="box"))
    limits = SMOOTHING.max_gap_s, OPTIONS.min_quality
    ten = smooth_persons(smoother, times, rows, person, *limits)
    further = smooth_further(times, rows, person, *limits, SMOOTHING.further_window_s)
    np.testing.assert_allclose(further, ten[:, :2], atol=1e-6)
    assert np.isnan(further[person < 0]).all() and np.isfinite(further).any()


def test_without_smoothing_they_are_the_raw_ones_where_something_is_claimed() -> None:
    times, _, rows, person = observations({"P01": [(0, 20)]}, 20.0)
    window_s = SmoothingConfig(method="none").further_window_s
    out = smooth_further(times, rows, person, SMOOTHING.max_gap_s, OPTIONS.min_quality, window_s)
    poor = rows["quality"] < OPTIONS.min_quality
    assert poor.any() and np.isnan(out[poor]).all()
    np.testing.assert_array_equal(out[~poor], rows["extra"][~poor])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", ["none", "box", "hmm", "lstm", "cnn3d"])
def test_expressions_that_the_model_cannot_name_stay_at_nothing(method: str) -> None:
    times, _, rows, person = observations({"P01": [(0, 20), (22, 30)]}, 30.0)
    rows["prob"][:, 2:7] = 0
    rows["prob"][:, :2] /= rows["prob"][:, :2].sum(axis=1, keepdims=True)
    poor = rows["quality"] < OPTIONS.min_quality
    rows["clip"] = np.where(poor[:, None], 0, 1 / 7)  # what cnn3d made of chips; nothing of poor ones
    smoother, _ = load_smoother(SmoothingConfig(method=method))
    out = smooth_persons(smoother, times, rows, person, SMOOTHING.max_gap_s, OPTIONS.min_quality)
    assert poor.any() and np.isnan(out[poor]).all()
    out = out[np.isfinite(out).all(axis=1)]
    assert len(out) > 100 and not out[:, 2:7].any()
    np.testing.assert_allclose(out[:, :2].sum(axis=1), 1, atol=1e-6)


def test_a_checkpoint_without_further_heads_has_no_such_columns() -> None:
    rows = np.zeros(3, FaceRecords().rows.dtype)
    assert smooth_further(np.arange(3.0), rows, np.zeros(3, np.int64), 0.6, 0.3, 3.0).shape == (3, 0)


def test_pages_show_them_with_what_was_measured(finished: Path) -> None:
    for page in ("session.html", "persons/P01.html"):
        text = (finished / "talk" / page).read_text(encoding="utf-8")
        assert "Own classes: extra" in text and 'data-figure="plot-further-1-data"' in text
        assert (
            "Measured on 40 faces held out from its training: yes AUC 0.70 (0.60–0.80). Beware: they are few."
            in text
        )


def test_curves_are_about_those_who_are_shown(out: Path, report: Report) -> None:
    before = heads_of(out)
    assert report("hide P01\n").status == 0
    assert "Means of the class over time: yes" in session_of(out)
    after = heads_of(out)
    assert after["measured"] == before["measured"]
    assert max(after["curves"]["n_used"]) < max(before["curves"]["n_used"])
    assert after["curves"]["mean"] != before["curves"]["mean"]
    assert report("hide P01, P03, P04\n").status == 0
    text = session_of(out)  # of one person
    assert "Estimates of the person over time: yes" in text and "people differ (95" not in text


def test_means_are_those_of_the_table(finished: Path) -> None:
    rows = read_all(finished / "talk" / "timeline.parquet", TIMELINE)
    curves = heads_of(finished)["curves"]
    second = rows[(rows["time_s"] >= 7) & (rows["time_s"] < 8)]
    by_person = second.groupby("person_id")["s_extra_yes"].mean().dropna()
    assert curves["step_s"] == 1.0 and curves["n_used"][7] == len(by_person)
    assert curves["mean"]["yes"][7] == pytest.approx(by_person.mean(), abs=1e-4)


@pytest.mark.parametrize("names", ["", "P01 = Ada\nhide P02\n", "P02 = P03\n"])
def test_persons_have_their_means_also_after_corrections(out: Path, report: Report, names: str) -> None:
    if names:
        assert report(names).status == 0
    rows = read_all(out / "talk" / "timeline.parquet", TIMELINE)
    persons = table.read(out / "talk" / "persons.csv", PERSONS, further=True)
    assert list(persons.columns[-2:]) == ["mean_extra_yes", "mean_extra_no"]
    for kind in ("yes", "no"):
        expected = rows.groupby("person_id")[f"s_extra_{kind}"].mean()
        found = persons.set_index("person_id")[f"mean_extra_{kind}"]
        np.testing.assert_allclose(found, expected[found.index], atol=1e-4)


def test_corrections_smooth_them_as_the_analysis_did(finished: Path) -> None:
    """A network's own box is another than that of further heads, of which it knows nothing."""
    summary = json.loads((finished / "talk" / "summary.json").read_text(encoding="utf-8"))
    summary["temporal"] |= {"method": "lstm", "window_s": 1.5, "state_window_s": 1.5}
    assert settings(SessionSummary(summary), OPTIONS.extra).further_window_s == SMOOTHING.further_window_s
    summary["temporal"] |= {"method": "hmm", "hold_s": 0.7, "state_hold_s": 4.0}
    smoother, _ = load_smoother(settings(SessionSummary(summary), OPTIONS.extra).smoothing)
    assert isinstance(smoother, HmmSmoother) and (smoother.hold_s, smoother.state_hold_s) == (0.7, 4.0)


def test_a_result_names_only_what_its_smoother_uses(finished: Path) -> None:
    network = {"hidden": 8, "box_s": 1.5, "state_box_s": 2.5}
    assert SmoothingConfig("hmm").in_use({}, further=False) == {"hold_s": 0.5, "state_hold_s": 3.0}
    assert SmoothingConfig("box").in_use({}, further=False) == {"window_s": 3.0, "state_window_s": 5.0}
    assert SmoothingConfig("lstm").in_use(network, further=True) == {
        "window_s": 1.5,
        "state_window_s": 2.5,
        "further_window_s": 3.0,
    }
    assert SmoothingConfig("none").in_use({}, further=True) == {"further_window_s": 0.0}
    # Corrections find again what decides, in such a record as in those of earlier versions, which named all.
    summary = json.loads((finished / "talk" / "summary.json").read_text(encoding="utf-8"))
    everything = {"window_s": 1.0, "state_window_s": 2.0, "hold_s": 0.7, "state_hold_s": 4.0}
    for method in ("none", "box", "hmm"):
        summary["temporal"] = {"method": method, "weights": "", "max_gap_s": 0.6, **everything}
        before = settings(SessionSummary(summary), ()).smoothing
        summary["temporal"] = {"method": method, "weights": "", "max_gap_s": 0.6} | before.in_use({}, False)
        after = settings(SessionSummary(summary), ()).smoothing
        assert after.method == method and after.in_use({}, False) == before.in_use({}, False)
        assert before.in_use({}, False).items() <= everything.items()
    summary["temporal"] = {"method": "box", "max_gap_s": 0.6}
    with pytest.raises(DataError, match="does not say 'window_s'"):
        settings(SessionSummary(summary), ())


def test_a_step_that_stands_alone_is_seen() -> None:
    curves: dict[str, Any] = {"step_s": 1.0, "time_s": [0.0], "n_used": [1]}
    curves |= {end: {"away": [0.5]} for end in ("mean", "low", "high")}
    (trace,) = json.loads(heads_figure(curves, 1.0) or "")["data"]
    assert "markers" in trace["mode"]


def test_names_that_look_like_markup_stay_names() -> None:
    curves: dict[str, Any] = {"step_s": 1.0, "time_s": [0.0, 1.0], "n_used": [4, 4]}
    curves |= {end: {"<b>%{y}": [0.5, 0.5]} for end in ("mean", "low", "high")}
    text = heads_figure(curves, 2.0) or ""
    assert "<b>" not in text and all(
        "%{y}" not in str(t.get("hovertemplate")) for t in json.loads(text)["data"]
    )


def session_of(root: Path) -> str:
    return (root / "talk" / "session.html").read_text(encoding="utf-8")


def heads_of(root: Path) -> dict[str, Any]:
    return json.loads((root / "talk" / "summary.json").read_text(encoding="utf-8"))["heads"]["extra"]


def made(metrics: dict[str, Any]) -> list[LoadedWeights]:
    record = WeightRecord(
        kind="face_state", network={"heads": {"tired": {}}}, metrics=metrics, licence="none", origin={}
    )
    return [LoadedWeights("made up", "sha", record, {})]


def test_what_was_measured_comes_from_the_test_split_if_there_is_one() -> None:
    val = {"accuracy": 0.9, "n": 10, "intervals": {"accuracy": [0.8, 1.0]}, "beware": ["near copies"]}
    found = measured(made({"tired": {"val": val}}), "tired")
    assert found == {
        "split": "val",
        "n": 10,
        "beware": ["near copies"],
        "figures": {"accuracy": [0.9, 0.8, 1.0]},
    }
    test = {"accuracy": 0.7, "n": 20}
    found = measured(made({"tired": {"val": val, "test": test}}), "tired")
    assert (found["split"], found["figures"]) == ("test", {"accuracy": [0.7, None, None]})


def test_grades_are_told_one_by_one() -> None:
    grades = {"low": {"auc": 0.8, "intervals": {"auc": [0.7, 0.9]}}, "high": {"auc": float("nan")}, "n": 12}
    assert measured(made({"tired": {"val": grades}}), "tired")["figures"] == {"low AUC": [0.8, 0.7, 0.9]}


@pytest.mark.parametrize("metrics", [{}, {"expression": {"val": {"accuracy": 0.9}}}, {"tired": {}}])
def test_nothing_is_said_of_what_was_not_measured(metrics: dict[str, Any]) -> None:
    assert measured(made(metrics), "tired") == {}
