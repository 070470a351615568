"""Corrections on the way from an analysis to its results on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engagement.calibration.store import Calibration
from engagement.corrections.calibrated import stored
from engagement.corrections.carry import Analysed, Carried, carry_over
from engagement.corrections.file import Line, Video
from engagement.corrections.folder import (
    owned,
    plan_folder,
    state_of,
    write_corrected,
)
from engagement.corrections.mistakes import described
from engagement.corrections.names import names_as_it_is
from engagement.reports.pictures import Pictures
from engagement.results import SUMMARY, read_summary, require_summary, write_json
from engagement.timelines.presence import PresenceConfig
from engagement.timelines.session_summary import NOTHING, SessionSummary
from engagement.wording import count


@dataclass(frozen=True, slots=True)
class Corrections:
    """What the names file of an output folder says of one video.

    Attributes:
        path: the names file. lines: those of this video. target: where an earlier result of it may lie, None where
            that is of another video.
        calibration: of this video, given or of the earlier result.
        mistakes: lines of the file that are not understood; the pages show them.
    """

    path: Path
    lines: list[Line]
    target: Path | None
    calibration: Calibration | None = None
    mistakes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        root: Path,
        target: Path,
        file: str,
        calibration: Calibration | None = None,
        known: Sequence[Video] = (),
        afresh: bool = False,
    ) -> Corrections:
        """Read the names file of ``root`` for the video ``file`` with results in ``target``.

        The file was in order when the run began. What is wrong with it now does not throw the analysis away.

        Args:
            known: of :func:`engagement.corrections.names.known_videos`.
            afresh: what lies in ``target`` is of another video: nobody's id or calibration comes from there.

        Raises:
            DataError: the calibration of the earlier result is damaged.
        """
        names, mistakes = names_as_it_is(root)
        video = Video(target.relative_to(root).as_posix(), file)
        lines = names.lines_for(video, known)
        if not afresh:
            calibration = calibration or stored(target)
        return cls(names.path, lines, None if afresh else target, calibration, tuple(mistakes))

    def carry_over(self, new: Analysed) -> Carried:
        """The ids of the people of a new analysis; see :func:`engagement.corrections.carry.carry_over`."""
        return carry_over(self.target, self.lines, new, calibrated=self.calibration is not None)

    def apply(
        self, folder: Path, who: Carried, presence: PresenceConfig | None, pictures: Pictures
    ) -> tuple[SessionSummary, Pictures]:
        """Correct the uncorrected results just written into ``folder``.

        A line that cannot be applied is left out and named on the pages: hours of work are not thrown away
        for it.

        Returns:
            The summary, and the pictures by whose they are.
        """
        summary = require_summary(folder)
        earlier = (read_summary(self.target) if self.target else None) or NOTHING
        presence = presence or earlier.presence
        carried: dict[str, Any] = {}
        if who.record:
            carried["corrections"] = dict(who.record)
        if who.numbering:
            carried["numbering"] = who.numbering
        if who.left_out > len(who.record.get("opted_out", ())):
            carried["warnings"] = [*summary.warnings, _left_out(who.left_out)]
        if carried:
            summary = SessionSummary({**summary.data, **carried})
            write_json(folder / SUMMARY, summary.data)
        if not (self.lines or self.mistakes) and presence == PresenceConfig() and self.calibration is None:
            return summary, pictures
        plan, mistakes = plan_folder(folder, self.lines)
        wrong = [*self.mistakes, *(described(self.path, m) for m in mistakes)]
        summary = write_corrected(
            folder, folder, plan, presence, state_of(self.lines), wrong, self.calibration
        )
        return summary, owned(plan, pictures)


def _left_out(n: int) -> str:
    return (
        f"left out: {count(n, 'person', 'people')} whom the earlier result does not know. Somebody opted out of that result, and "
        "nothing is kept to tell who of them it was. To see everybody, analyse into another folder."
    )
