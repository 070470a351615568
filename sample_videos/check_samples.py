"""Hold the sample clips against their truth files with the face detector the project uses."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from engagement.compat import load_torchvision

MIN_FACE_PX, MIN_SCORE, MIN_IOU, MIN_RECALL = 24, 0.9, 0.5, 0.97
Box = tuple[float, ...]


def iou(a: Box, b: Box) -> float:
    """Overlap of two boxes: intersection over union."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(wide, 0.0) * max(high, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return inter / (sum(areas) - inter)


def frames_at(path: Path, times: list[float]) -> list[np.ndarray]:
    """The frame on screen at each of the ascending times, RGB."""
    pictures: list[np.ndarray] = []
    with av.open(str(path)) as container:
        last = None
        for frame in container.decode(video=0):
            while (
                last is not None and len(pictures) < len(times) and times[len(pictures)] < frame.time - 1e-6
            ):
                pictures.append(last.to_ndarray(format="rgb24"))
            last = frame
        while last is not None and len(pictures) < len(times):
            pictures.append(last.to_ndarray(format="rgb24"))
    return pictures


def measure(truth: dict[str, Any], detections: list[list[Box]], times: list[float]) -> dict[str, Any]:
    """Count found, missed and false faces.

    A detection is false when it overlaps no truth box and no face that is partly covered or leaving
    the picture: those may be found or missed, neither counts.
    """
    wanted = found = false = partial_wanted = partial_found = 0
    missed: list[tuple[str, float]] = []
    for time, boxes in zip(times, detections, strict=True):
        here = []
        excused = 0  # people half in the picture or half covered, who may be found without a truth box
        for person in truth["persons"]:
            inside = any(start <= time < end for start, end in person["presence"])
            covered = any(start <= time < end for start, end in person["occluded"])
            excused += covered or any(
                abs(time - edge) < 1.0
                for span in person["presence"]
                for edge in span
                if 0 < edge < truth["duration_s"]
            )
            box = next((b for b in person["boxes"] if abs(b["time_s"] - time) < 1e-6), None)
            if not inside or box is None:
                continue
            corners = tuple(box[c] for c in ("x1", "y1", "x2", "y2"))
            here.append(corners)
            hit = any(iou(corners, b) >= MIN_IOU for b in boxes)
            if covered:
                partial_wanted, partial_found = partial_wanted + 1, partial_found + hit
                continue
            wanted, found = wanted + 1, found + hit
            if not hit:
                missed.append((person["name"], time))
        strays = sum(all(iou(b, c) < 0.3 for c in here) for b in boxes)
        false += max(0, strays - excused)
    return {
        "recall": found / wanted,
        "wanted": wanted,
        "missed": missed,
        "false": false,
        "partial": f"{partial_found}/{partial_wanted}",
    }


def check(clips: list[Path]) -> int:
    """Print recall and false faces of every clip; returns the exit code."""
    load_torchvision()
    import torch
    from facenet_pytorch import MTCNN

    torch.set_num_threads(1)
    detector = MTCNN(keep_all=True, min_face_size=MIN_FACE_PX)
    failed = False
    for clip in clips:
        truth = json.loads(clip.with_suffix(".truth.json").read_text(encoding="utf-8"))
        times = [round(step * 0.2, 3) for step in range(round(truth["duration_s"] / 0.2))]
        detections: list[list[Box]] = []
        for picture in frames_at(clip, times):
            boxes, scores = detector.detect(picture)
            pairs = [] if boxes is None else zip(boxes.tolist(), scores.tolist(), strict=True)
            detections.append([tuple(box) for box, score in pairs if score >= MIN_SCORE])
        result = measure(truth, detections, times)
        bad = result["recall"] < MIN_RECALL or result["false"] > 0
        failed |= bad
        print(
            f"{clip.name}: recall {result['recall']:.3f} of {result['wanted']} faces, "
            f"{result['false']} false, occluded found {result['partial']}, missed {result['missed']}"
            f"{'  <-- not good enough' if bad else ''}"
        )
    return int(failed)
