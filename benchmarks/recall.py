"""Nobody missing: faces annotated by eye, and how many of them each way of looking finds.

    python benchmarks/recall.py ../shared/videos [--json FILE] [--iou 0.4] [--results FOLDER] [--analyze-options "..."]

Compared on the frames of ``recall_annotations.json`` with the same smallest face, once for the clear faces and once
for every face of which an eye shows (also smaller, in profile, half hidden):

- ``library``: facenet-pytorch's ``MTCNN(keep_all=True)`` on single frames;
- ``cascade``: our ``MtcnnDetector`` on single frames;
- ``found``: the rows that ``engagement analyze`` puts on the timeline as observed at that frame, sampling at
  the rate of the annotations (run here into a temporary folder, or read from ``--results``);
- ``analyze``: all that it puts there: also heads whose face was not found and that were followed by their picture.

A found box meets an annotated one at an IoU of at least ``--iou``; the assignment is the one with most pairs and,
among those, the largest sum of IoU (Kuhn 1955, by SciPy). 0.4, not 0.5, because MTCNN's boxes begin in the middle of the
forehead and annotated ones at the hairline, which alone costs up to a third of the IoU of a perfect find. A box
that meets no annotated face but an ignored one (IoU, or half of the box inside it) counts neither way; every
other one is a false alarm. Intervals are 95 %, from resampling whole frames (faces of one frame are not
independent), with a fixed seed.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from engagement.geometry import iou_matrix
from engagement.types import FloatArray, IndexArray

ANNOTATIONS = Path(__file__).with_name("recall_annotations.json")
METHODS = ("library", "cascade", "found", "analyze")
#: Which faces count beside the clear ones, by the annotations' reasons.
TARGETS = {"clear faces": (), "every face": ("small", "profile", "half")}
TITLES = {
    "library": "facenet-pytorch's MTCNN, single frames",
    "cascade": "our MTCNN cascade, single frames",
    "found": "`engagement analyze`, faces found",
    "analyze": "`engagement analyze`, timeline: found or followed",
}
_RESAMPLES = 10_000
_FACE = ["x1", "y1", "x2", "y2"]


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedFrame:
    """One frame of the annotations.

    Attributes:
        video: file name.
        index, time_s: which frame.
        boxes: (n, 4) faces that count, corners in source pixels.
        ignore: (m, 4) what counts neither way.
    """

    video: str
    index: int
    time_s: float
    boxes: FloatArray
    ignore: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a method found in one frame: (n, 4) boxes and (n,) scores 0-1."""

    boxes: FloatArray
    score: FloatArray

    def sure(self, threshold: float) -> Found:
        """Those with a score of at least ``threshold``."""
        return Found(self.boxes[self.score >= threshold], self.score[self.score >= threshold])


