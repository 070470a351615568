"""To whom a calibration applies: labels are held against who was where, by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engagement.calibration.apply import Applied, agrees, put_to, same_moment, without_opted_out
from engagement.calibration.find import find_calibrations
from engagement.calibration.store import FILE, Calibration, Label, PersonCalibration, write_calibration
from engagement.corrections.folder import bring_up_to_date
from engagement.errors import ConfigError
from engagement.results import UNDER_WAY
from engagement.timelines.shifts import shifted
from engagement.weights.store import manifest
from tests.engagement.corrected_sessions import write_output

MODELS = {"face_state": {"kind": "face_state", "states": True, "sha256": "abc"}}
LEFT, RIGHT = (0.0, 0.0, 100.0, 100.0), (200.0, 0.0, 300.0, 100.0)
#: Two people side by side, seen five times a second from 0 to 9.8 s.
TIMES = np.repeat(np.arange(50) * 0.2, 2)
SEEN = pd.DataFrame(np.tile([LEFT, RIGHT], (50, 1)), columns=["x1", "y1", "x2", "y2"]).assign(time_s=TIMES)
WHOSE = np.tile(np.array(["P01", "P02"], object), 50)


def label(time_s: float, box: tuple[float, float, float, float] = LEFT, state: str = "boredom") -> Label:
    return Label(time_s, box, state, 0.5, True)


def calibration(**persons: PersonCalibration) -> Calibration:
    return Calibration("talk.mp4", "talk", {"face_state": "abc"}, persons=persons)


def person(*labels: Label, **shift: float) -> PersonCalibration:
    return PersonCalibration(labels, shift)


@pytest.mark.parametrize(
    ("one", "there"),
    [
        (label(5.0), True),
        (label(10.3), True),  # half a second after the last sight
        (label(10.4), False),
        (label(5.0, RIGHT), False),
        (label(5.0, (40.0, 0.0, 140.0, 100.0)), True),  # 60 of 140 overlap
        (label(5.0, (45.0, 0.0, 145.0, 100.0)), False),  # 55 of 145
    ],
)
def test_a_label_agrees_with_whoever_was_there_within_half_a_second(one: Label, there: bool) -> None:
    assert agrees(one, SEEN, np.asarray(WHOSE == "P01")) is there
    assert not agrees(one, SEEN, np.zeros(len(SEEN), bool))


def test_where_somebody_was_is_asked_of_that_moment() -> None:
    moved = SEEN.assign(
        **dict(zip(["x1", "x2"], np.where(TIMES < 5, [[0], [100]], [[200], [300]]), strict=True))
    )
    own = np.asarray(WHOSE == "P01")
    told = [agrees(label(time_s, box), moved, own) for time_s in (1.0, 9.0) for box in (LEFT, RIGHT)]
    assert told == [True, False, False, True]


def test_shifts_apply_to_people_most_of_whose_labels_agree() -> None:
    most = person(label(1), label(2), label(3, RIGHT), label(1, state="confusion"), boredom=0.51239)
    half = person(label(1, RIGHT), label(2, LEFT), boredom=-1.0)
    gone, without = person(label(1), boredom=1.0), person(label(1))
    found = put_to(calibration(P01=most, P02=half, P03=gone), SEEN, WHOSE, MODELS, "talk.mp4")
    assert found.shifts == {"P01": {"boredom": 0.51239}}
    assert [found.labels("P01", s) for s in ("boredom", "engagement", "confusion")] == [3, 0, 1]
    assert found.labels("P02", "boredom") == 0
    assert found.uncalibrated == ("P02",)
    other, absent = found.problems
    assert other.startswith("P02 of calibration.json is not applied: at 1 of 2 labelled moments P02 was not")
    assert absent.startswith("calibration.json names P03, who is not in this result.")
    assert found.record() == {
        "state": found.state,
        "persons": {"P01": {"boredom": {"labels": 3, "shift": 0.5124}}},
        "uncalibrated": ["P02"],
        "problems": [other, absent],
    }
    nothing = put_to(calibration(P01=without), SEEN, WHOSE, MODELS)
    assert (dict(nothing.shifts), nothing.problems, nothing.uncalibrated) == ({}, (), ("P01", "P02"))


@pytest.mark.parametrize(
    ("models", "video", "said"),
    [
        (MODELS, "walk.mp4", "it is of the video talk.mp4, this is walk.mp4."),
        ({"face_state": MODELS["face_state"] | {"sha256": "xyz"}}, "talk.mp4", "it belongs to the weights"),
    ],
)
def test_of_another_video_or_other_weights_nothing_applies_and_it_is_said(
    models: dict, video: str, said: str
) -> None:
    given = calibration(P01=person(label(1), boredom=1.0))
    found = put_to(given, SEEN, np.where(WHOSE == "P02", "", WHOSE), models, video)
    assert not found.shifts and found.uncalibrated == ("P01",)
    assert found.state == given.state
    (problem,) = found.problems
    assert said in problem
    assert put_to(None, SEEN, WHOSE, models, video) == Applied() and Applied().record() == {}


def test_after_an_opt_out_only_labels_that_are_clearly_of_others_stay() -> None:
    given = calibration(
        P01=person(label(1), label(2), boredom=1.0),
        P02=person(label(1, RIGHT), label(3, RIGHT), boredom=1.0),
        P03=person(boredom=1.0),
        P04=person(label(20), boredom=1.0),
    )
    assert set(without_opted_out(given, SEEN, WHOSE).persons) == {"P01", "P02"}
    gone = np.where((WHOSE == "P02") & (TIMES > 2), "", WHOSE).astype(object)
    assert set(without_opted_out(given, SEEN, gone).persons) == {"P01"}


def test_the_same_question_is_the_same_state_place_and_moment() -> None:
    assert same_moment(label(1), label(1.5, (40.0, 0.0, 140.0, 100.0)))
    assert not same_moment(label(1), label(1.6))
    assert not same_moment(label(1), label(1, RIGHT))
    assert not same_moment(label(1), label(1, state="confusion"))


def stored(root: Path, folder: str, video: str, of: str = "") -> Path:
    """A calibration that lies in a folder of results; of another video's results, where they were copied there."""
    (root / folder).mkdir(parents=True)
    write_calibration(Calibration(video, of or folder, {"face_state": folder}), root / folder / FILE)
    return root / folder / FILE


