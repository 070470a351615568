"""Results on disk with known people, as ``analyze`` would write them, for tests of corrections.

Four people over 60 s at 5 Hz. P01 is always there. P02 until 30 s. P03 from 35 s on (P02 again, the
analysis did not see it). P04 for two seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from engagement.corrections.folder import write_tables
from engagement.followed import FOLLOWED, settle
from engagement.labels import LabelSet
from engagement.records import FaceRecords
from engagement.reports.pictures import Thumbnail
from engagement.reports.render import render_index, render_session, write_assets
from engagement.smoothing import SmoothingConfig, load_smoother, smooth_further, smooth_persons
from engagement.timelines.columns import SAMPLES
from engagement.timelines.curves import class_curves, expression_share, further_heads, visibility
from engagement.timelines.episodes import EpisodesConfig
from engagement.timelines.presence import counts
from engagement.timelines.session import TableOptions, build_tables
from engagement.timelines.table import conform, write_parquet
from tests.engagement.report_data import portraits, write_run
from tests.sessions.command import Run

Whose = Callable[[str, float], str]
Report = Callable[..., Run]
STEP = 0.2
SMOOTHING = SmoothingConfig()
OPTIONS = TableOptions(STEP, 0.3, SMOOTHING.max_gap_s, EpisodesConfig(), ("extra_yes", "extra_no"))
HEADS = {"extra": LabelSet("extra", ("yes", "no"), "independent")}
MEASURED = {"split": "val", "n": 40, "beware": ["they are few"], "figures": {"yes AUC": [0.7, 0.6, 0.8]}}
PEOPLE: dict[str, list[tuple[float, float]]] = {
    "P01": [(0, 60)],
    "P02": [(0, 20), (22, 30)],
    "P03": [(35, 60)],
    "P04": [(40, 42)],
}


def observations(
    people: Mapping[str, Sequence[tuple[float, float]]], seconds: float, seed: int = 3
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Times and frames of samples, records of faces in order of time, and whose each is."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds / STEP)) * STEP
    parts = []
    for index, spans in enumerate(people.values()):
        seen = np.zeros(len(times), bool)
        for start, end in spans:
            seen |= (times >= start - 1e-9) & (times < end - 1e-9)
        at = np.flatnonzero(seen)
        rows = np.zeros(len(at), FaceRecords(OPTIONS.extra).rows.dtype)
        rows["sample"], rows["score"] = at, 0.99
        left = 20 + 120 * index
        rows["box"] = np.array([left, 50, left + 80, 140]) + rng.normal(size=(len(at), 4))
        rows["quality"] = np.where(rng.random(len(at)) < 0.1, 0.1, 0.8)
        rows["pose"] = rng.normal(size=(len(at), 3)) * 10
        prob = rng.random((len(at), 10)) + np.eye(10)[7 + index % 3]
        prob[:, :7] /= prob[:, :7].sum(axis=1, keepdims=True)
        rows["prob"] = np.clip(prob, 0, 1)
        rows["extra"] = rng.random((len(at), 2))
        parts.append((rows, np.full(len(at), index, np.int64)))
    rows = np.concatenate([r for r, _ in parts]) if parts else FaceRecords(OPTIONS.extra).rows
    person = np.concatenate([p for _, p in parts]) if parts else np.zeros(0, np.int64)
    in_time = np.argsort(rows["sample"], kind="stable")
    return times, np.arange(len(times)) * 6, rows[in_time], person[in_time]


def heads(rows: np.ndarray, true: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Everybody is followed for a second from each sight on if the face is found again.

    Args:
        true, person: (n,) whose each row is, and whose the analysis says.
    """
    out = []
    for index in range(int(true.max(initial=-1)) + 1):
        own, whose = rows[true == index], person[true == index]
        for row, owner, until in zip(own[:-1], whose[:-1], own["sample"][1:].tolist(), strict=True):
            out += [
                (sample, owner, (sample - row["sample"]) * STEP, row["box"])
                for sample in range(row["sample"] + 1, min(until, row["sample"] + 6))
            ]
    return np.array(out, FOLLOWED)


