"""What face feature and colours say about who is who, on single-person clips.

    python benchmarks/identity.py CLIP... [--checkpoint face_state] [--no-mirror]

Every clip shows one known person. Each is cut into pieces of 1.5 s at several face heights; two pieces of one
clip are the same person, pieces of two clips are different people. Prints the area under the ROC curve of
each kind of evidence, and the slope and zero of a logistic fit under equal priors: the log-likelihood ratios
that `engagement/tracking/evidence.py` adds up. Clothing and background of one clip are the same throughout,
which flatters colours: their slope is halved before use.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
from sklearn.linear_model import LogisticRegression

from engagement.classification.classifier import FaceClassifier
from engagement.classification.options import ClassifierConfig
from engagement.faces.chips import cut_chips
from engagement.faces.mtcnn import MtcnnDetector
from engagement.faces.options import MtcnnConfig
from engagement.faces.pose import head_pose
from engagement.faces.quality import assess
from engagement.tracking.appearance import colour_roots, colours_alike, head_colours
from engagement.video import open_video
from engagement.video.sampling import select
from training.measuring.metrics import auc

_HEIGHTS = (24, 40, 80)
_PIECE_S = 1.5


def pieces(clip: Path, classifier: FaceClassifier) -> list[tuple[str, int, np.ndarray, np.ndarray]]:
    """(clip, face height, mean face feature, mean colours) of every piece."""
    detector = MtcnnDetector(MtcnnConfig(min_face_px=40))
    found: dict[tuple[int, int], list[tuple[float, np.ndarray, np.ndarray]]] = {}
    with open_video(clip) as reader:
        for frame in select(reader.tickets(), 5):
            faces = detector.detect(frame.rgb)
            if not len(faces):
                continue
            box = faces.boxes_xyxy[0]
            pose = head_pose(faces.landmarks_xy)[:1]
            for height in _HEIGHTS:
                scale = height / float(box[3] - box[1])
                small = cv2.resize(frame.rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
                rgb, own = np.asarray(small, np.uint8), (box * scale)[None]
                chips = [cut_chips(rgb, own, pose[:, 2], spec) for spec in classifier.chip_specs]
                quality = assess(chips[0], own, pose, rgb.shape[:2])
                feature = classifier.score(chips).identity[0]
                key = (height, int(frame.time_s // _PIECE_S))
                found.setdefault(key, []).append(
                    (float(quality[0]) + 0.02, feature, head_colours(rgb, own)[0])
                )
    out = []
    for (height, _), sights in sorted(found.items()):
        if len(sights) >= 3:
            feature = np.sum([w * f for w, f, _ in sights], axis=0)
            out.append(
                (
                    clip.stem,
                    height,
                    feature / np.linalg.norm(feature),
                    np.mean([c for *_, c in sights], axis=0),
                )
            )
    return out


def fit(value: np.ndarray, same: np.ndarray) -> tuple[float, float]:
    """Slope and zero of the log-likelihood ratio under equal priors."""
    model = LogisticRegression(class_weight="balanced", C=100.0).fit(value[:, None], same)
    slope = float(model.coef_[0, 0])
    return slope, -float(model.intercept_[0]) / slope


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--checkpoint", default="face_state")
    parser.add_argument("--no-mirror", action="store_true", help="one look at each face")
    options = parser.parse_args()
    classifier = FaceClassifier(ClassifierConfig(options.checkpoint, mirror=not options.no_mirror))
    every = [piece for clip in options.clips for piece in pieces(clip, classifier)]
    print(
        "| evidence | face heights, px | pairs same / different | AUC | slope | zero |\n|---|---|---|---|---|---|"
    )
    for low, high in ((24, 24), (40, 40), (80, 80), (24, 80)):
        some = [p for p in every if low <= p[1] <= high]
        pairs = [(a, b) for a, b in combinations(some, 2) if a[0] != b[0] or a[1] == b[1] or low != high]
        same = np.array([a[0] == b[0] for a, b in pairs])
        face = np.array([a[2] @ b[2] for a, b in pairs])
        roots = [colour_roots(np.stack([a[3], b[3]])) for a, b in pairs]
        colour = np.array([colours_alike(both[:1], both[1:]).item() for both in roots])
        for name, value in (("face", face), ("colours", colour)):
            slope, zero = fit(value, same)
            counts = f"{int(same.sum())} / {int((~same).sum())}"
            print(f"| {name} | {low}-{high} | {counts} | {auc(value, same):.4f} | {slope:.1f} | {zero:.3f} |")


if __name__ == "__main__":
    main()
