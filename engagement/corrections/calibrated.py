"""The calibration beside the tables of a result: kept through corrections, cut by opt-outs, put into effect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engagement.calibration.apply import Applied, put_to, without_opted_out
from engagement.calibration.store import FILE, Calibration, read_calibration, write_calibration
from engagement.corrections.plan import Plan
from engagement.labels import LEARNER_STATES
from engagement.timelines import table
from engagement.timelines.session_summary import SessionSummary
from engagement.wording import count

if TYPE_CHECKING:
    import pandas as pd


def stored(folder: Path) -> Calibration | None:
    """The calibration that lies with a result.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / FILE
    return read_calibration(path) if path.is_file() else None


def keep(
    calibration: Calibration | None, source: Path, out: Path, plan: Plan, summary: SessionSummary
) -> Applied:
    """Write a calibration into the folder ``out``, without who opted out, and say whom it applies to.

    Args:
        source: timeline as the analysis wrote it. summary: of the result.
    """
    if calibration is None:
        return Applied()
    rows: Any = table.read_parquet(source, columns=["observed", "time_s", "x1", "y1", "x2", "y2"])
    seen = rows[rows["observed"]]
    if plan.opted_out or plan.erases.any():
        calibration = without_opted_out(calibration, seen, plan.label)
    write_calibration(calibration, out / FILE)
    return put_to(calibration, seen, plan.label, summary.models, summary.video.file)


def described(summary: SessionSummary) -> list[str]:
    """What a summary says of calibration, for the terminal; empty for none."""
    record = summary.calibration
    if not record:
        return []
    done, rest = list(record.get("persons") or {}), list(record.get("uncalibrated") or [])
    whose = f" ({', '.join(done)})" if done else ""
    others = f", {len(rest)} not ({', '.join(rest)})" if rest else ""
    return [f"{count(len(done), 'person', 'people')} calibrated{whose}{others}", *record.get("problems", [])]


def count_labels(persons: pd.DataFrame, applied: Applied) -> None:
    """Say in the table of persons by how many labels each state is calibrated."""
    for state in LEARNER_STATES.classes:
        counted = [applied.labels(str(person), state) for person in persons["person_id"]]
        persons[f"labels_{state}"] = counted
