"""The table that every data set becomes: pictures, labels, splits, groups, framing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engagement.errors import DataError
from engagement.labels import LabelSet
from engagement.types import ByteArray, FloatArray, IndexArray

#: An encoded picture in memory, or the file it lies in.
ImageSource = bytes | Path


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
    """

    name: str
    labels: LabelSet
    images: Sequence[ImageSource]
    target: FloatArray
    split: NDArray[np.str_]
    group: NDArray[np.str_]
    box: FloatArray
    sample_id: NDArray[np.str_]

    def __post_init__(self) -> None:
        n = len(self.images)
        if not n:
            raise DataError(f"data set '{self.name}' has no picture")
        for field, value in (("target", self.target), ("split", self.split), ("group", self.group)):
            if len(value) != n:
                raise DataError(f"data set '{self.name}': {len(value)} values of {field} for {n} pictures")
        if self.target.shape != (n, len(self.labels)):
            raise DataError(f"data set '{self.name}': targets {self.target.shape} for {len(self.labels)} classes")

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"SampleTable({self.name}, n={len(self)}, labels={self.labels.name})"

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
        """At most ``per_split`` random rows of each split, for trials."""
        rng = np.random.default_rng(seed)
        chosen = [
            rng.permutation(np.flatnonzero(self.split == s))[:per_split] for s in sorted(set(self.split.tolist()))
        ]
        return self.rows(np.sort(np.concatenate(chosen)))

    def with_validation(self, share: float) -> SampleTable:
        """Move a share of the train split to ``val`` when there is none, by group, stratified by chance.

        A group's side depends only on a hash of its name, so that it never changes between runs.
        """
        if (self.split == "val").any():
            return self
        split = self.split.copy()
        for i in np.flatnonzero(split == "train"):
            digest = hashlib.sha256(str(self.group[i]).encode()).digest()
            if int.from_bytes(digest[:4], "big") / 2**32 < share:
                split[i] = "val"
        return replace(self, split=split)


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
        raise DataError(f"{name} is not a readable picture", "Remove it, or skip such files with --skip-bad.")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def one_hot(index: IndexArray, classes: int) -> FloatArray:
    """(n, classes) float32."""
    return np.eye(classes, dtype=np.float32)[index]
