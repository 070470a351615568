"""Association: our tracker against those of the `trackers` library, on the same detections.

    pip install trackers motmetrics
    python -m benchmarks.tracking sample_videos [--rates 5 2 1]

Runs over the sample clips, whose boxes and persons are known. Tracks alone are compared, before they are joined
to persons: IDF1 and identity switches (motmetrics), summed over the clips. Detections and the times of frames
are the same for all; the library's trackers get the rate of sampling as their frame rate and keep lost tracks
for a second, as ours does.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sessions_streams import look_at
from engagement.classification.classifier import FaceClassifier
from engagement.faces.mtcnn import MtcnnDetector
from engagement.geometry import iou_matrix
from engagement.tracking.tracker import FaceLook, FaceTracker
from engagement.types import FaceDetections
from engagement.video import open_video
from engagement.video.sampling import select

LIBRARY = ("SORTTracker", "ByteTrackTracker", "OCSORTTracker")
Seen = list[tuple[FaceDetections, FaceLook, list[tuple[str, np.ndarray]]]]


def read(clip: Path, rate: float) -> Seen:
    """Detections, looks and true boxes of every sampled frame."""
    detector, classifier = MtcnnDetector(), FaceClassifier()
    people = json.loads(clip.with_suffix(".truth.json").read_text(encoding="utf-8"))["persons"]
    seen: Seen = []
    with open_video(clip) as reader:
        for frame in select(reader.tickets(), rate):
            faces, look = look_at(frame.rgb, detector, classifier, frame.index, frame.time_s)
            true = []
            for person in people:
                near = min(person["boxes"], key=lambda b: abs(b["time_s"] - frame.time_s))
                if abs(near["time_s"] - frame.time_s) <= 0.11:
                    box = np.array([near[k] for k in ("x1", "y1", "x2", "y2")], np.float32)
                    true.append((person["name"], box))
            seen.append((faces, look, true))
    return seen


def ours(_rate: float) -> Callable[[FaceDetections, FaceLook], np.ndarray]:
    return FaceTracker().update


def theirs(name: str) -> Callable[[float], Callable[[FaceDetections, FaceLook], np.ndarray]]:
    """A tracker of the library behind the same call."""

    def make(rate: float) -> Callable[[FaceDetections, FaceLook], np.ndarray]:
        library: Any = importlib.import_module("trackers")
        supervision: Any = importlib.import_module("supervision")
        # The library scales its buffer, stated in frames at 30 per second, by the frame rate.
        tracker = getattr(library, name)(lost_track_buffer=30, frame_rate=rate, minimum_consecutive_frames=1)

        def update(faces: FaceDetections, _look: FaceLook) -> np.ndarray:
            given = supervision.Detections(
                xyxy=faces.boxes_xyxy,
                confidence=faces.score,
                class_id=np.zeros(len(faces), int),
                data={"row": np.arange(len(faces))},
            )
            found = tracker.update(given)
            ids = np.full(len(faces), -1)
            if len(found):
                ids[found.data["row"].astype(int)] = found.tracker_id
            return ids

        return update

    return make


def judge(
    make: Callable[[float], Callable[..., np.ndarray]], sessions: list[Seen], rate: float
) -> tuple[float, int]:
    """IDF1 and switches over all sessions."""
    motmetrics: Any = importlib.import_module("motmetrics")
    books = []
    for seen in sessions:
        update, book = make(rate), motmetrics.MOTAccumulator(auto_id=True)
        for faces, look, true in seen:
            ids = np.asarray(update(faces, look))
            kept = np.flatnonzero(ids >= 0)
            boxes = np.array([box for _, box in true], np.float32).reshape(-1, 4)
            distance = 1 - iou_matrix(boxes, faces.boxes_xyxy[kept]).astype(float)
            distance[distance > 0.6] = np.nan
            book.update([ord(name) for name, _ in true], ids[kept].tolist(), distance)
        books.append(book)
    host = motmetrics.metrics.create()
    table = host.compute_many(books, metrics=["idf1", "num_switches"], generate_overall=True)
    return float(table.loc["OVERALL", "idf1"]), int(table.loc["OVERALL", "num_switches"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="clips with <clip>.truth.json")
    parser.add_argument("--rates", nargs="+", type=float, default=[5, 2, 1])
    options = parser.parse_args()
    clips = sorted(options.folder.glob("*.mp4"))
    candidates = {"ours": ours, **{name: theirs(name) for name in LIBRARY}}
    print("| samples/s | tracker | IDF1 | switches |\n|---|---|---|---|")
    for rate in options.rates:
        sessions = [read(clip, rate) for clip in clips]
        for name, make in candidates.items():
            idf1, switches = judge(make, sessions, rate)
            print(f"| {rate:g} | {name} | {idf1:.3f} | {switches} |", flush=True)


if __name__ == "__main__":
    main()
