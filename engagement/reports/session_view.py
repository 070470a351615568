"""What the pages of one session show: tables, summary and pictures to the names that templates use."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from engagement.reports import (
    figures,
    further,
    moment_sentences,
    person_sentences,
    sentences,
    theme,
    trust,
    who,
)
from engagement.reports.lanes import person_lane
from engagement.reports.pictures import Pictures
from engagement.reports.reading import Axis, axis_of, read_summary
from engagement.reports.templates import stretch, url
from engagement.timelines import columns, moments, table
from engagement.timelines.curves import person_curves
from engagement.timelines.moments import Moment, who_shifted
from engagement.timelines.presence import read_long
from engagement.timelines.session_summary import SessionSummary, VideoFacts, number
from engagement.timelines.shifts import shifted_scores

if TYPE_CHECKING:
    import pandas as pd


_SAFE_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


@dataclass(frozen=True, slots=True, eq=False)
class SessionView:
    """A finished session as its pages need it.

    Attributes:
        summary: of the result. title: the video's file, with its folder within the run. axis: of all that is drawn.
        people: those who are shown, in order of first appearance: rows of persons.csv with links and pictures. Their
            labels differ.
        tables: person -> rows of the timeline, raw scores shifted as the smoothed ones are.
        lanes: person's ``key`` -> the band over time.
        moments: to look at. own: person -> curves of that person alone, where moments are each of one person; empty where
            they are the class's. best_quality: of the best picture of any of them that moved, None where there is none.
    """

    summary: SessionSummary
    title: str
    axis: Axis
    people: Sequence[dict[str, Any]]
    tables: Mapping[str, pd.DataFrame]
    lanes: Mapping[str, Any]
    moments: Sequence[Moment]
    own: Mapping[str, Mapping[str, Any]]
    best_quality: float | None

    @property
    def alone(self) -> bool:
        """Whether all curves are of one and the same person."""
        return self.summary.n_behind == 1

    @property
    def of_whom(self) -> str:
        """Whose the curves are, as a heading."""
        whom = "The person" if self.alone else "The two people" if self.own else "The class"
        behind, shown = self.summary.n_behind, self.summary.n_shown
        return f"{whom} who could be read for long" if self.own and behind < shown else whom


def read_session(folder: Path, root: Path, thumbnails: Pictures) -> SessionView:
    """A session from the files in its folder.

    Args:
        folder: holds the tables and summary.json. root: the output folder of the run.
        thumbnails: pictures of each person, by id; a person may have none.

    Raises:
        DataError: a table or the summary is missing or damaged.
    """
    summary = read_summary(folder)
    persons = table.read(folder / "persons.csv", columns.PERSONS)
    events = table.read(folder / "events.csv", columns.EVENTS)
    timeline = table.read(folder / "timeline.parquet", columns.TIMELINE, further=True)
    shown: Any = persons[persons["shown"]]
    axis = axis_of(summary)
    people = _people(shown, thumbnails, axis.length_s)
    rows_of = {str(name): rows for name, rows in timeline.groupby("person_id", sort=False)}
    shifts = {
        name: {state: number(own.get("shift")) or 0.0 for state, own in states.items()}
        for name, states in summary.calibrated.items()
    }
    tables: dict[str, pd.DataFrame] = {}
    lanes: dict[str, Any] = {}
    for person in people:
        name = person["id"]
        own = rows_of[name] if name in rows_of else timeline.iloc[:0]
        tables[name] = shifted_scores(own, shifts.get(name, {}))
        own_events = events.loc[events["person_id"] == name]
        lanes[person["key"]] = person_lane(tables[name], own_events, axis)
    own = _own_curves(summary, people, tables)
    return SessionView(
        summary=summary,
        title=_title(summary.video, folder, root),
        axis=axis,
        people=people,
        tables=tables,
        lanes=lanes,
        moments=moments.find_own_moments(own, summary.limits.wide_margin)
        if own
        else moments.find_moments(summary.curves, summary.limits.wide_margin),
        own=own,
        best_quality=_best_quality(timeline.loc[timeline["person_id"].isin(list(tables))]),
    )


def _own_curves(
    summary: SessionSummary, people: Sequence[Mapping[str, Any]], tables: Mapping[str, pd.DataFrame]
) -> dict[str, dict[str, Any]]:
    """Of each person who could be read for long, or of all where nobody could, where these are too few for a class;
    otherwise none."""
    if summary.n_behind >= moments.MIN_PEOPLE:
        return {}
    long = read_long([person["n_used"] for person in people])
    read = [person for person, own in zip(people, long, strict=True) if own] or people
    return {person["id"]: person_curves(tables[person["id"]], summary.curves) for person in read}


def on_every_page(view: SessionView) -> dict[str, Any]:
    """What the pages of the session and of its persons have in common."""
    models = view.summary.models
    return {
        "summary": view.summary.data,
        "title": view.title,
        "length": view.axis.length_s,
        "models": {name: model for name, model in models.items() if isinstance(model, Mapping)},
        "trust": trust.trust(models),
        "edits": sentences.edits(view.summary),
        "sampled": sentences.sampled(view.summary),
        "smoothed": view.summary.smoothed,
    }


def of_session(view: SessionView) -> dict[str, Any]:
    """What the session's page shows besides."""
    summary = view.summary
    curves, wide = summary.curves, summary.limits.wide_margin
    length_s = view.axis.length_s
    labels = {p["id"]: p["label"] for p in view.people} if len(view.own) > 1 else {}
    intro, told = moment_sentences.stood_out(view.moments, labels)
    return {
        "people": view.people,
        "alone": view.alone,
        "each": bool(view.own),
        "of_whom": view.of_whom,
        "stood_out": intro,
        "told": [(m.time_s, stretch(m.start_s, m.end_s), text) for m, text in told],
        "who": who.who_is_who(view.people, view.title),
        "sentence": sentences.session_sentence(summary),
        "found": sentences.anybody_found(summary),
        "empty": sentences.empty_text(summary),
        "not_shown": sentences.not_shown(summary),
        "stood_still": person_sentences.stood_still(view.people),
        "warnings": sentences.warnings(summary),
        "calibrated": sentences.calibrated(summary),
        "moments": [
            (
                m.time_s,
                stretch(m.start_s, m.end_s),
                moment_sentences.moment_text(m, labels),
                _shifted(view, m),
            )
            for m in view.moments
        ],
        "no_moments": ""
        if view.moments
        else moment_sentences.nothing_stood_out(curves, wide, list(view.own.values())),
        "no_curve": sentences.no_curve(summary, "nobody's picture", view.best_quality),
        "further": further.of_class(summary, length_s),
        "window": moments.window_s(curves),
        "own_ratio": moments.OWN_RATIO,
        "least_change": moment_sentences.least_told(wide),
        "class_figure": figures.session_figure(curves, length_s, [m.time_s for m in view.moments]),
        "page_data": _page_data(length_s, view.lanes, {p["key"]: p["href"] for p in view.people}),
    }


