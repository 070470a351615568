"""What a worker does: whole videos, or ranges of long ones and their joining. The same code in every process.

Tasks and results cross process boundaries, so they are plain data. What a range saw of people (face features)
travels in memory alone and is never written.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from engagement.batch.places import FileFacts, Place, open_place
from engagement.batch.results import committed, read_summary
from engagement.batch.session import write_session
from engagement.batch.status import Status, VideoStatus
from engagement.config import AnalysisConfig
from engagement.corrections.folder import bring_up_to_date
from engagement.errors import EngagementError
from engagement.pipeline import Analyzer, Segment
from engagement.provenance import differences, fingerprint, weights_record
from engagement.segments import join_segments, plan_split
from engagement.types import TimeSpan
from engagement.video.discover import FoundVideo

#: Hears the time reached and the length, seconds.
Say = Callable[[float, float | None], None]


@dataclass(frozen=True, slots=True)
class Setup:
    """All that a worker must know to start.

    Attributes:
        root: output folder, a path or an fsspec URL.
        decode_threads: 0 for as many as there are cores.
    """

    root: str
    config: AnalysisConfig
    device: str = "auto"
    overwrite: bool = False
    decode_threads: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One piece of work.

    Attributes:
        number: of the task within the run.
        action: ``whole`` analyses a video or says how to split it; ``read`` reads a range; ``finish`` joins
            the ranges, ``parts``, and writes the results.
        redone: why an earlier result was not kept (``finish``).
    """

    number: int
    action: Literal["whole", "read", "finish"]
    video: FoundVideo
    span: TimeSpan | None = None
    parts: tuple[Any, ...] = ()
    redone: str = ""

    @property
    def urgent(self) -> bool:
        """Goes before videos not yet begun: its parts wait in memory."""
        return self.action != "whole"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a worker runs on and with, for run.json."""

    device: str
    weights: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """A video is through."""

    status: VideoStatus
    facts: Facts


@dataclass(frozen=True, slots=True)
class Split:
    """A video is to be analysed in ranges."""

    spans: tuple[TimeSpan, ...]
    redone: str


Outcome = Ended | Split | Any  # Any: a Segment, or an executor's handle of one


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task did not succeed.

    Attributes:
        trace: where, for ``--debug``; empty where nobody knows.
        lost: its worker died.
    """

    message: str
    hint: str = ""
    trace: str = ""
    lost: bool = False

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """What an exception says to the user."""
        trace = "".join(traceback.format_exception(error))
        if isinstance(error, EngagementError):
            return cls(error.message, error.hint, trace)
        if isinstance(error, MemoryError):
            return cls("it ran out of memory", "Use fewer --workers.", trace)
        hint = "This is a fault of ours; run again with --debug to see where."
        return cls(f"{type(error).__name__}: {error}", hint, trace)


class Listener(Protocol):
    """Decides what follows from what workers report."""

    def at(self, task: Task, time_s: float, duration_s: float | None) -> None: ...

    def done(self, task: Task, outcome: Outcome) -> Sequence[Task]: ...

    def failed(self, task: Task, failure: Failure) -> Sequence[Task]: ...

    def wanted(self, task: Task) -> bool:
        """False once another range of the same video failed."""
        ...


class Executor(Protocol):
    """Somebody who works off tasks: this process, processes of this machine, machines of a cluster."""

    def run(self, tasks: Sequence[Task], listener: Listener) -> None:
        """Work off the tasks and those that the listener adds. Ctrl-C ends it at once.

        Raises:
            EngagementError: no worker can start at all.
        """
        ...


class Performer(Protocol):
    """Does tasks, one at a time."""

    def perform(self, task: Task, say: Say) -> Outcome: ...


