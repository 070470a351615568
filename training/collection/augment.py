"""Varied copies of training faces as files, made by the same code that varies them during a training.

Training varies faces anew in every epoch, which teaches more than any number of files; files are for looking
at what varying does, and for programs that read plain class folders.
"""

from __future__ import annotations

import hashlib
import shlex
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engagement.errors import ConfigError, DataError, OutputError
from engagement.faces.chips import cut_chips
from engagement.faces.manifest import NAME, write_manifest
from engagement.types import ByteArray, ChipSpec
from training import Say
from training.collection.folder import Faces, read_faces
from training.datasets.files import splits_of
from training.datasets.manifest import read_rows
from training.samples.augment import Augmentation
from training.samples.table import read_rgb

_SIDES = ("box_x1", "box_y1", "box_x2", "box_y2")


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """How copies differ from their original.

    Attributes:
        copies: of each face.
        flip: probability of mirroring.
        rotation_deg: largest turn.
        light: largest relative change of brightness and contrast.
        seed: of the draws.
    """

    copies: int = 4
    flip: float = 0.5
    rotation_deg: float = 10.0
    light: float = 0.25
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.copies <= 99:
            raise ConfigError(
                f"--copies {self.copies} is not within 1-99", "4 is plenty: training varies faces too."
            )
        if not 0 <= self.flip <= 1 or not 0 <= self.rotation_deg <= 45 or not 0 <= self.light < 1:
            raise ConfigError(
                f"--flip {self.flip:g}, --rotation {self.rotation_deg:g} or --light {self.light:g} is out of range",
                "They lie in 0-1, 0-45 degrees and 0-1.",
            )

    @property
    def policy(self) -> Augmentation:
        """The same steps in training."""
        return Augmentation(flip=self.flip, roll_deg=self.rotation_deg, light=self.light)


def augment_faces(folder: Path, out: Path, options: CopyOptions, say: Say = lambda _: None) -> dict[str, int]:
    """Write a folder of the same faces with copies of those that train; the original folder stays as it is.

    Faces that check (``val``, ``test``) come along without copies. A copy is called as its original with
    ``_aug01`` …, and its row of the manifest is that of its original with the column ``original``.

    Returns:
        how many ``originals`` and ``copies`` were written.

    Raises:
        DataError: copies among the faces, faces that came after the split, or a picture that cannot be read.
        OutputError: ``out`` is there already, or cannot be written.
    """
    faces = read_faces(folder, say)
    faces.require_originals("augment")
    manifest = folder / NAME
    listed = {row.file: row for row in read_rows(manifest)} if manifest.is_file() else {}
    if any(row.split for row in listed.values()):
        splits = splits_of(folder, [row["file"] for row in faces.rows], listed)
    else:
        splits = ["train"] * len(faces.rows)
        say(
            f"{folder} has no split, so every face gets copies and figures will be measured on copies, too: "
            f"better run `{shlex.join(['engagement', 'faces', 'split', str(folder)])}` first"
        )
    out = out.resolve()  # "." has no name to write beside
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out} is there already", "Remove it, or name another folder with -o.")
    part = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        # Persons or sources where no group is given, as training reads them.
        groups = {file: row.group for file, row in listed.items()}
        rows = list(_written(faces, splits, groups, part, options))
        write_manifest(part, rows, faces.columns)
        if out.exists():
            out.rmdir()
        part.replace(out)
    except OSError as error:
        raise OutputError(f"{out} cannot be written ({error.strerror})", "Is there space?") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    copies = sum(bool(row.get("original")) for row in rows)
    return {"originals": len(rows) - copies, "copies": copies}


def _written(
    faces: Faces, splits: Sequence[str], groups: Mapping[str, str], out: Path, options: CopyOptions
) -> Iterator[dict[str, str]]:
    """Write every picture below ``out``; its rows.

    Args:
        splits: of each face; those that train get copies.
        groups: file -> what must not be divided.
    """
    for row, split in zip(faces.rows, splits, strict=True):
        source, target = faces.folder / row["file"], out / row["file"]
        target.parent.mkdir(parents=True, exist_ok=True)
        rgb = read_rgb(source)
        shutil.copyfile(source, target)
        # Where the manifest says nothing, the original's name is what its copies must not be separated from.
        row = {**row, "group": groups.get(row["file"]) or row["file"]}
        yield row
        if split != "train":
            continue
        for k in range(1, options.copies + 1):
            name = f"{Path(row['file']).stem}_aug{k:02d}{Path(row['file']).suffix}"
            file = str(Path(row["file"]).with_name(name).as_posix())
            seed = hashlib.sha256(f"{options.seed} {file}".encode()).digest()
            picture, mirrored = varied(rgb, options.policy, np.random.default_rng(list(seed)))
            _save(out / file, picture)
            yield {**row, "file": file, "original": row["file"], **(_mirrored(row) if mirrored else {})}


def varied(rgb: ByteArray, policy: Augmentation, rng: np.random.Generator) -> tuple[ByteArray, bool]:
    """A varied picture of the same size, and whether it is mirrored.

    Args:
        rgb: uint8 (height, width, 3).
        policy: its ``flip``, ``roll_deg`` and ``light`` are used; the face stays where it is.
        rng: of the draws.
    """
    height, width = rgb.shape[:2]
    whole = np.array([0, 0, width, height], np.float32)
    box, turn = policy.place(whole, rng)
    size = max(height, width)
    spec = ChipSpec(size, 1.0, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    turned = cut_chips(rgb, box[None], np.array([turn], np.float32), spec)[0]
    top, left = (size - height) // 2, (size - width) // 2
    mirrored = bool(rng.random() < policy.flip)
    decided = replace(policy, flip=float(mirrored))
    return decided.vary(turned, rng)[top : top + height, left : left + width], mirrored


def _mirrored(row: dict[str, str]) -> dict[str, str]:
    """The face box of a mirrored picture; nothing where none is known."""
    if not all(row.get(key) for key in _SIDES):
        return {}
    try:
        left, right = float(row["box_x1"]), float(row["box_x2"])
    except ValueError as error:
        raise DataError(f"{row['file']}: {', '.join(_SIDES)} are no four numbers ({error})") from error
    return {"box_x1": f"{1 - right:.5f}", "box_x2": f"{1 - left:.5f}"}


def _save(path: Path, rgb: ByteArray) -> None:
    import cv2

    suffix = {".jfif": ".jpg"}.get(path.suffix.lower(), path.suffix.lower())
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95] if suffix in (".jpg", ".jpeg") else []
    bgr = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(suffix, bgr, quality) if cv2.haveImageWriter(suffix) else (False, bgr)
    if not done:
        raise DataError(f"{path.name} cannot be written as {suffix}", "Convert the pictures to PNG.")
    path.write_bytes(data.tobytes())
