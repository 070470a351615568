"""``engagement calibrate`` on finished results, and what ``report`` makes of it: exact, reversible, erasable."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from engagement.calibration.find import require_weights
from engagement.calibration.store import FILE, Calibration, fits_scores, read_calibration, score_weights
from engagement.corrections.folder import bring_up_to_date
from engagement.errors import DataError
from engagement.labelling.pictures import pictures_of
from engagement.labelling.proposals import ProposalConfig
from engagement.labelling.session import open_sessions, proposals_of
from engagement.labels import LEARNER_STATES
from engagement.smoothing import load_smoother, smooth_persons
from engagement.timelines.shifts import in_order, shifted
from engagement.weights.store import WeightRecord, manifest, save_weights
from tests.engagement.corrected_sessions import (
    OPTIONS,
    PEOPLE,
    SMOOTHING,
    everything,
    observations,
    tables_of,
    write_output,
)
from tests.sessions.command import Run

Command = Callable[..., Run]
SHA = "ab12" * 16
STATES = LEARNER_STATES.classes


def set_weights(folder: Path, sha: str = SHA) -> None:
    path = folder / "summary.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    summary["models"] = {"face_state": {"kind": "face_state", "sha256": sha}, "lstm": {"kind": "lstm"}}
    path.write_text(json.dumps(summary), encoding="utf-8")


def scored_output(root: Path, *names: str) -> Path:
    """An output folder with these results, whose weights are known, so that they can be calibrated."""
    write_output(root, *names)
    for name in names:
        set_weights(root / name)
    return root


@pytest.fixture(scope="session")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with two results; to be copied, not changed."""
    return scored_output(tmp_path_factory.mktemp("analysed"), "talk", "week 2/talk")


@pytest.fixture
def out(analysed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(analysed, tmp_path / "out"))


def summary_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def label_file(path: Path, lines: str) -> Path:
    path.write_text("video,person,time_s,state,present\n" + lines, encoding="utf-8")
    return path


@pytest.fixture
def labelled(out: Path, engagement: Command) -> Path:
    """P01 was said to be engaged throughout, P03 never; P02 and P04 were not labelled."""
    text = engagement("calibrate", out / "talk", "--list", "--state", "engagement").out
    rows = [r for r in csv.DictReader(io.StringIO(text)) if r["person"] in ("P01", "P03")]
    lines = [f"{r['video']},{r['person']},{r['time_s']},engagement,{r['person'] == 'P01'}\n" for r in rows]
    path = label_file(out.parent / "labels.csv", "".join(lines))
    run = engagement("calibrate", out, "--labels", path)
    assert run.status == 0
    # What was done comes in words before its figure.
    assert re.search(
        r"engagement (raised|lowered|left as it is) \([+-]\d\.\d\d in logits, by \d+ labels\)", run.out
    )
    return out


def test_the_list_proposes_usable_moments_of_those_who_are_shown(out: Path, engagement: Command) -> None:
    run = engagement("calibrate", out, "--list", "--moments", 4)
    rows = list(csv.DictReader(io.StringIO(run.out)))
    assert run.status == 0 and {r["video"] for r in rows} == {"talk", "week 2/talk"}
    timeline = pd.read_parquet(out / "talk" / "timeline.parquet")
    for person in PEOPLE:
        times = sorted({float(r["time_s"]) for r in rows if r["video"] == "talk" and r["person"] == person})
        assert len(times) == (1 if person == "P04" else 4)  # who is seen for two seconds shows one moment
        own = timeline[timeline["person_id"] == person]
        at = [np.abs(own["time_s"] - time_s).argmin() for time_s in times]
        assert (own["quality"].iloc[at] >= OPTIONS.min_quality).all()
    assert {r["state"] for r in rows} == set(STATES) and {r["present"] for r in rows} == {""}


