"""What lies on both sides of a split although it should not: copies, neighbouring frames, people."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from engagement.types import IndexArray
from training.inspection.pictures import Pictures
from training.inspection.similar import Pairs, SimilarOptions, altered, low_frequencies, near

#: Low frequencies of neighbouring frames agree at least so well; unrelated pictures with neighbouring
#: numbers hardly ever do.
_ALIKE = 0.8
#: Frames count as neighbours up to this many times the usual distance of their numbers.
_GAP = 2.0

#: How ``faces capture`` names a picture: frame, then which face of it, then which copy ``faces augment`` made.
_CAPTURED = re.compile(r"(.*)_(\d{6}|[1-9]\d{6,14})(_(?:0|[1-9]\d{0,2})(?:_aug\d+)?)")

KINDS = ("exact copy", "near copy", "mirrored or turned copy", "neighbouring frame", "same person or source")


@dataclass(frozen=True, slots=True, eq=False)
class Leak:
    """Pictures of one split that have a relative in train.

    Attributes:
        kind: one of KINDS.
        split: ``val`` or ``test``.
        affected: int64 (k,) rows of that split, each once.
        partner: int64 (k,) the relative in train, the most alike one.
        likeness: float32 (k,) correlation of the fine structure; NaN where it was not compared.
        of: pictures in the split.
    """

    kind: str
    split: str
    affected: IndexArray
    partner: IndexArray
    likeness: NDArray[np.float32]
    of: int


@dataclass(frozen=True, slots=True, eq=False)
class Relations:
    """Who is related to whom.

    Attributes:
        exact: sets of rows with the same pixels.
        near: pairs of near copies, exact ones excluded.
        altered: mirrored or turned copies across train and the other splits.
        neighbours: (k, 2) rows of neighbouring frames across splits.
        shared: names of groups that lie in more than one split.
        leaks: by kind and split, those that occur.
    """

    exact: list[IndexArray]
    near: Pairs
    altered: Pairs
    neighbours: IndexArray
    shared: list[str]
    leaks: list[Leak]

    def affected(self, split: str, kinds: tuple[str, ...] = KINDS[:4]) -> IndexArray:
        """Rows of a split that any of these leaks reaches; by default all but persons and sources."""
        rows = [leak.affected for leak in self.leaks if leak.split == split and leak.kind in kinds]
        return np.unique(np.concatenate([np.empty(0, np.int64), *rows]))


def relations(pictures: Pictures, options: SimilarOptions) -> Relations:
    """Look for everything."""
    exact = _same_pixels(pictures.digest)
    alike = near(pictures.thumbs, options)
    alike = alike.rows(pictures.digest[alike.a] != pictures.digest[alike.b])
    train, held = np.flatnonzero(pictures.split == "train"), np.flatnonzero(pictures.split != "train")
    turned = altered(pictures.thumbs, held, train, options)
    beside = _neighbours(pictures)
    found = {
        KINDS[0]: _exact_pairs(exact, pictures),
        KINDS[1]: np.stack([alike.a, alike.b, alike.detail], axis=1),
        KINDS[2]: np.stack([turned.a, turned.b, turned.detail], axis=1),
        KINDS[3]: np.column_stack([beside, np.full(len(beside), np.nan)]),
        KINDS[4]: _shared_pairs(pictures),
    }
    leaks = [
        leak
        for kind, pairs in found.items()
        for split in ("test", "val")
        if len((leak := _leak(kind, split, pairs, pictures)).affected)
    ]
    return Relations(exact, alike, turned, beside, _shared(pictures), leaks)


def _same_pixels(digests: NDArray[np.str_]) -> list[IndexArray]:
    order = np.argsort(digests, kind="stable")
    starts = np.flatnonzero(np.r_[True, digests[order][1:] != digests[order][:-1]])
    return [rows for rows in np.split(order, starts[1:]) if len(rows) > 1]


def _exact_pairs(groups: list[IndexArray], pictures: Pictures) -> NDArray[np.float64]:
    """One pair for every picture outside train that has a copy in it: with the first one."""
    out: list[tuple[int, int, float]] = []
    for rows in groups:
        train = rows[pictures.split[rows] == "train"]
        out += [(int(row), int(train[0]), 1.0) for row in rows if len(train) and row not in train]
    return np.array(out, np.float64).reshape(-1, 3)


def _leak(kind: str, split: str, pairs: NDArray[np.float64], pictures: Pictures) -> Leak:
    """Reduce pairs to one partner in train for each picture of the split."""
    a, b = pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)
    side = pictures.split
    forth, back = (side[a] == split) & (side[b] == "train"), (side[b] == split) & (side[a] == "train")
    own = np.concatenate([a[forth], b[back]])
    partner = np.concatenate([b[forth], a[back]])
    likeness = np.concatenate([pairs[forth, 2], pairs[back, 2]])
    order = np.lexsort((-np.nan_to_num(likeness), own))
    rows, first = np.unique(own[order], return_index=True)
    chosen = order[first]
    return Leak(
        kind, split, rows, partner[chosen], likeness[chosen].astype(np.float32), int((side == split).sum())
    )


def _source_and_number(pictures: Pictures) -> tuple[list[str], IndexArray]:
    """What a picture's frames have in common, and its number among them; -1 without number."""
    sources, numbers = [], np.full(len(pictures), -1, np.int64)
    for row, name in enumerate(pictures.sample_id.tolist()):
        path = PurePosixPath(name)
        group = str(pictures.group[row])
        if captured := _CAPTURED.fullmatch(path.stem):
            # Neighbours stand on both sides of the border between two blocks of time (``source#block``).
            group = group.rpartition("#")[0] or group
            sources.append(f"{pictures.set_index[row]}|{group}|{captured.group(1)}{captured.group(3)}")
            numbers[row] = int(captured.group(2))
            continue
        match = re.match(r"(.*?)(\d{1,15})\D*$", path.stem)
        stem = match.group(1) if match else path.stem
        # A bare number says nothing without its folder, and that folder may be a class or a recording.
        source = stem or path.parent.name
        sources.append(f"{pictures.set_index[row]}|{group}|{source}")
        numbers[row] = int(match.group(2)) if match else -1
    return sources, numbers


