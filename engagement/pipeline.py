"""One video from file to arrays of persons and scores: the only place that joins the stages."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engagement.classification.classifier import FaceClassifier
from engagement.clips import ClipScores
from engagement.config import AnalysisConfig
from engagement.device import choose
from engagement.faces.chips import cut_chips
from engagement.faces.detector import FaceDetector
from engagement.faces.mtcnn import MtcnnDetector
from engagement.faces.pose import head_pose
from engagement.faces.quality import assess
from engagement.geometry import iou_matrix
from engagement.records import FaceRecords
from engagement.smoothing import load_smoother, smooth_persons
from engagement.thumbnails import ThumbnailKeeper
from engagement.tracking.appearance import head_colours
from engagement.tracking.cuts import CutDetector
from engagement.tracking.persons import TrackSummary, join_tracks
from engagement.tracking.tracker import FaceLook, FaceTracker
from engagement.types import (
    ByteArray,
    FaceDetections,
    FaceScores,
    FloatArray,
    Frame,
    IndexArray,
    TimeArray,
    VideoInfo,
)
from engagement.video import open_video
from engagement.video.prefetch import prefetch
from engagement.video.reader import DecodeOutcome
from engagement.video.sampling import select
from engagement.weights.store import LoadedWeights

_AHEAD = 4  # decoded frames that may wait: enough to hide a slow frame, little memory
#: A face found by looking where a track vanished must be this sure: the place was chosen by us.
_SEARCH_SCORE = 0.85

Progress = Callable[[float, float | None], None]


@dataclass(frozen=True, slots=True, eq=False)
class SessionResult:
    """All that is known of one video.

    Attributes:
        info, outcome: facts of the video, and whether all of it could be decoded.
        sample_time_s, sample_frame: (n_samples,) each sampled frame.
        records: every face seen.
        person: (len(records),) person index of each row, or -1 for nobody.
        smoothed: (len(records), 10) smoothed scores, NaN where nothing is claimed.
        thumbnails: keeper of pictures by track.
        person_of_track: track id -> person index.
        seconds: time spent by stage.
    """

    info: VideoInfo
    outcome: DecodeOutcome
    sample_time_s: TimeArray
    sample_frame: IndexArray
    records: FaceRecords
    person: IndexArray
    smoothed: FloatArray
    thumbnails: ThumbnailKeeper
    person_of_track: dict[int, int]
    seconds: dict[str, float]


@dataclass(slots=True, eq=False)
class _State:
    """What grows while a video is read."""

    records: FaceRecords
    tracker: FaceTracker
    thumbnails: ThumbnailKeeper
    clips: ClipScores
    cuts: CutDetector = field(default_factory=CutDetector)
    summaries: dict[int, TrackSummary] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    shot: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


class Analyzer:
    """Models loaded once, videos analysed one after another; no state passes between videos.

    Args:
        config: all options.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        detector: another detector than MTCNN.
    """

    def __init__(
        self, config: AnalysisConfig, device: str = "auto", detector: FaceDetector | None = None
    ) -> None:
        self.config = config
        self.device = choose(device)
        self.detector = detector or MtcnnDetector(config.detection, self.device)
        self.classifier = FaceClassifier(config.classifier, self.device)
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
        state = _State(
            FaceRecords(self.classifier.extra_columns),
            FaceTracker(self.config.tracking),
            ThumbnailKeeper(),
            self._clips(),
        )
        with open_video(path, self.config.backend) as reader:
            frames = select(reader.tickets(), self.config.sampling.rate_hz)
            with prefetch(frames, _AHEAD) as ahead:
                for frame in ahead:
                    self._take(frame, state)
                    progress(frame.time_s, reader.info.duration_s)
                state.seconds["decode (own thread)"] = ahead.producing_s
            info, outcome = reader.info, reader.outcome
        state.clips.finish(state.records)
        started = time.perf_counter()
        person_of_track = join_tracks(list(state.summaries.values()), self.config.persons)
        state.seconds["persons"] = time.perf_counter() - started
        person = np.array([person_of_track.get(int(t), -1) for t in state.records.rows["track"]], np.int64)
        times = np.asarray(state.times, np.float64)
        smoothed = smooth_persons(
            self.smoother,
            times,
            state.records.rows,
            person,
            self.config.smoothing,
            self.config.quality.min_quality,
        )
        return SessionResult(
            info,
            outcome,
            times,
            np.asarray(state.frames, np.int64),
            state.records,
            person,
            smoothed,
            state.thumbnails,
            person_of_track,
            state.seconds,
        )

    def _clips(self) -> ClipScores:
        return ClipScores(self.smoother, self.config.smoothing.max_gap_s)

    def _take(self, frame: Frame, state: _State) -> None:
        """Everything that needs the picture; afterwards it is gone."""
        sample = len(state.times)
        state.times.append(frame.time_s)
        state.frames.append(frame.index)
        clock = _Clock(state.seconds)
        if state.cuts.is_cut(frame.rgb):
            state.tracker.cut()
            state.shot += 1
        faces = self.detector.detect(frame.rgb, frame.index, frame.time_s)
        faces = self._search(frame, faces, state.tracker)
        clock.lap("detect")
        if not len(faces):
            state.tracker.update(faces, _no_look())
            return
        pose = head_pose(faces.landmarks_xy)
        chips = [
            cut_chips(frame.rgb, faces.boxes_xyxy, pose[:, 2], spec) for spec in self.classifier.chip_specs
        ]
        quality = assess(chips[0], faces.boxes_xyxy, pose, (frame.rgb.shape[0], frame.rgb.shape[1]))
        clock.lap("crop")
        scores = self.classifier.score(chips)
        clock.lap("classify")
        look = FaceLook(scores.identity, head_colours(frame.rgb, faces.boxes_xyxy), quality)
        tracks = state.tracker.update(faces, look)
        self._keep(sample, frame, faces, tracks, look, pose, chips[0], scores, state)
        clock.lap("track")

    def _search(self, frame: Frame, faces: FaceDetections, tracker: FaceTracker) -> FaceDetections:
        """Look again where a known face should be and none was found."""
        expected = tracker.expected(frame.time_s)
        if len(expected) and len(faces):
            expected = expected[iou_matrix(expected, faces.boxes_xyxy).max(axis=1) < 0.2]
        if not len(expected):
            return faces
        found = self.detector.refine(frame.rgb, expected, frame.index, frame.time_s)
        found = found.take(found.score >= _SEARCH_SCORE)
        if len(found) and len(faces):
            found = found.take(iou_matrix(found.boxes_xyxy, faces.boxes_xyxy).max(axis=1) < 0.3)
        if not len(found):
            return faces
        return FaceDetections(
            frame.index,
            frame.time_s,
            np.concatenate([faces.boxes_xyxy, found.boxes_xyxy]),
            # Found because we looked there: it may continue a track, but not begin one.
            np.concatenate([faces.score, np.minimum(found.score, self.config.tracking.new_score - 1e-3)]),
            np.concatenate([faces.landmarks_xy, found.landmarks_xy]),
        )

    def _keep(
        self,
        sample: int,
        frame: Frame,
        faces: FaceDetections,
        tracks: IndexArray,
        look: FaceLook,
        pose: FloatArray,
        chips: ByteArray,
        scores: FaceScores,
        state: _State,
    ) -> None:
        kept = np.flatnonzero(tracks >= 0)
        for row in kept:
            track = int(tracks[row])
            summary = state.summaries.setdefault(track, TrackSummary(track, state.shot))
            summary.add(
                sample,
                faces.boxes_xyxy[row],
                float(faces.score[row]),
                float(look.quality[row]),
                look.identity[row],
                look.colours[row],
            )
            if self.config.thumbnails:
                state.thumbnails.offer(
                    track, frame.time_s, frame.rgb, faces.boxes_xyxy[row], float(look.quality[row]), pose[row]
                )
        rows = state.records.append(
            sample, faces.take(kept), tracks[kept], look.quality[kept], pose[kept], scores.take(kept)
        )
        valid = look.quality[kept] >= self.config.quality.min_quality
        state.clips.take(frame.time_s, chips[kept], tracks[kept], rows, valid, state.records)


class _Clock:
    """Adds the time between laps to a table."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds, self._last = seconds, time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._seconds[name] = self._seconds.get(name, 0.0) + now - self._last
        self._last = now


def _no_look() -> FaceLook:
    nothing = np.zeros((0, 0), np.float32)
    return FaceLook(nothing, nothing, np.zeros(0, np.float32))
