"""Templates to pages: the only place that escapes, and the only one that writes HTML.

Data comes from the files of an output folder and from pictures given in memory, so pages can be
written again without any model. A page loads one script, from beside it, and nothing else.
"""

from __future__ import annotations

import base64
import json
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from engagement.errors import DataError
from engagement.reports import moment_sentences, person_sentences, sentences, theme, trust, who

if TYPE_CHECKING:
    import jinja2
    import pandas as pd

    from engagement.timelines.moments import Moment

_ASSETS = "report_assets"
_SAFE_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small square JPEG of a face, when it was taken, and of whom in the eyes of the analysis.

    ``source`` differs from the person it is shown for after a merge or a split; empty where it does not.
    """

    time_s: float
    jpeg: bytes
    source: str = ""


def write_assets(root: Path) -> None:
    """Put the script that draws the figures, and the models' cards, where all pages of a run find them."""
    from engagement.reports.figures import script_name, script_text
    from engagement.weights import store

    for card in sorted(store.folder().glob("*.md")):
        _write(root / _ASSETS / card.name, card.read_text(encoding="utf-8"))

    target, text = root / _ASSETS / script_name(), script_text()
    if not (target.is_file() and target.stat().st_size == len(text.encode())):
        _write(target, text)


def render_session(folder: Path, root: Path, thumbnails: Mapping[str, Sequence[Thumbnail]]) -> list[Path]:
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
    from engagement.reports import figures, further
    from engagement.reports.lanes import person_lane
    from engagement.timelines import columns, moments, table
    from engagement.timelines.shifts import recorded, shifted_scores

    summary = _read_json(folder / "summary.json")
    persons = table.read(folder / "persons.csv", columns.PERSONS)
    events = table.read(folder / "events.csv", columns.EVENTS)
    timeline = table.read(folder / "timeline.parquet", columns.TIMELINE, further=True)
    length = sentences.session_length(summary)
    limits = _part(summary, "limits")
    min_quality = sentences.number(limits.get("min_quality")) or 0.0
    step = sentences.number(_part(summary, "sampling").get("step_s")) or 0.2
    shifts = {
        name: {state: sentences.number(part.get("shift")) or 0.0 for state, part in states.items()}
        for name, states in recorded(summary).items()
    }
    named = summary.get("expressions") or list(theme.EXPRESSION_COLORS)
    wide = tuple(map(str, limits.get("wide_margin") or ()))
    found = moments.find_moments(_part(summary, "class"), wide)
    shared = {
        "summary": summary,
        "video": _part(summary, "video"),
        "title": _title(_part(summary, "video"), folder, root),
        "limits": limits,
        "length": length,
        "models": {
            name: model for name, model in _part(summary, "models").items() if isinstance(model, Mapping)
        },
        "trust": trust.trust(_part(summary, "models")),
        "edits": sentences.edits(summary),
        "sampled": sentences.sampled(summary),
        "css": _resource("report.css"),
        "js": _resource("report.js"),
    }
    shown: Any = persons[persons["shown"]]
    people = _people(shown, thumbnails, length)
    tables = {str(name): rows for name, rows in timeline.groupby("person_id", sort=False)}
    lanes: dict[str, Any] = {}
    pages: list[Path] = []
    for place, person in enumerate(people):
        own = tables[person["id"]] if person["id"] in tables else timeline.iloc[:0]
        own = shifted_scores(own, shifts.get(person["id"], {}))
        own_events = events.loc[events["person_id"] == person["id"]]
        lane = person_lane(own, own_events, length, step, min_quality)
        lanes[person["key"]] = lane
        context = {
            "person": person,
            "before": people[place - 1] if place else None,
            "after": people[place + 1] if place + 1 < len(people) else None,
            "sentence": person_sentences.person_sentence(person, limits, length),
            "calibrated": person_sentences.calibrated_person(summary, person["id"]),
            "no_curve": sentences.no_curve(
                summary, f"no picture of {person['label']}", sentences.number(own["quality"].max())
            ),
            "states": figures.states_figure(own, length, step, min_quality),
            "expressions": figures.expressions_figure(own, named, length, step, min_quality),
            "named": len(named),
            "further": further.of_person(summary, own, length, step, min_quality),
            "head": figures.head_figure(own, length, step, min_quality),
            "page_data": _page_data(length, {person["key"]: lane}, {}),
            **_paths(folder / "persons", root),
        }
        pages.append(_write(folder / "persons" / person["file"], _render("person.html", **shared, **context)))
    for stale in sorted((folder / "persons").glob("*.html")):
        if stale not in pages:
            stale.unlink()
    intro, told = moment_sentences.stood_out(found)
    context = {
        "people": people,
        "stood_out": intro,
        "told": [(m.time_s, _hash(m.start_s, m.end_s), text) for m, text in told],
        "who": who.who_is_who(people, shared["title"]),
        "sentence": sentences.session_sentence(summary),
        "empty": sentences.empty_text(summary),
        "not_shown": sentences.not_shown(summary),
        "warnings": sentences.warnings(summary),
        "calibrated": sentences.calibrated(summary),
        "moments": [
            (
                m.time_s,
                _hash(m.start_s, m.end_s),
                moment_sentences.moment_text(m),
                _shifted(m, people, tables, step),
            )
            for m in found
        ],
        "no_moments": "" if found else moment_sentences.nothing_stood_out(_part(summary, "class"), wide),
        "no_curve": sentences.no_curve(
            summary, "nobody's picture", sentences.number(timeline["quality"].max())
        ),
        "further": further.of_class(summary, length),
        "window": moments.window_s(_part(summary, "class")),
        "least_change": moment_sentences.least_told(wide),
        "class_figure": figures.session_figure(_part(summary, "class"), length, [m.time_s for m in found]),
        "page_data": _page_data(length, lanes, {p["key"]: p["href"] for p in people}),
        **_paths(folder, root),
    }
    return [_write(folder / "session.html", _render("session.html", **shared, **context)), *pages]


