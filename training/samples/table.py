"""The table that every data set becomes: pictures, labels, splits, groups, framing."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engagement.errors import DataError
from engagement.labels import LabelSet
from engagement.types import ByteArray, FloatArray, IndexArray
from engagement.wording import shortened
from training import Say

#: An encoded picture in memory, or the file it lies in.
ImageSource = bytes | Path

#: What ``faces capture`` adds to a video's name.
_BLOCK = re.compile(r"#\d+(\.\d+)?$")


@dataclass(frozen=True, slots=True, eq=False)
class SampleTable:
    """n labelled faces.

    Attributes:
        name: of the data set, for messages and reports.
        labels: classes of ``target``.
        images: n encoded pictures or paths.
        target: float32 (n, classes): one-hot, votes that sum to 1, or independent 0/1 states;
            NaN where a state is not labelled.
        split: n of ``train``, ``val``, ``test``.
        group: n names of what must not be divided by a split (person, source video).
        box: float32 (n, 4): the face box in fractions of the picture's width and height; may leave it.
        sample_id: n names for reports.
        roll_deg: float32 (n,) clockwise tilt of the faces, degrees; None where all are upright.
        levels: int64 (n, classes): the graded labels (0 very low to 3 very high) that independent states were
            cut from; None where there are none.
        notes: what whoever uses the set should know of how it was read, a sentence each.
        blocks: whether ``#7`` at the end of a group's name is a block of time of one video (see :attr:`source`).
    """

    name: str
    labels: LabelSet
    images: Sequence[ImageSource]
    target: FloatArray
    split: NDArray[np.str_]
    group: NDArray[np.str_]
    box: FloatArray
    sample_id: NDArray[np.str_]
    roll_deg: FloatArray | None = None
    levels: IndexArray | None = None
    blocks: bool = True
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.images)
        if not n:
            raise DataError(f"data set '{self.name}' has no picture")
        for field, value in (("target", self.target), ("split", self.split), ("group", self.group)):
            if len(value) != n:
                raise DataError(f"data set '{self.name}': {len(value)} values of {field} for {n} pictures")
        if self.target.shape != (n, len(self.labels)):
            raise DataError(
                f"data set '{self.name}': targets {self.target.shape} for {len(self.labels)} classes"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"SampleTable({self.name}, n={len(self)}, labels={self.labels.name})"

    @property
    def source(self) -> NDArray[np.str_]:
        """n names of the people or videos that groups are parts of: faces of one do not speak for each other.

        ``faces capture`` calls its groups ``video#block`` or ``video#stretch.block``; others are what they are called.
        """
        if not self.blocks:
            return self.group
        return np.array([_BLOCK.sub("", str(g)) or str(g) for g in self.group], dtype=np.str_)

    def digest(self) -> str:
        """Names exactly these pictures, labels and splits; a file's content is told by its size and how it begins."""
        found = hashlib.sha256(
            "\n".join([self.name, *self.sample_id.tolist(), *self.split.tolist()]).encode()
        )
        for array in (self.target, self.box):
            found.update(np.ascontiguousarray(array).tobytes())
        for image in self.images:
            if isinstance(image, bytes):
                found.update(image)
            else:
                found.update(_beginning(Path(image)))
        return found.hexdigest()[:16]

    def rows(self, index: IndexArray | NDArray[np.bool_]) -> SampleTable:
        """The given rows."""
        if index.dtype == np.bool_:
            index = np.flatnonzero(index)
        if not len(index):
            raise DataError(f"data set '{self.name}': the selection is empty")
        return replace(
            self,
            images=[self.images[i] for i in index],
            target=self.target[index],
            split=self.split[index],
            group=self.group[index],
            box=self.box[index],
            sample_id=self.sample_id[index],
            roll_deg=None if self.roll_deg is None else self.roll_deg[index],
            levels=None if self.levels is None else self.levels[index],
        )

    def part(self, split: str) -> SampleTable:
        """The rows of one split.

        Raises:
            DataError: the split is empty.
        """
        chosen = self.split == split
        if not chosen.any():
            have = ", ".join(sorted(set(self.split.tolist())))
            raise DataError(f"data set '{self.name}' has no '{split}' split", f"It has: {have}")
        return self.rows(chosen)

    def limited(self, per_split: int, seed: int = 0) -> SampleTable:
        """At most ``per_split`` random rows of each split, for trials; two of each class come first."""
        rng = np.random.default_rng(seed)
        chosen: list[IndexArray] = []
        for split in sorted(set(self.split.tolist())):
            rows = rng.permutation(np.flatnonzero(self.split == split))
            first = [rows[self.target[rows, c] > 0.5][:2] for c in range(len(self.labels))]
            ordered = dict.fromkeys(np.concatenate([*first, rows]).tolist())
            chosen.append(np.array(list(ordered)[:per_split], np.int64))
        return self.rows(np.sort(np.concatenate(chosen)))

    def with_validation(self, share: float, stratified: bool = False) -> SampleTable:
        """Move a share of the train split to ``val`` when there is none; no group is divided.

        Where every picture is its own group, a hash of its name decides, so that a picture's side never
        changes when others join the set. Otherwise whole groups are chosen so that the classes keep
        their shares as well as the groups allow.

        Args:
            share: of the train split.
            stratified: keep the classes' shares also where every picture is its own group: for small sets.

        Raises:
            DataError: the train split has a single picture or group, or a class would be left without training picture.
        """
        if (self.split == "val").any():
            return self
        rows = np.flatnonzero(self.split == "train")
        if not len(rows):
            have = ", ".join(sorted(set(self.split.tolist())))
            raise DataError(
                f"data set '{self.name}' has no 'train' split to take a validation split from",
                f"It has: {have}. Give what is to be learned from the split train.",
            )
        if len(rows) == 1:
            raise DataError(
                f"data set '{self.name}': a single training picture, so nothing is left to validate on",
                "Add pictures, or raise --limit.",
            )
        names = self.group[rows]
        alone = len(set(names.tolist())) == len(rows) and not stratified
        held = self._by_name(rows, share) if alone else self._whole_groups(rows, share)
        split = self.split.copy()
        split[rows[held]] = "val"
        return replace(self, split=split)

    def _by_name(self, rows: IndexArray, share: float) -> NDArray[np.bool_]:
        """Which of the rows validate where each is its own group: by a hash of its name."""
        chance = np.array([_fraction(name) for name in self.group[rows]])
        held = chance < share
        for own in self.target[rows].T > 0.5:  # no class is left without a picture to learn from
            if own.any() and held[own].all():
                held[np.flatnonzero(own)[0]] = False
        if not held.any():  # a handful of pictures: the hash may spare them all
            held[chance.argmin()] = True
        return held

    def _whole_groups(self, rows: IndexArray, share: float) -> NDArray[np.bool_]:
        from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

        names, target = self.group[rows], np.nan_to_num(self.target[rows])
        count = len(set(names.tolist()))
        if count < 2:
            raise DataError(
                f"data set '{self.name}' comes from one source ('{names[0]}'): nothing is left to validate on",
                "Collect faces from another video or time, or give train/ and val/ folders.",
            )
        if self.labels.kind == "exclusive":
            klass = target.argmax(axis=1)
        else:  # of the states that a picture shows the rarest; those of none are a class as well
            rarity = np.where(target > 0, target.sum(axis=0), np.inf)
            klass = np.where((target > 0).any(axis=1), rarity.argmin(axis=1), -1)
        largest = int(np.unique(klass, return_counts=True)[1].max())
        folds = min(count, max(2, round(1 / share)))
        if self.labels.kind == "exclusive":
            folds = max(2, min(folds, largest))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a class has fewer pictures than there are folds
            kinds = StratifiedGroupKFold if largest >= folds else GroupKFold
            parts = [f for _, f in kinds(folds, shuffle=True, random_state=0).split(rows, klass, names)]
        there = target.sum(axis=0) > 0
        usable: list[NDArray[np.bool_]] = []
        for fold in parts:
            held = np.zeros(len(rows), bool)
            held[fold] = True
            if (target[~held].sum(axis=0) > 0)[there].all():
                usable.append(held)
        if usable:  # the fold that validates most classes
            return max(usable, key=lambda held: int((target[held].sum(axis=0) > 0).sum()))
        lone = [
            c for i, c in enumerate(self.labels.classes) if len(set(names[target[:, i] > 0.5].tolist())) == 1
        ]
        if not lone:
            raise DataError(
                f"data set '{self.name}': {len(rows)} pictures are too few to hold some out and still learn every class",
                "Add pictures, or give train/ and val/ folders.",
            )
        raise DataError(
            f"data set '{self.name}': all pictures of {' and of '.join(lone)} come from one source, "
            "so they cannot be both learned and validated",
            "Collect faces from another video or time, or give train/ and val/ folders.",
        )

    def readable(self, skip_bad: bool, say: Say = lambda _: None) -> SampleTable:
        """The table once every picture has been decoded, so that a run does not stop hours later.

        Args:
            skip_bad: report and drop pictures that cannot be decoded instead of stopping.
            say: gets one line for each of them.

        Raises:
            DataError: naming the damaged pictures, or that none is left without them.
        """
        bad: list[int] = []
        for row, source in enumerate(self.images):
            try:
                read_rgb(source)
            except DataError:
                bad.append(row)
        if not bad:
            return self
        names = [self.name_of(row) + ("" if self._is_there(row) else " (not there)") for row in bad]
        if len(bad) == len(self):
            raise DataError(f"data set '{self.name}': no picture can be decoded, {names[0]} to begin with")
        if not skip_bad:
            raise DataError(
                f"data set '{self.name}': {shortened(names, 5)} cannot be decoded as pictures",
                "Remove or replace them, or leave them out with --skip-bad.",
            )
        for name in names:
            say(f"skipped, not a readable picture: {name}")
        return self.rows(np.setdiff1d(np.arange(len(self)), bad))

    def _is_there(self, row: int) -> bool:
        source = self.images[row]
        return not isinstance(source, Path) or source.exists()

    def name_of(self, row: int) -> str:
        """Of a picture, for messages: its file, or its name in the table."""
        source = self.images[row]
        return str(source) if isinstance(source, Path) else f"{self.sample_id[row]} of '{self.name}'"


