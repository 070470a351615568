"""Make the sample clips and their truth files: stills of known people, moved in a known way.

    python sample_videos/make_samples.py --wand-sdist Wand-0.6.13.tar.gz
    python sample_videos/make_samples.py --check

The pictures are the same on every run; the encoder's bytes differ a little.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from portraits import WAND_SDIST, CutOut, cut_outs
from scenes import (
    FPS,
    HEIGHT,
    SCENES,
    TABLE_TOP,
    WIDTH,
    Actor,
    Panel,
    Pose,
    Scene,
    clipboard_picture,
    knots,
    table,
)

HERE = Path(__file__).resolve().parent
TRUTH_STEP_S = 0.2
# Covered share of the face box: from here on a face counts as occluded, and has no box, respectively.
OCCLUDED_FROM, HIDDEN_FROM = 0.15, 0.5
TICKS = 1000  # of the video's clock per second; milliseconds hold uneven frame times
Box = tuple[float, float, float, float]


def face_box(pose: Pose, cut: CutOut, panel: Panel) -> Box:
    """The portrait's face box moved into the picture. Tilts are small, so the box stays upright."""
    x1, y1, x2, y2 = cut.portrait.face
    half_height = pose.height / 2
    half_width = half_height * (x2 - x1) / (y2 - y1)
    x, y = panel.x + pose.x, panel.y + pose.y
    return x - half_width, y - half_height, x + half_width, y + half_height


def place(pose: Pose, cut: CutOut, panel: Panel) -> np.ndarray:
    """The cut-out as it appears in a panel: premultiplied RGBA of the panel's size."""
    x1, y1, x2, y2 = cut.portrait.face
    scale = pose.height / (y2 - y1)
    matrix = cv2.getRotationMatrix2D(((x1 + x2) / 2, (y1 + y2) / 2), pose.angle, scale)
    matrix[:, 2] += (pose.x - (x1 + x2) / 2, pose.y - (y1 + y2) / 2)
    source = cut.rgba
    if scale < 0.8:  # plain warping would alias
        source = cv2.GaussianBlur(source, (0, 0), 0.45 / scale)
    layer = cv2.warpAffine(source, matrix, (panel.width, panel.height), flags=cv2.INTER_LINEAR)
    layer[..., :3] *= pose.gain
    return layer


def clipboard_layer(scene: Scene, time: float, pose: Pose, panel: Panel) -> np.ndarray | None:
    """The raised clipboard as RGBA, or None while it lies below the table's edge."""
    assert scene.clipboard is not None
    lift = knots(scene.clipboard.lift, time)
    if lift <= 0:
        return None
    width, height = round(pose.height * 1.25), round(pose.height * 2.4)
    at_mouth = pose.y + 0.02 * pose.height
    top = TABLE_TOP + 10 + (at_mouth - TABLE_TOP - 10) * lift
    board = np.dstack([clipboard_picture(width, height), np.ones((height, width), np.float32)])
    matrix = cv2.getRotationMatrix2D((width / 2, 0), -4 + pose.angle, 1)
    matrix[:, 2] += (pose.x - width / 2, top)
    return cv2.warpAffine(board, matrix, (panel.width, panel.height), flags=cv2.INTER_LINEAR)


def is_dark(panel: Panel, time: float) -> bool:
    """Whether the panel's camera is off."""
    return any(start <= time < end for start, end in panel.dark)


def compose(
    scene: Scene, cuts: dict[str, CutOut], rooms: list[np.ndarray], time: float
) -> tuple[np.ndarray, dict[str, float]]:
    """One frame without noise, and for each person the covered share of the face box."""
    canvas = np.full((HEIGHT, WIDTH, 3), 24, np.float32)
    covered: dict[str, float] = {}
    for index, panel in enumerate(scene.panels):
        view = canvas[panel.y : panel.y + panel.height, panel.x : panel.x + panel.width]
        if is_dark(panel, time):
            view[:] = 12
            continue
        view[:] = rooms[index]
        layers: list[tuple[Actor | None, np.ndarray]] = []
        for actor in (a for a in scene.actors if a.panel == index):
            pose = actor.pose(time)
            layers.append((actor, place(pose, cuts[actor.portrait], panel)))
            if scene.clipboard and scene.clipboard.actor == actor.name:
                board = clipboard_layer(scene, time, pose, panel)
                layers += [] if board is None else [(None, board)]
        for position, (actor, layer) in enumerate(layers):
            view *= 1 - layer[..., 3:]
            view += layer[..., :3]
            if actor is not None:
                box = face_box(actor.pose(time), cuts[actor.portrait], panel)
                above = [alpha[..., 3] for _, alpha in layers[position + 1 :]]
                covered[actor.name] = _covered_share(box, above, panel)
        if scene.table:
            table(view)
        view *= 1 + 0.012 * np.sin(2 * np.pi * time * 0.9 + index)  # flicker of the room's light
    return canvas, covered


