"""The whole analysis against the obvious way to do it, in one process run on the same video.

    python benchmarks/pipeline.py VIDEO [--seconds 60] [--rate 5] [--min-face 24] [--repeat 1] [--json FILE]

The obvious way: every sampled frame decoded by decord, facenet-pytorch's MTCNN on the whole frame at the same
smallest face, the same EfficientNet-B0 on every crop. It is slow, so it runs on the first --obvious-seconds and
counts by the second of video. A clip shorter than --seconds is looped (its packets
are copied). Prints seconds per second of video, the ratio, the share of each stage, decoding against decoding
alone, and how many of the obvious way's faces (score >= 0.9) ours shows at IoU 0.5. Loading of models is not
counted. The two take turns; with --repeat the fastest run of each counts.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from looped import loop

from engagement.classification.classifier import FaceClassifier
from engagement.classification.options import ClassifierConfig
from engagement.compat import load_torchvision
from engagement.config import AnalysisConfig
from engagement.faces.chips import cut_chips
from engagement.faces.options import MtcnnConfig, SearchConfig
from engagement.geometry import iou_matrix
from engagement.pipeline import Analyzer
from engagement.types import FloatArray
from engagement.video import open_video
from engagement.video.sampling import SamplingConfig, select

Boxes = dict[int, FloatArray]


class ObviousWay:
    """decord, facenet-pytorch's MTCNN, eager B0."""

    def __init__(self, min_face: int) -> None:
        load_torchvision()
        from facenet_pytorch import MTCNN

        self.detector = MTCNN(keep_all=True, min_face_size=min_face)
        self.classifier = FaceClassifier(ClassifierConfig(mirror=False))

    def run(self, video: Path, frames: list[int]) -> Boxes:
        """Boxes (n, 4) with score >= 0.9 of every sampled frame."""
        import decord

        reader = decord.VideoReader(str(video))
        out: Boxes = {}
        for index in frames:
            rgb = reader[index].asnumpy()
            found, prob = self.detector.detect(rgb)[:2]
            boxes = np.zeros((0, 4), np.float32) if found is None else np.asarray(found, np.float32)
            for box in boxes:
                upright = np.zeros(1, np.float32)
                chips = [cut_chips(rgb, box[None], upright, spec) for spec in self.classifier.chip_specs]
                self.classifier.score(chips)
            sure = np.asarray([p >= 0.9 for p in prob], bool) if len(boxes) else np.zeros(0, bool)
            out[index] = boxes[sure]
        return out


def sampled(video: Path, rate: float) -> tuple[list[int], float, float]:
    """Index of every sampled frame, the video's length, and the seconds that decoding alone takes."""
    started = time.perf_counter()
    with open_video(video) as reader:
        frames = [(f.index, f.time_s) for f in select(reader.tickets(), rate)]
    return [i for i, _ in frames], frames[-1][1] + 1 / rate, time.perf_counter() - started


def ours(analyzer: Analyzer, video: Path) -> tuple[Boxes, dict[str, float]]:
    """Boxes of every sampled frame that are on the timeline, and seconds by stage."""
    result = analyzer.analyze_video(video)
    rows = result.records.rows[result.person >= 0]
    boxes = {
        int(frame): rows["box"][rows["sample"] == sample] for sample, frame in enumerate(result.sample_frame)
    }
    return boxes, result.seconds


def agreement(reference: Boxes, found: Boxes) -> float:
    """Share of the reference's boxes met at IoU 0.5."""
    total = met = 0
    for frame, boxes in reference.items():
        total += len(boxes)
        if len(boxes) and len(found.get(frame, ())):
            met += int((iou_matrix(boxes, found[frame]).max(axis=1) >= 0.5).sum())
    return met / max(total, 1)


def compare(video: Path, options: argparse.Namespace) -> dict[str, Any]:
    """All figures of one video."""
    config = AnalysisConfig(
        sampling=SamplingConfig(rate_hz=options.rate),
        detection=MtcnnConfig(min_face_px=options.min_face),
        search=SearchConfig(scan_every_s=options.scan_every),
        classifier=ClassifierConfig(mirror=not options.no_mirror),
    )
    analyzer, obvious = Analyzer(config, options.device), ObviousWay(options.min_face)
    best = {"ours": np.inf, "obvious": np.inf, "decode": np.inf}
    stages: dict[str, float] = {}
    mine: Boxes = {}
    theirs: Boxes = {}
    frames: list[int] = []
    length = cpu = 0.0
    for _ in range(options.repeat):
        frames, length, decode = sampled(video, options.rate)
        best["decode"] = min(best["decode"], decode)
        started, worked = time.perf_counter(), time.process_time()
        mine, seconds = ours(analyzer, video)
        took = time.perf_counter() - started
        if took < best["ours"]:
            best["ours"], stages, cpu = took, seconds, time.process_time() - worked
        if not options.ours_only:
            torch.set_num_threads(os.cpu_count() or 1)  # its operations run one after another
            started = time.perf_counter()
            part = frames[: max(1, round(options.obvious_seconds * options.rate))]
            theirs = obvious.run(video, part)
            took = (time.perf_counter() - started) * len(frames) / len(part)
            best["obvious"] = min(best["obvious"], took)
            torch.set_num_threads(1)
    return {
        "video": video.name,
        "seconds": length,
        "samples": len(frames),
        "faces": {
            "ours": sum(len(mine[i]) for i in theirs or mine),
            "obvious": sum(map(len, theirs.values())),
        },
        "seconds_per_second": {k: v / length for k, v in best.items() if np.isfinite(v)},
        "times_faster": best["obvious"] / best["ours"] if theirs else None,
        "times_real_time": length / best["ours"],
        "whole_run_against_decoding_alone": best["ours"] / best["decode"],
        "decode_stage_against_decoding_alone": stages["decode"] / best["decode"],
        "cpu_seconds_per_second": cpu / length,
        "stage_seconds_per_second": {k: v / length for k, v in stages.items()},
        "recall_of_obvious": agreement(theirs, mine) if theirs else None,
        "device": analyzer.device,
        "cores": os.cpu_count(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=5.0)
    parser.add_argument("--min-face", type=int, default=24)
    parser.add_argument("--scan-every", type=float, default=SearchConfig().scan_every_s)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--obvious-seconds", type=float, default=20, help="Run the obvious way on so much.")
    parser.add_argument("--ours-only", action="store_true", help="Leave the obvious way out.")
    parser.add_argument("--no-mirror", action="store_true", help="Ours looks at each face once, too.")
    parser.add_argument(
        "--device", default="auto", help="Ours runs there; the obvious way by torch on the CPU."
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = loop(options.video, Path(folder) / options.video.name, options.seconds)
        found = compare(video, options)
    text = json.dumps(found, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
