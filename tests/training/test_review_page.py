"""The review page in a real browser: keys do what the help says, and the folder does what was decided."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest

from engagement.faces.manifest import read_manifest
from tests.engagement.test_pages_browser import CHROMIUM, PROBE, browse
from tests.training.captured import write_captured
from training.collection.review import apply_review, write_review

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install it or name it in CHROMIUM"),
]

#: Presses keys and puts what would be saved, and what is shown, into an element of the page.
PRESS = """<script>addEventListener("load", () => {
  let saved = null;
  URL.createObjectURL = (blob) => { blob.text().then((text) => {
    document.querySelector("#probe").textContent = JSON.stringify({
      saved: JSON.parse(text), chosen: document.querySelector("[aria-selected=true]").innerText.trim(),
      active: document.querySelector("#faces").getAttribute("aria-activedescendant"),
      help: HELP, loaded: [...document.images].filter((i) => i.naturalWidth > 0).length,
      count: document.querySelector("#count").textContent }); }); return "#"; };
  const made = document.createElement("pre"); made.id = "probe"; document.body.append(made);
  const press = (key, more) => document.querySelector("#faces").dispatchEvent(
    new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
  let HELP = false;
  setTimeout(() => { for (const key of KEYS) {
    press(key); if (key === "?") { HELP = document.querySelector("#keys").open; document.querySelector("#keys").close(); } }
    press("x", { ctrlKey: true }); press("s"); }, 500);
});</script>"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_captured(
        tmp_path / "my faces #1 50%", {"happy": {"h <b>.mp4": 3, "i.mp4": 2}, "sad": {"s.mp4": 3}}
    )


def pressed(folder: Path, profile: Path, keys: list[str]) -> dict[str, object]:
    original = write_review(folder, ["tired"])
    text = original.read_text(encoding="utf-8").replace(
        "</body>", PRESS.replace("KEYS", json.dumps(keys)) + "</body>"
    )
    copy = original.with_name("probe.html")
    copy.write_text(text, encoding="utf-8")
    dom, console = browse(copy, profile)
    copy.unlink()
    assert console == []
    found = re.search(r'<pre id="probe">(.*?)</pre>', dom, re.S)
    assert found and found.group(1), dom[-500:]
    return json.loads(html.unescape(found.group(1)))


def test_keys_label_drop_move_and_undo(folder: Path, tmp_path: Path) -> None:
    files = [row["file"] for row in read_manifest(folder)]
    # second face: third class; third: dropped; fourth: dropped and taken back; fifth: kept as it was.
    keys = ["?", "j", "3", "x", "x", "u", "ArrowRight", "1", "k", "ArrowLeft", "q", "9"]
    found = pressed(folder, tmp_path / "profile", keys)
    saved = found["saved"]
    assert isinstance(saved, dict)
    assert saved["changes"] == {files[1]: {"label": "tired"}, files[2]: {"drop": True}}
    assert found["help"] is True
    assert found["active"] == "face-3"
    assert found["count"] == f"{len(files)} shown; 1 relabelled, 1 dropped"
    assert found["loaded"] == len(files) + 1  # beside a page in a folder with a hostile name
    review = tmp_path / "review.json"
    review.write_text(json.dumps(saved))
    assert apply_review(folder, review) == {"relabelled": 1, "dropped": 1}
    assert files[1].replace("happy/", "tired/") in {row["file"] for row in read_manifest(folder)}


def test_what_was_decided_since_is_there_when_a_review_was_applied(folder: Path, tmp_path: Path) -> None:
    files = [row["file"] for row in read_manifest(folder)]
    saved = pressed(folder, tmp_path / "profile", ["x", "3", "3"])["saved"]
    assert isinstance(saved, dict)
    assert list(saved["changes"]) == files[:3]
    review = tmp_path / "review.json"
    review.write_text(json.dumps({**saved, "changes": {file: saved["changes"][file] for file in files[:2]}}))
    apply_review(folder, review)
    dom, console = browse(folder / "review.html", tmp_path / "profile")
    assert console == []
    assert f'id="count">{len(files) - 1} shown; 1 relabelled, 0 dropped<' in dom
    assert files[0] not in dom and "Your changes of last time are back" in dom


def test_nothing_scrolls_sideways_on_a_phone(folder: Path, tmp_path: Path) -> None:
    original = write_review(folder, ["a label without a place to break it " + "x" * 40])
    copy = original.with_name("probe.html")
    copy.write_text(
        original.read_text(encoding="utf-8").replace("</body>", f"{PROBE}</body>"), encoding="utf-8"
    )
    frame = tmp_path / "frame.html"
    frame.write_text(
        '<!doctype html><title>-</title><script>addEventListener("message", (e) => { document.title = e.data; });'
        f'</script><iframe src="{copy.as_uri()}" style="width:360px;height:800px;border:0"></iframe>',
        encoding="utf-8",
    )
    dom, _ = browse(frame, tmp_path / "profile")
    found = re.search(r"<title>(.*?)</title>", dom, re.S)
    assert found
    measured = json.loads(html.unescape(found.group(1)))
    assert measured["scroll"] <= 360, measured["wide"]


def test_the_page_names_what_it_shows(folder: Path, tmp_path: Path) -> None:
    dom, console = browse(write_review(folder), tmp_path)
    assert console == []
    assert 'data-ready="yes"' in dom
    assert dom.count('role="option"') == 8
    assert 'aria-label="sad, s.mp4 at 0.500 s"' in dom
    assert "h &lt;b&gt;.mp4" in dom and "<b>.mp4" not in dom.replace("&lt;b&gt;", "")
    assert not re.search(r'(src|href)="https?:', dom)
    for name in re.findall(r'<(?:button|select)[^>]*id="(\w+)"', dom):
        assert name in ("drop", "undo", "help", "save", "filter", "order")
