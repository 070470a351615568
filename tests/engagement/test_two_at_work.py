"""Commands that meet: what others did meanwhile is kept, what is interrupted loses nothing."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engagement.batch.lock import alone_in
from engagement.calibration.store import FILE, read_calibration
from engagement.errors import OutputError
from engagement.labelling.session import Answer, open_sessions
from engagement.labelling.storing import store
from engagement.results import UNDER_WAY
from tests.engagement.test_calibration import label_file, scored_output, summary_of
from tests.sessions.command import Run
from tests.sessions.runs import start

Command = Callable[..., Run]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return scored_output(tmp_path / "out", "talk", "zoo")


def labelled(root: Path, engagement: Command, lines: str) -> None:
    run = engagement("calibrate", root, "--labels", label_file(root.parent / "labels.csv", lines))
    assert run.status == 0, run.err


def counts(folder: Path) -> dict[str, int]:
    return {person: len(own.labels) for person, own in read_calibration(folder / FILE).persons.items()}


def test_an_output_folder_is_for_one_command_at_a_time(root: Path, engagement: Command) -> None:
    with alone_in(root):
        for words in (("report", root), ("calibrate", root, "--refit")):
            run = engagement(*words)
            assert run.status == 1 and f"another engagement command is at work in {root}" in run.err
        with pytest.raises(OutputError, match="at work"), alone_in(root):
            pass
    assert engagement("report", root).status == 0


def test_labels_that_others_stored_meanwhile_stay(root: Path, engagement: Command) -> None:
    sessions = open_sessions(root)
    labelled(root, engagement, "talk,P02,5,boredom,yes\ntalk,P01,5,boredom,yes\n")
    store(sessions, {root / "talk": [Answer("P01", 10.0, "boredom", True)]}, {}, say=print, warn=print)
    assert counts(root / "talk") == {"P01": 2, "P02": 1}


def test_an_answer_about_somebody_who_opted_out_meanwhile_is_left_out(
    root: Path, engagement: Command
) -> None:
    sessions = open_sessions(root)
    (root / "names.txt").write_text("[talk]\nopt out P02\n", encoding="utf-8")
    assert engagement("report", root).status == 0
    answers = [Answer(person, 5.0, "boredom", True) for person in ("P01", "P02")]
    told: list[str] = []
    store(sessions, {root / "talk": answers}, {}, say=print, warn=told.append)
    assert counts(root / "talk") == {"P01": 1}
    assert ["1 answer about somebody who is not there any more" in text for text in told] == [True]


def test_answers_that_cannot_be_stored_are_printed(root: Path, engagement: Command) -> None:
    sessions, told = open_sessions(root), list[str]()
    answers = {root / "talk": [Answer("P01", 5.0, "boredom", True)]}
    with alone_in(root), pytest.raises(OutputError):
        store(sessions, answers, {}, say=told.append, warn=print)
    saved = root.parent / "saved.csv"
    saved.write_text(told[0][told[0].index("video,") :], encoding="utf-8")
    assert engagement("calibrate", root, "--labels", saved).status == 0
    assert counts(root / "talk") == {"P01": 1}


def test_labels_outlive_a_higher_least_quality(root: Path, engagement: Command) -> None:
    labelled(root, engagement, "talk,P01,5,boredom,yes\n")
    path = root / "talk" / "summary.json"
    summary = summary_of(root / "talk")
    summary["limits"]["min_quality"] = 0.9999
    path.write_text(json.dumps(summary), encoding="utf-8")
    run = engagement("calibrate", root, "--refit")
    assert run.status == 0 and "left out" not in run.err
    assert counts(root / "talk") == {"P01": 1}


def test_a_calibration_that_is_given_replaces_no_other_labels(root: Path, engagement: Command) -> None:
    labelled(root, engagement, "talk,P01,5,boredom,yes\n")
    other = Path(shutil.copy(root / "talk" / FILE, root.parent / "other.json"))
    labelled(root, engagement, "talk,P01,15,boredom,no\n")
    run = engagement("report", root, "--calibration", other)
    assert (
        run.status == 2 and f"{root / 'talk' / FILE} has 1 label that --calibration would replace" in run.err
    )
    assert counts(root / "talk") == {"P01": 2}
    newer = Path(shutil.copy(root / "talk" / FILE, root.parent / "newer.json"))
    shutil.copy(other, root / "talk" / FILE)
    assert engagement("report", root, "--calibration", newer).status == 0
    assert counts(root / "talk") == {"P01": 2}


def test_a_calibration_of_other_weights_is_refused_before_anything_is_written(
    root: Path, engagement: Command
) -> None:
    labelled(root, engagement, "talk,P01,5,boredom,yes\n")
    data = json.loads((root / "talk" / FILE).read_text(encoding="utf-8")) | {
        "weights": {"face_state": "0" * 64}
    }
    (root.parent / "other.json").write_text(json.dumps(data), encoding="utf-8")
    run = engagement("report", root, "--calibration", root.parent / "other.json")
    assert run.status == 1 and "belongs to the weights face_state 000000000000" in run.err
    assert read_calibration(root / "talk" / FILE).weights != data["weights"]


def test_one_damaged_session_keeps_no_other_from_being_written(root: Path, engagement: Command) -> None:
    (root / "talk" / "events.csv").write_text("nothing\n", encoding="utf-8")
    (root / "names.txt").write_text("[zoo]\nopt out P02\n", encoding="utf-8")
    run = engagement("report", root)
    assert run.status == 1 and "talk: " in run.err and "events.csv" in run.err
    assert "not written again, and as before: talk" in run.err
    assert (
        "zoo: everything about who opted out was deleted" in run.out and "1 session written again" in run.out
    )
    assert not (root / "zoo" / "persons" / "P02.html").exists()


def test_what_a_killed_command_left_behind_goes_with_who_opts_out(root: Path, engagement: Command) -> None:
    shutil.copytree(root / "talk", root / f"{UNDER_WAY}12345678")
    (root / "names.txt").write_text("[talk]\nopt out P02\n", encoding="utf-8")
    assert engagement("report", root).status == 0
    assert not list(root.glob(f"{UNDER_WAY}*"))


def test_names_for_a_video_that_failed_wait_for_it(root: Path, engagement: Command) -> None:
    run_file = root / "run.json"
    run = json.loads(run_file.read_text(encoding="utf-8"))
    run["videos"].append({"input": "/rec/later.mp4", "output": "later", "status": "failed"})
    run_file.write_text(json.dumps(run), encoding="utf-8")
    (root / "names.txt").write_text("[later.mp4]\nP01: Ana\n[talk]\nP02: Ben\n", encoding="utf-8")
    ended = engagement("report", root)
    assert ended.status == 0 and "[later.mp4] has no results yet" in ended.out, ended.err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_however_the_page_is_ended_its_answers_are_kept(root: Path, number: str) -> None:
    with start("calibrate", root / "talk", "--no-browser") as process:
        assert process.stdout is not None
        url = (
            next(line for line in process.stdout if b"http://" in line)
            .decode()
            .split("http://")[1]
            .split()[0]
        )
        script = (
            "import sys, urllib.request as u\n"
            "u.urlopen(sys.argv[1]).read()\n"
            'u.urlopen(sys.argv[1] + \'answers\', b\'{"page": 1, "number": 0, "answers": {"0": {"boredom": "yes"}}}\')\n'
        )
        subprocess.run([sys.executable, "-c", script, f"http://{url}"], check=True, timeout=60)
        process.send_signal(getattr(signal, number))
        try:
            process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0
    assert sum(counts(root / "talk").values()) == 1