def of_person(view: SessionView, place: int) -> dict[str, Any]:
    """What the page of the person at this place of ``view.people`` shows besides."""
    person, axis = view.people[place], view.axis
    own, limits = view.tables[person["id"]], view.summary.limits
    named = view.summary.expressions or list(theme.EXPRESSION_COLORS)
    best = _best_quality(own)
    return {
        "person": person,
        "before": view.people[place - 1] if place else None,
        "after": view.people[place + 1] if place + 1 < len(view.people) else None,
        "sentence": person_sentences.person_sentence(person, limits, axis.length_s),
        "calibrated": person_sentences.calibrated_person(view.summary, person["id"]),
        "no_curve": sentences.no_curve(view.summary, f"no picture of {person['label']}", best),
        "states": figures.states_figure(own, axis),
        "expressions": figures.expressions_figure(own, named, axis),
        "named": len(named),
        "further": further.of_person(view.summary, own, axis),
        "head": figures.head_figure(own, axis),
        "page_data": _page_data(axis.length_s, {person["key"]: view.lanes[person["key"]]}, {}),
    }


def _best_quality(rows: pd.DataFrame) -> float | None:
    return number(rows["quality"][~rows["frozen"]].max())


def _people(persons: pd.DataFrame, thumbnails: Pictures, length: float) -> list[dict[str, Any]]:
    """Rows of persons.csv with what pages add: links, pictures; in order of first appearance."""
    people: list[dict[str, Any]] = []
    given: Any = persons["name"].dropna()
    shared = set(given[given.duplicated()])
    for place, found in enumerate(persons.sort_values("first_s", kind="stable").to_dict("records"), 1):
        row = {str(key): value for key, value in found.items()}
        name = str(row["person_id"])
        stem = name if _SAFE_NAME.fullmatch(name) else f"person-{place:02d}"
        pictures = [
            {
                "src": t.url,
                "time_s": t.time_s,
                "source": t.source or name,
                "range": stretch(t.time_s - 15, t.time_s + 15),
            }
            for t in thumbnails.get(name, ())
        ]
        called = row.get("name")
        label = called if isinstance(called, str) and called else name
        people.append(
            {
                **row,
                "id": name,
                "label": label if label not in shared else f"{label} ({name})",
                "key": f"lane-{place}",
                "file": f"{stem}.html",
                "href": f"persons/{url(stem)}.html",
                "pictures": pictures,
                "seen": person_sentences.seen_text(row, length),
                "readable": person_sentences.readable_share(row),
            }
        )
    return people


def _shifted(view: SessionView, moment: Moment) -> list[dict[str, str]]:
    """People whose own estimates shifted at a moment: name, link to that time, and the picture nearest to it if any.

    Whose moment it is, where it is one person's.
    """
    person_of = {person["id"]: person for person in view.people if len(view.tables[person["id"]])}
    tables = {name: view.tables[name] for name in person_of}
    shown = []
    shifted = [moment.person] if moment.person else who_shifted(moment, tables, view.axis.step_s)
    for name in shifted:
        person = person_of[name]
        nearest = min(person["pictures"], key=lambda p: abs(p["time_s"] - moment.time_s), default={"src": ""})
        href = f"{person['href']}{stretch(moment.start_s, moment.end_s)}"
        shown.append({"label": person["label"], "href": href, "src": nearest["src"]})
    return shown


def _title(video: VideoFacts, folder: Path, root: Path) -> str:
    """The video's file, with the folder where it lies within the run: others may be called alike."""
    name = video.file or "Session"
    within = PurePath(os.path.relpath(folder.resolve(), root.resolve())).parent
    return name if within in (PurePath(), PurePath("..")) else f"{within.as_posix()}/{name}"


def _page_data(length: float, lanes: Mapping[str, Any], hrefs: Mapping[str, str]) -> str:
    states = [theme.STATES[name].noun if name in theme.STATES else name for name in theme.BAND_ORDER]
    data = {"duration": length, "states": states, "lanes": lanes, "hrefs": hrefs}
    return json.dumps(data, separators=(",", ":"))
