"""Analyse many videos: what follows from what, second attempts, the index. One bad file stops nothing."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from engagement.batch.index import write_run
from engagement.batch.lock import LOCK, alone_in
from engagement.batch.options import Crew
from engagement.batch.places import FileFacts, open_place
from engagement.batch.processes import Processes, automatic_workers, decode_threads
from engagement.batch.status import Reporter, VideoStatus
from engagement.batch.tasks import (
    Ended,
    Executor,
    Facts,
    Failure,
    InThisProcess,
    Outcome,
    Performer,
    Setup,
    Split,
    Task,
)
from engagement.results import AGAIN, read_summary
from engagement.video.discover import FoundVideo
from engagement.wording import count

_ATTEMPTS = 2


def run_batch(
    videos: Sequence[FoundVideo],
    setup: Setup,
    reporter: Reporter,
    crew: Crew | None = None,
    unreachable: Sequence[VideoStatus] = (),
    on_error: Callable[[str], None] = lambda _: None,
) -> list[VideoStatus]:
    """Analyse videos and write results, index and run.json.

    Finished videos whose file, settings, code version and weights are unchanged are skipped unless the setup
    says to overwrite. What fails is tried once more when the others are through. Once the disk of the results is full, no
    other video is begun; those under way are told of and go on, since room may be made until they are written. On Ctrl-C
    the index of what is finished is still written.

    Args:
        unreachable: inputs that failed before this point, to be listed with the rest.
        on_error: hears the traceback of every failure (for ``--debug``).

    Raises:
        NotListed: the index cannot be written.
        EngagementError: no worker can start, or the output cannot be written.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    place = open_place(setup.root)
    lacking = [p for p in (place.root / LOCK, place.root, *place.root.absolute().parents) if not p.exists()]
    place.prepare()
    with alone_in(place.root):
        place.sweep()
        run = _Run(videos, reporter, on_error)
        try:
            _executor(setup, crew or Crew(), len(videos), reporter).run(run.tasks(), run)
        finally:
            place.sweep()
            statuses = [*unreachable, *run.in_order(place.root)]
            if run.facts is not None or statuses:
                statuses = write_run(place, setup, run.facts, statuses, started)
            else:
                _unmake(lacking)
    return statuses


def _unmake(made: Sequence[Path]) -> None:
    """Take away a lock and folders, innermost first, that a run made for nothing: no model or worker could be had."""
    with suppress(OSError):  # something lies there by now
        for path in made:
            path.unlink() if path.name == LOCK else path.rmdir()


def _executor(setup: Setup, crew: Crew, videos: int, reporter: Reporter) -> Executor:
    if crew.scheduler:
        from engagement.batch.cluster import Cluster

        return Cluster(crew.scheduler, replace(setup, decode_threads=1), reporter.note)
    # Into how many ranges a video falls is seen when it is opened; processes start as there is work.
    workers = crew.workers or automatic_workers(None if setup.config.split_s else videos)
    if workers == 1:
        return InThisProcess(partial(_video_worker, setup))
    bounded = replace(setup, decode_threads=decode_threads(workers))
    return Processes(partial(_video_worker, bounded), workers)


def _video_worker(setup: Setup) -> Performer:
    """Loads libraries and models, in the process that needs them."""
    from engagement.batch.work import VideoWorker

    return VideoWorker(setup)


@dataclass(slots=True, eq=False)
class _Progress:
    """Where a video stands."""

    begun: float = 0.0
    spans: int = 0
    redone: str = ""
    file: FileFacts | None = None
    parts: dict[float, Any] = field(default_factory=dict)
    #: Start of a range -> seconds of it that are read.
    read_s: dict[float, float] = field(default_factory=dict)
    length_s: float | None = None


