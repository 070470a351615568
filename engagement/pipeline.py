"""One video from file to arrays of persons and scores: the only place that joins the stages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from engagement.classification.classifier import FaceClassifier
from engagement.clips import ClipScores
from engagement.config import AnalysisConfig
from engagement.description import Described, FaceDescriber
from engagement.device import choose, give_way, one_thread_each
from engagement.faces.detector import FaceDetector
from engagement.faces.plugins import make_detector
from engagement.faces.search import FaceFinder
from engagement.followed import FOLLOWED, settle
from engagement.records import FaceRecords
from engagement.runs import ROUNDING_S
from engagement.smoothing import load_smoother, smooth_further, smooth_persons
from engagement.stopwatch import Stopwatch
from engagement.thumbnails import UNKNOWN, ThumbnailKeeper
from engagement.tracking.copies import same_pictures
from engagement.tracking.facenet import FacenetEmbedder
from engagement.tracking.following import FaceFollower
from engagement.tracking.frozen import FrozenFaces, lasting
from engagement.tracking.persons import TrackSummary
from engagement.tracking.splitting import find_persons
from engagement.tracking.tracker import FaceLook, FaceTracker
from engagement.types import FloatArray, IndexArray, TimeArray, TimeSpan, VideoInfo
from engagement.video import open_video
from engagement.video.prefetch import prefetch
from engagement.video.reader import DecodeOutcome
from engagement.video.sampling import select_span, typical_step_s, within
from engagement.weights.store import LoadedWeights

T = TypeVar("T")

#: For which a last picture is shown if its container allows for no time.
_MOMENT_S = 0.04
#: Items that may wait between two stages: hides slow ones, holds few pictures.
_AHEAD = 6

Progress = Callable[[float, float | None], None]


@dataclass(frozen=True, slots=True, eq=False)
class SessionResult:
    """All that is known of one video.

    Attributes:
        info, outcome: facts of the video, and whether all of it could be decoded.
        sample_time_s, sample_frame: (n_samples,) each sampled frame.
        records: every face seen.
        person: (len(records),) person index of each row, or -1 for nobody.
        smoothed: (len(records), 10 + k) smoothed scores, the last k of further heads; NaN where nothing is claimed.
        step_s: seconds that a sample stands for.
        followed: rows of FOLLOWED, owned by persons: where they were while their face was not found.
        thumbnails: keeper of pictures by track.
        person_of_track: track id -> person index; without those that show somebody who is seen elsewhere meanwhile.
        seconds: time spent by stage.
    """

    info: VideoInfo
    outcome: DecodeOutcome
    sample_time_s: TimeArray
    sample_frame: IndexArray
    records: FaceRecords
    person: IndexArray
    smoothed: FloatArray
    step_s: float
    followed: NDArray[np.void]
    thumbnails: ThumbnailKeeper
    person_of_track: dict[int, int]
    seconds: dict[str, float]

    @property
    def end_s(self) -> float:
        """Where the video ends: as its container says, or a moment after the last picture where it says no later; with
        that picture, shown for a step at most, where it says nothing or not all of it is there."""
        last_s = self.outcome.last_time_s
        declared_s = self.info.duration_s if self.outcome.complete else None
        if declared_s is None:
            return min(self.outcome.end_s, last_s + self.step_s)
        return declared_s if declared_s > last_s + ROUNDING_S else last_s + _MOMENT_S


@dataclass(slots=True, eq=False)
class Segment:
    """All that was read from a video, or from a stretch of it, before anybody is told apart. No pictures
    but thumbnails.

    Attributes:
        span: the stretch that was asked for, None for the whole video. Before and after it, more was read.
        times, frames: time and frame index of each sampled frame.
        summaries: track id -> its summary, of the samples within the span. Tracks, shots, samples and frames
            count from 0 within the segment.
        cuts: samples with which a new shot begins.
        followed: rows of FOLLOWED, owned by tracks.
        copies: sample and two tracks that are the same picture in it, the smaller one first; none where faces are no
            evidence of who is who.
        seconds: work by stage, in seconds; stages overlap in time.
    """

    info: VideoInfo
    outcome: DecodeOutcome
    records: FaceRecords
    thumbnails: ThumbnailKeeper
    span: TimeSpan | None = None
    summaries: dict[int, TrackSummary] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    followed: list[NDArray[np.void]] = field(default_factory=list)
    copies: list[tuple[int, int, int]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


class Analyzer:
    """Models loaded once, videos analysed one after another; no state passes between videos.

    Args:
        config: all options.
        device: one of ``device.CHOICES``.
        detector: another detector than the options name.
        decode_threads: threads that decode, 0 for as many as there are cores. Results are the same.
    """

    def __init__(
        self,
        config: AnalysisConfig,
        device: str = "auto",
        detector: FaceDetector | None = None,
        decode_threads: int = 0,
    ) -> None:
        self.config = config
        self.decode_threads = decode_threads
        self.device = choose(device)
        one_thread_each()
        self.detector = detector or make_detector(config.detector, config.detection, self.device)
        self.classifier = FaceClassifier(config.classifier, self.device)
        self.embed = None
        if config.persons.identity == "facenet":
            self.embed = FacenetEmbedder(config.persons.identity_weights, self.device).embed
        self.smoother, self.smoother_weights = load_smoother(config.smoothing)

    @property
    def weights(self) -> list[LoadedWeights]:
        """Every weight file in use: the classifier's, then the smoother's if it has any."""
        return [*self.classifier.weights, *([self.smoother_weights] if self.smoother_weights else [])]

    def analyze_video(self, path: Path, progress: Progress = lambda _time, _of: None) -> SessionResult:
        """Decode, detect, track, join and score one video.

        Args:
            path: the file.
            progress: called with the time reached and the declared duration, seconds.

        Raises:
            VideoError: nothing of it can be decoded.
        """
        return self.finish(self.read(path, progress))

    def read(
        self, path: Path, progress: Progress = lambda _time, _of: None, span: TimeSpan | None = None
    ) -> Segment:
        """Decode, find, describe and track. The stages run in threads of their own, a few frames apart.

        Args:
            span: read this stretch alone, with a lead-in and a tail; only of a video that is splittable.

        Raises:
            VideoError: nothing of the video can be decoded.
        """
        finder = FaceFinder(self.detector, self.config.search)
        describer = FaceDescriber(self.classifier, self.embed)
        with ExitStack() as stack:
            reader = stack.enter_context(open_video(path, self.config.backend, self.decode_threads))
            segment = Segment(
                reader.info,
                reader.outcome,
                FaceRecords(self.classifier.extra_columns),
                ThumbnailKeeper(),
                span,
            )
            watch = Stopwatch(segment.seconds)

            def stage(name: str, items: Iterable[T], first: bool = False) -> Iterator[T]:
                return stack.enter_context(prefetch(_alone(watch.over(name, items), first), _AHEAD))

            frames = stage("decode", select_span(reader, self.config.sampling.rate_hz, span), first=True)
            scans = stage("scan", finder.scan(watch.waiting(frames)))
            sightings = stage("find", finder.find(watch.waiting(scans)))
            described = stage("describe", describer.describe(watch.waiting(sightings)))
            for item in watch.over("track", self._tracked(watch.waiting(described), segment)):
                progress(item.sighting.frame.time_s, reader.info.duration_s)
            segment.info, segment.outcome = reader.info, reader.outcome  # what reading it all has shown
        return segment

    def finish(self, segment: Segment) -> SessionResult:
        """Join tracks to persons, and smooth each person's scores."""
        rows = segment.records.rows
        started = time.perf_counter()
        times = np.asarray(segment.times, np.float64)
        step_s = typical_step_s(times, self.config.sampling.rate_hz)
        found = find_persons(
            list(segment.summaries.values()), self.config.persons, step_s=step_s, copies=segment.copies
        )
        rows["track"] = found.relabel(rows["track"], rows["sample"])
        for split in reversed(found.splits):
            segment.thumbnails.divide(split.track, segment.times[split.sample], split.new_track)
        segment.seconds["persons"] = time.perf_counter() - started
        person = np.array([found.person.get(int(t), -1) for t in rows["track"]], np.int64)
        rows["frozen"] = lasting(times[rows["sample"]], rows["track"], rows["frozen"])
        gap_s = self.config.smoothing.gap_s(step_s)
        least = self.config.quality.min_quality
        window_s = self.config.smoothing.further_window_s
        smoothed = [
            smooth_persons(self.smoother, times, rows, person, gap_s, least),
            smooth_further(times, rows, person, gap_s, least, window_s),
        ]
        followed = np.concatenate([np.zeros(0, FOLLOWED), *segment.followed])
        tracks = found.relabel(followed["owner"], followed["sample"])
        followed["owner"] = [found.person.get(int(t), -1) for t in tracks]
        followed = settle(followed, rows["sample"], person, rows["box"])
        return SessionResult(
            info=segment.info,
            outcome=segment.outcome,
            sample_time_s=times,
            sample_frame=np.asarray(segment.frames, np.int64),
            records=segment.records,
            person=person,
            smoothed=np.concatenate(smoothed, axis=1),
            step_s=step_s,
            followed=followed,
            thumbnails=segment.thumbnails,
            person_of_track={t: p for t, p in found.person.items() if t not in found.elsewhere},
            seconds=segment.seconds,
        )

    def _tracked(self, described: Iterable[Described], segment: Segment) -> Iterator[Described]:
        """Put every face on a track and keep what is known of it; afterwards its picture is gone."""
        tracker = FaceTracker(self.config.tracking)
        follower = FaceFollower(self.config.tracking.follow_s)
        pictures = FrozenFaces()
        clips = ClipScores(self.smoother, self.config.smoothing.gap_s, self.config.sampling.rate_hz)
        for item in described:
            frame, faces = item.sighting.frame, item.sighting.faces
            sample = len(segment.times)
            segment.times.append(frame.time_s)
            segment.frames.append(frame.index)
            if item.sighting.new_shot:
                tracker.cut()
                follower.cut()
                segment.cuts.append(sample)
            tracks = tracker.update(faces, FaceLook(item.scores.identity, item.colours, item.quality))
            kept = np.flatnonzero(tracks >= 0)
            followed = follower.take(sample, frame, faces.boxes_xyxy[kept], tracks[kept])
            if len(followed):
                segment.followed.append(followed)
            if self.config.persons.by_faces:
                same = same_pictures(frame.rgb, faces.boxes_xyxy[kept], item.scores.identity[kept])
                segment.copies += [(sample, int(tracks[kept[i]]), int(tracks[kept[j]])) for i, j in same]
            if within(frame.time_s, segment.span, self.config.sampling.rate_hz):
                for row in kept.tolist():
                    self._sum_up(sample, item, row, int(tracks[row]), segment)
            rows = segment.records.append(
                sample,
                faces.take(kept),
                tracks[kept],
                item.quality[kept],
                item.pose[kept],
                item.scores.take(kept),
                pictures.take(frame.rgb, faces.boxes_xyxy[kept], tracks[kept]),
            )
            valid = item.quality[kept] >= self.config.quality.min_quality
            clips.take(frame.time_s, item.chips[kept], tracks[kept], rows, valid, segment.records)
            yield item
        clips.finish(segment.records)

    def _sum_up(self, sample: int, item: Described, row: int, track: int, segment: Segment) -> None:
        """Add one face to what is kept of its track, and offer its picture as one to show."""
        frame, faces = item.sighting.frame, item.sighting.faces
        quality = float(item.quality[row])
        segment.summaries.setdefault(track, TrackSummary(track, len(segment.cuts))).add(
            sample,
            faces.boxes_xyxy[row],
            float(faces.score[row]),
            quality,
            item.scores.identity[row],
            item.colours[row],
        )
        if self.config.thumbnails:
            readable = quality >= self.config.quality.min_quality
            segment.thumbnails.offer(
                track,
                frame.time_s,
                frame.rgb,
                faces.boxes_xyxy[row],
                quality,
                item.pose[row],
                int(item.scores.expression_prob[row].argmax()) if readable else UNKNOWN,
            )


def _alone(items: Iterable[T], first: bool) -> Iterator[T]:
    """The items, for a thread of its own: the number of threads of an operation is set thread by thread.

    Every other stage waits for the first, which therefore goes before them.
    """
    one_thread_each()
    if not first:
        give_way()
    yield from items
