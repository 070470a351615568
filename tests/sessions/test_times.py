"""Times and boxes are the container's: uneven frame times, rotation, memory that does not grow."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from engagement.followed import FOLLOWED
from engagement.geometry import iou_matrix
from engagement.pipeline import SessionResult
from engagement.records import FaceRecords
from engagement.thumbnails import ThumbnailKeeper
from engagement.types import VideoInfo
from engagement.video.reader import DecodeOutcome
from tests.sessions.command import Run

Command = Callable[..., Run]


def container_times(path: Path) -> np.ndarray:
    """Presentation times of every frame by PyAV, from the first one."""
    with av.open(str(path)) as container:
        times = [
            float(f.pts * f.time_base) for f in container.decode(video=0) if f.pts is not None and f.time_base
        ]
    return np.array(times) - times[0]


def ffmpeg(*args: object) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, args)], check=True)


def test_times_of_a_variable_frame_rate(sample_videos: Path, sample_results: Path) -> None:
    true = container_times(sample_videos / "video_call.mp4")
    assert np.ptp(np.diff(true)) > 0.02, "the clip was meant to have uneven frame times"
    timeline = pd.read_parquet(sample_results / "video_call" / "timeline.parquet")
    assert np.allclose(timeline["time_s"], true[timeline["frame_index"]], atol=1e-6)
    # A grid point is served by the first frame at or after it.
    later = timeline[timeline["frame_index"] > 0]
    grid = np.floor((later["time_s"].to_numpy() + 0.0006) * 5) / 5
    assert (true[later["frame_index"] - 1] < grid).all()


def write_turned(source: Path, target: Path, degrees: int) -> None:
    """The same recording stored anticlockwise, and marked so that players turn it back clockwise."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream = made.add_stream("libx264", rate=30, options={"crf": "12"})
        shown = given.streams.video[0]
        size = (shown.width, shown.height) if degrees == 180 else (shown.height, shown.width)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = shown.time_base
        stream.codec_context.time_base = shown.time_base
        stream.set_display_rotation(-degrees)
        for frame in given.decode(shown):
            stored = np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), degrees // 90))
            turned = av.VideoFrame.from_ndarray(stored, format="rgb24")
            turned.pts, turned.time_base = frame.pts, frame.time_base
            made.mux(stream.encode(turned))
        made.mux(stream.encode(None))


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_boxes_of_a_rotated_recording_are_in_the_displayed_orientation(
    tmp_path: Path, sample_videos: Path, engagement: Command, degrees: int
) -> None:
    upright, turned = tmp_path / "upright.mp4", tmp_path / "turned.mp4"
    ffmpeg("-i", sample_videos / "crossing.mp4", "-t", 1.2, "-an", "-crf", 18, upright)
    write_turned(upright, turned, degrees)
    assert engagement("analyze", upright, turned, "-o", tmp_path / "out").status == 0
    straight, rotated = (
        pd.read_parquet(tmp_path / "out" / n / "timeline.parquet") for n in ("upright", "turned")
    )
    video = json.loads((tmp_path / "out" / "turned" / "summary.json").read_text(encoding="utf-8"))["video"]
    assert (video["width"], video["height"], video["rotation_deg"]) == (960, 540, degrees)
    assert np.allclose(rotated["time_s"].unique(), straight["time_s"].unique(), atol=1e-3)
    both = straight.merge(rotated, on=["person_id", "frame_index"], suffixes=("", "_r"))
    assert len(both) == len(straight) > 10
    corners = ["x1", "y1", "x2", "y2"]
    ious = iou_matrix(
        both[corners].to_numpy(np.float32), both[[f"{c}_r" for c in corners]].to_numpy(np.float32)
    ).diagonal()
    assert ious.min() > 0.75
    poses = both[["roll_deg", "roll_deg_r"]].to_numpy()
    assert np.abs(poses[:, 0] - poses[:, 1]).max() < 10


_PEAK = """
import resource, sys
from engagement.cli import main
sys.argv = ["engagement", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert end.code == 0, end.code
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_length(tmp_path: Path, sample_videos: Path) -> None:
    """The same clip once and ten times: peak memory of the whole process."""
    once, tenfold = tmp_path / "once.mp4", tmp_path / "tenfold.mp4"
    ffmpeg("-i", sample_videos / "crossing.mp4", "-t", 4, "-vf", "scale=480:-2", "-an", once)
    ffmpeg("-stream_loop", 9, "-i", once, "-c", "copy", tenfold)
    peaks = []
    for clip in (once, tenfold):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                _PEAK,
                "analyze",
                clip,
                "-o",
                tmp_path / "out",
                "-q",
                "--sample-rate",
                "3",
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[1] <= 1.1 * peaks[0]


@pytest.mark.parametrize(
    ("declared_s", "complete", "shown_until_s", "end_s"),
    [
        (2.9, True, 2.901, 2.9),  # of 60 pictures a second, the last is shown for less than a moment
        (2.884, True, 2.901, 2.924),  # the container ends with the last picture
        (2.5, True, 2.901, 2.924),
        (None, True, 2.901, 2.901),  # however far apart the samples
        (60.0, False, 2.901, 2.901),
        (None, True, 9.0, 3.084),  # nothing is known of so long a picture after a step
    ],
)
def test_a_session_ends_where_its_container_does(
    declared_s: float | None, complete: bool, shown_until_s: float, end_s: float
) -> None:
    result = SessionResult(
        info=VideoInfo(Path("x.mp4"), 64, 48, 0, declared_s, "h264", "pyav"),
        outcome=DecodeOutcome(174, 2.884, complete, "", end_s=shown_until_s),
        sample_time_s=np.zeros(0),
        sample_frame=np.zeros(0, np.int64),
        records=FaceRecords(),
        person=np.zeros(0, np.int64),
        smoothed=np.zeros((0, 10), np.float32),
        step_s=0.2,
        followed=np.zeros(0, FOLLOWED),
        thumbnails=ThumbnailKeeper(),
        person_of_track={},
        seconds={},
    )
    assert result.end_s == pytest.approx(end_s)
