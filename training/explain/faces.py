"""Faces of pictures and videos, cut as the model wants them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engagement.errors import DataError, EngagementError, VideoError
from engagement.faces.chips import cut_chips
from engagement.faces.manifest import NAME as MANIFEST
from engagement.types import ByteArray, ChipSpec, FloatArray
from engagement.video.discover import PICTURE_SUFFIXES, pictures_in, videos_in
from training import Say
from training.datasets.framing import boxes_for, framing_of
from training.datasets.manifest import read_rows
from training.samples.chip_dataset import pixel_box


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face.

    Attributes:
        source: what the file is called, see :func:`listed`. time_s: within a video, else None.
        number: of the face in its picture, from 1, the largest first.
        chip: uint8 (S, S, 3).
    """

    source: str
    time_s: float | None
    number: int
    chip: ByteArray

    @property
    def name(self) -> str:
        """For file names and captions."""
        at = "" if self.time_s is None else f"_{self.time_s:.1f}s"
        return f"{Path(self.source).stem}{at}_{self.number}"


def listed(inputs: Sequence[Path], drawn: Collection[Path] = ()) -> dict[Path, str]:
    """Files as given, and the pictures and videos in folders and their subfolders.

    Args:
        drawn: folders that an earlier call wrote; what lies in them is passed over.

    Returns:
        file -> what it is called: its name, with the folders below the given one, since pictures of several class
        folders are often called alike; of files that would still share a name, the whole path as it was given.

    Raises:
        DataError: something does not exist, or a folder holds neither.
    """
    out: dict[Path, str] = {}
    barred = {folder.resolve() for folder in drawn}
    for path in inputs:
        if path.is_file():
            out.setdefault(path, path.name)
        elif path.is_dir():
            # What a review took out lies in a hidden folder.
            found = sorted({*pictures_in(path), *videos_in(path)})
            found = [p for p in found if not any(own in p.resolve().parents for own in barred)]
            if not found:
                raise DataError(f"{path} holds no pictures and no videos")
            out |= {p: p.relative_to(path).as_posix() for p in found}
        else:
            raise DataError(f"{path} does not exist")
    names = Counter(out.values())
    return {path: path.as_posix() if names[name] > 1 else name for path, name in out.items()}


def faces_of(
    files: Mapping[Path, str],
    chip: ChipSpec,
    *,
    cropped: bool,
    min_face_px: int,
    every_s: float,
    skip_bad: bool = False,
    say: Say = lambda _: None,
) -> Iterator[Face]:
    """All faces of all files, in order.

    Args:
        files: of :func:`listed`.
        cropped: each picture is one face; nothing is looked for. Where in it the face lies is what a manifest of captured
            faces says, else what pictures of unknown framing show.
        min_face_px: smallest face that is looked for.
        every_s: seconds between the looked-at pictures of a video.
        skip_bad: name files that cannot be read, and go on with the next.

    Raises:
        DataError, VideoError: a file can be read neither as a picture nor as a video, and ``skip_bad`` is not set.
    """
    from engagement.faces.mtcnn import MtcnnDetector
    from engagement.faces.options import MtcnnConfig
    from engagement.faces.pose import head_pose

    detector = None if cropped else MtcnnDetector(MtcnnConfig(min_face_px=min_face_px))
    known: dict[Path, FloatArray] = _boxes(list(files)) if cropped else {}
    usual = _usual([path for path in files if cropped and path not in known], say)
    for path, name in files.items():
        count = 0
        try:
            for time_s, rgb in _pictures(path, every_s):
                if detector is None:
                    boxes, roll = pixel_box(known.get(path, usual), rgb)[None], np.zeros(1, np.float32)
                else:
                    found = detector.detect(rgb)
                    found = found.take(found.by_size())
                    boxes, roll = found.boxes_xyxy, head_pose(found.landmarks_xy)[:, 2]
                for number, own in enumerate(cut_chips(rgb, boxes, roll, chip), 1):
                    count += 1
                    yield Face(name, time_s, number, own)
        except EngagementError as error:
            if not skip_bad:
                error.hint = f"{error.hint} --skip-bad leaves it out.".lstrip()
                raise
            say(f"skipped: {error}")
        else:
            if not count:
                say(f"{name}: no face of at least {min_face_px} px was found")


def _usual(files: Sequence[Path], say: Say) -> FloatArray:
    """The box (4,) of faces in crops that nobody says anything of; those of videos are taken for framed alike."""
    pictures = [path for path in files if path.suffix.lower() in PICTURE_SUFFIXES]
    if not pictures:
        return boxes_for("folder", 1)[0]
    return framing_of(pictures, "crops", say, "leave out --cropped")


def _boxes(files: Sequence[Path]) -> dict[Path, FloatArray]:
    """Face boxes, in fractions of the picture, of captured faces: their manifest lies beside the class folders."""
    found: dict[Path, FloatArray] = {}
    for folder in {path.parent.parent for path in files}:
        manifest = folder / MANIFEST
        if manifest.is_file():
            found |= {folder / row.file: box for row in read_rows(manifest) if (box := row.box) is not None}
    return found


def _pictures(path: Path, every_s: float) -> Iterator[tuple[float | None, ByteArray]]:
    from engagement.video import open_video
    from engagement.video.reader import begins_as_a_picture
    from engagement.video.sampling import select
    from training.samples.table import read_rgb

    if path.suffix.lower() in PICTURE_SUFFIXES:
        yield None, read_rgb(path)
        return
    try:
        reader = open_video(path)  # a file that was named may be a video of any suffix
    except VideoError:
        if not begins_as_a_picture(path):
            raise
        yield None, read_rgb(path)  # and a picture may be called like a video
        return
    with reader:
        for frame in select(reader.tickets(), 1 / every_s):
            yield frame.time_s, frame.rgb
