"""Pages in a real browser: plots appear, nothing complains, nothing scrolls sideways on a phone."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from engagement.reports.render import render_index, render_session, write_assets
from tests.engagement.report_data import fabricate, portraits, summary_of, write_folder, write_run

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install it or name it in CHROMIUM"),
]

#: Measures a page from inside, in an iframe of a phone's width, and writes the result into its title.
PROBE = """<script>addEventListener("load", () => setTimeout(() => {
  const wide = [...document.querySelectorAll("body *")]
    .filter((e) => !e.closest(".sr, .skip, .tip, svg svg") && e.getBoundingClientRect().right > innerWidth + 1)
    .map((e) => e.tagName + "." + (e.getAttribute("class") || ""));
  parent.postMessage(JSON.stringify({ inner: innerWidth, scroll: document.documentElement.scrollWidth, wide }), "*");
}, 1500));</script>"""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pages")
    write_assets(root)
    data = fabricate(4, 60)
    folder = root / "week #1 50%" / "a b"
    name = "a very_long_name_without_a_place_to_break_it_" * 3 + "<b>.mp4"
    data["persons"].loc[1, "name"] = "A name without a place to break: " + "x" * 60
    data["persons"].loc[3, "shown"] = False
    led = data["events"].index[
        (data["events"]["person_id"] == "P01") & (data["events"]["state"] != "uncertain")
    ]
    data["events"].loc[led[:2], "mean_prob"] = [0.4, 0.65]
    long_names = {"names": {"P02": data["persons"].loc[1, "name"]}, "hidden": ["P04"]}
    write_folder(folder, data, summary_of(data, name, n_shown=3, corrections=long_names))
    render_session(folder, root, portraits(list(data["persons"]["person_id"]), 60))
    rows = [
        {
            "input": f"/v/{name}",
            "output": "week #1 50%/a b",
            "status": "ok",
            "duration_s": 60.0,
            "n_persons": 4,
        },
        {
            "input": "/v/bad.mp4",
            "output": "bad",
            "status": "failed",
            "reason": "no video stream " * 8,
            "hint": "Try.",
        },
    ]
    write_run(root, rows)
    render_index(root)
    return root


def page(output: Path, name: str) -> Path:
    folder = output / "week #1 50%" / "a b"
    return {"index": output / "index.html", "session": folder / "session.html"}.get(
        name, folder / "persons" / f"{name}.html"
    )


def browse(page: Path | str, profile: Path, fragment: str = "") -> tuple[str, list[str]]:
    """The document of a file or an address after its scripts ran, and what the console said."""
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += [f"--user-data-dir={profile}", "--window-size=1280,900", "--virtual-time-budget=10000"]
    command += ["--enable-logging=stderr", "--dump-dom"]
    command += [(page if isinstance(page, str) else page.as_uri()) + fragment]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def run(script: str, page: Path, profile: Path, fragment: str = "", more: str = "") -> str:
    """The title that a script gives to a page; nothing may complain meanwhile.

    Args:
        more: to stand at the end of the page's main part.
    """
    copy = page.with_name("probed.html")
    text = page.read_text(encoding="utf-8").replace("</main>", f"{more}</main>")
    copy.write_text(text.replace("</body>", f"{script}</body>"), encoding="utf-8")
    try:
        dom, console = browse(copy, profile, fragment)
    finally:
        copy.unlink()
    assert console == []
    title = re.search(r"<title>(.*?)</title>", dom)
    assert title
    return title.group(1)


@pytest.mark.parametrize(("name", "plots", "bands"), [("session", 1, 3), ("P02", 3, 1)])
def test_plots_appear_and_nothing_complains(
    output: Path, tmp_path: Path, name: str, plots: int, bands: int
) -> None:
    dom, console = browse(page(output, name), tmp_path)
    assert console == []
    assert 'data-ready="yes"' in dom
    # Each figure of plotly has three layers of main-svg.
    assert len(re.findall(r'class="plot js-plotly-plot"', dom)) == plots
    assert len(re.findall(r'<svg class="main-svg"', dom)) >= 2 * plots
    assert len(re.findall(r'<svg class="band[^>]*>(?=<path)', dom)) == bands
    assert "modebar-btn" not in dom  # one of its buttons would put the chart on a server


def test_a_link_to_a_time_zooms_every_plot(output: Path, tmp_path: Path) -> None:
    dom, console = browse(page(output, "session"), tmp_path, "#t=20-40")
    assert console == []
    assert "Shown: 0:20–0:40" in dom
    shown = set(re.findall(r'class="xtick"><text[^>]*>([^<]+)<', dom))
    axis = re.search(r'<svg class="axis".*?</svg>', dom, re.S)
    assert axis
    assert shown
    assert shown == set(re.findall(r">(\d+:\d\d)</text>", axis.group()))
    assert 'persons/P01.html#t=20-40"' in dom


@pytest.mark.parametrize("end_s", [59.999, 59.996])
def test_a_session_that_ends_just_before_a_minute_shows_that_minute(tmp_path: Path, end_s: float) -> None:
    write_assets(tmp_path)
    data = fabricate(3, 60)
    summary = summary_of(data, "short.mp4")
    summary["sampling"]["end_s"] = end_s
    write_folder(tmp_path / "short", data, summary)
    render_session(tmp_path / "short", tmp_path, {})
    dom, console = browse(tmp_path / "short" / "session.html", tmp_path / "profile")
    assert console == []
    axis = re.search(r'<svg class="axis".*?</svg>', dom, re.S)
    assert axis and ">1:00</text>" in axis.group()
    assert re.search(r'class="xtick"><text[^>]*>1:00<', dom)


def test_a_page_that_was_sent_alone_says_so_in_place_of_its_plots(output: Path, tmp_path: Path) -> None:
    alone = shutil.copy(page(output, "P02"), tmp_path / "P02.html")
    dom, _ = browse(alone, tmp_path / "profile")
    # As text of its own: inside a picture with a name nobody reads it aloud, and it kept the height of the plot.
    assert dom.count('<p class="empty">The folder report_assets is missing beside these pages') == 3
    assert '<div class="plot"' not in dom and 'data-ready="yes"' in dom


def test_a_page_in_a_frame_that_is_hidden_does_not_hang(output: Path, tmp_path: Path) -> None:
    """There its plots have no width."""
    outer = page(output, "session").with_name("outer.html")
    frame = '<iframe src="session.html" style="display: none"></iframe>'
    outer.write_text(f"<!doctype html><title>outer</title>{frame}", encoding="utf-8")
    try:
        dom, console = browse(outer, tmp_path)
    finally:
        outer.unlink()
    assert console == [] and "<title>outer</title>" in dom


#: Follows a link to a stretch of time, leaves it by a double click in a plot, and follows the same link again.
TWICE = """<script>addEventListener("load", () => setTimeout(async () => {
  const range = () => document.querySelector(".toolbar .range").textContent;
  const wait = () => new Promise((done) => setTimeout(done, 300));
  const said = [];
  location.hash = "#t=20-40"; await wait(); said.push(range());
  document.querySelector(".js-plotly-plot").emit("plotly_doubleclick"); await wait(); said.push(range());
  const wider = document.querySelector('[data-zoom="out"]');
  said.push(wider.getAttribute("aria-disabled"));
  location.hash = "#t=20-40"; await wait(); said.push(range());
  const all = document.querySelector('[data-zoom="all"]');
  all.focus(); all.click(); await wait(); said.push(String(document.activeElement === all));
  document.title = said.join(" | ");
}, 1500));</script>"""


def test_the_same_link_works_again_and_the_keyboard_keeps_its_place(output: Path, tmp_path: Path) -> None:
    assert run(TWICE, page(output, "session"), tmp_path).split(" | ") == [
        "Shown: 0:20–0:40",
        "Whole session, 0:00–1:00",
        "true",
        "Shown: 0:20–0:40",
        "true",
    ]


#: Follows a link from the end of the page, and the same one again from there: the first plot comes below the bar.
SCROLLED = """<script>addEventListener("load", () => setTimeout(async () => {
  document.documentElement.style.scrollBehavior = "auto";
  const said = [];
  for (const time of [1, 2]) {
    scrollTo(0, 1e5);
    if (time === 1) location.hash = "#t=20-40"; else document.querySelector(".moments a").click();
    await new Promise((done) => setTimeout(done, 300));
    const top = document.querySelector("main > section").getBoundingClientRect().top;
    said.push(String(top >= document.querySelector(".toolbar").offsetHeight && top < innerHeight / 2));
  }
  document.title = said.join(" | ");
}, 1500));</script>"""


def test_a_link_to_a_time_brings_the_plot_into_view(output: Path, tmp_path: Path) -> None:
    link = '<ol class="moments"><li><a href="#t=20-40">0:30</a></li></ol><div style="height:2000px"></div>'
    assert run(SCROLLED, page(output, "session"), tmp_path, more=link) == "true | true"


#: Comes by the keyboard to a link that lies below the bar.
FOCUSED = """<script>addEventListener("load", () => setTimeout(async () => {
  document.documentElement.style.scrollBehavior = "auto";
  const link = document.querySelector("a.who");
  scrollBy(0, link.getBoundingClientRect().top - 5);
  link.focus();
  await new Promise((done) => setTimeout(done, 300));
  const bar = document.querySelector(".toolbar").getBoundingClientRect(), top = link.getBoundingClientRect().top;
  document.title = [bar.top === 0, top >= bar.bottom, top < innerHeight].join(" | ");
}, 1500));</script>"""


def test_the_bar_does_not_hide_what_the_keyboard_comes_to(output: Path, tmp_path: Path) -> None:
    more = '<div style="height:3000px"></div>'
    assert run(FOCUSED, page(output, "session"), tmp_path, more=more) == "true | true | true"


#: Names beside the curves of the class, from below, once by where they stand and once by where their curves end.
LABELS = """<script>addEventListener("load", () => setTimeout(() => {
  const plot = document.getElementById("plot-class"), end = 864e6 + 40000;
  const name = (note) => note.text.split("</span> ")[1];
  const labels = plot.layout.annotations.filter((note) => note.name === "end" && note.yref === "y");
  const last = (note) => plot.calcdata.filter((line) => line[0].trace.meta === name(note)).flat()
    .filter((p) => Number.isFinite(p.y) && p.x <= end).reduce((a, b) => (b.x > a.x ? b : a)).y;
  const sorted = (of) => [...labels].sort((a, b) => of(a) - of(b)).map(name).join();
  document.title = [sorted((note) => note.y) === sorted(last), labels.length, plot.layout.hoverdistance > 1].join(" | ");
}, 1500));</script>"""


def test_names_of_curves_stand_where_the_curves_end_in_the_part_shown(output: Path, tmp_path: Path) -> None:
    assert run(LABELS, page(output, "session"), tmp_path, "#t=20-40") == "true | 3 | true"


#: All that is said over the first band, and how strongly its parts are drawn.
POINTED = """<script>addEventListener("load", () => setTimeout(() => {
  const band = document.querySelector("svg.band"), box = band.getBoundingClientRect(), said = new Set();
  for (let x = box.left; x < box.right; x += 2) {
    band.dispatchEvent(new PointerEvent("pointermove", { clientX: x, clientY: box.top + 2 }));
    said.add(document.querySelector(".tip").textContent.split("  ")[1]);
  }
  const levels = new Set([...band.querySelectorAll("path")].map((path) => path.getAttribute("fill-opacity")));
  document.title = [...said, [...levels].join()].join(" | ");
}, 500));</script>"""


def test_a_state_that_leads_below_half_is_drawn_faintly_and_not_said_to_be_there(
    output: Path, tmp_path: Path
) -> None:
    *said, levels = run(POINTED, page(output, "session"), tmp_path).split(" | ")
    led = [text for text in said if " leads" in text]
    low = [text for text in led if int(text.split("about ")[1].split()[0]) < 50]
    assert len(led) > len(low) > 0
    assert low == [text for text in led if ", but is more likely absent than present, about " in text]
    assert "0.2" in levels.split(",")


PRINTED = """<script>addEventListener("load", () => setTimeout(() => {
  const folds = [...document.querySelectorAll("details")], open = () => folds.filter((d) => d.open).length;
  folds[0].open = true;
  const said = [open()];
  dispatchEvent(new Event("beforeprint"));
  said.push(open());
  dispatchEvent(new Event("afterprint"));
  said.push(open(), folds[0].open);
  const lines = document.querySelector(".copy");
  lines.focus();
  document.title = `${said} ${getSelection().toString().trim() === lines.textContent.trim()}`;
}, 500));</script>"""


def test_printing_leaves_the_page_as_it_was_and_the_keyboard_selects_what_is_to_be_copied(
    output: Path, tmp_path: Path
) -> None:
    assert run(PRINTED, page(output, "session"), tmp_path) == "1,2,1,true true"


WORDS = """<script>addEventListener("load", () => {
  const text = document.querySelector(".who strong bdi").firstChild, word = document.createRange();
  text.data = "Maximiliane-Alexandra de la Fontaine";
  word.setStart(text, 0); word.setEnd(text, 11);
  const broken = word.getClientRects().length > 1;
  text.data = "x".repeat(60);
  const side = document.querySelector(".who"), whole = side.scrollWidth <= side.clientWidth;
  document.title = `${broken} ${whole}`;
});</script>"""


def test_a_name_is_broken_within_a_word_only_where_nothing_else_helps(output: Path, tmp_path: Path) -> None:
    assert run(WORDS, page(output, "session"), tmp_path) == "false true"


@pytest.mark.parametrize("name", ["session", "P02", "index"])
def test_nothing_scrolls_sideways_on_a_phone(output: Path, tmp_path: Path, name: str) -> None:
    original = page(output, name)
    copy = original.with_name("probe.html")
    text = original.read_text(encoding="utf-8").replace("<details", "<details open")
    copy.write_text(text.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(
        '<!doctype html><title>-</title><script>addEventListener("message", (e) => { document.title = e.data; });'
        f'</script><iframe src="{copy.as_uri()}" style="width:360px;height:800px;border:0"></iframe>',
        encoding="utf-8",
    )
    try:
        dom, _ = browse(frame, tmp_path / "profile")
    finally:
        copy.unlink()
    found = re.search(r"<title>(.*?)</title>", dom, re.S)
    assert found
    measured = json.loads(html.unescape(found.group(1)))
    assert measured["inner"] == 360
    assert measured["scroll"] <= 360, measured["wide"]
    assert not [e for e in measured["wide"] if not e.startswith(("g.", "path.", "text.", "rect.", "tspan."))]


@pytest.mark.skipif(
    shutil.which("pdftotext") is None, reason="no pdftotext (poppler) to read what was printed"
)
def test_on_paper_no_heading_stands_alone_at_the_foot(output: Path, tmp_path: Path) -> None:
    assert CHROMIUM is not None
    printed = tmp_path / "printed.pdf"
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000"]
    command += [f"--print-to-pdf={printed}", page(output, "P02").as_uri()]
    subprocess.run(command, capture_output=True, timeout=180, check=True)
    done = subprocess.run(["pdftotext", "-bbox", printed, "-"], capture_output=True, text=True, check=True)
    found: dict[str, float] = {}
    for sheet in done.stdout.split("<page ")[1:]:
        height = float(sheet.split('height="')[1].split('"')[0])
        words = re.findall(r'yMin="([\d.]+)"[^>]*>([^<]*)</word>', sheet)
        for (top, one), (_, two) in pairwise(words):
            found.setdefault(f"{one} {two}", float(top) / height)
    # The plot below takes a third of a sheet and more.
    for heading in ("Apparent states", "Apparent expression", "Head and"):
        assert found[heading] < 0.75, (heading, found[heading])
