"""The main job on the project's own clips, whose truth is known exactly."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engagement.geometry import iou_matrix
from engagement.timelines.columns import EVENTS, PERSONS, TIMELINE, names

CLIPS = ("crossing", "occluded", "seminar", "video_call")


def truth(sample_videos: Path, clip: str) -> dict:
    return json.loads((sample_videos / f"{clip}.truth.json").read_text(encoding="utf-8"))


def matched(timeline: pd.DataFrame, known: dict) -> list[tuple[str, str, float]]:
    """(our person, true person, time) of every observed row whose box lies on a true one."""
    pairs = []
    observed = timeline[timeline["observed"]]
    for person in known["persons"]:
        boxes = pd.DataFrame(person["boxes"])
        for row in observed.itertuples():
            near = boxes.iloc[(boxes["time_s"] - row.time_s).abs().argmin()]
            if abs(near["time_s"] - row.time_s) > 0.11:
                continue
            true = near[["x1", "y1", "x2", "y2"]].to_numpy(np.float32)[None]
            ours = np.array([[row.x1, row.y1, row.x2, row.y2]], np.float32)
            if iou_matrix(ours, true)[0, 0] > 0.4:
                pairs.append((str(row.person_id), person["name"], float(row.time_s)))
    return pairs


@pytest.mark.parametrize("clip", CLIPS)
def test_every_person_once_and_nobody_mixed_up(sample_videos: Path, sample_results: Path, clip: str) -> None:
    known = truth(sample_videos, clip)
    timeline = pd.read_parquet(sample_results / clip / "timeline.parquet")
    assert timeline["person_id"].nunique() == known["n_persons"]
    pairs = matched(timeline, known)
    count = Counter((ours, true) for ours, true, _ in pairs)
    partner = {ours: max((n, true) for (o, true), n in count.items() if o == ours)[1] for ours, _ in count}
    assert len(set(partner.values())) == known["n_persons"]
    # While two people cross, a face may lie on the other's true box for a sample; never longer.
    strays = sum(n for (ours, true), n in count.items() if partner[ours] != true)
    assert strays <= 0.02 * len(pairs)
    found = {true: sum(n for (_, t), n in count.items() if t == true) for true in partner.values()}
    for person in known["persons"]:
        assert found[person["name"]] >= 0.9 * len(person["boxes"])


def test_who_left_is_absent_and_comes_back_as_the_same_person(
    sample_videos: Path, sample_results: Path
) -> None:
    known = truth(sample_videos, "seminar")
    (gone,) = [p for p in known["persons"] if len(p["presence"]) > 1]
    left, back = gone["presence"][0][1], gone["presence"][1][0]
    timeline = pd.read_parquet(sample_results / "seminar" / "timeline.parquet")
    person = Counter(ours for ours, true, _ in matched(timeline, known) if true == gone["name"]).most_common(
        1
    )[0][0]
    own = timeline[timeline["person_id"] == person]
    away = own[(own["time_s"] > left + 1) & (own["time_s"] < back - 1)]
    assert len(away) > 10
    assert not away["observed"].any()
    assert not away["followed"].any()  # nor is the place that was left taken for a head
    assert own[own["time_s"] < left]["observed"].mean() > 0.95
    assert own[own["time_s"] > back]["observed"].mean() > 0.95
    events = pd.read_csv(sample_results / "seminar" / "events.csv")
    spanning = events[(events["person_id"] == person) & (events["start_s"] < left) & (events["end_s"] > back)]
    assert spanning.empty


@pytest.mark.parametrize("clip", CLIPS)
def test_tables_keep_their_contract(sample_results: Path, clip: str) -> None:
    folder = sample_results / clip
    timeline = pd.read_parquet(folder / "timeline.parquet")
    persons, events = pd.read_csv(folder / "persons.csv"), pd.read_csv(folder / "events.csv")
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert list(timeline.columns) == names(TIMELINE)
    assert list(persons.columns) == names(PERSONS)
    assert list(events.columns) == names(EVENTS)
    assert summary["n_persons"] == len(persons) == timeline["person_id"].nunique()
    seen = timeline[timeline["observed"]]
    followed = timeline[timeline["followed"]]
    assert not followed["observed"].any()
    assert followed[["head_x1", "head_y1", "head_x2", "head_y2"]].notna().all().all()
    assert followed[["x1", "detection_score", "p_happy", "s_happy"]].isna().all().all()
    for prefix in ("p", "s"):
        expressions = [
            f"{prefix}_{c}" for c in ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
        ]
        sums = seen[expressions].dropna().sum(axis=1)
        assert np.allclose(sums, 1, atol=1e-3)
        states = seen[[f"{prefix}_{c}" for c in ("boredom", "engagement", "confusion")]].dropna()
        assert ((states >= 0) & (states <= 1)).all().all()
    for _, own in timeline.groupby("person_id"):
        assert own["time_s"].is_monotonic_increasing
        assert own["observed"].iloc[0]
        assert own["observed"].iloc[-1]
        assert own["frame_index"].is_unique
    assert persons["person_id"].tolist() == [f"P{i + 1:02d}" for i in range(len(persons))]
    assert persons["first_s"].is_monotonic_increasing


def test_run_index_and_pages(sample_results: Path) -> None:
    run = json.loads((sample_results / "run.json").read_text(encoding="utf-8"))
    assert {v["status"] for v in run["videos"]} == {"ok"}
    assert len(run["videos"]) == len(CLIPS)
    assert all(len(w["sha256"]) == 64 for w in run["weights"].values())
    assert run["config"]["sampling"]["rate_hz"] == 5.0
    index = (sample_results / "index.html").read_text(encoding="utf-8")
    for clip in CLIPS:
        page = (sample_results / clip / "session.html").read_text(encoding="utf-8")
        assert f"{clip}/session.html" in index
        assert "data:image/jpeg" in page
        assert 'href="../report_assets/face_state.md"' in page
        assert len(list((sample_results / clip / "persons").glob("P*.html"))) >= 2
        assert "http://" not in page.replace("http://www.w3.org", "")
    assert (sample_results / "report_assets" / "face_state.md").is_file()
    assert not list(sample_results.rglob(".engagement-partial*"))