def _neighbours(pictures: Pictures) -> IndexArray:
    """Pairs with subsequent numbers of one source that lie in different splits and look alike; (k, 2)."""
    if len(set(pictures.split.tolist())) < 2:
        return np.empty((0, 2), np.int64)
    names, numbers = _source_and_number(pictures)
    _, source = np.unique(np.array(names, dtype=np.str_), return_inverse=True)
    order = np.lexsort((numbers, source))
    a, b = order[:-1], order[1:]
    gap = numbers[b] - numbers[a]
    same = (source[a] == source[b]) & (numbers[a] >= 0) & (gap > 0)
    usual = np.ones(source.max() + 1)
    for s in np.unique(source[a][same]):
        usual[s] = np.median(gap[same & (source[a] == s)])
    same &= gap <= _GAP * usual[source[a]]
    same &= pictures.split[a] != pictures.split[b]
    a, b = a[same], b[same]
    if not len(a):
        return np.empty((0, 2), np.int64)
    waves = low_frequencies(pictures.thumbs)
    alike = np.einsum("nk,nk->n", waves[a], waves[b]) >= _ALIKE
    return np.stack([a[alike], b[alike]], axis=1)


def _group_names(pictures: Pictures) -> NDArray[np.str_]:
    return np.array(
        [
            f"{pictures.sets[k]}: {g}" if g else ""
            for k, g in zip(pictures.set_index, pictures.group, strict=True)
        ],
        dtype=np.str_,
    )


def _shared(pictures: Pictures) -> list[str]:
    sides: dict[str, set[str]] = {}
    for name, split in zip(_group_names(pictures).tolist(), pictures.split.tolist(), strict=True):
        sides.setdefault(name, set()).add(split)
    return sorted(name for name, where in sides.items() if name and len(where) > 1)


def _shared_pairs(pictures: Pictures) -> NDArray[np.float64]:
    """Each picture outside train with the first one of its group in train."""
    names = _group_names(pictures)
    first: dict[str, int] = {}
    for row in np.flatnonzero((pictures.split == "train") & (names != "")):
        first.setdefault(str(names[row]), int(row))
    out = [
        (int(row), first[str(names[row])], np.nan)
        for row in np.flatnonzero(pictures.split != "train")
        if str(names[row]) in first
    ]
    return np.array(out, np.float64).reshape(-1, 3)
