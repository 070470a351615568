"""Fabricated sessions for the pages: deterministic, with gaps, poor stretches, leaving and returning.

Written through the real tables and the real summary, so the pages meet what they will meet.
``python -m tests.engagement.report_data OUT`` writes a set to look at.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engagement.labels import EXPRESSIONS, LEARNER_STATES
from engagement.reports.pictures import Thumbnail
from engagement.reports.render import render_index, render_session, write_assets
from engagement.runs import find_runs
from engagement.timelines.columns import EVENTS, PERSONS, TIMELINE, raw_scores, smoothed_scores
from engagement.timelines.curves import class_curves, expression_share, visibility
from engagement.timelines.episodes import EpisodesConfig, find_episodes
from engagement.timelines.table import conform, write_csv, write_parquet

if TYPE_CHECKING:
    import pandas as pd

METRICS = {
    "rafdb_test_accuracy": 0.853,
    "rafdb_test_mean_recall": 0.781,
    "daisee_engagement_auc": 0.62,
    "daisee_boredom_auc": 0.66,
    "daisee_confusion_auc": 0.59,
}
MIN_QUALITY = 0.3


def _walk(rng: np.random.Generator, n: int, step_s: float, slow_s: float) -> np.ndarray:
    """Noise that wanders with a time constant, of unit spread."""
    keep = np.exp(-step_s / slow_s)
    noise = rng.normal(size=n) * np.sqrt(1 - keep**2)
    out = np.empty(n)
    value = rng.normal()
    for i in range(n):
        value = keep * value + noise[i]
        out[i] = value
    return out


def _box(values: np.ndarray, width: int, known: np.ndarray) -> np.ndarray:
    """Centred mean over known samples; NaN stays NaN."""
    kernel = np.ones(width)
    out = np.full_like(values, np.nan)
    weight = np.convolve(known, kernel, "same")
    for k in range(values.shape[1]):
        total = np.convolve(np.where(known, values[:, k], 0), kernel, "same")
        out[known, k] = (total / np.maximum(weight, 1))[known]
    return out


def fabricate(n_persons: int, duration_s: float, rate_hz: float = 5.0, seed: int = 7) -> dict[str, Any]:
    """Tables and times of a session; the class turns from engaged to bored at 55 % and comes back at 80 %."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    times = np.arange(round(duration_s * rate_hz)) * (1 / rate_hz)
    made = [_person(rng, index, times, duration_s, rate_hz) for index in range(n_persons)]
    blank = pd.DataFrame(columns=[c.name for c in TIMELINE])
    timeline = pd.concat([rows for rows, _, _ in made], ignore_index=True) if made else blank
    persons = pd.DataFrame([person for _, person, _ in made], columns=[c.name for c in PERSONS])
    events = [event for _, _, own in made for event in own]
    return {
        "times": times,
        "timeline": conform(timeline, TIMELINE),
        "persons": conform(persons, PERSONS),
        "events": conform(pd.DataFrame(events, columns=[c.name for c in EVENTS]), EVENTS),
    }


