"""The people of a session's page: what stands beside them, and how they are called and corrected."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pandas as pd
import pytest

from engagement.corrections.file import Video, matching, parse
from engagement.reports import theme
from engagement.reports.render import render_index, render_session
from engagement.reports.who import who_is_who
from tests.engagement.report_data import fabricate, summary_of, write_folder, write_run


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of four people, with its page."""
    root = tmp_path_factory.mktemp("out")
    data = fabricate(4, 60)
    write_folder(root / "a", data, summary_of(data, "a.mp4"))
    render_session(root / "a", root, {})
    return root / "a"


def test_seen_and_readable_are_two_figures(session: Path) -> None:
    """Somebody seen all the time may hardly ever be readable."""
    page = unescape((session / "session.html").read_text(encoding="utf-8"))
    shown = re.findall(
        r'<span>([^\n]*? seen)</span><span class="sr">, </span><span>([^\n]*? readable)</span>', page
    )
    persons = pd.read_csv(session / "persons.csv").sort_values("first_s", kind="stable")
    readable = persons["n_used"] / persons["n_samples"]
    assert shown == [
        (f"{theme.share(seen)} seen", f"{theme.share(of_these)} readable")
        for seen, of_these in zip(persons["session_share"], readable, strict=True)
    ]


def test_two_people_of_one_name_are_told_apart_everywhere(tmp_path: Path) -> None:
    data = fabricate(3, 60)
    data["persons"]["name"] = ["Ana", "Ana", "Ben"]
    write_folder(tmp_path / "a", data, summary_of(data, "a.mp4"))
    pages = [page.read_text(encoding="utf-8") for page in render_session(tmp_path / "a", tmp_path, {})]
    for page in pages:
        assert not re.search(r"<bdi>Ana</bdi>|[\">]Ana:", page)
    (first,) = (page for page in pages if "<h1><bdi>Ana (P01)</bdi></h1>" in page)
    assert "<title>Ana (P01), a.mp4" in first
    assert "<strong><bdi>Ben</bdi><small>P03</small></strong>" in pages[0]


ODD = ("a.mp4", "week 2 #1/[Mo] lesson.mp4", "a\"b'<script>alert(1)<b> ü #1 50% &amp;.mp4", "x]y.mp4", "'a'")


@pytest.mark.parametrize("title", ODD)
def test_the_names_block_is_accepted_as_it_is_and_with_names(title: str) -> None:
    """By the rules of the names file: nothing happens until somebody writes a name."""
    people = [
        {"id": name, "label": label, "first_s": first, "last_s": last, "session_share": share}
        for name, label, first, last, share in (
            ("P01", "P01", 0.0, 60.0, 0.9),
            ("P02", "Ana", 0.0, 30.0, 0.5),
            ("P17", "P17", 40.0, 44.0, 0.05),
            ("../x", "../x", 0.0, 60.0, 0.9),
        )
    ]
    found = who_is_who(people, title)
    assert found is not None
    unchanged, mistakes = parse(found.lines)
    assert not mistakes and not any(section.lines for section in unchanged)
    filled = found.lines.replace("# P01: ", "P01: Ben").replace("# P17: ", "P17: Chloé")
    sections, mistakes = parse("\n".join([filled, found.merge, found.hide, found.opt_out]))
    assert not mistakes
    assert [type(line).__name__ for line in sections[-1].lines] == ["Name", "Name", "Merge", "Hide", "OptOut"]
    relative = str(Path(title).with_suffix(""))
    videos = [Video(relative, Path(title).name), Video(f"elsewhere/{relative}", Path(title).name)]
    assert not sections[-1].title or matching(sections[-1].title, videos) == videos[:1]
    assert bool(sections[-1].title) == (title in ODD[:3])
    assert found.merge == "merge P17 into P02"  # P01 is there at the same time
    assert found.brief.startswith("P17 was seen in less than a tenth of the session")
    assert "P02" not in found.lines and "../x" not in found.lines


