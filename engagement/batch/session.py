"""Write one analysed video: tables, summary, pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from engagement import __version__
from engagement.calibration.store import Calibration
from engagement.corrections.analysis import Corrections
from engagement.corrections.carry import Analysed, Carried
from engagement.corrections.file import Video
from engagement.corrections.folder import write_tables
from engagement.corrections.notation import clock
from engagement.labels import EXPRESSIONS
from engagement.pipeline import Analyzer, SessionResult
from engagement.provenance import learned_from_scores_of, measured, weak_states, weights_record
from engagement.reports.pictures import Thumbnail
from engagement.reports.render import render_session
from engagement.results import SUMMARY, is_of_another, read_summary, write_json
from engagement.runs import LONGEST_STEPS
from engagement.timelines.columns import SAMPLES
from engagement.timelines.curves import class_curves, expression_share, further_heads, visibility
from engagement.timelines.presence import counts
from engagement.timelines.session import SessionTables, TableOptions, build_tables
from engagement.timelines.session_summary import NOTHING, SessionSummary
from engagement.timelines.table import conform, write_parquet
from engagement.tracking import frozen
from engagement.types import TimeArray
from engagement.wording import count

#: A recording without a picture for longer has a gap that is worth telling.
_PAUSE_S = 2.0
#: Pixels so oblong squeeze faces beyond what detector and classifier know: camcorders' 4:3 and wide PAL, not plain PAL.
_SQUEEZED = 1.25
#: Pictures that are so much larger than the first lose what matters.
_SHRUNK = 1.2


@dataclass(frozen=True, slots=True, eq=False)
class Destination:
    """Where the results of a video belong, and what is known of it beside what was seen in it.

    Attributes:
        root: the output folder, with the names file.
        target: the folder of the results; an earlier result there tells who is who for the names file.
        fingerprint: what decides the results, see ``provenance.fingerprint``.
        source, content: tell this video's file from others, see ``Place.source`` and ``Place.content``.
        calibration: of this video's people; None for that of the earlier result, if any.
        known: what the names file may speak of.
    """

    root: Path
    target: Path
    fingerprint: dict[str, Any]
    source: str
    content: str
    calibration: Calibration | None
    known: Sequence[Video]


def write_session(analyzer: Analyzer, result: SessionResult, folder: Path, to: Destination) -> SessionSummary:
    """Write everything of one video into ``folder``, corrected by the names file; returns its summary.

    Args:
        folder: where the files are written now, beside their place.
    """
    config = analyzer.config
    options = TableOptions(
        step_s=result.step_s,
        min_quality=config.quality.min_quality,
        max_gap_s=config.smoothing.gap_s(result.step_s),
        episodes=replace(config.episodes, wide=weak_states(analyzer.weights)),
        extra=analyzer.classifier.extra_columns,
        end_s=result.end_s,
    )
    rows, times = result.records.rows, result.sample_time_s
    before = read_summary(to.target) or NOTHING
    other = is_of_another(before, to.source, to.fingerprint)
    file = result.info.path.name
    corrections = Corrections.of(to.root, to.target, file, to.calibration, to.known, other)
    who = corrections.carry_over(Analysed(to.fingerprint, times, rows, result.person))
    followed = result.followed.copy()
    followed["owner"] = np.array([*who.index_of, -1], np.int64)[followed["owner"]]
    tables = build_tables(
        times, result.sample_frame, rows, who.person, result.smoothed, options, who.names, followed
    )
    write_tables(tables, folder)
    samples = pd.DataFrame({"time_s": times, "frame_index": result.sample_frame})
    write_parquet(conform(samples, SAMPLES), folder / "samples.parquet")
    said = summarise(analyzer, result, tables)
    said["video"] |= {"source": to.source, "content": to.content}
    write_json(folder / SUMMARY, {**said, "fingerprint": to.fingerprint})
    summary, pictures = corrections.apply(folder, who, config.presence, _thumbnails(result, who))
    render_session(folder, to.root, pictures)
    return summary


def _thumbnails(result: SessionResult, who: Carried) -> dict[str, list[Thumbnail]]:
    tracks: dict[str, list[int]] = {}
    for track, index in result.person_of_track.items():
        if index >= 0 and who.index_of[index] >= 0:
            tracks.setdefault(who.names[who.index_of[index]], []).append(track)
    return {
        name: [Thumbnail(t.time_s, t.jpeg) for t in result.thumbnails.of(own)] for name, own in tracks.items()
    }


def _pauses(times_s: TimeArray, step_s: float) -> str:
    """Where the stream has no pictures for a while: lost with a damaged place, or a recording that rests; else empty."""
    steps = np.diff(times_s)
    long = np.flatnonzero(steps > max(_PAUSE_S, LONGEST_STEPS * step_s))
    if not len(long):
        return ""
    most = int(long[steps[long].argmax()])
    begins_s, ends_s = float(times_s[most]), float(times_s[most + 1])
    more = f", and none in {len(long) - 1} further stretches" if len(long) > 1 else ""
    return f"The video has no pictures between {clock(begins_s)} and {clock(ends_s)}{more}."


def _warnings(analyzer: Analyzer, result: SessionResult) -> list[str]:
    """What a reader of the results must know, a sentence each."""
    outcome, out = result.outcome, list[str]()
    if not outcome.complete:
        out.append(f"Not all of the video could be read: {outcome.reason}.")
    elif outcome.reason:
        out.append(f"Times after such a place may be off: {outcome.reason}.")
    if pause := _pauses(result.sample_time_s, result.step_s):
        out.append(pause)
    others = [f"0:{index}" for index in result.info.unread]
    if others:
        more = f" (then {', '.join(others[1:])})" if len(others) > 1 else ""
        out.append(
            f"The file holds {count(len(others), 'further video stream')}, as of a second camera or of slides, and only one "
            f"is read. `ffmpeg -i VIDEO -map {others[0]} -c copy OUT.mkv` takes out another{more}."
        )
    width, height = outcome.shrunk_from
    if width > _SHRUNK * result.info.width or height > _SHRUNK * result.info.height:
        out.append(
            f"Some pictures have {width} × {height} px and were shrunk to those of the first, {result.info.width} × "
            f"{result.info.height} px, in which small faces are lost. "
            f'`ffmpeg -i VIDEO -vf "scale={width}:{height},setsar=1" OUT.mp4` makes all of one size.'
        )
    aspect = result.info.pixel_aspect
    if max(aspect, 1 / aspect) > _SQUEEZED:
        out.append(
            f"The video's pixels are {aspect:.2f} times as wide as high, and pictures are taken as they are stored: faces "
            "look squeezed and are read less well. "
            '`ffmpeg -i VIDEO -vf "scale=trunc(iw*sar/2)*2:ih,setsar=1" OUT.mp4` evens them out.'
        )
    if not bool((result.person >= 0).any()):
        return out  # what follows is of scores
    if missing := [c for c in EXPRESSIONS.classes if c not in analyzer.classifier.expression_classes]:
        out.append(f"The model in use cannot name: {', '.join(missing)}; their probability is 0 throughout.")
    smoother = analyzer.smoother_weights
    if smoother is not None and not learned_from_scores_of(smoother, analyzer.classifier.weights):
        out.append(
            f"The smoother {analyzer.config.smoothing.method} learned from the scores of another model than the one "
            "in use; where their scores mean different things, it is wrong by that."
        )
    return out


def summarise(analyzer: Analyzer, result: SessionResult, tables: SessionTables) -> dict[str, Any]:
    """The content of summary.json, schema 1."""
    config, info, outcome, times = analyzer.config, result.info, result.outcome, result.sample_time_s
    smoother = analyzer.smoother_weights
    network: Mapping[str, Any] = smoother.record.network if smoother else {}
    scraps = [track for track, index in result.person_of_track.items() if index < 0]
    return {
        "schema": 1,
        "engagement_version": __version__,
        "video": {
            "file": info.path.name,
            "width": info.width,
            "height": info.height,
            "rotation_deg": info.rotation_deg,
            "duration_s": info.duration_s,
            "codec": info.codec,
            "backend": info.backend,
            "frames_decoded": outcome.frames_decoded,
            "complete": outcome.complete,
            "reason": outcome.reason,
        },
        "sampling": {
            "rate_hz": config.sampling.rate_hz,
            "step_s": result.step_s,
            "n_samples": len(times),
            "first_s": float(times[0]) if len(times) else None,
            "last_s": float(times[-1]) if len(times) else None,
            "end_s": result.end_s,
        },
        **counts(tables.persons),
        **visibility(tables.timeline, len(times)),
        "left_out": {
            "tracks": len(scraps),
            "samples": int(np.isin(result.records.rows["track"], scraps).sum()),
        },
        "limits": {
            "min_face_px": config.detection.min_face_px,
            "min_quality": config.quality.min_quality,
            "state_margin": config.episodes.state_margin,
            "frozen_s": frozen.LEAST_S,
            "frozen_track_s": frozen.WHOLE_TRACK_S,
            "wide_margin": list(weak_states(analyzer.weights)),
        },
        "temporal": {
            "method": config.smoothing.method,
            "weights": config.smoothing.weights,
            **config.smoothing.in_use(network, further=bool(analyzer.classifier.extra_columns)),
            "max_gap_s": config.smoothing.gap_s(result.step_s),
        },
        "class": class_curves(tables.timeline, times),
        "expressions": list(analyzer.classifier.expression_classes),
        "expression_share": expression_share(tables.timeline),
        "heads": {
            name: {**head, "measured": measured(analyzer.weights, name)}
            for name, head in further_heads(tables.timeline, times, analyzer.classifier.extra_heads).items()
        },
        "models": weights_record(analyzer.weights),
        "warnings": _warnings(analyzer, result),
    }