def _covered_share(box: Box, above: list[np.ndarray], panel: Panel) -> float:
    x1, y1 = max(round(box[0] - panel.x), 0), max(round(box[1] - panel.y), 0)
    x2, y2 = max(round(box[2] - panel.x), 0), max(round(box[3] - panel.y), 0)
    parts = [alpha[y1:y2, x1:x2] for alpha in above]
    if not parts or not parts[0].size:
        return 0.0
    return float(np.maximum.reduce(parts).mean())


def face_in_picture(box: Box) -> bool:
    """Whether the face lies fully within the picture."""
    return box[0] >= 0 and box[1] >= 0 and box[2] <= WIDTH and box[3] <= HEIGHT


def spans(times: list[float], flags: list[bool], end: float) -> list[list[float]]:
    """Join consecutive frames for which the flag holds; a frame lasts until the next one."""
    result: list[list[float]] = []
    for time, following, flag in zip(times, [*times[1:], end], flags, strict=True):
        if not flag:
            continue
        if result and result[-1][1] == round(time, 3):
            result[-1][1] = round(following, 3)
        else:
            result.append([round(time, 3), round(following, 3)])
    return result


def truth(scene: Scene, cuts: dict[str, CutOut], shares: list[dict[str, float]]) -> dict[str, Any]:
    """The truth file's content; `shares` is what compose() said of every frame."""
    times = list(scene.times)
    persons = []
    for actor in sorted(scene.actors, key=lambda a: a.name):
        cut, panel = cuts[actor.portrait], scene.panels[actor.panel]
        boxes = [face_box(actor.pose(t), cut, panel) for t in times]
        present = [face_in_picture(b) and actor.name in s for b, s in zip(boxes, shares, strict=True)]
        hidden = [p and s.get(actor.name, 0) >= OCCLUDED_FROM for p, s in zip(present, shares, strict=True)]
        listed = []
        for step in range(round(scene.duration / TRUTH_STEP_S)):
            time = round(step * TRUTH_STEP_S, 3)
            shown = int(np.searchsorted(times, time + 1e-6)) - 1  # the frame on screen at that time
            share = shares[shown].get(actor.name, 0.0)
            if present[shown] and share < HIDDEN_FROM:
                corners = zip(("x1", "y1", "x2", "y2"), boxes[shown], strict=True)
                corner = {name: round(value, 1) for name, value in corners}
                listed.append({"time_s": time, **corner, "visible": round(1 - share, 2)})
        persons.append(
            {
                "name": actor.name,
                "description": cut.portrait.description,
                "source": cut.portrait.source,
                "presence": spans(times, present, scene.duration),
                "occluded": spans(times, hidden, scene.duration),
                "boxes": listed,
            }
        )
    return {
        "file": f"{scene.name}.mp4",
        "about": scene.about,
        "width": WIDTH,
        "height": HEIGHT,
        "duration_s": scene.duration,
        "n_persons": len(persons),
        "persons": persons,
    }


def render(scene: Scene, cuts: dict[str, CutOut], folder: Path) -> None:
    """Write one clip and its truth file."""
    rooms = [panel.room(panel.width, panel.height) for panel in scene.panels]
    rng = np.random.default_rng(scene.seed)
    shares = []
    path = folder / f"{scene.name}.mp4"
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        stream.options = {"crf": "25", "preset": "slow", "g": "60"}
        stream.codec_context.thread_count = 1
        lasts: dict[int, int] = {}
        ends = [*scene.times[1:], scene.duration]
        for time, end in zip(scene.times, ends, strict=True):
            picture, share = compose(scene, cuts, rooms, time)
            shares.append(share)
            picture += rng.normal(0, 1.3, (HEIGHT, WIDTH, 1))  # sensor noise
            frame = av.VideoFrame.from_ndarray(np.clip(picture, 0, 255).astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(time * TICKS), Fraction(1, TICKS)
            lasts[frame.pts] = round(end * TICKS) - frame.pts
            packets = stream.encode(frame)
            for packet in [*packets, *(stream.encode() if end == ends[-1] else ())]:
                packet.duration = lasts[packet.pts]  # the encoder forgets it; the last one ends the clip
                container.mux(packet)
    content = truth(scene, cuts, shares)
    text = json.dumps(content, indent=1)
    # One span or box a line: a thousand lines of corners help nobody who reads a diff.
    text = re.sub(r"[\[{][^][{}]*[]}]", lambda found: " ".join(found.group().split()), text)
    (folder / f"{scene.name}.truth.json").write_text(text + "\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--wand-sdist", type=Path, default=Path(WAND_SDIST), help="Wand's source package")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the clips")
    parser.add_argument("--only", choices=[s.name for s in SCENES], help="just this clip")
    parser.add_argument("--check", action="store_true", help="run MTCNN over the clips instead")
    arguments = parser.parse_args()
    chosen = [s.name for s in SCENES if arguments.only in (None, s.name)]
    if arguments.check:
        from check_samples import check

        return check([arguments.out / f"{name}.mp4" for name in chosen])
    if not arguments.wand_sdist.is_file():
        parser.error("Wand's source package is missing: pip download --no-deps --no-binary Wand Wand==0.6.13")
    cuts = cut_outs(arguments.wand_sdist)
    for scene in SCENES:
        if scene.name in chosen:
            render(scene, cuts, arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
