"""Corrections applied to the results of a video on disk, without video and model.

The timeline as the analysis wrote it is the source of everything. As long as nobody's rows change hands it
and nobody's scores are calibrated, it is ``timeline.parquet`` itself; otherwise it moves to
``unedited/timeline.parquet``, and the tables beside are made from it anew each time. So merges, splits, names,
hiding and calibration can be taken back. An opt-out cannot: it deletes the rows from the source, too.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engagement.calibration.apply import Applied
from engagement.calibration.store import Calibration
from engagement.corrections.calibrated import count_labels, keep, stored
from engagement.corrections.file import Line, Video
from engagement.corrections.mistakes import Mistake, described
from engagement.corrections.names import names_of, video_of
from engagement.corrections.plan import Plan, make_plan
from engagement.errors import DataError
from engagement.reports.pictures import Pictures, Thumbnail, read_pictures
from engagement.reports.render import render_session
from engagement.results import SUMMARY, committed, read_summary, require_summary, write_json
from engagement.timelines import columns, table
from engagement.timelines.curves import class_curves, expression_share, further_heads, visibility
from engagement.timelines.presence import PresenceConfig, counts
from engagement.timelines.session import SessionTables
from engagement.timelines.session_summary import NOTHING, SessionSummary

if TYPE_CHECKING:
    from engagement.corrections.rebuild import Samples

UNEDITED = "unedited"
TIMELINE = "timeline.parquet"
SAMPLES = "samples.parquet"


def plan_folder(folder: Path, lines: Sequence[Line]) -> tuple[Plan, list[Mistake]]:
    """What lines mean for the results in ``folder``, and what is wrong with them.

    Raises:
        DataError: the results are missing or damaged.
    """
    path = source_of(folder)
    try:
        rows: Any = table.read_parquet(path, columns=["person_id", "time_s", "frame_index", "observed"])
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error})", table.REDO) from error
    rows = rows[rows["observed"]]
    return make_plan(
        lines,
        rows["person_id"].to_numpy(object),
        rows["time_s"].to_numpy(np.float64),
        rows["frame_index"].to_numpy(np.int64),
        (read_summary(folder) or NOTHING).corrections,
    )


def require_samples(folder: Path, plan: Plan, calibrated: bool = False) -> None:
    """Raise before anything is written if a result is too old to be corrected like this.

    Raises:
        DataError: it lacks the table of samples.
    """
    if (plan.regroups or plan.erases.any() or calibrated) and not (folder / SAMPLES).is_file():
        raise DataError(
            f"{folder} was written by an earlier version: names can be given, but nobody merged, split, calibrated or removed",
            table.REDO,
        )


def write_corrected(
    folder: Path,
    out: Path,
    plan: Plan,
    presence: PresenceConfig | None = None,
    state: str = "",
    mistakes: Sequence[str] = (),
    calibration: Calibration | None = None,
) -> SessionSummary:
    """Write tables and summary of ``folder`` as corrected into ``out``, which may be the same.

    Args:
        presence: who is shown; None: as recorded in the summary.
        state: of :func:`state_of`, kept to see later whether something changed.
        mistakes: lines that could not be applied; the pages show them.
        calibration: None for the one that lies in ``folder``, if any.

    Returns:
        The new summary.

    Raises:
        DataError: the results are damaged, or of a version that cannot be corrected.
    """
    from engagement.corrections.rebuild import read_samples

    summary = require_summary(folder)
    presence = presence or summary.presence
    calibration = calibration or stored(folder)
    applied = keep(calibration, source_of(folder), out, plan, summary)
    anew = plan.regroups or bool(applied.shifts) or bool(plan.erases.any()) or (folder / UNEDITED).exists()
    tables = _made_anew(folder, out, plan, summary, applied) if anew else _as_they_are(folder, out)
    persons: Any = tables.persons
    shown = presence.keeps(persons) & ~persons["person_id"].isin(list(plan.hidden)).to_numpy(bool)
    persons["name"] = persons["person_id"].map(dict(plan.names)).astype("string")
    persons["shown"] = shown
    count_labels(persons, applied)
    (out / "persons.csv").unlink(missing_ok=True)
    table.write_csv(persons, out / "persons.csv")
    if (folder / SAMPLES).is_file():
        _link(folder / SAMPLES, out / SAMPLES)
    now = dict(summary.data)
    if anew or not shown.all() or summary.n_shown != len(persons):
        now |= figures(tables, read_samples(folder / SAMPLES), summary)
    now |= counts(persons)
    told = {
        "mistakes": list(mistakes),
        "state": state,
        "not_shown": persons.loc[~shown, "person_id"].tolist(),
    }
    asked = {"min_s": presence.min_s, "min_share": presence.min_share}
    _set(now, "corrections", plan.record() | {key: value for key, value in told.items() if value})
    _set(now, "calibration", applied.record())
    _set(now, "presence", asked if presence != PresenceConfig() else {})
    write_json(out / SUMMARY, now)
    return SessionSummary(now)


def _as_they_are(folder: Path, out: Path) -> SessionTables:
    """Tables of which nothing but names and who is shown can differ; the others are the same files in ``out``."""
    for name in (TIMELINE, "timeline.csv", "events.csv"):
        _link(folder / name, out / name)
    return SessionTables(
        table.read(folder / TIMELINE, columns.TIMELINE, further=True),
        table.read(folder / "persons.csv", columns.PERSONS, further=True),
        table.read(folder / "events.csv", columns.EVENTS),
    )


def _made_anew(
    folder: Path, out: Path, plan: Plan, summary: SessionSummary, applied: Applied
) -> SessionTables:
    """Tables made of the timeline as the analysis wrote it, in ``out``."""
    from engagement.corrections.rebuild import read_samples

    tables = _rebuilt(folder, out, plan, summary, read_samples(folder / SAMPLES), applied)
    write_tables(tables, out)
    if not (plan.regroups or applied.shifts):  # all is taken back, but for opt-outs
        shutil.rmtree(out / UNEDITED, ignore_errors=True)
        if not plan.erases.any():
            _link(source_of(folder), out / TIMELINE)
    return tables


def correct_folder(
    folder: Path,
    root: Path,
    plan: Plan,
    presence: PresenceConfig | None = None,
    state: str = "",
    mistakes: Sequence[str] = (),
    pictures: bool = True,
    calibration: Calibration | None = None,
) -> SessionSummary:
    """Write tables and pages of a result again, whole or not at all; returns its summary.

    Args:
        pictures: keep those that the pages hold now.
        calibration: to keep there from now on; None for the one that lies there, if any.

    Raises:
        DataError: the results are damaged, or of a version that cannot be corrected.
        OutputError: the place cannot be written.
    """
    kept = owned(plan, read_pictures(folder)) if pictures else {}
    with committed(folder) as out:
        summary = write_corrected(folder, out, plan, presence, state, mistakes, calibration)
        render_session(out, root, kept)
    return summary


def bring_up_to_date(
    folder: Path,
    root: Path,
    presence: PresenceConfig | None,
    calibration: Calibration | None = None,
    known: Sequence[Video] = (),
) -> SessionSummary | None:
    """Apply what changed in the names file, the calibration, or in who is shown, without a new analysis.

    Args:
        known: of :func:`engagement.corrections.names.known_videos`.

    Returns:
        The summary; None when somebody's opt-out was taken back, which only a new analysis can fulfil.
    """
    summary = read_summary(folder) or NOTHING
    names = names_of(root)
    lines = names.lines_for(video_of(folder, root), known)
    now = state_of(lines)
    record = summary.corrections
    calibration = calibration or stored(folder)
    same = record.get("state", "") == now and presence in (None, summary.presence)
    same &= summary.calibration.get("state", "") == (calibration.state if calibration else "")
    if same and "opted_out" not in record:
        return summary
    plan, mistakes = plan_folder(folder, lines)
    if plan.taken_back:
        return None
    if same:
        return summary
    wrong = [described(names.path, m) for m in mistakes]
    return correct_folder(folder, root, plan, presence, now, wrong, calibration=calibration)


def figures(tables: SessionTables, samples: Samples, summary: SessionSummary) -> dict[str, Any]:
    """The parts of a summary that rest on the people who are shown, anew."""
    timeline: Any = tables.timeline
    persons: Any = tables.persons
    if not persons["shown"].all():
        kept = persons.loc[persons["shown"], "person_id"]
        timeline = timeline[timeline["person_id"].isin(kept)]
    times: Any = samples.times_s
    return {
        **visibility(timeline, len(times)),
        "class": class_curves(timeline, times),
        "expression_share": expression_share(timeline),
        "heads": {
            name: {**summary.heads[name], **head}
            for name, head in further_heads(timeline, times, summary.head_labels).items()
        },
    }


def write_tables(tables: SessionTables, folder: Path) -> None:
    """The tables of a video, as files."""
    for name in (TIMELINE, "timeline.csv", "persons.csv", "events.csv"):
        (folder / name).unlink(missing_ok=True)  # never into a file that another name shares
    table.write_parquet(tables.timeline, folder / TIMELINE)
    table.write_csv(tables.timeline, folder / "timeline.csv")
    table.write_csv(tables.persons, folder / "persons.csv")
    table.write_csv(tables.events, folder / "events.csv")


def owned(plan: Plan, pictures: Pictures) -> dict[str, list[Thumbnail]]:
    """Pictures, listed by whom the analysis took them of, for whose they are now; nobody's are dropped."""
    out: dict[str, list[Thumbnail]] = {}
    for source, taken in pictures.items():
        for picture in taken:
            owner = plan.owner(source, picture.time_s)
            if owner:
                out.setdefault(owner, []).append(Thumbnail(picture.time_s, picture.jpeg, source))
    return {person: sorted(own, key=lambda t: t.time_s) for person, own in out.items()}


