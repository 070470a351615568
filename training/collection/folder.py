"""A folder of captured faces: its pictures and what the manifest says of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engagement.errors import DataError
from engagement.faces.manifest import COLUMNS, NAME, Rows, read_manifest, write_manifest
from engagement.video.discover import is_hidden
from engagement.wording import count
from training import Say
from training.datasets.files import original_of, pictures


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Pictures in class folders.

    Attributes:
        folder: of the class folders.
        rows: one for each picture there is, by file; those of pictures without manifest hold file and label.
        unlisted: files that the manifest does not name.
        columns: of the manifest, the user's own included.
    """

    folder: Path
    rows: Rows
    unlisted: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes in alphabetical order."""
        return tuple(sorted({row["label"] for row in self.rows}))

    def write(self) -> None:
        """Replace the manifest."""
        write_manifest(self.folder, self.rows, self.columns)

    def require_originals(self, verb: str) -> None:
        """Raise DataError naming a picture when the folder holds augmented copies."""
        copies = [row for row in self.rows if row.get("original") or original_of(row["file"])]
        if copies:
            folder = self.folder.resolve()  # "." has no name
            before = folder.with_name(folder.name.removesuffix("_augmented"))
            where = f"{before}" if before != folder else "the folder without them"
            raise DataError(
                f"{self.folder} holds {count(len(copies), 'augmented copy', 'augmented copies')}, first {copies[0]['file']}",
                f"Copies come last: {verb} {where}, then `engagement faces augment` it again.",
            )


def read_faces(folder: Path, say: Say = lambda _: None) -> Faces:
    """Read a folder. Rows of pictures that somebody deleted are left out, and said.

    Raises:
        DataError: no folder, no picture in class folders, or a manifest that cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} does not exist", "Give the folder that `engagement faces capture` wrote.")
    listed: dict[str, dict[str, str]] = {}
    written = read_manifest(folder, own=False)
    if written and "file" not in written[0]:
        raise DataError(f"{folder / NAME} has no column 'file'")
    for row in written:
        row["file"] = row["file"].replace("\\", "/")
        listed[row["file"]] = row
    rows: Rows = []
    unlisted: list[str] = []
    for child in sorted(p for p in folder.iterdir() if p.is_dir() and not is_hidden(p.name)):
        if child.name in ("train", "val", "test") and any(p.is_dir() for p in child.iterdir()):
            raise DataError(
                f"{folder} is divided already: it has a folder '{child.name}' with class folders",
                "Give a folder of class folders, as `faces capture` writes it.",
            )
        for picture in pictures(child):
            file = picture.relative_to(folder).as_posix()
            row = listed.pop(file, None)
            if row is None:
                unlisted.append(file)
            rows.append({**(row or {}), "file": file, "label": child.name})
    if not rows:
        raise DataError(
            f"{folder} holds no pictures in class folders",
            "Expected class/picture.png, as `faces capture` writes.",
        )
    if listed:
        say(
            f"{count(len(listed), 'picture of the manifest is', 'pictures of the manifest are')} no longer there, first {min(listed)}"
        )
    rows.sort(key=lambda row: row["file"])
    own = dict.fromkeys([*COLUMNS, *(key for row in written for key in row)])
    return Faces(folder, rows, tuple(unlisted), tuple(own))
