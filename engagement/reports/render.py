"""The pages of a run: one for each session and person, and the index.

Data comes from the files of an output folder and from pictures given in memory, so pages can be
written again without any model. A page loads one script, from beside it, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engagement.errors import DataError
from engagement.reports import sentences, session_view, trust
from engagement.reports.pictures import Pictures
from engagement.reports.reading import read_json, read_summary
from engagement.reports.templates import ASSETS, fill, links, resource, url, write
from engagement.timelines.session_summary import NOTHING, SessionSummary, number, part
from engagement.wording import shortened


def write_assets(root: Path) -> None:
    """Put the script that draws the figures, and the models' cards, where all pages of a run find them."""
    from engagement.reports.figures import script_name, script_text
    from engagement.weights import store

    for card in sorted(store.folder().glob("*.md")):
        write(root / ASSETS / card.name, card.read_text(encoding="utf-8"))

    target, text = root / ASSETS / script_name(), script_text()
    if not (target.is_file() and target.stat().st_size == len(text.encode())):
        write(target, text)


def render_session(folder: Path, root: Path, thumbnails: Pictures) -> list[Path]:
    """Write the page of a session and one for each person.

    Args:
        folder: holds the tables and summary.json; the pages go there.
        root: the output folder of the run, with the shared script and the index.
        thumbnails: pictures of each person, by id; a person may have none.

    Returns:
        The pages, the session's first. Pages of persons that an earlier run left are removed.

    Raises:
        DataError: a table or the summary is missing or damaged.
    """
    view = session_view.read_session(folder, root, thumbnails)
    shared = {
        **session_view.on_every_page(view),
        "css": resource("report.css"),
        "js": resource("report.js"),
    }
    pages: list[Path] = []
    below = links(folder / "persons", root)
    for place, person in enumerate(view.people):
        text = fill("person.html", **shared, **session_view.of_person(view, place), **below)
        pages.append(write(folder / "persons" / person["file"], text))
    for stale in sorted((folder / "persons").glob("*.html")):
        if stale not in pages:
            stale.unlink()
    text = fill("session.html", **shared, **session_view.of_session(view), **links(folder, root))
    return [write(folder / "session.html", text), *pages]


def render_index(root: Path) -> Path:
    """Write the page that lists all videos of a run, from its run.json.

    Raises:
        DataError: run.json is missing or damaged.
    """
    run = read_json(root / "run.json")
    videos = [video for video in run.get("videos") or [] if isinstance(video, Mapping)]
    rows = [_index_row(root, video) for video in videos if not _taken_away(root, video)]
    counts = {
        status: sum(row["status"] == status for row in rows)
        for status in ("ok", "partial", "failed", "skipped")
    }
    text = fill(
        "index.html",
        run=run,
        rows=rows,
        counts=counts,
        # Finished results may come from other weights than those of the latest run.
        cautions=list(dict.fromkeys(row["caution"] for row in rows if row["caution"])),
        settings=json.dumps(part(run, "config"), indent=2, ensure_ascii=False),
        css=resource("report.css"),
        js="",
    )
    return write(root / "index.html", text)


def _taken_away(root: Path, video: Mapping[str, Any]) -> bool:
    """Whether a video had a result that somebody deleted since."""
    folder = str(video.get("output") or "")
    return bool(folder) and video.get("status") != "failed" and not _has_page(root, folder)


def _has_page(root: Path, folder: str) -> bool:
    return bool(folder) and (root / folder / "session.html").is_file()


def _summary_of(folder: Path) -> SessionSummary:
    """Nothing where it is missing or damaged: the other videos are listed all the same."""
    try:
        return read_summary(folder)
    except DataError:
        return NOTHING


def _index_row(root: Path, video: Mapping[str, Any]) -> dict[str, Any]:
    from engagement.reports.lanes import sparklines

    folder = str(video.get("output") or "")
    linked = _has_page(root, folder) and video.get("status") != "failed"
    summary = _summary_of(root / folder) if linked else NOTHING
    place = str(video.get("input") or "unnamed")
    name = Path(place).name
    reason = str(video.get("reason") or "").replace(place, name)
    said = sentences.warnings(summary, reason)
    # Results may have been taken away since.
    same = [str(other) for other in video.get("same_as") or () if linked and _has_page(root, str(other))]
    if same:
        said.append(f"This is the same file as {shortened(same, 3)}: one video, listed more than once.")
    return {
        "name": name,
        "place": folder if folder and Path(folder).name != folder else "",
        "href": f"{url(folder)}/session.html" if linked else "",
        "status": str(video.get("status") or "unknown"),
        "reason": reason,
        "hint": str(video.get("hint") or ""),
        "duration_s": summary.length_s or number(video.get("duration_s")),
        # The summary is the newer: people may be merged or left out since the run.
        "n_persons": summary.n_shown if summary.data else number(video.get("n_persons")),
        "coverage": summary.coverage if summary.data else number(video.get("coverage")),
        "names": _names_shown(summary.corrections),
        "warnings": said,
        "caution": trust.trust(summary.models).note if summary.n_shown else "",
        "behind": summary.n_behind,
        "sparks": sparklines(summary.curves, alone=summary.n_behind == 1),
    }


def _names_shown(corrections: Mapping[str, Any]) -> list[str]:
    """Names that people were given, but for those whom the pages leave out."""
    hidden = corrections.get("not_shown") or ()
    return [str(name) for person, name in part(corrections, "names").items() if person not in hidden]
