"""What lies in an output folder: run.json and index.html, of this run and of earlier ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engagement import __version__
from engagement.batch.places import Place, is_url
from engagement.batch.status import VideoStatus, status_of
from engagement.batch.tasks import Facts, Setup
from engagement.errors import EngagementError, OutputError, unforeseen
from engagement.provenance import versions
from engagement.reports.sentences import warnings
from engagement.results import RUN, read_json, read_summary, results_in, write_json
from engagement.timelines.session_summary import SessionSummary


class NotListed(OutputError):
    """The videos are through, and the index could not be written.

    Attributes:
        statuses: how they went, which nobody else will say.
    """

    statuses: Sequence[VideoStatus] = ()


def write_run(
    place: Place, setup: Setup, facts: Facts | None, statuses: Sequence[VideoStatus], started: str
) -> list[VideoStatus]:
    """Write run.json, the index, and what all pages share; returns the statuses with what they share with other results.

    Raises:
        NotListed: they cannot be written.
    """
    try:
        return _write(place, setup, facts, statuses, started)
    except (OSError, EngagementError) as error:
        told = error if isinstance(error, EngagementError) else unforeseen(error)
        failed = NotListed(f"the index of {setup.root} cannot be written ({told.message})", told.hint)
        failed.statuses = statuses
        raise failed from error


def _write(
    place: Place, setup: Setup, facts: Facts | None, statuses: Sequence[VideoStatus], started: str
) -> list[VideoStatus]:
    place.fetch_run([status.output for status in statuses if status.output])
    before = read_json(place.root / RUN) or {}
    now = {status.output for status in statuses if status.status != "failed"}
    # Videos of earlier runs into the same folder whose results are still there: the index goes on listing them, also
    # beside one that failed in their place.
    listed = [v for v in before.get("videos") or [] if _has_result(v)]
    earlier = [v for v in listed if v["output"] not in now]
    place.fetch_run([v["output"] for v in earlier])
    known = now | {str(v["output"]) for v in listed}
    earlier += _unlisted(place.root, known)
    summaries = {
        output: read_summary(place.root / output) for output in (*(str(v["output"]) for v in earlier), *now)
    }
    earlier = [v for v in earlier if summaries[str(v["output"])]]
    same = _of_one_file(summaries)
    told = [
        status if status.status == "failed" else replace(status, same_as=same.get(status.output, ()))
        for status in statuses
    ]
    write_json(
        place.root / RUN,
        {
            "schema": 1,
            "engagement_version": __version__,
            "started": started,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "device": facts.device if facts else setup.device,
            "config": setup.config.to_dict(),
            "versions": versions(),
            "weights": facts.weights if facts else before.get("weights", {}),
            "videos": [
                *(v | {"same_as": same.get(str(v["output"]), ())} for v in earlier),
                *(asdict(status) | {"input": _absolute(status.input)} for status in told),
            ],
        },
    )
    from engagement.reports.render import render_index, write_assets

    write_assets(place.root)
    render_index(place.root)
    place.publish_run()
    return told


def take_up(root: Path) -> None:
    """Have run.json say of each video what its summary says since it was corrected; one that is damaged stays so."""
    run = read_json(root / RUN)
    if not run or not isinstance(listed := run.get("videos"), list):
        return
    now = [_as_in_summary(v, read_summary(root / str(v["output"]))) if _has_result(v) else v for v in listed]
    if now != listed:
        write_json(root / RUN, {**run, "videos": now})


def _has_result(video: object) -> bool:
    return isinstance(video, Mapping) and bool(video.get("output")) and video.get("status") != "failed"


def _as_in_summary(video: Mapping[str, Any], summary: SessionSummary | None) -> dict[str, Any]:
    """A video of run.json with what corrections change: nothing of who opted out may stay there."""
    if summary is None:
        return dict(video)
    counted = {"n_persons": summary.n_persons, "coverage": summary.coverage}
    told = {key: value for key, value in counted.items() if key in summary.data}
    return {**video, **told, "n_warnings": len(warnings(summary, str(video.get("reason") or "")))}


def _of_one_file(summaries: Mapping[str, SessionSummary | None]) -> dict[str, tuple[str, ...]]:
    """Of each result the others that are of the same file, known by its size and time (links, and another way to it) or
    by what is in it (copies)."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for output, summary in summaries.items():
        for key in _identities(summary):
            found.setdefault(key, []).append(output)
    return {
        output: tuple(sorted({o for key in _identities(summary) for o in found[key]} - {output}))
        for output, summary in summaries.items()
    }


def _identities(summary: SessionSummary | None) -> list[tuple[Any, ...]]:
    """What only results of the same file share."""
    if summary is None:
        return []
    made = summary.fingerprint
    keys = (made.get("file_size"), made.get("file_version")), (summary.video.content,)
    return [key for key in keys if all(key)]


def _unlisted(root: Path, known: Collection[str]) -> Iterator[dict[str, Any]]:
    """Finished results that no run lived to list: it was killed."""
    for folder in results_in(root):
        output = folder.relative_to(root).as_posix()
        if output in known:
            continue
        summary = read_summary(folder)
        if summary is None or not summary.video.file:  # damaged, or of another version
            continue
        video = summary.video
        how = "ok" if video.complete else "partial"
        yield asdict(status_of(video.file, output, how, summary, video.reason))


def _absolute(given: str) -> str:
    """Where an input lies, whatever folder the command was called from."""
    return given if is_url(given) else str(Path(given).absolute())
