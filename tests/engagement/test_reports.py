"""Pages: what they say, that they leak nothing, break on nothing and stay light."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pytest

from engagement.errors import DataError
from engagement.reports import theme
from engagement.reports.drawing import ORIGIN_MS
from engagement.reports.figures import expressions_figure, states_figure
from engagement.reports.lanes import person_lane
from engagement.reports.reading import Axis
from engagement.reports.render import render_index, render_session, write_assets
from engagement.reports.sentences import session_sentence
from engagement.reports.theme import EXPRESSION_COLORS
from engagement.reports.thinning import fewer, spans, thin, with_gaps
from engagement.reports.trust import trust
from engagement.timelines.session_summary import SessionSummary
from tests.engagement.corrected_sessions import write_output
from tests.engagement.report_data import fabricate, portraits, summary_of, write_folder, write_run

HOSTILE = "a\"b'<script>alert(1)<b> ü #1 50% &amp;.mp4"  # a name that a file system takes
CALLED = '</script><b>Ana & "Ben"'
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """A parsed page: elements with attributes, texts of scripts, nesting checked."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[tuple[dict[str, str], str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        self.elements.append((tag, values))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "script":
            self.scripts.append((values, ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self._open and self._open[-1] != "style":
            self.text += data

    def attributes(self, name: str) -> list[str]:
        return [values[name] for _, values in self.elements if name in values]

    def figure(self, name: str) -> dict:
        (text,) = [text for values, text in self.scripts if values.get("id") == f"plot-{name}-data"]
        return json.loads(text)


def numbers(array: dict) -> np.ndarray:
    """An array of a figure's JSON."""
    return np.frombuffer(base64.b64decode(array["bdata"]), dtype=array["dtype"])


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two sessions: four people under a hostile name, and nobody."""
    root = tmp_path_factory.mktemp("out")
    write_assets(root)
    data = fabricate(4, 60)
    data["persons"].loc[0, "name"] = CALLED
    folder = root / "week #1 50%" / "a b"
    called = {"names": {"P01": CALLED}, "mistakes": ["names.txt, line 2: <b>"]}
    summary = summary_of(data, HOSTILE, warnings=["</script><b>odd</b>"], corrections=called)
    write_folder(folder, data, summary)
    render_session(folder, root, portraits(list(data["persons"]["person_id"]), 60))
    empty = fabricate(0, 20)
    write_folder(root / "empty", empty, summary_of(empty, "empty.mp4"))
    render_session(root / "empty", root, {})
    common = {"hint": "", "elapsed_s": 1.0}
    rows = [
        {
            "input": f"/v/{HOSTILE}",
            "output": "week #1 50%/a b",
            "status": "ok",
            "reason": "",
            "duration_s": 60.0,
        },
        {
            "input": "/v/empty.mp4",
            "output": "empty",
            "status": "partial",
            "reason": "cut <short>",
            "n_persons": 0,
        },
        {
            "input": "/v/bad.mp4",
            "output": "bad",
            "status": "failed",
            "reason": "no video stream",
            "hint": "Try <x>.",
        },
    ]
    write_run(root, [common | row for row in rows])
    render_index(root)
    return root


def pages(root: Path) -> list[Page]:
    return [Page(path) for path in sorted(root.rglob("*.html"))]


def test_writes_the_expected_pages(output: Path) -> None:
    found = {str(p.path.relative_to(output)) for p in pages(output)}
    people = {f"week #1 50%/a b/persons/P{i:02d}.html" for i in range(1, 5)}
    assert found == {"index.html", "empty/session.html", "week #1 50%/a b/session.html", *people}
    assert not list(output.rglob("*.tmp"))


def test_hostile_names_are_text(output: Path) -> None:
    for page in pages(output):
        raw = page.path.read_text(encoding="utf-8")
        assert "<script>alert" not in raw
        assert "<b>" not in raw
        assert "<short>" not in raw
        # Only our own scripts: data, the library, the page's script.
        assert all(
            v.get("type") == "application/json" or "src" in v or "use strict" in t for v, t in page.scripts
        )
    session = Page(output / "week #1 50%" / "a b" / "session.html")
    assert HOSTILE in session.text
    assert HOSTILE in Page(output / "index.html").text
    for place in ("index.html", "week #1 50%/a b/session.html", "week #1 50%/a b/persons/P01.html"):
        assert CALLED in Page(output / place).text


def test_nothing_is_loaded_from_elsewhere(output: Path) -> None:
    for page in pages(output):
        for tag, values in page.elements:
            for name in ("src", "srcset", "data", "action", "poster", "xlink:href", "href"):
                value = values.get(name, "")
                if tag == "img":
                    assert name != "src" or value.startswith("data:image/jpeg;base64,")
                else:
                    assert not re.match(r"(?i)\s*([a-z+.-]+:|//)", value), (page.path, tag, value)
        raw = page.path.read_text(encoding="utf-8")
        assert not re.search(r"@import|url\((?!#)", raw)
        assert "connect-src 'none'" in raw


def test_links_lead_to_files(output: Path) -> None:
    for page in pages(output):
        ids = set(page.attributes("id"))
        for link in [
            *page.attributes("href"),
            *(s for s in page.attributes("src") if not s.startswith("data:")),
        ]:
            parts = urlsplit(link)
            if not parts.path:
                assert parts.fragment in ids or re.fullmatch(r"t=\d+-\d+", parts.fragment), link
                continue
            assert (page.path.parent / unquote(parts.path)).resolve().is_file(), (page.path, link)


def test_every_page_says_that_it_estimates(output: Path) -> None:
    for page in pages(output):
        assert theme.NOTICE in page.text
        assert "Article 5(1)(f)" in page.text
        assert ("html", {"lang": "en"}) in page.elements
        assert not re.search(r"\b(felt|feels) (bored|engaged|confused|happy|sad)", page.text)


def test_weak_states_are_named(output: Path) -> None:
    for page in ("week #1 50%/a b/session.html", "week #1 50%/a b/persons/P01.html", "index.html"):
        text = Page(output / page).text
        said = "Barely better than chance on unseen people: apparent engagement (AUC 0.62) and apparent confusion"
        assert text.count(said) == 1, page
        assert "boredom (AUC" not in text
    assert "Not measured" in trust({}).note
    assert trust({"m": {"metrics": {f"daisee_{s}_auc": 0.8 for s in theme.STATES}}}).note == ""


def test_an_empty_session_says_what_to_do(output: Path) -> None:
    page = Page(output / "empty" / "session.html")
    assert "No face of at least 24\u202fpx was found" not in page.text  # faces were found, in scraps
    assert "none long and clear enough to make a person of. A higher --sample-rate" in page.text
    assert not page.scripts


def test_index_shows_what_failed(output: Path) -> None:
    page = Page(output / "index.html")
    assert "no video stream. Try <x>." in page.text
    assert "3 videos: 1 analysed, 1 in part, 1 failed" in re.sub(r"\s+", " ", page.text)
    assert page.attributes("href").count("bad/session.html") == 0


def test_gaps_are_not_bridged() -> None:
    data = fabricate(1, 60)
    table = data["timeline"].copy()
    gap = (table["time_s"] > 20) & (table["time_s"] < 30)
    columns = [c for c in table.columns if c.startswith(("s_", "p_")) or c == "quality"]
    table.loc[gap, columns] = np.nan
    table.loc[gap, "observed"] = False
    for drawn in (table, table[~gap]):  # empty rows or none at all
        for made in (
            states_figure(drawn, Axis(60.0, 0.2, 0.3)),
            expressions_figure(drawn, list(EXPRESSION_COLORS), Axis(60.0, 0.2, 0.3)),
        ):
            figure = json.loads(made or "")
            for trace in figure["data"]:
                if trace["line"]["width"] == 0:
                    continue
                assert trace["connectgaps"] is False
                x = (numbers(trace["x"]) - ORIGIN_MS) / 1000
                y = numbers(trace["y"])
                inside = (x > 20.1) & (x < 29.9)
                assert inside.any()
                assert np.isnan(y[inside]).all()
            fills = [t for t in figure["data"] if t.get("fill") == "toself"]
            assert fills
            for trace in fills:
                x = (numbers(trace["x"]) - ORIGIN_MS) / 1000
                # No edge of a filled outline may reach from one side of the gap to the other.
                ends = np.stack([x[:-1], x[1:]])
                assert not ((ends.min(axis=0) <= 20.05) & (ends.max(axis=0) >= 29.95)).any()


def test_pages_survive_missing_keys(tmp_path: Path) -> None:
    data = fabricate(2, 20)
    for k, summary in enumerate(
        ({}, {"schema": 9, "models": {"x": {}}, "class": {}, "video": {}, "limits": None})
    ):
        write_folder(tmp_path / str(k), data, summary)
        written = render_session(tmp_path / str(k), tmp_path, {})
        assert [p.name for p in written] == ["session.html", "P01.html", "P02.html"]
        for path in written:
            Page(path)
    (tmp_path / "run.json").write_text('{"videos": [{}, {"input": "x.mp4"}]}', encoding="utf-8")
    assert "2 videos" in Page(render_index(tmp_path)).text
    assert "videos: ," not in Page(render_index(tmp_path)).text


def test_damaged_files_name_themselves(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"run\.json"):
        render_index(tmp_path)
    (tmp_path / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read"):
        render_index(tmp_path)


def test_stale_persons_are_removed(tmp_path: Path) -> None:
    write_folder(tmp_path / "a", fabricate(3, 20), summary_of(fabricate(3, 20), "a.mp4"))
    render_session(tmp_path / "a", tmp_path, {})
    fewer = fabricate(1, 20)
    write_folder(tmp_path / "a", fewer, summary_of(fewer, "a.mp4"))
    render_session(tmp_path / "a", tmp_path, {})
    assert [p.name for p in (tmp_path / "a" / "persons").iterdir()] == ["P01.html"]


def test_person_names_cannot_leave_the_folder(tmp_path: Path) -> None:
    data = fabricate(1, 20)
    for name in ("timeline", "persons", "events"):
        data[name]["person_id"] = "../../x<y>"
    write_folder(tmp_path / "a", data, summary_of(data, "a.mp4"))
    written = render_session(tmp_path / "a", tmp_path, {})
    assert written[1] == tmp_path / "a" / "persons" / "person-01.html"
    assert "../../x<y>" in Page(written[1]).text


@pytest.mark.slow
def test_a_lecture_stays_light(tmp_path: Path) -> None:
    """Thirty people, ninety minutes: every page below 1.5 MB without the script."""
    data = fabricate(30, 5400)
    summary = summary_of(data, "lecture.mp4")
    # The CSV of this size takes longer than all pages.
    (tmp_path / "a").mkdir()
    data["timeline"].to_parquet(tmp_path / "a" / "timeline.parquet")
    data["persons"].to_csv(tmp_path / "a" / "persons.csv", index=False)
    data["events"].to_csv(tmp_path / "a" / "events.csv", index=False)
    (tmp_path / "a" / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    written = render_session(tmp_path / "a", tmp_path, portraits(list(data["persons"]["person_id"]), 5400))
    assert len(written) == 31
    assert max(path.stat().st_size for path in written) < 1_500_000


def test_thinning_keeps_means_and_gaps() -> None:
    times = np.asarray(np.arange(10_000) * 0.2, np.float64)
    values = np.sin(times / 100)[:, None]
    values[4000:6000] = np.nan
    x, y = thin(times, values, 500)
    assert len(x) == len(y) == 500
    assert np.isnan(y[(x > 805) & (x < 1195)]).all()
    known = np.isfinite(y[:, 0])
    assert np.abs(y[known, 0] - np.sin(x[known] / 100)).max() < 0.02
    gapped, _ = with_gaps(np.array([0.0, 0.2, 5.0, 5.2]), np.ones((4, 1)), 0.5)
    assert gapped.tolist() == [0.0, 0.2, 2.6, 5.0, 5.2]
    assert spans(np.array([0, 0.2, 0.4, 3.0]), np.array([1, 1, 0, 1], bool), 0.2) == [(0.0, 0.4), (3.0, 3.2)]


@pytest.mark.parametrize("kind", ["rare", "chance", "half", "bursts"])
def test_few_spans_keep_the_share_of_many(kind: str) -> None:
    rng = np.random.default_rng(1)
    times = np.arange(27_000) * 0.2
    on = {
        "rare": np.arange(27_000) % 40 == 0,
        "chance": rng.random(27_000) < 0.05,
        "half": rng.random(27_000) < 0.5,
        "bursts": np.repeat(rng.random(2700) < 0.4, 10),
    }[kind]
    parts = spans(times, on, 0.2)
    drawn = fewer(parts, 5400)
    assert len(parts) > 600 >= len(drawn)
    assert sum(b - a for a, b in drawn) == pytest.approx(sum(b - a for a, b in parts), abs=5400 / 1200)
    assert all(a < b for a, b in drawn) and all(x[1] < y[0] for x, y in pairwise(drawn))
    half = [p for p in parts if p[0] < 2700]
    assert sum(b - a for a, b in drawn if a < 2700) == pytest.approx(sum(b - a for a, b in half), abs=15)
    assert fewer(parts[:600], 5400) == parts[:600]


def test_a_band_of_many_events_keeps_the_share_of_each_state() -> None:
    rng = np.random.default_rng(2)
    start = np.arange(0, 5400, 2.0)
    state = rng.choice(["boredom", "engagement", "uncertain"], len(start), p=[0.2, 0.5, 0.3])
    events = pd.DataFrame({"start_s": start, "end_s": start + 1.0, "state": state, "mean_prob": 0.6})
    own = fabricate(1, 60)["timeline"]
    flat = np.array(person_lane(own, events, Axis(5400.0, 0.2, 0.3))["events"]).reshape(-1, 4)
    assert 0 < len(flat) <= 1200 and set(flat[:, 3].tolist()) == {60}
    for which, name in enumerate(theme.BAND_ORDER):
        drawn = (flat[:, 1] - flat[:, 0])[flat[:, 2] == which].sum() / 10
        assert drawn == pytest.approx(float((state == name).sum()), abs=10), name


def test_bands_hold_presence_events_and_gaps() -> None:
    data = fabricate(3, 60)
    own = data["timeline"][data["timeline"]["person_id"] == "P02"]
    lane = person_lane(own, data["events"][data["events"]["person_id"] == "P02"], Axis(60.0, 0.2, 0.3))
    assert len(lane["events"]) % 4 == 0
    assert set(lane["events"][2::4]) <= {0, 1, 2, 3}
    seen = sum(lane["seen"][1::2]) - sum(lane["seen"][::2])
    assert seen / 10 == pytest.approx(own["observed"].sum() * 0.2, abs=0.3)
    followed = sum(lane["followed"][1::2]) - sum(lane["followed"][::2])
    assert followed / 10 == pytest.approx(own["followed"].sum() * 0.2, abs=0.3)
    assert followed > 0


def test_wording() -> None:
    assert [theme.clock(s) for s in (0, 61.4, 3599.6, 5400)] == ["0:00", "1:01", "1:00:00", "1:30:00"]
    assert theme.clock(61, 5400) == "0:01:01"
    assert [theme.duration(s) for s in (45, 90, 240, 720, 5400, None)] == [
        "45 s",
        "1 min 30 s",
        "4 min",
        "12 min",
        "1 h 30 min",
        "unknown length",
    ]
    assert theme.about_percent(0.6234) == "about 60\u202f%"
    assert [theme.share(v) for v in (0.0, 0.001, 0.5, 0.999, 1.0)] == [
        "0\u202f%",
        "< 1\u202f%",
        "50\u202f%",
        "> 99\u202f%",
        "100\u202f%",
    ]
    assert "0." not in session_sentence(SessionSummary(summary_of(fabricate(4, 60), "a.mp4")))


def test_importing_costs_nothing() -> None:
    code = "import engagement.reports, sys; print([m for m in ('plotly', 'pandas', 'jinja2') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
    code = code.replace("engagement.reports,", "engagement.reports.render,")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_pages_of_videos_that_are_called_alike_say_which_one(tmp_path: Path) -> None:
    write_output(tmp_path / "out", "talk", "week 2/talk")
    for name in ("talk", "week 2/talk"):
        page = (tmp_path / "out" / name / "session.html").read_text(encoding="utf-8")
        assert f"<h1>{name}.mp4</h1>" in page
