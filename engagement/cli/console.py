"""What the terminal shows: progress, messages, the final table. Only here is anything printed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from engagement.reports.theme import clock
from engagement.wording import count, shortened

if TYPE_CHECKING:
    from engagement.batch.status import VideoStatus

_MARKS = {
    "ok": "[green]ok[/]",
    "partial": "[yellow]partial[/]",
    "failed": "[red]failed[/]",
    "skipped": "skipped",
}


class ProgressReporter:
    """Bars for the videos under way and for the whole run, with speed relative to real time.

    Args:
        quiet: say nothing at all.
        total: number of videos.
    """

    def __init__(self, total: int, quiet: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}", markup=False),
            console=self.console,
            disable=quiet,
            transient=True,
        )
        self._overall = self._progress.add_task(
            "videos", total=total, note=f"0 of {total}", visible=total > 1
        )
        self._videos: dict[str, tuple[TaskID, float]] = {}
        self._run_begun = time.monotonic()
        self._done = 0
        self._total = total

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def video_at(self, name: str, time_s: float, duration_s: float | None) -> None:
        """A video is under way; several may be."""
        if name not in self._videos:
            bar = self._progress.add_task(_short(name), total=None, note="opening")
            self._videos[name] = (bar, time.monotonic())
        bar, begun = self._videos[name]
        if not time_s:
            return
        speed = time_s / max(time.monotonic() - begun, 1e-3)
        note = f"{clock(time_s)}  {speed:.1f}x real time"
        if duration_s:
            note = f"{clock(time_s)} of {clock(duration_s)}  {speed:.1f}x real time, "
            note += f"{clock(max(0.0, (duration_s - time_s) / speed))} left"
        self._progress.update(bar, total=duration_s, completed=time_s, note=note)

    def video_ends(self, status: VideoStatus) -> None:
        """A video is through, one way or another."""
        self._done += 1
        if status.output in self._videos:
            self._progress.remove_task(self._videos.pop(status.output)[0])
        left = (time.monotonic() - self._run_begun) / self._done * (self._total - self._done)
        note = f"{self._done} of {self._total}, about {clock(left)} left"
        self._progress.update(self._overall, completed=self._done, note=note)
        if self._total > 1 and not self.console.is_terminal:
            # A log file, as of a cluster's batch job, has no use for bars.
            self.note(f"{self._done} of {self._total}: {status.output} {status.status}")

    def note(self, message: str) -> None:
        """Something that the user should know at once."""
        self.console.print(Text(message))


def say_statuses(console: Console, statuses: Sequence[VideoStatus]) -> None:
    """How the videos went: the final table, or where the console is quiet a line for each that did not go well."""
    if not console.quiet:
        print_statuses(console, statuses)
        return
    for status in statuses:
        if status.status in ("failed", "partial"):
            line = f"{status.input}: {status.status}: {_reason(status)}. {status.hint}"
            click.echo(line.strip(), err=True)


def _reason(status: VideoStatus) -> str:
    """Why, without the name of the video, which stands before it; messages have it as it was given or in full."""
    in_full = str(Path(status.input).absolute())
    return status.reason.removeprefix(f"{status.input} ").removeprefix(f"{in_full} ")


def print_statuses(console: Console, statuses: Sequence[VideoStatus]) -> None:
    """The final table: every video with its outcome."""
    table = Table(box=None, pad_edge=False)
    for heading in ("video", "status", "persons", "length", "speed", "what happened"):
        table.add_column(
            heading, overflow="fold", justify="right" if heading in ("persons", "length", "speed") else "left"
        )
    for status, name in zip(statuses, below_common([s.input for s in statuses]), strict=True):
        speed = (
            f"{status.duration_s / status.elapsed_s:.1f}x" if status.duration_s and status.elapsed_s else ""
        )
        redone = f"redone ({status.redone})" if status.redone else ""
        nobody = "nobody in it: its page says why" if status.n_persons == 0 else ""
        same = f"the same file as {shortened(status.same_as, 3)}" if status.same_as else ""
        warned = f"{count(status.n_warnings, 'warning')} on its page" if status.n_warnings else ""
        told = "; ".join(part for part in (redone, _reason(status), nobody, warned, same) if part)
        table.add_row(
            Text(name),
            _MARKS[status.status],
            "" if status.n_persons is None else str(status.n_persons),
            clock(status.duration_s) if status.duration_s else "",
            speed,
            Text(". ".join(part for part in (told, status.hint) if part)),
        )
    console.print(table)


def below_common(paths: Sequence[str]) -> list[str]:
    """Paths without the folders that all of them share: at 80 columns there is no room for what tells nothing."""
    split = [path.replace(os.sep, "/").rstrip("/").split("/") for path in paths]
    levels = zip(*(parts[:-1] for parts in split), strict=False)
    shared = sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, levels))
    return ["/".join(parts[shared:]) for parts in split]


def _short(name: str, width: int = 32) -> str:
    return name if len(name) <= width else "…" + name[-(width - 1) :]
