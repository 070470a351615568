"""What a worker does: whole videos, or ranges of long ones and their joining. The same code in every process.

What a range saw of people (face features) travels in memory alone and is never written.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from engagement.batch.places import FileFacts, Folder, Place, open_place
from engagement.batch.session import Destination, write_session
from engagement.batch.status import Status, VideoStatus, status_of
from engagement.batch.tasks import Ended, Facts, Outcome, Say, Setup, Split, Task
from engagement.calibration.find import require_nothing_lost
from engagement.calibration.store import FILE, Calibration
from engagement.corrections.calibrated import stored
from engagement.corrections.folder import bring_up_to_date
from engagement.errors import OutputError, VideoError
from engagement.pipeline import Analyzer, Segment
from engagement.provenance import differences, fingerprint, weights_record
from engagement.results import NoRoom, committed, is_of_another, read_summary
from engagement.segments import join_segments, plan_split
from engagement.timelines.session_summary import SessionSummary
from engagement.video.discover import FoundVideo
from engagement.video.reader import DecodeOutcome

#: Files without which a result is none, whatever its summary says.
_NEEDED = ("timeline.parquet", "samples.parquet", "persons.csv", "events.csv", "session.html")

_GROWN = (
    "the file's size changed while it was read, as when it is still recorded or copied "
    "(run the command again once that has ended)"
)


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
        """Do one task; ``say`` may raise to abandon it.

        Results that a folder refuses are a failed video at once: it would refuse them the next time as well, after
        another analysis. Other storage may answer then, so what it raises is raised.
        """
        say(0.0, None)
        if task.action == "read":
            with self.place.at_hand(task.video) as path:
                return self.analyzer.read(path, say, task.span)
        try:
            return self._whole(task.video, say) if task.action == "whole" else self._joined(task)
        except OutputError as error:
            if not isinstance(self.place, Folder):
                raise
            names = (task.video.name, task.video.relative.as_posix())
            status = VideoStatus(*names, "failed", error.message, error.hint)
            return Ended(status, self._facts, full=isinstance(error, NoRoom))
        finally:
            self.place.release(task.video.relative)

    def _joined(self, task: Task) -> Ended:
        segment = join_segments(task.parts, self.setup.config.sampling.rate_hz)
        # What the file was before it was read: one that was replaced meanwhile is not finished.
        return self._finish(task.video, task.file or self.place.facts(task.video), segment, task.redone, 0.0)

    def _whole(self, video: FoundVideo, say: Say) -> Ended | Split:
        facts = self.place.facts(video)
        begun = time.monotonic()
        config = self.setup.config
        self.place.fetch(video.relative)
        # A damaged calibration, and labels that would be lost, are said before hours of work.
        own, given = stored(self.place.root / video.relative), self._calibration(video)
        if given is not None:
            require_nothing_lost(given, own, f"{self.setup.root}/{video.relative.as_posix()}/{FILE}")
        kept = self._kept(video, facts)
        if isinstance(kept, Ended):
            return kept
        self.place.require_room(video.relative)  # said before hours of work
        with self.place.at_hand(video) as path:
            spans = plan_split(path, config.backend, config.split_s, config.sampling.rate_hz)
            if len(spans) > 1:
                return Split(tuple(spans), kept, facts)
            segment = self.analyzer.read(path, say)
        return self._finish(video, facts, segment, kept, begun)

    def _kept(self, video: FoundVideo, facts: FileFacts) -> Ended | str:
        """The earlier result, brought up to date; or why it is made again, empty where there is none.

        Raises:
            OutputError: it is of another video.
        """
        target = self.place.root / video.relative
        before = read_summary(target)
        if before is None:
            return ""
        now = self._fingerprint(facts)
        self._require_same(video, now, before)
        if self.setup.overwrite:
            return "--overwrite"
        changed = differences(before.fingerprint, now)
        changed += [f"{name} was removed" for name in _NEEDED if not (target / name).is_file()]
        if changed:
            return "; ".join(changed)
        presence, known = self.setup.config.presence, self.setup.known
        summary = bring_up_to_date(target, self.place.root, presence, self._calibration(video), known)
        if summary is None:
            return "an opt-out was taken back"
        news = "nothing changed"
        if summary != before:
            self.place.publish(video.relative)
            news = "names, calibration or who is shown brought up to date"
        status, reason = "skipped", f"finished before, {news}"
        if not summary.video.complete:
            status, reason = "partial", f"{summary.video.reason}; read before, {news}"
        return Ended(status_of(video.name, video.relative.as_posix(), status, summary, reason), self._facts)

    def _finish(
        self, video: FoundVideo, facts: FileFacts, segment: Segment, redone: str, begun: float
    ) -> Ended:
        result = self.analyzer.finish(
            replace(segment, outcome=self._of_what_is_there(video, facts, segment.outcome))
        )
        self.place.fetch(video.relative)
        target = self.place.root / video.relative
        with committed(target) as folder:
            to = Destination(
                root=self.place.root,
                target=target,
                fingerprint=self._fingerprint(facts),
                source=self.place.source(video),
                content=self.place.content(video),
                calibration=self._calibration(video),
                known=self.setup.known,
            )
            summary = write_session(self.analyzer, result, folder, to)
        self.place.publish(video.relative)
        status: Status = "ok" if result.outcome.complete else "partial"
        elapsed = time.monotonic() - begun if begun else 0.0
        names = (video.name, video.relative.as_posix())
        done = status_of(*names, status, summary, result.outcome.reason, elapsed, result.seconds)
        return Ended(replace(done, redone=redone), self._facts)

    def _of_what_is_there(self, video: FoundVideo, read: FileFacts, outcome: DecodeOutcome) -> DecodeOutcome:
        """How reading ended, seen from the file as it is now: transport streams and the like have no length to miss."""
        try:
            if self.place.facts(video).size == read.size:
                return outcome
        except VideoError:  # deleted since: it was open, and so read to its end
            return outcome
        return replace(outcome, complete=False, reason="; ".join(filter(None, (outcome.reason, _GROWN))))

    def _require_same(self, video: FoundVideo, now: dict[str, Any], before: SessionSummary) -> None:
        """Results of another file of the same name are not replaced, unless asked to: they may be all there is.

        Raises:
            OutputError: they are in the way.
        """
        if self.setup.overwrite or not is_of_another(before, self.place.source(video), now):
            return
        raise OutputError(
            f"{video.relative.as_posix()} holds the results of another video of this name, from another folder",
            "Choose another output folder with -o, or let it be replaced with --overwrite.",
        )

    def _calibration(self, video: FoundVideo) -> Calibration | None:
        return self.setup.calibrations.get(video.relative.as_posix())

    def _fingerprint(self, facts: FileFacts) -> dict[str, Any]:
        return fingerprint(facts.size, facts.version, self.setup.config, self.analyzer.weights)