def test_labels_are_kept_with_the_session_and_nothing_else_changes(analysed: Path, labelled: Path) -> None:
    found = read_calibration(labelled / "talk" / FILE)
    assert (found.video, found.folder, dict(found.weights)) == ("talk.mp4", "talk", {"face_state": SHA})
    assert list(found.persons) == ["P01", "P03"]
    assert found.persons["P01"].shift["engagement"] > 0 > found.persons["P03"].shift["engagement"]
    assert found.persons["P01"].count("engagement") == 6 and found.persons["P01"].count("confusion") == 0
    assert not (labelled / "week 2" / "talk" / FILE).exists()
    assert tables_of(labelled / "talk") == tables_of(analysed / "talk")


def test_the_report_smooths_shifted_scores_and_says_so(labelled: Path, engagement: Command) -> None:
    folder = labelled / "talk"
    before = pd.read_parquet(folder / "timeline.parquet")
    means = pd.read_csv(folder / "persons.csv").set_index("person_id")["mean_engagement"]
    run = engagement("report", labelled)
    assert run.status == 0 and "talk: 2 people calibrated (P01, P03), 2 not (P02, P04)" in run.out
    after = pd.read_parquet(folder / "timeline.parquet")
    raw = [c for c in before.columns if not c.startswith("s_")]
    pd.testing.assert_frame_equal(after[raw], before[raw])
    others = before["person_id"].isin(["P02", "P04"])
    pd.testing.assert_frame_equal(after[others], before[others])
    # The same from scratch: shift the states, then smooth.
    times, _, rows, person = observations(PEOPLE, 60.0)
    found = read_calibration(folder / FILE)
    for index, name in enumerate(PEOPLE):
        if name in found.persons:
            own = person == index
            rows["prob"][own, -3:] = shifted(rows["prob"][own, -3:], in_order(found.persons[name].shift))
    smoother, _ = load_smoother(SMOOTHING)
    wanted = smooth_persons(smoother, times, rows, person, SMOOTHING.max_gap_s, OPTIONS.min_quality)
    for index, name in enumerate(PEOPLE):
        seen = after[(after["person_id"] == name) & after["observed"]]
        got = seen[[f"s_{s}" for s in STATES]].to_numpy(float)
        np.testing.assert_allclose(got, wanted[person == index][:, -3:], atol=1e-6)
    persons = pd.read_csv(folder / "persons.csv").set_index("person_id")
    assert persons["labels_engagement"].to_dict() == {"P01": 6, "P02": 0, "P03": 4, "P04": 0}
    assert persons["labels_confusion"].sum() == 0
    moved = (persons["mean_engagement"] - means).to_dict()
    assert moved["P01"] > 0.05 and moved["P03"] < -0.05 and moved["P02"] == moved["P04"] == 0
    assert "engagement by 6 labels (raised)" in (folder / "persons" / "P01.html").read_text(encoding="utf-8")
    assert "alibrated" not in (folder / "persons" / "P02.html").read_text(encoding="utf-8")
    assert "2 people are calibrated" in (folder / "session.html").read_text(encoding="utf-8")
    assert (folder / FILE).is_file()
    assert engagement("report", labelled).status == 0
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "timeline.parquet"), after)  # not applied twice


def test_without_the_file_all_is_as_it_was(analysed: Path, labelled: Path, engagement: Command) -> None:
    assert engagement("report", labelled).status == 0
    (labelled / "talk" / FILE).unlink()
    assert engagement("report", labelled).status == 0
    assert tables_of(labelled / "talk") == tables_of(analysed / "talk")
    assert "calibration" not in summary_of(labelled / "talk")
    assert not (labelled / "talk" / "unedited").exists()


def test_analyze_applies_a_new_calibration_without_a_new_analysis(labelled: Path) -> None:
    folder = labelled / "talk"
    given = read_calibration(folder / FILE)
    (folder / FILE).unlink()
    summary = bring_up_to_date(folder, labelled, None, given)
    assert summary and list(summary.calibrated) == ["P01", "P03"]
    assert read_calibration(folder / FILE) == given
    stamp = (folder / "summary.json").stat().st_mtime_ns
    assert bring_up_to_date(folder, labelled, None, given) == summary
    assert (folder / "summary.json").stat().st_mtime_ns == stamp


