"""Workers that do as the name of the video says; they stand here so that other processes find them."""

from __future__ import annotations

import os
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePath

from engagement.batch.places import FileFacts
from engagement.batch.status import VideoStatus
from engagement.batch.tasks import Ended, Facts, Say, Split, Task
from engagement.errors import VideoError, WeightsError
from engagement.types import TimeSpan
from engagement.video.discover import FoundVideo


def video(name: str) -> FoundVideo:
    return FoundVideo(Path(name), PurePath(name))


@dataclass(frozen=True)
class Obedient:
    """``good``, ``bad`` (fails), ``copies`` (writes a temporary file, then is deadly), ``deadly`` (kills its process),
    ``deadly once``, ``endless``, ``split``.

    Attributes:
        memory: a folder in which it remembers what it has done once.
    """

    memory: Path

    def perform(self, task: Task, say: Say) -> object:
        name = task.video.relative.name
        say(0.5, 1.0)
        if task.action == "read":
            assert task.span is not None
            return (task.span.start_s, os.getpid())
        if name.startswith("split") and task.action == "whole":
            return Split(tuple(TimeSpan(float(i), float(i + 1)) for i in range(4)), "", FileFacts(1, "v"))
        if name == "bad":
            raise VideoError("it is bad", "Make it better.")
        if name == "copies":
            copy = Path(tempfile.mkdtemp()) / "recording"
            copy.write_text("faces")
            (self.memory / "copied to").write_text(str(copy))
        if name in ("copies", "deadly") or (name == "deadly once" and self._first(name)):
            os.kill(os.getpid(), signal.SIGKILL)
        while name == "endless":
            say(0.5, 1.0)
        parts = " ".join(str(part[0]) for part in task.parts)
        return Ended(VideoStatus(name, name, "ok", parts), Facts("cpu", {"pid": os.getpid()}))

    def _first(self, name: str) -> bool:
        try:
            (self.memory / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


@dataclass(frozen=True)
class MakesObedient:
    memory: Path

    def __call__(self) -> Obedient:
        return Obedient(self.memory)


def makes_nothing() -> Obedient:
    raise WeightsError("weights are gone", "Find them.")