def render_index(root: Path) -> Path:
    """Write the page that lists all videos of a run, from its run.json.

    Raises:
        DataError: run.json is missing or damaged.
    """
    run = _read_json(root / "run.json")
    rows = [_index_row(root, video) for video in run.get("videos") or [] if isinstance(video, Mapping)]
    counts = {
        status: sum(row["status"] == status for row in rows)
        for status in ("ok", "partial", "failed", "skipped")
    }
    text = _render(
        "index.html",
        run=run,
        rows=rows,
        counts=counts,
        settings=json.dumps(_part(run, "config"), indent=2, ensure_ascii=False),
        css=_resource("report.css"),
        js="",
    )
    return _write(root / "index.html", text)


def _index_row(root: Path, video: Mapping[str, Any]) -> dict[str, Any]:
    from engagement.reports.lanes import sparklines

    folder = str(video.get("output") or "")
    page = root / folder / "session.html"
    summary: dict[str, Any] = {}
    linked = bool(folder) and page.is_file() and video.get("status") != "failed"
    if linked:
        try:
            summary = _read_json(page.with_name("summary.json"))
        except DataError:
            summary = {}
    place = str(video.get("input") or "unnamed")
    name = Path(place).name
    reason = str(video.get("reason") or "").replace(place, name)
    return {
        "name": name,
        "place": folder if folder and Path(folder).name != folder else "",
        "href": f"{_url(folder)}/session.html" if linked else "",
        "status": str(video.get("status") or "unknown"),
        "reason": reason,
        "hint": str(video.get("hint") or ""),
        "duration_s": sentences.number(video.get("duration_s")),
        # The summary is the newer: people may be merged or left out since the run.
        "n_persons": sentences.number(
            summary.get("n_shown", summary.get("n_persons", video.get("n_persons")))
        ),
        "coverage": sentences.number(summary.get("coverage", video.get("coverage"))),
        "names": _names_shown(_part(summary, "corrections")),
        "warnings": [text for text in sentences.warnings(summary) if not reason or reason not in text],
        "sparks": sparklines(_part(summary, "class")),
    }


def _names_shown(corrections: Mapping[str, Any]) -> list[str]:
    """Names that people were given, but for those whom the pages leave out."""
    hidden = corrections.get("not_shown") or ()
    return [str(name) for person, name in _part(corrections, "names").items() if person not in hidden]