def load_annotations(
    path: Path = ANNOTATIONS, also: Collection[str] = ()
) -> tuple[list[AnnotatedFrame], int, float]:
    """The frames, the smallest face in pixels, and the sampling rate in Hz.

    Args:
        also: reasons for which a face is ignored that shall count nevertheless.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    frames = []
    for entry in data["frames"]:
        hard = [i["box"] for i in entry["ignore"] if i["reason"] in also]
        rest = [i["box"] for i in entry["ignore"] if i["reason"] not in also]
        frames.append(
            AnnotatedFrame(
                entry["video"],
                entry["frame_index"],
                entry["time_s"],
                _boxes(entry["boxes"] + hard),
                _boxes(rest),
            )
        )
    return frames, int(data["smallest_face_px"]), float(data["sample_rate_hz"])


def _boxes(rows: Sequence[Sequence[float]]) -> FloatArray:
    return np.asarray(rows, np.float32).reshape(-1, 4)


def assign(found: FloatArray, true: FloatArray, least_iou: float) -> list[tuple[int, int]]:
    """Pairs (row of ``found``, row of ``true``): as many as possible, then the largest sum of IoU."""
    iou = iou_matrix(found, true)
    allowed = iou >= least_iou
    # One more pair outweighs any gain in overlap.
    worth = np.where(allowed, 1 + iou / (1 + min(iou.shape)), 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if allowed[r, c]]


def count(found: Found, frame: AnnotatedFrame, least_iou: float) -> tuple[int, int, int]:
    """Of one frame: annotated faces met, annotated faces missed, false alarms."""
    pairs = assign(found.boxes, frame.boxes, least_iou)
    rest = np.delete(found.boxes, [r for r, _ in pairs], axis=0)
    excused = np.zeros(len(rest), bool)
    if len(rest) and len(frame.ignore):
        low = np.maximum(rest[:, None, :2], frame.ignore[None, :, :2])
        high = np.minimum(rest[:, None, 2:], frame.ignore[None, :, 2:])
        inside = np.clip(high - low, 0, None).prod(axis=2) / (rest[:, 2:] - rest[:, :2]).prod(axis=1)[:, None]
        excused = ((iou_matrix(rest, frame.ignore) >= least_iou) | (inside >= 0.5)).any(axis=1)
    return len(pairs), len(frame.boxes) - len(pairs), int((~excused).sum())


def missed(
    found: Sequence[Found], frames: Sequence[AnnotatedFrame], least_iou: float
) -> list[dict[str, Any]]:
    """Which annotated faces nothing met: video, frame and box of each."""
    out = []
    for have, frame in zip(found, frames, strict=True):
        met = [c for _, c in assign(have.boxes, frame.boxes, least_iou)]
        rest = np.delete(frame.boxes, met, axis=0).tolist()
        out += [{"video": frame.video, "frame_index": frame.index, "box": box} for box in rest]
    return out


def count_all(found: Sequence[Found], frames: Sequence[AnnotatedFrame], least_iou: float) -> IndexArray:
    """Counts of every frame, (n, 3)."""
    rows = [count(f, a, least_iou) for f, a in zip(found, frames, strict=True)]
    return np.array(rows, np.int64).reshape(-1, 3)


def recall(counts: IndexArray) -> Any:
    """Share of the annotated faces that were met; (..., n, 3) counts give an array (...)."""
    met, missed, _ = np.moveaxis(counts.sum(axis=-2), -1, 0)
    return met / np.maximum(met + missed, 1)


def precision(counts: IndexArray) -> Any:
    """Share of the found boxes that are faces; 1 where nothing was claimed. Shapes as in ``recall``."""
    met, _, false = np.moveaxis(counts.sum(axis=-2), -1, 0)
    return np.where(met + false > 0, met / np.maximum(met + false, 1), 1.0)


def interval(
    share: Callable[[IndexArray], Any], counts: IndexArray, against: IndexArray | None = None
) -> tuple[float, float]:
    """95 % percentile bootstrap over frames; of the difference to ``against`` (same frames) where given."""
    rows = np.random.default_rng(0).integers(0, len(counts), (_RESAMPLES, len(counts)))
    values = share(counts[rows]) - (share(against[rows]) if against is not None else 0.0)
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def at_precision(
    found: Sequence[Found], frames: Sequence[AnnotatedFrame], target: float, least_iou: float
) -> tuple[float, IndexArray] | None:
    """The score threshold of best recall among those that reach a precision, and its counts.

    None where no threshold reaches it with anything found.
    """
    best: tuple[float, IndexArray] | None = None
    for threshold in sorted({float(s) for f in found for s in f.score}):
        counts = count_all([f.sure(threshold) for f in found], frames, least_iou)
        enough = precision(counts) >= target - 1e-9
        if enough and (best is None or recall(counts) > recall(best[1])):
            best = (threshold, counts)
    return best


def look_at_frames(
    videos: Path, frames: Sequence[AnnotatedFrame], min_face: int, rate: float
) -> dict[str, list[Found]]:
    """What the library and our cascade find in the annotated frames, each frame by itself."""
    from engagement.compat import load_torchvision
    from engagement.faces.mtcnn import MtcnnDetector
    from engagement.faces.options import MtcnnConfig
    from engagement.video import open_video
    from engagement.video.sampling import select

    load_torchvision()
    from facenet_pytorch import MTCNN

    library = MTCNN(keep_all=True, min_face_size=min_face)
    ours = MtcnnDetector(MtcnnConfig(min_face_px=min_face))
    found: dict[tuple[str, int], tuple[Found, Found]] = {}
    for name in sorted({f.video for f in frames}):
        wanted = {f.index for f in frames if f.video == name}
        with open_video(videos / name) as reader:
            for frame in select(reader.tickets(), rate):
                if frame.index not in wanted:
                    continue
                boxes, prob = library.detect(frame.rgb)[:2]
                rows = _boxes([list(b) for b in boxes] if boxes is not None else [])
                score = np.array([p for p in prob if p is not None], np.float32)
                faces = ours.detect(frame.rgb, frame.index, frame.time_s)
                found[name, frame.index] = (Found(rows, score), Found(faces.boxes_xyxy, faces.score))
    absent = [f"{f.video} frame {f.index}" for f in frames if (f.video, f.index) not in found]
    if absent:
        raise SystemExit(f"Not among the sampled frames, so these are other videos: {', '.join(absent)}")
    pairs = [found[f.video, f.index] for f in frames]
    return {"library": [a for a, _ in pairs], "cascade": [b for _, b in pairs]}


def analyze(videos: Path, names: Sequence[str], output: Path, min_face: int, rate: float, more: str) -> None:
    """Run the command as a user would."""
    command = [sys.executable, "-m", "engagement", "analyze", *(str(videos / n) for n in names)]
    command += ["-o", str(output), "--sample-rate", str(rate), "--min-face", str(min_face)]
    command += ["--no-thumbnails", "--quiet", *shlex.split(more)]
    if subprocess.run(command, check=False).returncode:
        raise SystemExit(f"engagement analyze failed: {shlex.join(command)}")


def look_at_timeline(results: Path, frames: Sequence[AnnotatedFrame], followed: bool) -> list[Found]:
    """Whom the timeline has in the annotated frames: observed, or also ``followed`` (these with score 0)."""
    import pandas as pd

    tables: dict[str, Any] = {}
    found = []
    for frame in frames:
        path = results / Path(frame.video).stem / "timeline.parquet"
        if frame.video not in tables:
            if not path.is_file():
                raise SystemExit(f"{path} does not exist: --results is no output of engagement analyze here")
            tables[frame.video] = pd.read_parquet(path)
        table = tables[frame.video]
        now = table[table["frame_index"] == frame.index]
        rows = now[now["observed"]]
        boxes, score = rows[_FACE].to_numpy(np.float32), rows["detection_score"].to_numpy(np.float32)
        if followed:
            heads = now.loc[now["followed"], [f"head_{edge}" for edge in _FACE]].to_numpy(np.float32)
            boxes, score = np.concatenate([boxes, heads]), np.append(score, np.zeros(len(heads), np.float32))
        found.append(Found(boxes, score))
    return found


def measure(
    found: dict[str, list[Found]], frames: Sequence[AnnotatedFrame], least_iou: float
) -> dict[str, Any]:
    """Every figure of the report, plain numbers."""
    counts = {m: count_all(found[m], frames, least_iou) for m in METHODS}
    figures: dict[str, Any] = {}
    for method, mine in counts.items():
        of_video = {v: np.array([f.video == v for f in frames]) for v in sorted({f.video for f in frames})}
        figures[method] = {
            "recall": float(recall(mine)),
            "recall_interval": interval(recall, mine),
            "precision": float(precision(mine)),
            "precision_interval": interval(precision, mine),
            "met": int(mine[:, 0].sum()),
            "false": int(mine[:, 2].sum()),
            "missed": missed(found[method], frames, least_iou),
            "by_video": {video: float(recall(mine[rows])) for video, rows in of_video.items()},
        }
        if method != "library":
            figures[method]["recall_gain"] = float(recall(mine) - recall(counts["library"]))
            figures[method]["recall_gain_interval"] = interval(recall, mine, counts["library"])
            figures[method]["at_equal_precision"] = _equal(found, counts, method, frames, least_iou)
    return {
        "least_iou": least_iou,
        "frames": len(frames),
        "faces": sum(len(f.boxes) for f in frames),
        "methods": figures,
    }


def _equal(
    found: dict[str, list[Found]],
    counts: dict[str, IndexArray],
    method: str,
    frames: Sequence[AnnotatedFrame],
    least_iou: float,
) -> dict[str, Any] | None:
    """Recall of ``method`` and of the library where the less precise of both is as precise as the other.

    None where no score threshold makes it so.
    """
    less, more = sorted((method, "library"), key=lambda m: (float(precision(counts[m])), m != "library"))
    reached = at_precision(found[less], frames, float(precision(counts[more])), least_iou)
    if reached is None:
        return None
    threshold, strict = reached
    both = {less: strict, more: counts[more]}
    return {
        "precision": float(precision(strict)),
        "stricter": less,
        "threshold": threshold,
        "recall": float(recall(both[method])),
        "library_recall": float(recall(both["library"])),
        "gain": float(recall(both[method]) - recall(both["library"])),
        "gain_interval": interval(recall, both[method], both["library"]),
    }


def table(target: str, figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [
        f"**{target.capitalize()}**: {figures['faces']} in {figures['frames']} frames; met at IoU "
        f"{figures['least_iou']:g} and more; 95 % intervals over frames.",
        "",
        "| | recall | precision | met | false | gain in recall | gain at equal precision |",
        "|---|---|---|---|---|---|---|",
    ]
    for method, row in figures["methods"].items():
        gain = equal = "–"
        if method != "library":
            gain = _points(row["recall_gain"], row["recall_gain_interval"])
            at = row["at_equal_precision"]
            equal = "no threshold reaches it"
            if at is not None:
                equal = f"{_points(at['gain'], at['gain_interval'])}: {at['recall']:.3f} against "
                equal += f"{at['library_recall']:.3f} ({at['stricter']} from score {at['threshold']:.3f})"
        lines.append(
            f"| {TITLES[method]} | {_share(row['recall'], row['recall_interval'])} "
            f"| {_share(row['precision'], row['precision_interval'])} | {row['met']} | {row['false']} "
            f"| {gain} | {equal} |"
        )
    videos = list(next(iter(figures["methods"].values()))["by_video"])
    lines += ["", f"| recall | {' | '.join(videos)} |", "|---|" + "---|" * len(videos)]
    for method, row in figures["methods"].items():
        shares = " | ".join(f"{row['by_video'][video]:.3f}" for video in videos)
        lines.append(f"| {TITLES[method]} | {shares} |")
    return "\n".join(lines)


def _share(value: float, between: tuple[float, float]) -> str:
    return f"{value:.3f} ({between[0]:.3f}–{between[1]:.3f})"


def _points(value: float, between: tuple[float, float]) -> str:
    return f"{100 * value:+.1f} points ({100 * between[0]:+.1f} to {100 * between[1]:+.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", type=Path, help="folder of the annotated videos")
    parser.add_argument("--json", type=Path, help="write the figures and the missed faces here")
    parser.add_argument("--iou", type=float, default=0.4)
    parser.add_argument("--results", type=Path, help="an output of engagement analyze instead of a new run")
    parser.add_argument("--analyze-options", default="", help="further options of engagement analyze")
    options = parser.parse_args()
    frames, min_face, rate = load_annotations()
    names = sorted({f.video for f in frames})
    absent = [name for name in names if not (options.videos / name).is_file()]
    if absent:
        print(f"Skipped: {options.videos} lacks {', '.join(absent)}; give the folder that has them.")
        return
    found = look_at_frames(options.videos, frames, min_face, rate)
    with tempfile.TemporaryDirectory() as scratch:
        results = options.results or Path(scratch) / "results"
        if options.results is None:
            analyze(options.videos, names, results, min_face, rate, options.analyze_options)
        found["found"] = look_at_timeline(results, frames, followed=False)
        found["analyze"] = look_at_timeline(results, frames, followed=True)
    figures = {}
    for target, also in TARGETS.items():
        figures[target] = measure(found, load_annotations(also=also)[0], options.iou)
        print(table(target, figures[target]), end="\n\n")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
