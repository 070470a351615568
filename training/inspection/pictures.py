"""Every picture of one or several data sets, read once: size, pixels' name, small grey version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engagement.errors import DataError
from engagement.types import ByteArray, FloatArray, IndexArray
from engagement.wording import count
from training import Say
from training.datasets.copies import digest
from training.inspection.similar import SIDE
from training.samples.table import ImageSource, SampleTable, read_rgb

#: Splits in the order in which they are shown.
SPLITS = ("train", "val", "test")
#: How the label of a picture with several states, or with none, is written.
STATES_BETWEEN, NO_STATE = " + ", "none"


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """n readable pictures.

    Attributes:
        sets: names of the data sets, unique.
        classes: of each set, in its order.
        set_index: int64 (n,) which set.
        split, label, group, sample_id: n words; group is empty where the set names no person or source.
        images: where to read them again.
        size: int64 (n, 2) width and height, pixels.
        digest: n names of the decoded pixels: equal for exact copies.
        thumbs: uint8 (n, SIDE, SIDE) grey.
        damaged: names of pictures that cannot be decoded; they are no rows.
    """

    sets: tuple[str, ...]
    classes: tuple[tuple[str, ...], ...]
    set_index: IndexArray
    split: NDArray[np.str_]
    label: NDArray[np.str_]
    group: NDArray[np.str_]
    sample_id: NDArray[np.str_]
    images: Sequence[ImageSource]
    size: IndexArray
    digest: NDArray[np.str_]
    thumbs: ByteArray
    damaged: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)


def collect(tables: Sequence[SampleTable], say: Say = lambda _: None) -> Pictures:
    """Read all pictures.

    Raises:
        DataError: none can be decoded.
    """
    import cv2

    names = _unique([table.name for table in tables])
    good: list[tuple[int, int]] = []
    sizes: list[tuple[int, int]] = []
    digests: list[str] = []
    thumbs: list[ByteArray] = []
    damaged: list[str] = []
    for k, table in enumerate(tables):
        say(f"reading {count(len(table), 'picture')} of {names[k]}")
        for row, source in enumerate(table.images):
            try:
                rgb = read_rgb(source)
            except DataError:
                damaged.append(table.name_of(row))
                continue
            grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
            good.append((k, row))
            sizes.append((rgb.shape[1], rgb.shape[0]))
            digests.append(digest(rgb))
            thumbs.append(np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8))
    if not good:
        raise DataError(f"no picture of {', '.join(names)} can be decoded", f"The first one is {damaged[0]}.")

    def gathered(words: Sequence[Sequence[str]]) -> NDArray[np.str_]:
        return np.array([str(words[k][row]) for k, row in good], dtype=np.str_)

    return Pictures(
        sets=names,
        classes=tuple(table.labels.classes for table in tables),
        set_index=np.array([k for k, _ in good], np.int64),
        split=gathered([table.split.tolist() for table in tables]),
        label=gathered([_labels(table) for table in tables]),
        group=gathered([_groups(table) for table in tables]),
        sample_id=gathered([table.sample_id.tolist() for table in tables]),
        images=[tables[k].images[row] for k, row in good],
        size=np.array(sizes, np.int64),
        digest=np.array(digests, dtype=np.str_),
        thumbs=np.stack(thumbs),
        damaged=tuple(damaged),
    )


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    out: list[str] = []
    for name in names:
        count = sum(other == name or other.startswith(f"{name} (") for other in out)
        out.append(f"{name} ({count + 1})" if count else name)
    return tuple(out)


def _labels(table: SampleTable) -> list[str]:
    """The most voted class, or the states that are present."""
    if table.labels.kind == "exclusive":
        return [table.labels.classes[i] for i in table.target.argmax(axis=1)]
    return [_states(row, table.labels.classes) for row in table.target]


def _states(row: FloatArray, classes: Sequence[str]) -> str:
    present = [c for c, value in zip(classes, row, strict=True) if value > 0.5]
    return STATES_BETWEEN.join(present) or NO_STATE


def _groups(table: SampleTable) -> list[str]:
    """Groups, where they say more than the picture's own name."""
    known = len(set(table.group.tolist())) < len(set(table.sample_id.tolist()))
    return [str(g) if known else "" for g in table.group]