def meant(path: Path, videos: dict[str, str]) -> dict[str, str]:
    """Folder of results -> weights of the calibration that is for it, which tell the files apart."""
    return {folder: own.weights["face_state"] for folder, own in find_calibrations(path, videos).items()}


def test_of_a_folder_each_calibration_is_for_its_video(tmp_path: Path) -> None:
    for folder, video in (("a", "a.mp4"), ("sub/b", "b.mp4"), (f"{UNDER_WAY}x/c", "c.mp4"), ("d", "d.mp4")):
        stored(tmp_path, folder, video)
    videos = {"a": "a.mp4", "b": "b.mp4", "c": "c.mp4"}
    assert meant(tmp_path, videos) == {"a": "a", "b": "sub/b"}  # b's results may go elsewhere now
    with pytest.raises(ConfigError):  # of c there is but one that is being written
        find_calibrations(tmp_path, {"c": "c.mp4"})
    stored(tmp_path, "again", "a.mp4")
    with pytest.raises(ConfigError, match="both for a"):
        find_calibrations(tmp_path, videos)


def test_of_two_videos_of_one_name_the_folder_of_the_results_tells(tmp_path: Path) -> None:
    videos = {"mon/talk": "talk.mp4", "tue/talk": "talk.mp4"}
    assert meant(stored(tmp_path, "tue/talk", "talk.mp4"), videos) == {"tue/talk": "tue/talk"}
    unknown = stored(tmp_path, "wed/talk", "talk.mp4")
    assert meant(tmp_path, videos) == {"tue/talk": "tue/talk"}
    for wrong, given in ((unknown, videos), (unknown, {"x": "x.mp4"}), (tmp_path / "none.json", videos)):
        with pytest.raises(ConfigError):
            find_calibrations(wrong, given)


@pytest.mark.parametrize("method", ["lstm", "cnn3d"])
def test_a_network_lets_no_state_move_another_or_expressions(method: str, tmp_path: Path) -> None:
    """They look at all scores at once, or at pictures: what they made of them is shifted."""
    write_output(tmp_path, "talk")
    folder = tmp_path / "talk"
    said = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    said["temporal"] |= {"method": method, "weights": ""}
    said["models"] = MODELS | {method: {"kind": method, "sha256": manifest()[method]["sha256"]}}
    (folder / "summary.json").write_text(json.dumps(said), encoding="utf-8")
    before = pd.read_parquet(folder / "timeline.parquet")
    first = before[(before["person_id"] == "P02") & before["observed"]].iloc[0]
    there = Label(first["time_s"], (first["x1"], first["y1"], first["x2"], first["y2"]), "boredom", 0.5, True)
    given = Calibration(
        "talk.mp4", "talk", {"face_state": "abc"}, persons={"P02": person(there, boredom=1.0)}
    )
    assert bring_up_to_date(folder, tmp_path, None, given) is not None
    after = pd.read_parquet(folder / "timeline.parquet")
    own = before["person_id"] == "P02"
    wanted = before["s_boredom"].where(~own, shifted(before["s_boredom"].to_numpy(), 1.0))
    np.testing.assert_allclose(after["s_boredom"], wanted, atol=1e-6)
    pd.testing.assert_frame_equal(after.drop(columns="s_boredom"), before.drop(columns="s_boredom"))
    assert after.loc[own, "s_boredom"].mean() > before.loc[own, "s_boredom"].mean()
    # So it is with who is smoothed anew: whoever was merged.
    (tmp_path / "names.txt").write_text("merge P03 into P02\n", encoding="utf-8")
    assert bring_up_to_date(folder, tmp_path, None) is not None
    merged = pd.read_parquet(folder / "timeline.parquet")
    (folder / FILE).unlink()
    assert bring_up_to_date(folder, tmp_path, None) is not None
    plain = pd.read_parquet(folder / "timeline.parquet")
    own = plain["person_id"] == "P02"
    wanted = plain["s_boredom"].where(~own, shifted(plain["s_boredom"].to_numpy(), 1.0))
    np.testing.assert_allclose(merged["s_boredom"], wanted, atol=1e-6)
    pd.testing.assert_frame_equal(merged.drop(columns="s_boredom"), plain.drop(columns="s_boredom"))
