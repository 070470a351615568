"""Our cascade against facenet-pytorch's own, same networks, same smallest face, frame by frame.

    python benchmarks/detector.py VIDEO... [--rate 1] [--min-face 24]

Prints seconds per frame as a ratio taken in one run (the two alternate on every frame), faces found by each,
and the share of the library's faces (score >= 0.9) that ours meets at IoU 0.5.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from engagement.compat import load_torchvision
from engagement.faces.mtcnn import MtcnnDetector
from engagement.faces.options import MtcnnConfig
from engagement.geometry import iou_matrix
from engagement.video import open_video
from engagement.video.sampling import select


def compare(video: Path, rate: float, min_face: int) -> str:
    """One line of the table."""
    load_torchvision()
    from facenet_pytorch import MTCNN

    library = MTCNN(keep_all=True, min_face_size=min_face)
    ours = MtcnnDetector(MtcnnConfig(min_face_px=min_face))
    seconds = np.zeros(2)
    frames = theirs = mine = met = 0
    with open_video(video) as reader:
        for frame in select(reader.tickets(), rate):
            started = time.perf_counter()
            boxes, prob = library.detect(frame.rgb)[:2]
            middle = time.perf_counter()
            faces = ours.detect(frame.rgb)
            seconds += (middle - started, time.perf_counter() - middle)
            sure = [b for b, p in zip(boxes, prob, strict=True) if p >= 0.9] if boxes is not None else []
            frames, theirs, mine = frames + 1, theirs + len(sure), mine + int((faces.score >= 0.9).sum())
            if sure and len(faces):
                met += int(
                    (iou_matrix(np.array(sure, np.float32), faces.boxes_xyxy).max(axis=1) >= 0.5).sum()
                )
    share = f"{met / theirs:.3f}" if theirs else "-"
    return f"| {video.name} | {frames} | {seconds[0] / seconds[1]:.2f} | {theirs} | {mine} | {share} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--min-face", type=int, default=24)
    options = parser.parse_args()
    print(f"threads: {torch.get_num_threads()}, torch {torch.__version__.partition('+')[0]}")
    print("| video | frames | library's time / ours | its faces | our faces | its faces met by ours |")
    print("|---|---|---|---|---|---|")
    for video in options.videos:
        print(compare(video, options.rate, options.min_face), flush=True)


if __name__ == "__main__":
    main()