class _Run:
    """Listens to the executor; see :class:`engagement.batch.tasks.Listener`."""

    def __init__(
        self, videos: Sequence[FoundVideo], reporter: Reporter, on_error: Callable[[str], None]
    ) -> None:
        self.videos = videos
        self.facts: Facts | None = None
        self._full = False
        self._reporter = reporter
        self._on_error = on_error
        self._numbers = itertools.count()
        self._statuses: dict[str, VideoStatus] = {}
        self._progress = {_key(v): _Progress() for v in videos}
        self._attempts: dict[tuple[str, str, float], int] = {}

    def tasks(self) -> list[Task]:
        return [Task(next(self._numbers), "whole", video) for video in self.videos]

    def in_order(self, root: Path) -> list[VideoStatus]:
        """Of the videos that are through, in the order of the inputs; where the disk is full, of those not begun too.

        Those of them that an earlier run finished are left as they are listed: their results are still there.

        Args:
            root: the output folder.
        """
        known = dict(self._statuses)
        if self._full:
            reason = "not analysed, since the disk of the results is full"
            for video in self.videos:
                if (key := _key(video)) not in known and read_summary(root / key) is None:
                    known[key] = VideoStatus(video.name, key, "failed", reason, AGAIN)
        return [known[key] for video in self.videos if (key := _key(video)) in known]

    def wanted(self, task: Task) -> bool:
        key = _key(task.video)
        return key not in self._statuses and (not self._full or self._progress[key].begun > 0)

    def at(self, task: Task, time_s: float, duration_s: float | None) -> None:
        progress = self._progress[_key(task.video)]
        progress.begun = progress.begun or time.monotonic()
        progress.length_s = duration_s or progress.length_s
        if task.action == "read" and task.span is not None:
            begin_s, end_s = task.span.start_s, task.span.end_s
            if end_s is not None:
                time_s = min(time_s, end_s)  # what is read beyond is the next range's
            progress.read_s[begin_s] = max(0.0, time_s - begin_s)
            time_s = sum(progress.read_s.values())
        elif task.action == "finish":
            time_s = progress.length_s or 0.0
        self._reporter.video_at(_key(task.video), time_s, progress.length_s)

    def done(self, task: Task, outcome: Outcome) -> Sequence[Task]:
        progress = self._progress[_key(task.video)]
        if isinstance(outcome, Split):
            if self._full:
                return ()  # nothing of it is read yet
            progress.spans, progress.redone, progress.file = len(outcome.spans), outcome.redone, outcome.file
            return [Task(next(self._numbers), "read", task.video, span) for span in outcome.spans]
        if isinstance(outcome, Ended):
            self.facts = outcome.facts
            elapsed = outcome.status.elapsed_s
            if task.action == "finish":
                elapsed = time.monotonic() - progress.begun
            self._end(task.video, replace(outcome.status, elapsed_s=elapsed))
            if outcome.full and not self._full:
                self._full = True
                self._tell_of_a_full_disk()
            return ()
        assert task.span is not None
        progress.parts[task.span.start_s] = outcome
        if len(progress.parts) < progress.spans or not self.wanted(task):
            return ()
        parts = tuple(progress.parts[start] for start in sorted(progress.parts))
        progress.parts = {}
        number, video = next(self._numbers), task.video
        return [
            Task(number, "finish", video, parts=parts, redone=progress.redone, file=progress.file),
        ]

    def failed(self, task: Task, failure: Failure) -> Sequence[Task]:
        if failure.trace:
            self._on_error(failure.trace)
        if _key(task.video) in self._statuses:
            return ()
        key = (_key(task.video), task.action, task.span.start_s if task.span else 0.0)
        self._attempts[key] = self._attempts.get(key, 0) + 1
        if self._attempts[key] < _ATTEMPTS and not self._full:
            if failure.lost:
                self._reporter.note(f"{task.video.name}: {failure.message}; trying once more")
            return [task]
        progress = self._progress[_key(task.video)]
        elapsed = time.monotonic() - progress.begun if progress.begun else 0.0
        again = failure.lost and self._attempts[key] >= _ATTEMPTS
        reason = f"{failure.message}, twice" if again else failure.message
        names = (task.video.name, _key(task.video))
        self._end(task.video, VideoStatus(*names, "failed", reason, failure.hint, elapsed_s=elapsed))
        return ()

    def _tell_of_a_full_disk(self) -> None:
        """While there is time to make room for what is under way."""
        n = sum(1 for key, progress in self._progress.items() if progress.begun and key not in self._statuses)
        if n:
            self._reporter.note(
                f"the disk of the results is full: no other video is begun; {count(n, 'video')} under way will be written if "
                "there is room by then"
            )

    def _end(self, video: FoundVideo, status: VideoStatus) -> None:
        self._progress[_key(video)].parts = {}
        self._statuses[_key(video)] = status
        self._reporter.video_ends(status)


def _key(video: FoundVideo) -> str:
    return video.relative.as_posix()
