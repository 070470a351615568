"""Scores and chips of the one face in webcam clips: unlabelled material for the temporal models."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engagement.errors import DataError
from engagement.faces.chips import cut_chips
from engagement.faces.mtcnn import MtcnnDetector
from engagement.faces.options import MtcnnConfig
from engagement.faces.pose import head_pose
from engagement.video import open_video
from engagement.video.sampling import select
from engagement.weights.store import sha256_of
from temporal.base import SCORE_COUNT, ScoreRun, from_logits
from temporal.chips import grey_chips
from training import Say
from training.cache import Arrays, cached
from training.temporal.frame_outputs import FrameModel

#: Which files of a folder show one person in front of a webcam.
PATTERN = "webcam_*"
_VIDEOS = {".avi", ".mp4", ".mkv", ".mov", ".webm"}
_RATE_HZ = 5.0
#: A clip of which less than this share of frames shows a face teaches nothing.
_LEAST_SHARE = 0.5


def face_run(model: FrameModel, path: Path, chip_px: int, detector: MtcnnDetector) -> ScoreRun:
    """The largest face of each sampled frame as a run; frames without a face are invalid samples."""
    times, chips, found = [], [], []
    with open_video(path) as video:
        for frame in select(video.tickets(), _RATE_HZ):
            faces = detector.detect(frame.rgb, frame.index, frame.time_s)
            times.append(frame.time_s)
            found.append(len(faces) > 0)
            if not len(faces):
                chips.append(np.zeros((model.chip.size, model.chip.size, 3), np.uint8))
                continue
            one = faces.take(faces.by_size()[:1])
            roll = head_pose(one.landmarks_xy)[:, 2]
            chips.append(cut_chips(frame.rgb, one.boxes_xyxy, roll, model.chip)[0])
    valid = np.array(found, np.bool_)
    prob = np.zeros((len(times), SCORE_COUNT), np.float32)
    rgb = np.stack(chips)
    if valid.any():
        prob[valid] = from_logits(model.logits(rgb[valid]))
    return ScoreRun(np.array(times, np.float64), prob, valid, grey_chips(rgb, chip_px))


def clips_of(videos: Path) -> list[Path]:
    """The clips of a folder.

    Raises:
        DataError: there is none.
    """
    files = sorted(p for p in videos.glob(PATTERN) if p.suffix.lower() in _VIDEOS)
    if not files:
        raise DataError(
            f"{videos} holds no clips named {PATTERN}", "Give the folder of such clips with --videos."
        )
    return files


def clip_runs(
    model: FrameModel,
    videos: Path,
    folder: Path,
    chip_px: int,
    limit: int | None = None,
    say: Say = lambda _: None,
) -> list[ScoreRun]:
    """One run per clip of ``videos`` whose name begins with ``webcam_``; kept in ``folder``.

    Raises:
        DataError: there is no such clip.
    """
    files = clips_of(videos)
    detector: MtcnnDetector | None = None
    runs: list[ScoreRun] = []
    for path in files[:limit]:

        def follow(path: Path = path) -> Arrays:
            nonlocal detector
            say(f"following the face in {path.name}")
            detector = detector or MtcnnDetector(MtcnnConfig(min_face_px=40))
            run = face_run(model, path, chip_px, detector)
            assert run.chips is not None
            return {"times_s": run.times_s, "prob": run.prob, "valid": run.valid, "chips": run.chips}

        name = f"{path.name}-{sha256_of(path)[:12]}-{model.key}-{chip_px}px.npz"
        held = cached(folder / "outputs" / name, follow)
        run = ScoreRun(held["times_s"], held["prob"], held["valid"], held["chips"])
        if run.valid.mean() >= _LEAST_SHARE:
            runs.append(run)
    return runs