def test_a_second_round_adds_to_the_first_and_replaces_what_is_said_again(
    labelled: Path, engagement: Command
) -> None:
    first = read_calibration(labelled / "talk" / FILE)
    label = first.persons["P01"].labels[0]
    again = label_file(
        labelled.parent / "more.csv", f"talk,P01,{label.time_s},engagement,no\ntalk,p2,0:05,confusion,yes\n"
    )
    assert engagement("calibrate", labelled, "--labels", again).status == 0
    second = read_calibration(labelled / "talk" / FILE)
    assert second.persons["P01"].count("engagement") == 6 and not second.persons["P01"].labels[0].present
    assert second.persons["P01"].shift["engagement"] < first.persons["P01"].shift["engagement"]
    assert second.persons["P02"].shift["confusion"] > 0
    back = label_file(labelled.parent / "back.csv", "talk,P02,5,confusion,cannot say\n")
    assert engagement("calibrate", labelled, "--labels", back).status == 0
    assert list(read_calibration(labelled / "talk" / FILE).persons) == ["P01", "P03"]
    labels = [(p, label) for p, own in second.persons.items() for label in own.labels]
    lines = [f"talk,{p},{label.time_s},{label.state},?\n" for p, label in labels]
    assert engagement("calibrate", labelled, "--labels", label_file(back, "".join(lines))).status == 0
    assert not (labelled / "talk" / FILE).exists()


def test_merged_people_take_their_labels_along_others_are_left_out(
    labelled: Path, engagement: Command
) -> None:
    names = labelled / "names.txt"
    names.write_text("[talk]\nmerge P03 into P02\nsplit P01 at 0:02 into P08 and P01\n", encoding="utf-8")
    run = engagement("report", labelled)
    assert run.status == 0, run.err
    found = summary_of(labelled / "talk")["calibration"]
    assert list(found["persons"]) == ["P01"]  # most of the labelled moments are still this person's
    assert "P03, who is not in this result" in found["problems"][0]
    assert "P03, who is not in this result" in (labelled / "talk" / "session.html").read_text(
        encoding="utf-8"
    )
    assert engagement("calibrate", labelled, "--refit").status == 0
    assert list(read_calibration(labelled / "talk" / FILE).persons) == ["P01", "P02"]


def test_somebody_elses_place_is_not_calibrated(labelled: Path, engagement: Command) -> None:
    path = labelled / "talk" / FILE
    data = json.loads(path.read_text(encoding="utf-8"))
    people = data["persons"]
    people["P01"], people["P03"] = people["P03"], people["P01"]  # as after an analysis that numbers otherwise
    path.write_text(json.dumps(data), encoding="utf-8")
    run = engagement("report", labelled)
    assert run.status == 0 and "0 people calibrated, 4 not" in run.out
    found = summary_of(labelled / "talk")["calibration"]
    assert found["persons"] == {} and "may be somebody else" in " ".join(found["problems"])
    assert (pd.read_csv(labelled / "talk" / "persons.csv")["labels_engagement"] == 0).all()


def test_an_opt_out_takes_the_labels_too(labelled: Path, engagement: Command) -> None:
    copy = labelled.parent / "copy.json"
    shutil.copy(labelled / "talk" / FILE, copy)
    (labelled / "names.txt").write_text("[talk]\nopt out P03\n", encoding="utf-8")
    assert engagement("report", labelled).status == 0
    assert list(read_calibration(labelled / "talk" / FILE).persons) == ["P01"]
    assert engagement("report", labelled, "--calibration", copy).status == 0  # nor by the way of a copy
    assert list(read_calibration(labelled / "talk" / FILE).persons) == ["P01"]
    assert list(summary_of(labelled / "talk")["calibration"]["persons"]) == ["P01"]
    assert b'"P03": {' not in everything(labelled)


