"""``analyze`` and the names file of its output folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.sessions.command import Run


def statuses(out: Path) -> list[tuple[str, int]]:
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    return [(v["status"], v["n_persons"]) for v in run["videos"]]


@pytest.mark.slow
def test_analyze_applies_the_names_file_and_notices_its_changes(
    sample_videos: Path, tmp_path: Path, engagement: Callable[..., Run]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    names, results = out / "names.txt", out / "crossing"

    def analyze() -> Run:
        return engagement("analyze", sample_videos / "crossing.mp4", "-o", out, "--quiet")

    names.write_text("P01: Ana\nwhat\n")
    done = analyze()
    assert done.status == 2
    assert "names.txt, line 2: 'what' is not understood" in done.err
    assert list(out.iterdir()) == [names]

    names.write_text("P01: Ana\n")
    assert analyze().status == 0
    assert pd.read_csv(results / "persons.csv")["name"].tolist()[0] == "Ana"
    assert (results / "persons" / "P01.html").read_text(encoding="utf-8").count("<img ") >= 1

    names.write_text("P01: Ana\nopt out P02\n")
    assert analyze().status == 0
    assert statuses(out) == [("skipped", 1)]
    assert set(pd.read_parquet(results / "timeline.parquet")["person_id"]) == {"P01"}
    assert not (results / "persons" / "P02.html").exists()

    names.write_text("[crossing]\nP02: Ben\n")
    assert analyze().status == 0
    assert statuses(out) == [("ok", 2)]
    assert pd.read_csv(results / "persons.csv")["name"].tolist()[1] == "Ben"