def _person(
    rng: np.random.Generator, index: int, times: np.ndarray, duration_s: float, rate_hz: float
) -> tuple[pd.DataFrame, dict[str, Any], list[tuple[Any, ...]]]:
    """One person's rows of the timeline, row of persons, and rows of events."""
    import pandas as pd

    n, step, name = len(times), 1 / rate_hz, f"P{index + 1:02d}"
    observed = _presence(rng, index, n)
    first, last = np.flatnonzero(observed)[[0, -1]]
    quality = np.clip(0.75 + 0.12 * _walk(rng, n, step, 8), 0, 1)
    poor = int(n * rng.uniform(0, 0.8))
    quality[poor : poor + int(n * 0.07)] *= 0.25
    used = observed & (quality >= MIN_QUALITY)
    raw = _scores(rng, times, duration_s, step)
    smooth = _box(raw, max(1, round(2 * rate_hz)), used)
    left, top, side = 100.0 * (index % 8), 80.0 * (index // 8), 60 + 30 * rng.random()
    table = pd.DataFrame(
        {
            "person_id": name,
            "time_s": times,
            "frame_index": np.arange(n) * 5,
            "observed": observed,
            **{"x1": left, "y1": top, "x2": left + side, "y2": top + side},
            "detection_score": 0.98,
            "quality": quality,
            "yaw_deg": 18 * _walk(rng, n, step, 10),
            "pitch_deg": -6 + 9 * _walk(rng, n, step, 10),
            "roll_deg": 4 * _walk(rng, n, step, 10),
            **dict(zip(raw_scores(), raw.T, strict=True)),
            **dict(zip(smoothed_scores(), smooth.T, strict=True)),
        }
    )
    table.loc[~observed, table.columns[4:]] = np.nan
    # Who is lost is followed for a while.
    at = np.arange(n)
    table["followed"] = ~observed & (at > first) & (at < last) & (at % 40 < 20)
    table["frozen"] = False
    for corner in ("x1", "y1", "x2", "y2"):
        table[f"head_{corner}"] = np.where(table["followed"], 100.0, np.nan)
    means = np.nanmean(smooth[used], axis=0) if used.any() else np.full(10, np.nan)
    person = {
        "person_id": name,
        "first_s": times[first],
        "last_s": times[last],
        "observed_s": observed.sum() * step,
        "followed_s": table["followed"].sum() * step,
        "frozen_s": 0.0,
        "coverage": observed[first : last + 1].mean(),
        "session_share": observed.mean(),
        "n_samples": int(observed.sum()),
        "n_used": int(used.sum()),
        "low_quality_share": float((quality[observed] < MIN_QUALITY).mean()),
        "median_face_px": side,
        **{f"mean_{c}": means[7 + i] for i, c in enumerate(LEARNER_STATES.classes)},
        **{f"labels_{c}": 0 for c in LEARNER_STATES.classes},
        "top_expression": EXPRESSIONS.classes[int(np.argmax(means[:7]))],
        "top_expression_prob": float(means[:7].max()),
        "shown": True,
    }
    seen = np.flatnonzero(observed)
    found = find_episodes(
        times[seen], smooth[seen, 7:].astype(np.float32), find_runs(times[seen], 1.0), step, EpisodesConfig()
    )
    return (
        table.iloc[first : last + 1],
        person,
        [(name, e.start_s, e.end_s, e.state, e.mean_prob) for e in found],
    )


def _presence(rng: np.random.Generator, index: int, n: int) -> np.ndarray:
    """(n,) when a person is seen: comes later, leaves, returns, looks away now and then; the first is always there."""
    observed = np.ones(n, bool)
    if index:
        observed[: int(n * rng.choice([0, 0, 0.02, 0.15]))] = False
        for _ in range(rng.integers(1, 5)):
            begin = rng.integers(0, n)
            observed[begin : begin + int(n * rng.uniform(0.01, 0.12))] = False
    if index == 2:
        observed[int(n * 0.7) :] = False
    return observed & (rng.random(n) > 0.01)


def _scores(rng: np.random.Generator, times: np.ndarray, duration_s: float, step: float) -> np.ndarray:
    """(n, 10) raw scores that wander, with the lull of the class."""
    n, at = len(times), times / duration_s
    lull = 1 / (1 + np.exp(-(at - 0.55) * 60)) - 1 / (1 + np.exp(-(at - 0.8) * 60))
    slow = np.stack([_walk(rng, n, step, duration_s / 25) for _ in range(3)], axis=1)
    lean = np.array([-0.25, 0.45, -0.5]) + 0.5 * slow + rng.normal(size=3) * 0.25
    lean[:, 0] += 1.3 * lull
    lean[:, 1] -= 1.1 * lull
    states = 1 / (1 + np.exp(-(lean + 0.35 * rng.normal(size=lean.shape))))
    logits = 0.7 * np.stack([_walk(rng, n, step, 6) for _ in EXPRESSIONS.classes], axis=1)
    logits += np.array([-1.2, -1.6, -1.6, 0.6, 2.2, -0.2, -0.6]) + 0.4 * rng.normal(size=logits.shape)
    expressions = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.concatenate([expressions, states], axis=1)


def summary_of(data: dict[str, Any], file: str, rate_hz: float = 5.0, **changes: Any) -> dict[str, Any]:
    """A summary.json of fabricated tables."""
    times = data["times"]
    length = len(times) / rate_hz
    return {
        "schema": 1,
        "engagement_version": "0.1.0",
        "video": {
            "file": file,
            "width": 1280,
            "height": 720,
            "rotation_deg": 0,
            "duration_s": length,
            "codec": "h264",
            "backend": "pyav",
            "frames_decoded": int(length * 25),
            "complete": True,
            "reason": "",
        },
        "sampling": {
            "rate_hz": rate_hz,
            "n_samples": len(times),
            "step_s": 1 / rate_hz,
            "first_s": float(times[0]),
            "last_s": float(times[-1]),
        },
        "n_persons": len(data["persons"]),
        **visibility(data["timeline"], len(times)),
        "left_out": {"tracks": 2, "samples": 7},
        "limits": {"min_face_px": 24, "min_quality": MIN_QUALITY, "state_margin": 0.1},
        "temporal": {"method": "box", "window_s": 2.0, "max_gap_s": 1.0},
        "class": class_curves(data["timeline"], times),
        "expression_share": expression_share(data["timeline"]),
        "models": {
            "face_state": {
                "name": "face_state",
                "sha256": "ab49edf7" * 8,
                "licence": "Apache-2.0",
                "metrics": METRICS,
            }
        },
        "warnings": [],
        **changes,
    }


def write_folder(folder: Path, data: dict[str, Any], summary: dict[str, Any]) -> None:
    """Tables and summary of one session, without pages."""
    folder.mkdir(parents=True, exist_ok=True)
    write_parquet(data["timeline"], folder / "timeline.parquet")
    write_csv(data["timeline"], folder / "timeline.csv")
    write_csv(data["persons"], folder / "persons.csv")
    write_csv(data["events"], folder / "events.csv")
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")


def portraits(names: list[str], duration_s: float) -> dict[str, list[Thumbnail]]:
    """Drawn faces, so that pages can be looked at without anybody's picture."""
    import cv2

    out: dict[str, list[Thumbnail]] = {}
    for index, name in enumerate(names):
        rng = np.random.default_rng(index)
        tone = (int(rng.integers(110, 220)), int(rng.integers(130, 200)), int(rng.integers(150, 240)))
        made = []
        for k in range(4):
            picture = np.full((112, 112, 3), rng.integers(60, 200, 3), np.uint8)
            centre = (56 + int(rng.integers(-6, 7)), 60)
            cv2.ellipse(picture, centre, (30, 38), 0, 0, 360, tone, -1, cv2.LINE_AA)
            for side in (-11, 11):
                cv2.circle(picture, (centre[0] + side, 52), 4, (30, 30, 30), -1, cv2.LINE_AA)
            cv2.ellipse(picture, (centre[0], 76), (12, int(rng.integers(2, 9))), 0, 0, 180, (60, 60, 160), 2)
            jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
            made.append(Thumbnail(duration_s * (0.1 + 0.22 * k), jpeg))
        out[name] = made
    return out


def write_output(root: Path, sessions: dict[str, tuple[int, float]], pictures: bool = True) -> None:
    """A whole output folder: relative folder -> (persons, seconds)."""
    videos = []
    write_assets(root)
    for relative, (n_persons, seconds) in sessions.items():
        data = fabricate(n_persons, seconds)
        summary = summary_of(data, f"{Path(relative).name}.mp4")
        folder = root / relative
        write_folder(folder, data, summary)
        names = list(data["persons"]["person_id"])
        render_session(folder, root, portraits(names, seconds) if pictures else {})
        videos.append(
            {
                "input": f"/videos/{relative}.mp4",
                "output": relative,
                "status": "ok",
                "reason": "",
                "hint": "",
                "duration_s": seconds,
                "n_persons": n_persons,
                "coverage": summary["coverage"],
                "elapsed_s": seconds / 4,
            }
        )
    write_run(root, videos)
    render_index(root)


def write_run(root: Path, videos: list[dict[str, Any]]) -> None:
    """run.json of a run."""
    record = {
        "schema": 1,
        "engagement_version": "0.1.0",
        "started": "2026-11-21T09:00:00+00:00",
        "finished": "2026-11-21T09:12:30+00:00",
        "config": {"sampling": {"rate_hz": 5.0}, "detection": {"min_face_px": 24}},
        "versions": {"python": "3.11.2", "torch": "2.9.0", "plotly": "7.1.0"},
        "weights": {"face_state": {"sha256": "ab49edf7" * 8}},
        "videos": videos,
    }
    root.mkdir(parents=True, exist_ok=True)
    (root / "run.json").write_text(json.dumps(record), encoding="utf-8")


if __name__ == "__main__":
    sets = {"lecture/week 3 #2": (30, 5400.0), "call": (4, 90.0), "empty room": (0, 60.0)}
    write_output(Path(sys.argv[1]), sets)
