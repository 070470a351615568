"""Analyse many videos, one after another; one bad file stops nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from engagement import __version__
from engagement.batch.results import committed, read_json, read_summary, sweep, write_json
from engagement.batch.session import write_session
from engagement.config import AnalysisConfig
from engagement.corrections.folder import bring_up_to_date
from engagement.errors import EngagementError
from engagement.pipeline import Analyzer
from engagement.provenance import fingerprint, versions, weights_record
from engagement.reports.render import render_index, write_assets
from engagement.video.discover import FoundVideo

Status = Literal["ok", "partial", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class VideoStatus:
    """How one video went; a row of the final table and of run.json.

    Attributes:
        input, output: the file, and its folder of results relative to the output folder.
        status: ``partial`` when only a part of the video could be decoded.
        reason, hint: what went wrong, and what to do.
        elapsed_s: seconds of work, 0 for a skipped video.
    """

    input: str
    output: str
    status: Status
    reason: str = ""
    hint: str = ""
    duration_s: float | None = None
    n_persons: int | None = None
    coverage: float | None = None
    elapsed_s: float = 0.0
    seconds: dict[str, float] | None = None


class Reporter(Protocol):
    """Hears how a run goes; the command line draws bars from it."""

    def video_begins(self, video: FoundVideo, number: int, of: int) -> None: ...

    def video_at(self, time_s: float, duration_s: float | None) -> None: ...

    def video_ends(self, status: VideoStatus) -> None: ...


def run_batch(
    videos: Sequence[FoundVideo],
    root: Path,
    config: AnalysisConfig,
    *,
    device: str,
    overwrite: bool,
    reporter: Reporter,
    unreachable: Sequence[VideoStatus] = (),
    on_error: Callable[[BaseException], None] = lambda _: None,
) -> list[VideoStatus]:
    """Analyse videos and write results, index and run.json.

    Finished videos whose file, settings, code version and weights are unchanged are skipped unless
    ``overwrite``. On Ctrl-C the index of what is finished is still written.

    Args:
        unreachable: inputs that failed before this point, to be listed with the rest.
        on_error: hears every exception of a failed video (for ``--debug``).
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    sweep(root)
    analyzer = Analyzer(config, device)
    statuses: list[VideoStatus] = list(unreachable)
    try:
        for number, video in enumerate(videos, 1):
            reporter.video_begins(video, number, len(videos))
            status = _one(analyzer, video, root, overwrite, reporter, on_error)
            statuses.append(status)
            reporter.video_ends(status)
    finally:
        _write_run(analyzer, root, statuses, started)
    return statuses


def _one(
    analyzer: Analyzer,
    video: FoundVideo,
    root: Path,
    overwrite: bool,
    reporter: Reporter,
    on_error: Callable[[BaseException], None],
) -> VideoStatus:
    target = root / video.relative
    names = (str(video.path), video.relative.as_posix())
    begun = time.monotonic()
    try:
        print_now = fingerprint(video.path, analyzer.config, analyzer.weights)
        before = None if overwrite else read_summary(target)
        if before is not None and before.get("fingerprint") == print_now:
            before = bring_up_to_date(target, root, analyzer.config.presence)
        else:
            before = None
        if before is not None:
            return _status(names, "skipped", before, reason="finished before, nothing changed")
        result = analyzer.analyze_video(video.path, reporter.video_at)
        with committed(target) as folder:
            summary = write_session(analyzer, result, folder, target, root, print_now)
    except EngagementError as error:
        on_error(error)
        return VideoStatus(*names, "failed", error.message, error.hint, elapsed_s=time.monotonic() - begun)
    except Exception as error:
        on_error(error)
        reason = f"{type(error).__name__}: {error}"
        hint = "This is a fault of ours; run again with --debug to see where."
        return VideoStatus(*names, "failed", reason, hint, elapsed_s=time.monotonic() - begun)
    status: Status = "ok" if result.outcome.complete else "partial"
    return _status(names, status, summary, result.outcome.reason, time.monotonic() - begun, result.seconds)


def _status(
    names: tuple[str, str],
    status: Status,
    summary: dict[str, Any],
    reason: str,
    elapsed_s: float = 0.0,
    seconds: dict[str, float] | None = None,
) -> VideoStatus:
    duration = summary["video"]["duration_s"] or summary["sampling"]["last_s"]
    return VideoStatus(
        *names, status, reason, "", duration, summary["n_persons"], summary["coverage"], elapsed_s, seconds
    )


def _earlier(root: Path, statuses: Sequence[VideoStatus]) -> list[dict[str, Any]]:
    """Videos of earlier runs into the same folder whose results are still there: the index goes on listing them."""
    now = {status.output for status in statuses}
    before = (read_json(root / "run.json") or {}).get("videos", [])
    return [v for v in before if v["output"] and v["output"] not in now and read_summary(root / v["output"])]


def _write_run(analyzer: Analyzer, root: Path, statuses: Sequence[VideoStatus], started: str) -> None:
    record = {
        "schema": 1,
        "engagement_version": __version__,
        "started": started,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": analyzer.device,
        "config": analyzer.config.to_dict(),
        "versions": versions(),
        "weights": weights_record(analyzer.weights),
        "videos": [*_earlier(root, statuses), *(asdict(status) for status in statuses)],
    }
    write_json(root / "run.json", record)
    write_assets(root)
    render_index(root)
