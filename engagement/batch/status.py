"""How the videos of a run went, and who hears of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from engagement.reports.sentences import warnings
from engagement.timelines.session_summary import SessionSummary

Status = Literal["ok", "partial", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class VideoStatus:
    """How one video went; a row of the final table and of run.json.

    Attributes:
        input, output: the file, and its folder of results relative to the output folder.
        status: ``partial`` when only a part of the video could be decoded.
        reason, hint: what went wrong, and what to do.
        redone: why an earlier result was not kept; empty where there was none.
        duration_s: length of what was analysed: of a video that could be read in part, of that part.
        n_persons: who was told apart, shown or not.
        coverage: share of the samples with a face, 0-1.
        elapsed_s: seconds from beginning to end, 0 for a skipped video.
        seconds: work by stage; stages overlap in time.
        n_warnings: of what its page warns, beside the reason.
        same_as: folders of further results of the same file, which was reached in several ways or copied.
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
    n_warnings: int = 0
    same_as: tuple[str, ...] = ()


def status_of(
    input: str,
    output: str,
    status: Status,
    summary: SessionSummary,
    reason: str,
    elapsed_s: float = 0.0,
    seconds: dict[str, float] | None = None,
) -> VideoStatus:
    """The status of a video with results, from their summary."""
    return VideoStatus(
        input,
        output,
        status,
        reason,
        duration_s=summary.length_s or None,
        n_persons=summary.n_persons,
        coverage=summary.coverage,
        elapsed_s=elapsed_s,
        seconds=seconds,
        n_warnings=len(warnings(summary, reason)),
    )


class Reporter(Protocol):
    """Hears how a run goes; the command line draws bars from it. A video is named by its output folder."""

    def video_at(self, name: str, time_s: float, duration_s: float | None) -> None: ...

    def video_ends(self, status: VideoStatus) -> None: ...

    def note(self, message: str) -> None:
        """Something that the user should know at once."""
        ...
