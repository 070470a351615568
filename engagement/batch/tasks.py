"""Tasks of a run and what comes of them: plain data, since both cross process boundaries.

Nothing heavy is imported, so that a process can start before it loads models.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from engagement.batch.status import VideoStatus
from engagement.config import AnalysisConfig
from engagement.errors import EngagementError, unforeseen
from engagement.types import TimeSpan
from engagement.video.discover import FoundVideo

if TYPE_CHECKING:
    from engagement.batch.places import FileFacts
    from engagement.calibration.store import Calibration
    from engagement.corrections.file import Video

#: Hears the time reached and the length, seconds.
Say = Callable[[float, float | None], None]


@dataclass(frozen=True, slots=True)
class Setup:
    """All that a worker must know to start.

    Attributes:
        root: output folder, a path or an fsspec URL.
        decode_threads: 0 for as many as there are cores.
        calibrations: folder of a video's results -> the calibration of its people.
        known: what the names file may speak of, see ``engagement.corrections.names.known_videos``.
    """

    root: str
    config: AnalysisConfig
    device: str = "auto"
    overwrite: bool = False
    decode_threads: int = 0
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    known: tuple[Video, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One piece of work.

    Attributes:
        number: of the task within the run.
        action: ``whole`` analyses a video or says how to split it; ``read`` reads a range; ``finish`` joins
            the ranges, ``parts``, and writes the results.
        redone: why an earlier result was not kept (``finish``).
        file: by what the video was known before it was read (``finish``).
    """

    number: int
    action: Literal["whole", "read", "finish"]
    video: FoundVideo
    span: TimeSpan | None = None
    parts: tuple[Any, ...] = ()
    redone: str = ""
    file: FileFacts | None = None

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
    """A video is through.

    Attributes:
        full: it failed since the disk of the results is full.
    """

    status: VideoStatus
    facts: Facts
    full: bool = False


@dataclass(frozen=True, slots=True)
class Split:
    """A video is to be analysed in ranges."""

    spans: tuple[TimeSpan, ...]
    redone: str
    file: FileFacts


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
            hint = "Close other programs, use a higher --min-face, and fewer --workers if there are several."
            return cls("it ran out of memory", hint, trace)
        told = unforeseen(error)
        return cls(told.message, told.hint, trace)


class Listener(Protocol):
    """Decides what follows from what workers report."""

    def at(self, task: Task, time_s: float, duration_s: float | None) -> None: ...

    def done(self, task: Task, outcome: Outcome) -> Sequence[Task]: ...

    def failed(self, task: Task, failure: Failure) -> Sequence[Task]: ...

    def wanted(self, task: Task) -> bool:
        """False once another range of the same video failed, and for videos not begun once the disk is full."""
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