def joined(tables: Sequence[SampleTable]) -> SampleTable:
    """Tables of the same labels as one, named ``a+b``; groups of different tables stay apart."""
    first = tables[0]
    if len(tables) == 1:
        return first
    different = [t.name for t in tables if t.labels != first.labels]
    if different:
        raise DataError(f"data sets '{first.name}' and '{different[0]}' are labelled differently")
    levels = [t.levels for t in tables if t.levels is not None]
    rolls = [np.zeros(len(t), np.float32) if t.roll_deg is None else t.roll_deg for t in tables]
    return SampleTable(
        name="+".join(t.name for t in tables),
        labels=first.labels,
        images=[image for t in tables for image in t.images],
        target=np.concatenate([t.target for t in tables]),
        split=np.concatenate([t.split for t in tables]),
        group=np.concatenate([np.char.add(f"{t.name}/", t.group.astype(np.str_)) for t in tables]),
        box=np.concatenate([t.box for t in tables]),
        sample_id=np.concatenate([t.sample_id for t in tables]),
        roll_deg=np.concatenate(rolls),
        levels=np.concatenate(levels) if len(levels) == len(tables) else None,
        blocks=all(t.blocks for t in tables),
    )


def _fraction(name: str) -> float:
    """A number in 0-1 that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:4], "big") / 2**32


def read_rgb(source: ImageSource) -> ByteArray:
    """Decode a picture.

    Returns:
        uint8 (height, width, 3), RGB; grey pictures get three equal channels.

    Raises:
        DataError: naming the file that is not a picture.
    """
    import cv2

    name = str(source) if isinstance(source, Path) else "a picture in the table"
    try:
        data = source.read_bytes() if isinstance(source, Path) else source
    except OSError as error:
        raise DataError(f"{name} cannot be read ({error.strerror})") from error
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if bgr is None:
        raise DataError(f"{name} is not a readable picture", "Remove or replace it.")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def one_hot(index: IndexArray, classes: int) -> FloatArray:
    """(n, classes) float32."""
    return np.eye(classes, dtype=np.float32)[index]


def _beginning(file: Path) -> bytes:
    """Size and first bytes of a file; nothing of one that is not there, which whoever reads it will say."""
    try:
        with file.open("rb") as opened:
            return f"{file.stat().st_size} ".encode() + opened.read(4096)
    except OSError:
        return b""