def write_result(
    root: Path,
    relative: str = "talk",
    people: Mapping[str, Sequence[tuple[float, float]]] = PEOPLE,
    seconds: float = 60.0,
    whose: Whose = lambda person, _: person,
) -> Path:
    """A finished result in ``root/relative``, with pages and, of each person, up to four drawn pictures.

    Args:
        people: id -> when the person is there. whose: the id that the analysis gives to a face of a person at a
            time; empty for nobody's.
    """
    folder = root / relative
    folder.mkdir(parents=True, exist_ok=True)
    times, frames, rows, true = observations(people, seconds)
    listed = list(people)
    given = [whose(listed[p], float(times[s])) for p, s in zip(true, rows["sample"], strict=True)]
    first = {name: rows["sample"][given.index(name)] for name in dict.fromkeys(given) if name}
    names = sorted(first, key=lambda name: (first[name], name))
    person = np.array([names.index(name) if name else -1 for name in given], np.int64)
    smoother, _ = load_smoother(SMOOTHING)
    limits = SMOOTHING.max_gap_s, OPTIONS.min_quality
    smoothed = smooth_persons(smoother, times, rows, person, *limits)
    further = smooth_further(times, rows, person, *limits, SMOOTHING.further_window_s)
    smoothed = np.concatenate([smoothed, further], axis=1)
    followed = settle(heads(rows, true, person), rows["sample"], person, rows["box"])
    tables = build_tables(times, frames, rows, person, smoothed, OPTIONS, names, followed)
    write_tables(tables, folder)
    samples = pd.DataFrame({"time_s": times, "frame_index": frames})
    write_parquet(conform(samples, SAMPLES), folder / "samples.parquet")
    summary: dict[str, Any] = {
        "schema": 1,
        "engagement_version": "0.1.0",
        "video": {"file": f"{Path(relative).name}.mp4", "duration_s": seconds},
        "sampling": {"rate_hz": 5.0, "step_s": STEP, "n_samples": len(times), "first_s": 0.0}
        | {"last_s": float(times[-1])},
        **counts(tables.persons),
        **visibility(tables.timeline, len(times)),
        "limits": {"min_face_px": 24, "min_quality": OPTIONS.min_quality, "state_margin": 0.1},
        "temporal": {
            "method": SMOOTHING.method,
            "weights": "",
            "window_s": SMOOTHING.window_s,
            "state_window_s": SMOOTHING.state_window_s,
            "further_window_s": SMOOTHING.further_window_s,
            "max_gap_s": SMOOTHING.max_gap_s,
        },
        "class": class_curves(tables.timeline, times),
        "expression_share": expression_share(tables.timeline),
        "heads": {
            name: {**head, "measured": MEASURED}
            for name, head in further_heads(tables.timeline, times, HEADS).items()
        },
        "models": {},
        "warnings": [],
        "fingerprint": {"settings": "one"},
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    write_assets(root)
    taken: dict[str, list[Thumbnail]] = {}
    for name, own in portraits(listed, seconds).items():
        for picture in own:
            owner = whose(name, picture.time_s)
            if owner and any(a <= picture.time_s < b for a, b in people[name]):
                taken.setdefault(owner, []).append(picture)
    render_session(folder, root, taken)
    return folder


def write_output(root: Path, *relative: str) -> None:
    """A run of several videos with the same people."""
    for name in relative:
        write_result(root, name)
    rows = [{"input": f"/v/{name}.mp4", "output": name, "status": "ok", "n_persons": 4} for name in relative]
    write_run(root, rows)
    render_index(root)


def tables_of(folder: Path) -> dict[str, bytes]:
    """Content of every table of a result, by file name."""
    files = ("timeline.parquet", "timeline.csv", "samples.parquet", "persons.csv", "events.csv")
    return {name: (folder / name).read_bytes() for name in files}


def everything(root: Path) -> bytes:
    """All bytes below a folder."""
    return b"\n".join(path.read_bytes() for path in sorted(root.rglob("[!.]*")) if path.is_file())
