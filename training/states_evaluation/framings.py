"""The same faces in two framings: as the data set stores them, and as `analyze` would cut them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from engagement.errors import DataError
from engagement.labels import LEARNER_STATES
from engagement.types import ByteArray, FloatArray
from training import Say
from training.datasets.framing import boxes_for
from training.samples.table import SampleTable, read_rgb
from training.states_evaluation.face_geometry import found_faces

#: Width over height of MTCNN's boxes on video frames: 5 % and 95 % of the webcam clips, median 0.75. DAiSEE's crops
#: were such boxes before they were squeezed to 3:4; what each of them was is not recorded.
BOX_ASPECTS = (0.67, 0.83)
#: DAiSEE's crops: width, height, and the quality they were stored with.
_CROP, _QUALITY = (90, 120), 82
_RATE_HZ = 1.0


def as_analyzed(table: SampleTable, folder: Path, say: Say = lambda _: None) -> SampleTable:
    """DAiSEE's crops unsqueezed to shapes that face boxes have, framed by what the project's own detector finds in
    them: its box, its roll, and edges repeated beyond the crop. The shape of each is drawn, always the same.
    """
    import cv2

    aspects = np.random.default_rng(0).uniform(*BOX_ASPECTS, len(table))

    def unsqueezed(source: bytes | Path, aspect: float) -> bytes:
        rgb = read_rgb(source)
        size = (round(rgb.shape[0] * aspect), rgb.shape[0])
        return _encoded(np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR), np.uint8), ".png")

    images = [unsqueezed(image, aspect) for image, aspect in zip(table.images, aspects.tolist(), strict=True)]
    whole = replace(table, name=f"{table.name}_unsqueezed", images=images)
    faces = found_faces(whole, folder, say)
    return replace(whole, box=faces.box, roll_deg=faces.pose_deg[:, 2])


def video_faces(videos: Path, say: Say = lambda _: None) -> tuple[SampleTable, SampleTable]:
    """Faces of the webcam clips, one frame a second: as `analyze` cuts them from the frame, and from a crop made as
    DAiSEE's were (the detector's box squeezed to 90 x 120, compressed).

    Raises:
        DataError: the folder holds no such clips, or they show no face.
    """
    import cv2

    from engagement.faces.mtcnn import MtcnnDetector
    from engagement.faces.options import MtcnnConfig
    from engagement.faces.pose import head_pose
    from engagement.video import open_video
    from engagement.video.sampling import select
    from training.temporal.clip_outputs import PATTERN, clips_of

    detector = MtcnnDetector(MtcnnConfig(min_face_px=40))
    loose, tight, boxes, rolls, people = [], [], [], [], []
    for path in clips_of(videos):
        say(f"faces of {path.name}")
        with open_video(path) as video:
            for frame in select(video.tickets(), _RATE_HZ):
                faces = detector.detect(frame.rgb, frame.index, frame.time_s)
                if not len(faces):
                    continue
                one = faces.take(faces.by_size()[:1])
                box, (height, width) = one.boxes_xyxy[0], frame.rgb.shape[:2]
                x1, y1 = np.maximum(np.floor(box[:2]), 0).astype(int)
                x2, y2 = np.minimum(np.ceil(box[2:4]), [width, height]).astype(int)
                crop = cv2.resize(frame.rgb[y1:y2, x1:x2], _CROP, interpolation=cv2.INTER_AREA)
                tight.append(_encoded(np.asarray(crop, np.uint8), ".webp"))
                loose.append(_encoded(frame.rgb, ".png"))
                boxes.append(box[:4] / np.array([width, height, width, height], np.float32))
                rolls.append(float(head_pose(one.landmarks_xy)[0, 2]))
                people.append(path.stem)
    if not loose:
        raise DataError(
            f"no face was found in the clips of {videos} named {PATTERN}",
            "Give clips of people in front of a webcam.",
        )
    n = len(loose)
    names = np.array([f"{who}/{i}" for i, who in enumerate(people)], dtype=np.str_)
    target = np.full((n, len(LEARNER_STATES)), np.nan, np.float32)
    from_frame = SampleTable(
        "video_frames",
        LEARNER_STATES,
        images=loose,
        target=target,
        split=np.full(n, "test"),
        group=np.array(people, dtype=np.str_),
        box=np.stack(boxes).astype(np.float32),
        sample_id=names,
        roll_deg=np.array(rolls, np.float32),
    )
    from_crop = replace(
        from_frame, name="video_crops", images=tight, box=boxes_for("daisee", n), roll_deg=None
    )
    return from_frame, from_crop


def moved(first: FloatArray, second: FloatArray) -> dict[str, float]:
    """How far scores of the same faces move: ``mean_difference``, ``correlation``.

    Args:
        first, second: (n,) probabilities.
    """
    varied = first.std() > 1e-9 and second.std() > 1e-9
    return {
        "mean_difference": float(np.abs(first - second).mean()),
        "correlation": float(np.corrcoef(first, second)[0, 1]) if varied else float("nan"),
    }


def _encoded(rgb: ByteArray, kind: str) -> bytes:
    import cv2

    options = [cv2.IMWRITE_WEBP_QUALITY, _QUALITY] if kind == ".webp" else []
    done, data = cv2.imencode(kind, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    assert done
    return data.tobytes()
