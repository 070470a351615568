"""Faces that the picture's edge cuts: are they found, where, and do they still look like themselves?

    python -m benchmarks.cut_faces CLIP...

Every clip shows one person. Pictures of it are cut so that a share of the face's height is missing at the chin or the
forehead, or of its width at the left, as tiles at the border of a call's gallery are. What is found in the cut
picture is compared with the face of the whole one: overlap of the boxes (the whole face is asked for), cosine of the
face features, likeness of the colours of hair and chest.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from engagement.classification.classifier import FaceClassifier
from engagement.faces.chips import cut_chips
from engagement.faces.mtcnn import MtcnnDetector
from engagement.faces.pose import head_pose
from engagement.geometry import iou_matrix
from engagement.tracking.appearance import colour_roots, colours_alike, head_colours
from engagement.types import ByteArray, FaceDetections, FloatArray
from engagement.video import open_video
from engagement.video.sampling import select

SIDES = ("chin", "forehead", "left")
SHARES = (0.1, 0.25, 0.4)
_LONGEST = 640  # pictures are reduced to this
_EVERY_S, _PICTURES = 2.5, 2
_OVERLAP = 0.3  # from which a find is taken for the cut face


def pictures(clip: Path) -> Iterator[ByteArray]:
    """A few pictures of a clip, no longer than _LONGEST."""
    import cv2

    with open_video(clip) as reader:
        for number, frame in enumerate(select(reader.tickets(), 1 / _EVERY_S)):
            if number == _PICTURES:
                return
            scale = min(1.0, _LONGEST / max(frame.rgb.shape[:2]))
            small = cv2.resize(frame.rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            yield np.asarray(small, np.uint8)


def cut(rgb: ByteArray, box: FloatArray, side: str, share: float) -> tuple[ByteArray, tuple[int, int]]:
    """The picture without a share of the face, and where its corner lies in the whole one."""
    x1, y1, x2, y2 = (float(v) for v in box)
    if side == "chin":
        return rgb[: int(y2 - share * (y2 - y1))], (0, 0)
    if side == "forehead":
        top = max(int(y1 + share * (y2 - y1)), 0)
        return np.ascontiguousarray(rgb[top:]), (0, top)
    left = max(int(x1 + share * (x2 - x1)), 0)
    return np.ascontiguousarray(rgb[:, left:]), (left, 0)


def feature(rgb: ByteArray, faces: FaceDetections, row: int, classifier: FaceClassifier) -> FloatArray:
    """Face feature of one find, as the pipeline computes it."""
    own = faces.take(np.array([row]))
    roll = head_pose(own.landmarks_xy)[:, 2]
    chips = [cut_chips(rgb, own.boxes_xyxy, roll, spec) for spec in classifier.chip_specs]
    return classifier.score(chips).identity[0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="+", type=Path)
    options = parser.parse_args()
    detector, classifier = MtcnnDetector(), FaceClassifier()
    seen: dict[tuple[str, float], list[tuple[float, float, float] | None]] = {}
    for clip in options.clips:
        for rgb in pictures(clip):
            whole = detector.detect(rgb)
            if not len(whole):
                continue
            row = int(np.argmin(whole.boxes_xyxy[:, 1]))  # a print on a jumper is further down
            box, known = whole.boxes_xyxy[row], feature(rgb, whole, row, classifier)
            colours = colour_roots(head_colours(rgb, box[None]))
            for side in SIDES:
                for share in SHARES:
                    part, corner = cut(rgb, box, side, share)
                    faces = detector.detect(part)
                    places = faces.boxes_xyxy + np.tile(np.array(corner, np.float32), 2)
                    overlap = iou_matrix(box[None], places)[0]
                    found = None
                    if len(faces) and overlap.max() > _OVERLAP:
                        best = int(overlap.argmax())
                        likeness = float(feature(part, faces, best, classifier) @ known)
                        own = colour_roots(head_colours(part, faces.boxes_xyxy[best, None]))
                        found = float(overlap[best]), likeness, colours_alike(colours, own).item()
                    seen.setdefault((side, share), []).append(found)
    print(
        "| cut at | share missing | found | IoU with the whole face | cosine with it | colours alike |\n|"
        + "---|" * 6
    )
    everything = [v for values in seen.values() for v in values]
    for (side, share), values in [*seen.items(), (("all", np.nan), everything)]:
        found = np.array([v for v in values if v is not None]).reshape(-1, 3)
        name = "–" if np.isnan(share) else f"{share:.2f}"
        mean = found.mean(axis=0) if len(found) else np.full(3, np.nan)
        means = " | ".join(f"{value:.3f}" for value in mean)
        print(f"| {side} | {name} | {len(found)} of {len(values)} | {means} |")


if __name__ == "__main__":
    main()