def _people(
    persons: pd.DataFrame, thumbnails: Mapping[str, Sequence[Thumbnail]], length: float
) -> list[dict[str, Any]]:
    """Rows of persons.csv with what pages add: links, pictures; in order of first appearance."""
    people: list[dict[str, Any]] = []
    for place, row in enumerate(persons.sort_values("first_s", kind="stable").to_dict("records"), 1):
        name = str(row["person_id"])
        stem = name if _SAFE_NAME.fullmatch(name) else f"person-{place:02d}"
        pictures = [
            {
                "src": "data:image/jpeg;base64," + base64.b64encode(t.jpeg).decode("ascii"),
                "time_s": t.time_s,
                "source": t.source or name,
                "range": _hash(t.time_s - 15, t.time_s + 15),
            }
            for t in thumbnails.get(name, ())
        ]
        called = row.get("name")
        people.append(
            {
                **{str(key): value for key, value in row.items()},
                "id": name,
                "label": str(called) if isinstance(called, str) and called else name,
                "key": f"lane-{place}",
                "file": f"{stem}.html",
                "href": f"persons/{_url(stem)}.html",
                "pictures": pictures,
                "seen": person_sentences.seen_text(row, length),
                "readable": person_sentences.readable_share({str(key): value for key, value in row.items()}),
            }
        )
    return people


def _shifted(
    moment: Moment, people: Sequence[Mapping[str, Any]], tables: Mapping[str, pd.DataFrame], step: float
) -> list[dict[str, str]]:
    """People whose own estimates shifted at a moment: name, link to that time, and the picture nearest to it if any."""
    from engagement.timelines.moments import who_shifted

    known = {person["id"]: person for person in people if person["id"] in tables}
    shown = []
    for name in who_shifted(moment, {name: tables[name] for name in known}, step):
        person = known[name]
        nearest = min(person["pictures"], key=lambda p: abs(p["time_s"] - moment.time_s), default={"src": ""})
        href = f"{person['href']}{_hash(moment.start_s, moment.end_s)}"
        shown.append({"label": person["label"], "href": href, "src": nearest["src"]})
    return shown


def _hash(start_s: float, end_s: float) -> str:
    """Fragment that a page's script understands as a stretch of time: this one, with a margin around it."""
    around = (end_s - start_s) / 4
    return f"#t={max(0.0, start_s - around):.0f}-{end_s + around:.0f}"


def _title(video: Mapping[str, Any], folder: Path, root: Path) -> str:
    """The video's file, with the folder where it lies within the run: others may be called alike."""
    name = str(video.get("file") or "Session")
    within = PurePath(os.path.relpath(folder.resolve(), root.resolve())).parent
    return name if within in (PurePath(), PurePath("..")) else f"{within.as_posix()}/{name}"


def _paths(folder: Path, root: Path) -> dict[str, str]:
    """Links of a page in ``folder``: up to the run's folder, and to the shared script."""
    from engagement.reports.figures import script_name

    up = os.path.relpath(root.resolve(), folder.resolve()).replace(os.sep, "/")
    return {"up": _url(up), "plotly_src": f"{_url(up)}/{_ASSETS}/{script_name()}"}


def _page_data(length: float, lanes: Mapping[str, Any], hrefs: Mapping[str, str]) -> str:
    states = [theme.STATES[name].noun if name in theme.STATES else name for name in theme.BAND_ORDER]
    data = {"duration": length, "states": states, "lanes": lanes, "hrefs": hrefs}
    return json.dumps(data, separators=(",", ":"))


def _part(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A nested part, empty when another version wrote none."""
    value = data.get(key)
    return dict(value) if isinstance(value, Mapping) else {}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{path} does not exist", "Give the folder that `engagement analyze` wrote."
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read ({error})", "Analyse the video again with --overwrite."
        ) from error
    if not isinstance(data, dict):
        raise DataError(f"{path} is not a summary", "Analyse the video again with --overwrite.")
    return data


def _url(path: str) -> str:
    """A relative path for href; bytes that are no UTF-8 come back as they were."""
    return quote(path.encode("utf-8", "surrogateescape"), safe="/")


def _script_json(text: str) -> str:
    """JSON that cannot end the script element it stands in."""
    from markupsafe import Markup

    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _write(path: Path, text: str) -> Path:
    """Write so that a reader finds the old page or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex[:8]}.tmp")
    try:
        temporary.write_bytes(text.encode("utf-8", "replace"))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _resource(name: str) -> str:
    return resources.files("reports_templates").joinpath(name).read_text(encoding="utf-8")


def _render(template: str, **context: Any) -> str:
    return _environment().get_template(template).render(**context)


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_resource),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.ChainableUndefined,
    )
    environment.filters |= {
        "clock": theme.clock,
        "duration": theme.duration,
        "share": theme.share,
        "script_json": _script_json,
    }
    environment.globals |= {"theme": theme, "count": theme.count}
    return environment
