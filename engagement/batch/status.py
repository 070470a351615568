"""How the videos of a run went, and who hears of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Status = Literal["ok", "partial", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class VideoStatus:
    """How one video went; a row of the final table and of run.json.

    Attributes:
        input, output: the file, and its folder of results relative to the output folder.
        status: ``partial`` when only a part of the video could be decoded.
        reason, hint: what went wrong, and what to do.
        redone: why an earlier result was not kept; empty where there was none.
        elapsed_s: seconds from beginning to end, 0 for a skipped video.
    """

    input: str
    output: str
    status: Status
    reason: str = ""
    hint: str = ""
    redone: str = ""
    duration_s: float | None = None
    n_persons: int | None = None
    coverage: float | None = None
    elapsed_s: float = 0.0
    seconds: dict[str, float] | None = None


class Reporter(Protocol):
    """Hears how a run goes; the command line draws bars from it. A video is named by its output folder."""

    def video_at(self, name: str, time_s: float, duration_s: float | None) -> None: ...

    def video_ends(self, status: VideoStatus) -> None: ...

    def note(self, message: str) -> None:
        """Something that the user should know at once."""
        ...
