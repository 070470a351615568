"""Corrections after an analysis: as if the analysis had known, and reversible but for opt-outs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from engagement.corrections.file import Video, parse
from engagement.corrections.folder import bring_up_to_date, correct_folder, plan_folder
from engagement.corrections.names import check_names
from engagement.errors import ConfigError
from engagement.reports.pictures import read_pictures
from engagement.timelines.presence import PresenceConfig
from engagement.timelines.session_summary import NOTHING
from tests.engagement.corrected_sessions import (
    PEOPLE,
    Report,
    everything,
    tables_of,
    write_output,
    write_result,
)
from tests.sessions.command import run_command


def summary_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def page_of(folder: Path) -> str:
    return (folder / "session.html").read_text(encoding="utf-8")


# ---- laws ----


def test_an_empty_file_changes_nothing(out: Path, finished: Path, report: Report) -> None:
    for text in (None, "", "# nothing\n"):
        assert report(text).status == 0
        assert tables_of(out / "talk") == tables_of(finished / "talk")
        assert summary_of(out / "talk") == summary_of(finished / "talk")
        assert page_of(out / "talk") == page_of(finished / "talk")


def test_names_change_no_number(out: Path, finished: Path, report: Report) -> None:
    assert report("P01: Ana\nP03: NA\nP04: 007").status == 0
    now, before = tables_of(out / "talk"), tables_of(finished / "talk")
    persons = pd.read_csv(out / "talk" / "persons.csv", dtype=str, keep_default_na=False)
    assert persons["name"].tolist() == ["Ana", "", "NA", "007"]
    assert persons["person_id"].tolist() == list(PEOPLE)
    without = persons.assign(name="").to_csv(index=False, lineterminator="\n").encode()
    assert without == before["persons.csv"]
    assert {k: v for k, v in now.items() if k != "persons.csv"} == {
        k: v for k, v in before.items() if k != "persons.csv"
    }
    kept = {k: v for k, v in summary_of(out / "talk").items() if k != "corrections"}
    assert kept == summary_of(finished / "talk")
    for place, shown in (
        ("index.html", "<small><bdi>Ana</bdi>, <bdi>NA</bdi>, <bdi>007</bdi></small>"),
        ("talk/session.html", "<strong><bdi>Ana</bdi><small>P01</small></strong>"),
        ("talk/session.html", "<strong><bdi>NA</bdi><small>P03</small></strong>"),
        ("talk/persons/P01.html", "<h1><bdi>Ana</bdi> <small>P01</small></h1>"),
        ("talk/persons/P03.html", "<h1><bdi>NA</bdi> <small>P03</small></h1>"),
    ):
        assert shown in (out / place).read_text(encoding="utf-8"), (place, shown)
    # The next report reads the table again: nobody called "NA" loses the name.
    assert report(None).status == 0
    assert pd.read_csv(out / "talk" / "persons.csv", dtype=str, keep_default_na=False).equals(persons)


def test_lines_are_applied_from_top_to_bottom(out: Path, report: Report) -> None:
    assert report("P03: Ana\nmerge P03 into P02\nsplit P02 at 0:32 into P02 and P09\nP09: Ben").status == 0
    persons = pd.read_csv(out / "talk" / "persons.csv").set_index("person_id")["name"].dropna()
    assert persons.to_dict() == {"P02": "Ana", "P09": "Ben"}


CASES: dict[str, tuple[str, Callable[[str, float], str]]] = {
    "merge": ("merge P03 into P02", lambda p, t: "P02" if p == "P03" else p),
    "merge into the later": ("P02 = P03", lambda p, t: "P03" if p == "P02" else p),
    "split": ("split P01 at 0:30 into P01 and P05", lambda p, t: "P05" if p == "P01" and t >= 30 else p),
    "split, ids by themselves": ("split P01 at 10s", lambda p, t: "P05" if p == "P01" and t >= 10 else p),
    "split in an absence": ("split P02 at 0:21", lambda p, t: "P05" if p == "P02" and t >= 21 else p),
    "both parts new": (
        "split P01 at 0:30 into P08 and P09",
        lambda p, t: ("P08" if t < 30 else "P09") if p == "P01" else p,
    ),
    "exchange": (
        "split P01 at 0:32 into P01 and P08\nmerge P03 into P02\nsplit P02 at 0:32 into P02 and P09\n"
        "merge P08 into P02\nmerge P09 into P01",
        lambda p, t: {"P01": "P01" if t < 32 else "P02", "P02": "P02", "P03": "P01", "P04": "P04"}[p],
    ),
    "opt out": ("opt out P02", lambda p, t: "" if p == "P02" else p),
    "opt out of a merger": ("merge P03 into P02\nopt out P02", lambda p, t: "" if p in ("P02", "P03") else p),
    "opt out of a part": (
        "split P01 at 0:30 into P01 and P05\nopt out P05",
        lambda p, t: "" if p == "P01" and t >= 30 else p,
    ),
    "opt out of the first part": (
        "split P01 at 0:30 into P01 and P05\nopt out P01",
        lambda p, t: ("" if t < 30 else "P05") if p == "P01" else p,
    ),
    "opt out of everybody": ("opt out P01, P02, P03, P04", lambda p, t: ""),
}


@pytest.mark.parametrize("case", CASES)
def test_tables_are_as_if_the_analysis_had_known(
    out: Path, report: Report, tmp_path: Path, case: str
) -> None:
    text, whose = CASES[case]
    assert report(text).status == 0
    known = write_result(tmp_path / "known", "talk", whose=whose)
    assert tables_of(out / "talk") == tables_of(known)
    ours, theirs = summary_of(out / "talk"), summary_of(known)
    assert {k: v for k, v in ours.items() if k != "corrections"} == theirs
    pictures, wanted = read_pictures(out / "talk"), read_pictures(known)
    assert sorted(t.jpeg for own in pictures.values() for t in own) == sorted(
        t.jpeg for own in wanted.values() for t in own
    )
    before = everything(out)
    assert report(None).status == 0
    assert everything(out) == before


@pytest.mark.parametrize("case", ["merge", "split in an absence", "exchange"])
def test_all_but_opt_outs_can_be_taken_back(out: Path, finished: Path, report: Report, case: str) -> None:
    names = report(CASES[case][0] + "\nhide P04")
    assert names.status == 0
    if "P02" in CASES[case][0]:
        assert (out / "talk" / "unedited" / "timeline.parquet").is_file()
    assert report("# nothing").status == 0
    assert tables_of(out / "talk") == tables_of(finished / "talk")
    assert summary_of(out / "talk") == summary_of(finished / "talk")
    assert not (out / "talk" / "unedited").exists()
    # Pictures go with the pages of who is hidden; those of all others are back.
    pictures = read_pictures(finished / "talk")
    pictures.pop("P04", None)
    assert read_pictures(out / "talk") == pictures


# ---- opt-outs ----


def test_nothing_is_left_of_who_opts_out(out: Path, report: Report) -> None:
    (picture, *_) = read_pictures(out / "talk")["P02"]
    import base64

    coded = base64.b64encode(picture.jpeg)
    assert coded in everything(out)
    # Also from the unedited timeline that a merge keeps.
    assert report("split P01 at 0:10 into P01 and P09").status == 0
    done = report("split P01 at 0:10 into P01 and P09\nP02: Ben\nopt out P02")
    assert "opted out was deleted" in done.out
    assert coded not in everything(out)
    talk = out / "talk"
    for path in (talk / "timeline.parquet", talk / "unedited" / "timeline.parquet"):
        assert "P02" not in set(pd.read_parquet(path)["person_id"])
    for path in talk.rglob("*"):
        if path.is_file() and path.suffix in (".csv", ".html"):
            assert b"P02" not in path.read_bytes(), path
    assert b"Ben" not in everything(talk)
    assert summary_of(talk)["corrections"]["opted_out"] == ["P02"]
    assert "who opted out is left out of everything" in page_of(talk)


def test_the_list_of_the_run_counts_nobody_who_opted_out(out: Path, report: Report) -> None:
    def listed() -> dict[str, Any]:
        (video,) = json.loads((out / "run.json").read_text(encoding="utf-8"))["videos"]
        return video

    before = listed()
    assert report("merge P03 into P02\n").status == 0
    assert listed() == before | {"n_persons": 3, "coverage": 1.0, "n_warnings": 0}
    assert report("opt out P01\n").status == 0
    summary = summary_of(out / "talk")
    counted = {key: summary[key] for key in ("n_persons", "coverage")}
    assert listed() == before | counted | {"n_warnings": 0}
    assert summary["n_persons"] == 3 and summary["coverage"] < 1.0


def test_an_opt_out_cannot_be_taken_back_and_says_so(out: Path, report: Report) -> None:
    report("opt out P02")
    done = report("P02: Ben")
    assert done.status == 0
    assert "P02 opted out earlier and was deleted: `engagement analyze` brings them back" in done.out
    assert "P02" not in (out / "talk" / "persons.csv").read_text()
    assert bring_up_to_date(out / "talk", out, None) is None


# ---- who is shown ----


def test_min_presence_leaves_passers_by_out_of_pages_and_curves(
    out: Path, finished: Path, report: Report, tmp_path: Path
) -> None:
    assert report(None, "--min-presence", "10s").status == 0
    persons = pd.read_csv(out / "talk" / "persons.csv")
    assert persons["shown"].tolist() == [True, True, True, False]
    assert "1 person is left out of this page and of the curves: seen for less than 10\u202fs." in page_of(
        out / "talk"
    )
    assert "4 people were found; 3 are shown here" in page_of(out / "talk")
    assert not (out / "talk" / "persons" / "P04.html").exists()
    assert (out / "talk" / "timeline.csv").read_bytes() == (finished / "talk" / "timeline.csv").read_bytes()
    known = summary_of(write_result(tmp_path / "known", whose=lambda p, _: "" if p == "P04" else p))
    now = summary_of(out / "talk")
    for part in ("class", "expression_share", "coverage", "mean_visible", "max_visible"):
        assert now[part] == known[part]
    assert (now["n_persons"], now["n_shown"], now["n_read"]) == (4, 3, 3)
    # Kept by a report that says nothing of it, also beside names; 0 shows everyone again.
    assert report("P01: Ana").status == 0
    assert summary_of(out / "talk")["n_shown"] == 3
    assert report("", "--min-presence", "0").status == 0
    assert summary_of(out / "talk") == summary_of(finished / "talk")


def test_min_presence_as_a_share_and_together_with_hiding(out: Path, report: Report) -> None:
    assert report("hide P01", "--min-presence", "50 %").status == 0
    persons = pd.read_csv(out / "talk" / "persons.csv")
    assert persons["shown"].tolist() == [False] * 4
    text = page_of(out / "talk")
    assert "Nobody is shown" in text
    assert "seen for less than 50\u202f% of the session or hidden by the names file" in text


@pytest.mark.parametrize("value", ["much", "120%", "-1", "5 parsecs", "nan"])
def test_min_presence_says_what_it_takes(report: Report, value: str) -> None:
    done = report(None, "--min-presence", value)
    assert done.status == 2
    assert "--min-presence" in done.err


# ---- pictures, files ----


def test_pictures_follow_their_person(out: Path, report: Report) -> None:
    taken = {source: len(own) for source, own in read_pictures(out / "talk").items()}
    assert taken == {"P01": 4, "P02": 2, "P03": 1}
    assert report("merge P03 into P02\nsplit P01 at 0:20 into P01 and P09").status == 0
    merged = (out / "talk" / "persons" / "P02.html").read_text(encoding="utf-8")
    assert merged.count("<img ") == 3
    assert (out / "talk" / "persons" / "P01.html").read_text(encoding="utf-8").count("<img ") == 2
    assert (out / "talk" / "persons" / "P09.html").read_text(encoding="utf-8").count("<img ") == 2
    assert report(None, "--no-thumbnails").status == 0
    assert b"data:image/jpeg" not in everything(out)


def test_a_names_file_becomes_that_of_the_folder(out: Path, report: Report) -> None:
    report("P01: Ana")
    report("P01: Ben")
    assert (out / "names.txt").read_text() == "P01: Ben"
    assert (out / "names-before.txt").read_text() == "P01: Ana"
    report("P01: Zoe")
    report("P01: Ana")
    report("P01: Ben")
    kept = {path.name: path.read_text() for path in out.glob("names-*")}
    assert kept == {
        "names-before.txt": "P01: Ana",
        "names-before-2.txt": "P01: Ben",
        "names-before-3.txt": "P01: Zoe",
    }
    assert run_command("report", out, "--names", out / "names.txt") == 0
    (out / "names.txt").unlink()
    assert report(None).status == 0
    assert "Ben" not in page_of(out / "talk")


def test_several_videos(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    write_output(out, "week1/talk", "week2/talk")
    names = tmp_path / "n.txt"
    names.write_text("[week1/talk.mp4]\nP01: Ana\n[week2/talk]\nP01: Ben\n")
    assert run_command("report", out, "--names", names) == 0
    assert "Ana" in page_of(out / "week1" / "talk") and "Ben" not in page_of(out / "week1" / "talk")
    assert "Ben" in page_of(out / "week2" / "talk")
    names.write_text("P01: Ana\n[talk.mp4]\nP01: B")
    assert run_command("report", out, "--names", names) == 2
    said = capfd.readouterr().err
    assert "line 1: the folder holds 2 videos" in said
    assert "line 2: [talk.mp4] may be week1/talk, week2/talk" in said


def test_a_deleted_result_leaves_the_index(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_output(out, "week1/talk", "week2/talk")
    shutil.rmtree(out / "week1")
    assert run_command("report", out) == 0
    listed = (out / "index.html").read_text(encoding="utf-8")
    assert "week1/talk" not in listed and "week2/talk" in listed and "1 video: 1 analysed." in listed


def test_a_failure_leaves_the_earlier_result(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = everything(out / "talk")

    def fail(*_: object) -> None:
        raise RuntimeError("no more")

    monkeypatch.setattr("engagement.corrections.folder.render_session", fail)
    sections, _ = parse("merge P03 into P02")
    plan, _ = plan_folder(out / "talk", sections[0].lines)
    with pytest.raises(RuntimeError):
        correct_folder(out / "talk", out, plan)
    assert everything(out / "talk") == before
    assert not list(out.glob(".engagement-partial-*"))


def test_a_summary_without_figures_gets_them(out: Path, report: Report) -> None:
    (out / "talk" / "summary.json").write_text("{}", encoding="utf-8")
    done = report(None)
    assert done.status == 0, done.err
    assert f"1 session written again: {out / 'index.html'}" in done.out
    assert summary_of(out / "talk")["n_persons"] == len(PEOPLE)


def test_results_of_an_earlier_version(out: Path, report: Report) -> None:
    (out / "talk" / "samples.parquet").unlink()
    persons = pd.read_csv(out / "talk" / "persons.csv").drop(columns=["name", "shown"])
    persons.to_csv(out / "talk" / "persons.csv", index=False)
    assert report("P01: Ana").status == 0
    before = everything(out)
    done = report("opt out P01")
    assert done.status == 1
    assert "written by an earlier version" in done.err
    assert "Analyse the video again with --overwrite" in done.err
    assert everything(out) == before


# ---- what `analyze` does with a finished result ----


def test_a_finished_result_takes_up_what_changed(out: Path, finished: Path) -> None:
    talk = out / "talk"
    before = everything(talk)
    assert (bring_up_to_date(talk, out, None) or NOTHING).n_persons == 4
    assert everything(talk) == before
    (out / "names.txt").write_text("P01: Ana\nmerge P03 into P02\nP77: Eve\n")
    summary = bring_up_to_date(talk, out, None)
    assert summary and summary.n_persons == 3
    warning = "This line of the names file was not applied: names.txt, line 3: there is no P77."
    assert warning in page_of(talk)
    after = everything(talk)
    bring_up_to_date(talk, out, None)
    assert everything(talk) == after
    assert (bring_up_to_date(talk, out, PresenceConfig(min_s=5)) or NOTHING).n_shown == 2
    (out / "names.txt").unlink()
    bring_up_to_date(talk, out, PresenceConfig())
    assert tables_of(talk) == tables_of(finished / "talk")


def test_a_names_file_is_checked_before_the_work(out: Path) -> None:
    names = out / "names.txt"
    new = [Video("talk", "talk.mp4"), Video("call", "call.mp4")]
    assert check_names(out, new) == []
    names.write_text("[call]\nP01: Ana\n[talk.mp4]\nP01: Ben\n[tolk.mp4]\nopt out P01\n")
    assert check_names(out, new) == [
        "names.txt, line 5: there is no video [tolk.mp4]. Do you mean [talk.mp4]? Known: talk.mp4, call.mp4."
    ]
    for text, wrong in (
        ("P01: Ana", "line 1: the folder holds 2 videos"),
        ("P01: Ana\n[talk]\nwhat", r"2 mistakes.*\n.*line 1: the folder.*\n.*line 3: 'what'"),
        ("[talk]\nwhat", "line 2: 'what'"),
    ):
        names.write_text(text)
        with pytest.raises(ConfigError, match=wrong):
            check_names(out, new)
    names.write_text("P01: Ana")
    assert check_names(out, new[:1]) == []


def test_who_is_hidden_is_not_named_on_the_index(out: Path, report: Report) -> None:
    assert report("P01: Ana\nP02: Tom the technician\nhide P02").status == 0
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "Ana" in page and "Tom the technician" not in page