def test_the_page_says_how_people_are_named(session: Path) -> None:
    page = (session / "session.html").read_text(encoding="utf-8")
    (block,) = re.findall(r'(?s)<pre class="copy"[^>]*>(.*?)</pre>', page)
    heading, *lines = unescape(block).splitlines()
    assert heading == "[a.mp4]"
    assert sorted(lines) == [f"# P{i:02d}: " for i in (1, 2, 3, 4)]
    assert "<code>engagement report OUT</code>" in page
    assert "opt out" not in block


@pytest.mark.parametrize("name", ["session.html", "persons/P01.html"])
def test_without_scripts_the_page_says_so_where_the_plots_are_missing(session: Path, name: str) -> None:
    page = (session / name).read_text(encoding="utf-8")
    assert page.count("<noscript>") == 1 and page.index("<noscript>") < page.index('<div class="plot"')


@pytest.mark.parametrize("name", ["session.html", "persons/P01.html"])
def test_what_only_a_screen_can_do_is_not_printed(session: Path, name: str) -> None:
    page = (session / name).read_text(encoding="utf-8")
    printed = page[page.index("@media print") :]
    assert re.search(r"\.who-is-who, \.on-screen \{ display: none", printed)
    shown = re.sub(r'(?s)<details class="who-is-who">.*?</details>', "", page[page.index("<body>") :])
    shown = re.sub(r"(?s)<script.*?</script>", "", shown)
    shown = re.sub(r'<span class="on-screen">[^<]*</span>', "", shown)
    assert not re.search(r"(?i)\b(click|hover)", shown)


@pytest.mark.parametrize(
    ("changes", "heading", "guesses"),
    [
        ({"corrections": {"opted_out": ["P01"]}, "left_out": {}}, "Nobody is shown", False),
        ({"left_out": {"tracks": 2, "samples": 7}}, "Nobody was found", False),
        ({"left_out": {"samples": 0}}, "Nobody was found", True),
    ],
)
def test_a_page_of_nobody_says_no_more_than_is_so(
    tmp_path: Path, changes: dict, heading: str, guesses: bool
) -> None:
    """Whoever opted out was found; where faces were found the recording does not show slides only."""
    data = fabricate(0, 60)
    write_folder(tmp_path / "a", data, summary_of(data, "a.mp4", **changes))
    (page,) = [file.read_text(encoding="utf-8") for file in render_session(tmp_path / "a", tmp_path, {})]
    assert f"<h2>{heading}</h2>" in page
    assert ("Other reasons: the faces are turned away" in page) is guesses


@pytest.mark.parametrize("method", ["hmm", "none"])
def test_nothing_is_called_smoothed_that_is_not(tmp_path: Path, method: str) -> None:
    data = fabricate(1, 60)
    write_folder(tmp_path / "a", data, summary_of(data, "a.mp4", temporal={"method": method}))
    for file in render_session(tmp_path / "a", tmp_path, {}):
        page = file.read_text(encoding="utf-8")
        said = re.findall(
            r"Smoothed (?:estimate|probability)|Line: smoothed|Band: how|never across a gap", page
        )
        assert bool(said) is (method == "hmm"), said


def test_the_list_says_once_of_those_that_it_lists_what_their_states_are_worth(tmp_path: Path) -> None:
    rows = []
    for name, n in (("a", 2), ("b", 1), ("nobody", 0)):
        data = fabricate(n, 60)
        summary = summary_of(data, f"{name}.mp4")
        write_folder(tmp_path / name, data, summary if n else summary | {"models": {}})
        render_session(tmp_path / name, tmp_path, {})
        rows.append({"input": f"{name}.mp4", "output": name, "status": "ok", "n_persons": n})
    write_run(tmp_path, rows)
    text = render_index(tmp_path).read_text(encoding="utf-8")
    assert text.count("Barely better than chance") == 1 and "Not measured" not in text