class VideoWorker:
    """The models, loaded once, and an output place.

    Raises:
        EngagementError: a model cannot be loaded, or the device is not there.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.analyzer = Analyzer(setup.config, setup.device, decode_threads=setup.decode_threads)
        self.place: Place = open_place(setup.root)
        self._facts = Facts(self.analyzer.device, weights_record(self.analyzer.weights))

    def perform(self, task: Task, say: Say) -> Outcome:
        """Do one task; ``say`` may raise to abandon it."""
        say(0.0, None)
        if task.action == "whole":
            return self._whole(task.video, say)
        if task.action == "read":
            with self.place.at_hand(task.video) as path:
                return self.analyzer.read(path, say, task.span)
        segment = join_segments(task.parts, self.setup.config.sampling.rate_hz)
        return self._finish(task.video, self.place.facts(task.video), segment, task.redone, 0.0)

    def _whole(self, video: FoundVideo, say: Say) -> Ended | Split:
        facts = self.place.facts(video)
        begun = time.monotonic()
        config = self.setup.config
        self.place.fetch(video.relative)
        target = self.place.root / video.relative
        before = read_summary(target)
        redone = ""
        if before is not None:
            changed = differences(before.get("fingerprint"), self._fingerprint(facts))
            redone = "--overwrite" if self.setup.overwrite else "; ".join(changed)
            if not redone:
                summary = bring_up_to_date(target, self.place.root, config.presence)
                if summary is not None:
                    self.place.publish(video.relative)
                    return Ended(
                        _status(video, "skipped", summary, reason="finished before, nothing changed"),
                        self._facts,
                    )
                redone = "an opt-out was taken back"
        with self.place.at_hand(video) as path:
            spans = plan_split(path, config.backend, config.split_s, config.sampling.rate_hz)
            if len(spans) > 1:
                return Split(tuple(spans), redone)
            segment = self.analyzer.read(path, say)
        return self._finish(video, facts, segment, redone, begun)

    def _finish(
        self, video: FoundVideo, facts: FileFacts, segment: Segment, redone: str, begun: float
    ) -> Ended:
        result = self.analyzer.finish(segment)
        self.place.fetch(video.relative)
        root = self.place.root
        target = root / video.relative
        with committed(target) as folder:
            summary = write_session(self.analyzer, result, folder, target, root, self._fingerprint(facts))
        self.place.publish(video.relative)
        status: Status = "ok" if result.outcome.complete else "partial"
        elapsed = time.monotonic() - begun if begun else 0.0
        done = _status(video, status, summary, result.outcome.reason, elapsed, result.seconds)
        return Ended(replace(done, redone=redone), self._facts)

    def _fingerprint(self, facts: FileFacts) -> dict[str, Any]:
        return fingerprint(facts.size, facts.version, self.setup.config, self.analyzer.weights)


def _status(
    video: FoundVideo,
    status: Status,
    summary: dict[str, Any],
    reason: str,
    elapsed_s: float = 0.0,
    seconds: dict[str, float] | None = None,
) -> VideoStatus:
    return VideoStatus(
        video.name,
        video.relative.as_posix(),
        status,
        reason,
        duration_s=summary["video"]["duration_s"] or summary["sampling"]["last_s"],
        n_persons=summary["n_persons"],
        coverage=summary["coverage"],
        elapsed_s=elapsed_s,
        seconds=seconds,
    )


class InThisProcess:
    """One worker, here: the default. The models are loaded when the first task begins."""

    def __init__(self, make: Callable[[], Performer]) -> None:
        self._make = make

    def run(self, tasks: Sequence[Task], listener: Listener) -> None:
        worker = self._make()
        queue = list(tasks)
        while queue:
            task = queue.pop(0)
            if not listener.wanted(task):
                continue
            try:
                outcome = worker.perform(task, lambda t, of, task=task: listener.at(task, t, of))
            except Exception as error:
                queue = enqueue(queue, listener.failed(task, Failure.of(error)))
            else:
                queue = enqueue(queue, listener.done(task, outcome))


def enqueue(queue: list[Task], more: Sequence[Task]) -> list[Task]:
    """Urgent tasks go to the front, others (such as second attempts) to the end."""
    return [*(t for t in more if t.urgent), *queue, *(t for t in more if not t.urgent)]