def state_of(lines: Sequence[Line]) -> str:
    """Short hash of lines; empty for none."""
    return hashlib.sha256(repr(list(lines)).encode()).hexdigest()[:16] if lines else ""


def _rebuilt(
    folder: Path, out: Path, plan: Plan, summary: SessionSummary, samples: Samples, applied: Applied
) -> SessionTables:
    """Corrected tables; leaves the source of the next correction in ``out`` if it differs from them."""
    from engagement.corrections.rebuild import rebuild, settings

    source: Any = table.read_all(source_of(folder), columns.TIMELINE)
    made_with = settings(summary, columns.further_classes(columns.TIMELINE, source.columns))
    left = np.where(plan.erases, "", plan.source).astype(object)

    def of_who_remain() -> SessionTables:
        return rebuild(source, left, _differing(left, plan.source), samples, made_with)

    if not (plan.regroups or applied.shifts):
        return of_who_remain()
    (out / UNEDITED).mkdir(exist_ok=True)
    if plan.erases.any():
        table.write_parquet(of_who_remain().timeline, out / UNEDITED / TIMELINE)
    else:
        _link(source_of(folder), out / UNEDITED / TIMELINE)
    changed = _differing(plan.label, plan.source)
    return rebuild(source, plan.label, changed, samples, made_with, applied.shifts)


def _differing(label: np.ndarray, source: np.ndarray) -> set[str]:
    """Labels whose rows are not exactly those of the person of that id in the source."""
    moved = label != source
    return ({str(p) for p in label[moved]} | {str(p) for p in source[moved]}) - {""}


def source_of(folder: Path) -> Path:
    """The timeline as the analysis wrote it, less who opted out."""
    unedited = folder / UNEDITED / TIMELINE
    return unedited if unedited.is_file() else folder / TIMELINE


def _link(old: Path, new: Path) -> None:
    """The same file at another place, without copying where the file system can."""
    if old == new:
        return
    new.unlink(missing_ok=True)
    try:
        os.link(old, new)
    except OSError:
        shutil.copy2(old, new)


def _set(summary: dict[str, Any], key: str, value: Mapping[str, Any]) -> None:
    if value:
        summary[key] = dict(value)
    else:
        summary.pop(key, None)
