"""``engagement calibrate`` on what is calibrated already, and on one session of several."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engagement.calibration.fit import PriorConfig
from engagement.calibration.store import FILE, Calibration, read_calibration, write_calibration
from tests.engagement.test_calibration import label_file, scored_output, summary_of
from tests.sessions.command import Run

Command = Callable[..., Run]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Results of two sessions."""
    return scored_output(tmp_path / "out", "talk", "week 2/talk")


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return label_file(tmp_path / "labels.csv", "talk,P01,5,boredom,yes\n")


def test_another_round_keeps_the_prior_of_before(root: Path, labels: Path, engagement: Command) -> None:
    def prior(*words: object) -> PriorConfig:
        run = engagement("calibrate", root, *words)
        assert run.status == 0, run.err
        return read_calibration(root / "talk" / FILE).prior

    assert prior("--labels", labels) == PriorConfig()
    assert prior("--refit", "--prior", 2) == PriorConfig(2, 0.5)
    wide = read_calibration(root / "talk" / FILE)
    assert prior("--refit") == PriorConfig(2, 0.5)
    assert read_calibration(root / "talk" / FILE).persons == wide.persons
    assert prior("--labels", labels) == PriorConfig(2, 0.5)
    assert prior("--labels", labels, "--session-prior", 1) == PriorConfig(2, 1)
    assert prior("--refit", "--prior", 0.75) == PriorConfig(0.75, 1)


@pytest.mark.parametrize(
    "idle", [("--state", "boredom"), ("--person", "P01"), ("--moments", "6"), ("--moments", "9")]
)
def test_options_that_would_do_nothing_are_refused(
    root: Path, labels: Path, engagement: Command, idle: tuple[str, str]
) -> None:
    for words in (("--labels", labels), ("--refit",)):
        run = engagement("calibrate", root, *words, *idle)
        assert run.status == 2 and f"{idle[0]} cannot be used with {words[0]}" in run.err
    assert not list(root.rglob(FILE))