def test_other_weights_leave_everybody_uncorrected_until_fitted_again(
    labelled: Path, engagement: Command
) -> None:
    set_weights(labelled / "talk", "cd34" * 16)
    run = engagement("report", labelled)
    assert run.status == 0 and "belongs to the weights face_state ab12ab12ab12" in run.out
    assert (pd.read_csv(labelled / "talk" / "persons.csv")["labels_engagement"] == 0).all()
    assert engagement("calibrate", labelled, "--refit").status == 0
    assert "2 people calibrated" in engagement("report", labelled).out


def test_a_calibration_belongs_to_the_weights_that_tell_states(tmp_path: Path) -> None:
    """A checkpoint without such a head, as `train personal --equalize` writes it, takes them from the shipped one."""
    shipped = manifest()["face_state"]["sha256"]
    own, full = tmp_path / "own.safetensors", tmp_path / "full.safetensors"
    heads = {"expression": {}}
    record = WeightRecord("face_state", {"heads": heads}, metrics={}, licence="none")
    sha = save_weights(own, record, {"x": torch.zeros(1)})
    told = replace(record, network={"heads": heads | {"state": {}}})
    other = save_weights(full, told, {"x": torch.zeros(1)})
    models = {
        "own": {"kind": "face_state", "sha256": sha},
        "face_state": {"kind": "face_state", "sha256": shipped, "states": True},
    }
    assert score_weights(models) == {"face_state": shipped}
    for weights in (
        {"face_state": shipped},
        {"own": sha, "face_state": shipped},
    ):  # as earlier versions wrote it
        made = Calibration("talk.mp4", "talk", weights)
        require_weights([made], str(own))
        assert fits_scores(made, models)
    wrong = Calibration("talk.mp4", "talk", {"own": sha})
    assert not fits_scores(wrong, models)
    for checkpoint, name, used in ((own, "face_state", shipped), (full, "full", other)):
        with pytest.raises(DataError, match=f"learner states come from {name} {used[:12]}"):
            require_weights([wrong], str(checkpoint))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: "not json", "is not JSON"),
        (lambda d: "[]", "has no 'persons'"),
        (lambda d: d | {"schema": 7}, "schema 7"),
        (lambda d: d | {"weights": 1}, "weights is 1, not an object"),
        (lambda d: d | {"prior": {"person_sd": -1, "session_sd": 1}}, "prior: --prior -1"),
        (lambda d: d["persons"]["P01"]["shift"].update(engagement="x") or d, "P01, shift, engagement is 'x'"),
        (lambda d: d["persons"]["P01"]["shift"].update(sleepy=1) or d, "'sleepy', not one of boredom"),
        (lambda d: d["persons"]["P01"]["labels"][1].update(present=1) or d, "P01, label 2, present is 1"),
        (lambda d: d["persons"]["P01"]["labels"][0].update(box=[1]) or d, "P01, label 1, box is [1]"),
        (
            lambda d: d["persons"]["P01"]["labels"][0].update(box=[0, 0, float("nan"), 9]) or d,
            "P01, label 1, box is [0, 0, nan, 9]",
        ),
        (lambda d: d["persons"]["P01"]["labels"][0].update(score=2) or d, "P01, label 1, score is 2"),
    ],
)
def test_a_damaged_file_is_named_before_anything_is_written(
    labelled: Path, engagement: Command, change: Callable[[Any], Any], said: str
) -> None:
    path = labelled / "talk" / FILE
    changed = change(json.loads(path.read_text(encoding="utf-8")))
    path.write_text(changed if isinstance(changed, str) else json.dumps(changed), encoding="utf-8")
    before = everything(labelled)
    run = engagement("report", labelled)
    assert run.status == 1 and str(path) in run.err and said in run.err
    assert everything(labelled) == before


