"""Are pictures of faces that stand still told from faces that only move little?

    python -m benchmarks.frozen CLIP...

Every clip is analysed as it is and as a small, coarse copy: for how long does a face look the same at most? Then one of its
pictures is shown for 30 s, as a photograph or a tile that hangs would be, at three sizes, encoded finely and coarsely, and
with a camera's noise: in how much of the time that it is seen is it told to be frozen?
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from engagement.config import AnalysisConfig
from engagement.pipeline import Analyzer, Segment
from engagement.tracking.frozen import lasting
from engagement.types import ByteArray
from engagement.video import open_video
from engagement.video.sampling import select

_FPS, _STILL_S, _PICTURE_S = 25, 30.0, 1.5
#: (width in pixels, x264's CRF, standard deviation of noise in grey levels)
_COPIES = ((240, 32, 0.0), (120, 36, 0.0))
_STILLS = ((640, 26, 0.0), (640, 26, 8.0), (320, 28, 0.0), (320, 34, 0.0), (120, 28, 0.0), (120, 34, 0.0))


def encode(pictures: Iterator[ByteArray], path: Path, width: int, crf: int, noise: float) -> None:
    """Write a video of pictures (height, width, 3)."""
    draw = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=_FPS, options={"crf": str(crf), "preset": "veryfast"})
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, _FPS)
        for rgb in pictures:
            height = round(rgb.shape[0] * width / rgb.shape[1] / 2) * 2
            small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
            if not stream.codec_context.is_open:
                stream.width, stream.height = width, height
            noisy = np.clip(small + draw.normal(0, noise, small.shape), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, "rgb24")))
        container.mux(stream.encode())


def pictures(clip: Path, rate_hz: float = _FPS) -> Iterator[ByteArray]:
    with open_video(clip) as reader:
        for frame in select(reader.tickets(), rate_hz):
            yield frame.rgb


def still(clip: Path) -> Iterator[ByteArray]:
    shown = next(rgb for i, rgb in enumerate(pictures(clip)) if i >= _PICTURE_S * _FPS)
    for _ in range(round(_STILL_S * _FPS)):
        yield shown


def longest_s(segment: Segment) -> float:
    """For how long a face looked the same at most."""
    rows, times = segment.records.rows, np.asarray(segment.times)
    longest, since = 0.0, dict[int, float]()
    for row in rows:
        time_s, track = float(times[row["sample"]]), int(row["track"])
        if not row["frozen"]:
            since[track] = time_s
        longest = max(longest, time_s - since.get(track, time_s))
    return longest


def told(segment: Segment) -> float:
    """Share of faces, by sample, that are told to be frozen; NaN where no face was found."""
    rows = segment.records.rows
    frozen = lasting(np.asarray(segment.times)[rows["sample"]], rows["track"], rows["frozen"])
    return float(frozen.mean()) if len(rows) else np.nan


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="+", type=Path)
    clips = parser.parse_args().clips
    analyzer = Analyzer(AnalysisConfig(thumbnails=False))
    print("| moving faces | looked the same for at most, s: median of the clips, longest |\n|---|---|")
    held = [longest_s(analyzer.read(clip)) for clip in clips]
    print(f"| as they are | {np.median(held):.1f}, {max(held):.1f} |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.mp4"
        for width, crf, noise in _COPIES:
            held = []
            for clip in clips:
                encode(pictures(clip), made, width, crf, noise)
                held.append(longest_s(analyzer.read(made)))
            print(f"| {width} px wide, CRF {crf} | {np.median(held):.1f}, {max(held):.1f} |", flush=True)
        print("\n| stills | faces found | told to be frozen: mean of the clips, least |\n|---|---|---|")
        for width, crf, noise in _STILLS:
            shares, sides = [], []
            for clip in clips:
                encode(still(clip), made, width, crf, noise)
                segment = analyzer.read(made)
                box = segment.records.rows["box"]
                sides += [float(np.median((box[:, 2:] - box[:, :2]).max(axis=1)))] if len(box) else []
                shares.append(told(segment))
            known = [share for share in shares if np.isfinite(share)]
            what = f"{width} px wide, CRF {crf}" + (f", noise of {noise:g}" if noise else "")
            size = f"in {len(known)} of {len(clips)}" + (f", {np.median(sides):.0f} px" if sides else "")
            found = f"{np.mean(known):.2f}, {min(known):.2f}" if known else "–"
            print(f"| {what} | {size} | {found} |", flush=True)


if __name__ == "__main__":
    main()