def test_one_session_is_calibrated_and_reported_where_it_lies(
    root: Path, labels: Path, engagement: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = root / "talk"
    (root / "names.txt").write_text("[talk]\nP01: Ana\nhide P02\n", encoding="utf-8")
    assert engagement("report", root).status == 0
    run = engagement("calibrate", folder, "--labels", labels)
    assert run.status == 0 and run.out.endswith(f"engagement report {root}\n")
    before = summary_of(folder)
    monkeypatch.chdir(folder)
    for given in (folder, ".", root / "week 2"):
        run = engagement("report", given)
        assert run.status == 0, run.err
        assert f"{given} lies within the results of {root}: all of these are written again" in run.out
        assert "talk: 1 name, 1 hidden" in run.out and "2 sessions written again" in run.out
        after = summary_of(folder)
        assert after["n_shown"] == before["n_shown"] == 3 and list(after["calibration"]["persons"]) == ["P01"]
        page = (folder / "session.html").read_text(encoding="utf-8")
        assert "Ana" in page and "../index.html" in page
        assert not (folder / "index.html").exists() and not (folder / "assets").exists()
    assert "lies within" not in engagement("report", root).out


def test_labels_follow_a_merge_and_come_back_with_it(root: Path, labels: Path, engagement: Command) -> None:
    (root / "week 2" / "talk").rename(root.parent / "aside")
    assert engagement("calibrate", root, "--labels", labels).status == 0
    names = root / "names.txt"
    file = root / "talk" / FILE

    def people(text: str) -> dict[str, int]:
        names.write_text(text, encoding="utf-8")
        for words in (("report", root), ("calibrate", root, "--refit")):
            run = engagement(*words)
            assert run.status == 0 and "nobody who is there now" not in run.out + run.err, run.out
        return {person: len(own.labels) for person, own in read_calibration(file).persons.items()}

    assert people("split P01 at 0:03 into P08 and P09") == {"P09": 1}
    assert people("# nothing") == {"P01": 1}


def test_labels_of_another_video_are_not_applied(root: Path, labels: Path, engagement: Command) -> None:
    assert engagement("calibrate", root, "--labels", labels).status == 0
    other = root / "week 2" / "talk"
    data = json.loads((root / "talk" / FILE).read_text(encoding="utf-8"))
    (other / FILE).write_text(json.dumps(data | {"video": "else.mp4"}), encoding="utf-8")
    assert engagement("report", root).status == 0
    found = summary_of(other)["calibration"]
    assert found["persons"] == {} and "it is of the video else.mp4" in found["problems"][0]
    assert list(summary_of(root / "talk")["calibration"]["persons"]) == ["P01"]


def test_labels_outlive_a_name_that_is_no_utf_8(tmp_path: Path) -> None:
    calibration = Calibration(os.fsdecode(b"caf\xe9.mp4"), "caf", {"face_state": "0"}, PriorConfig(), {})
    write_calibration(calibration, tmp_path / FILE)
    assert read_calibration(tmp_path / FILE) == calibration


def test_a_label_of_what_is_no_id_is_refused(root: Path, tmp_path: Path, engagement: Command) -> None:
    for person in ("12", "X01", "1"):
        run = engagement(
            "calibrate",
            root,
            "--labels",
            label_file(tmp_path / "l.csv", f"talk,{person},5,boredom,yes\n"),
        )
        assert run.status != 0 and f"person is '{person}'" in run.err


def test_labels_as_a_spreadsheet_saves_them(root: Path, engagement: Command) -> None:
    path = root.parent / "labels.csv"
    path.write_text("Video;Person ;Time_s;State;Present\ntalk;P01;2,0;engagement;Yes\n", encoding="utf-8-sig")
    ended = engagement("calibrate", root, "--labels", path)
    assert ended.status == 0, ended.err
    (label,) = read_calibration(root / "talk" / FILE).persons["P01"].labels
    assert (label.time_s, label.present) == (2.0, True)


def test_labels_beside_a_split_stay_with_who_was_there(root: Path, engagement: Command) -> None:
    labels = label_file(root.parent / "labels.csv", "talk,P01,1.8,boredom,yes\ntalk,P01,2.0,boredom,no\n")
    assert engagement("calibrate", root, "--labels", labels).status == 0
    (root / "names.txt").write_text("[talk]\nsplit P01 at 0:02 into P01 and P09\n", encoding="utf-8")
    assert engagement("report", root).status == 0
    assert engagement("calibrate", root, "--refit").status == 0
    people = read_calibration(root / "talk" / FILE).persons
    assert {p: [one.time_s for one in own.labels] for p, own in people.items()} == {
        "P01": [1.8],
        "P09": [2.0],
    }


def test_what_was_said_of_somebody_who_is_hidden_for_a_while_stays(root: Path, engagement: Command) -> None:
    labels = label_file(root.parent / "labels.csv", "talk,P01,1.8,boredom,yes\n")
    assert engagement("calibrate", root, "--labels", labels).status == 0
    (root / "names.txt").write_text("[talk]\nhide P01\n", encoding="utf-8")
    assert engagement("report", root).status == 0
    again = engagement("calibrate", root, "--refit")
    assert again.status == 0 and "left out" not in again.out + again.err
    (root / "names.txt").write_text("", encoding="utf-8")
    assert engagement("report", root).status == 0
    assert len(read_calibration(root / "talk" / FILE).persons["P01"].labels) == 1


def test_nothing_is_left_of_a_label_of_who_opts_out_beside_a_split(root: Path, engagement: Command) -> None:
    labels = label_file(root.parent / "labels.csv", "talk,P01,1.8,boredom,yes\ntalk,P01,2.0,boredom,no\n")
    assert engagement("calibrate", root, "--labels", labels).status == 0
    lines = "[talk]\nsplit P01 at 0:02 into P01 and P09\nopt out P09\n"
    (root / "names.txt").write_text(lines, encoding="utf-8")
    assert engagement("report", root).status == 0
    assert not read_calibration(root / "talk" / FILE).persons