def test_every_mistake_of_a_label_file_is_named_at_once(out: Path, engagement: Command) -> None:
    lines = [
        "talk,P01,5,boredom,maybe",
        "tolk,P01,5,boredom,yes",
        "talk,P09,5,boredom,yes",
        "talk,Ana,5,boredom,yes",
        "talk,P01,soon,boredom,yes",
        "talk,P02,21,boredom,yes",
        "talk,P01,5,sleepy,yes",
        ",P01,5,boredom,yes",
        "talk,P01,5,boredom,",
        "talk,P01,5,boredom,yes",
        "talk,P01,5.05,Boredom,no",
        "talk,P01,5,boredom,yes",
    ]
    run = engagement("calibrate", out, "--labels", label_file(out.parent / "l.csv", "\n".join(lines)))
    assert run.status == 2 and "9 mistakes" in run.err
    for line, text in [
        (2, "'maybe'"),
        (3, "no video 'tolk'"),
        (4, "no P09"),
        (5, "'Ana'"),
        (6, "'soon'"),
        (7, "P02 has no usable picture within half a second of 21 s"),
        (8, "'sleepy'"),
        (9, "video is empty"),
        (12, "line 11 says something else of P01 at that moment"),
    ]:
        assert f"l.csv, line {line}: " in run.err and text in run.err
    assert not list(out.rglob(FILE))


def test_wrong_use_is_answered_with_a_remedy(out: Path, tmp_path: Path, engagement: Command) -> None:
    (tmp_path / "few.csv").write_text("person,time_s\n", encoding="utf-8")
    for arguments, status, said in [
        (("--labels", tmp_path / "few.csv"), 1, "lacks the columns state, present"),
        (("--list", "--refit"), 2, "exclude one another"),
        (("--list", "--person", "P77"), 2, "--person P77"),
        (("--refit", "--prior", "99"), 2, "--prior 99"),
        (("--list", "--prior", "1"), 2, "--prior cannot be used with --list"),
        (("--list", "--port", "80"), 2, "--port cannot be used with --list"),
    ]:
        run = engagement("calibrate", out, *arguments)
        assert (run.status, said in run.err) == (status, True), run.err
    (tmp_path / "empty").mkdir()
    assert "holds no results" in engagement("calibrate", tmp_path / "empty").err
    for arguments, said in [
        ((tmp_path / "gone.json",), "does not exist"),
        ((tmp_path / "empty",), f"holds no {FILE}"),
    ]:
        run = engagement("report", out, "--calibration", *arguments)
        assert run.status == 2 and said in run.err
    set_weights(out / "talk", "")
    summary = summary_of(out / "talk") | {"models": {}}
    (out / "talk" / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    with pytest.raises(DataError, match="does not say with which weights"):
        open_sessions(out / "talk")


def test_a_calibration_of_another_video_is_refused(labelled: Path, engagement: Command) -> None:
    path = labelled / "talk" / FILE
    data = json.loads(path.read_text(encoding="utf-8")) | {"video": "other.mp4"}
    (labelled.parent / "x.json").write_text(json.dumps(data), encoding="utf-8")
    run = engagement("report", labelled, "--calibration", labelled.parent / "x.json")
    assert run.status == 2 and "is for the video other.mp4" in run.err and "talk.mp4" in run.err
    data |= {"video": "talk.mp4", "folder": "moved/talk"}
    (labelled.parent / "x.json").write_text(json.dumps(data), encoding="utf-8")
    run = engagement("report", labelled, "--calibration", labelled.parent / "x.json")
    assert run.status == 2 and "2 videos have that name" in run.err


def test_without_the_video_there_are_times_and_a_reason(out: Path) -> None:
    (session,) = open_sessions(out / "talk")
    moments = proposals_of(session, ProposalConfig(2))
    pictures, reason = pictures_of(session, moments)
    assert pictures == [None] * len(moments) and "is not at" in reason and "talk.mp4" in reason
