"""Pictures that show the same photograph: re-encoded, resized, brighter, mirrored or slightly turned.

The idea is that of the perceptual hash (low frequencies of a small grey picture), with two changes: the
coefficients are compared as numbers, by correlation, instead of by their signs, which costs one matrix
product and finds more; and what passes is compared again by its fine structure, in which two photographs of
similar faces differ although their low frequencies agree. Both are blind to brightness and contrast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engagement.errors import ConfigError
from engagement.types import ByteArray, FloatArray, IndexArray

#: Side of the small grey pictures that are compared, pixels.
SIDE = 32
_FREQUENCIES = 8
_BLOCK = 1024
#: Grey levels by which a picture must vary; flat ones are like each other and like nothing.
_FLAT = 2.0
#: Angles at which a turned copy is looked for a second time, degrees around the first find.
_FINER = (-1.5, 0.0, 1.5)


@dataclass(frozen=True, slots=True)
class SimilarOptions:
    """When two pictures count as one photograph.

    Attributes:
        coarse: least correlation of the low frequencies, for a pair to be looked at, -1 to 1.
        detail: least correlation of the fine structure, -1 to 1. 0.85 is stricter than what pairs of
            different photographs reach in RAF-DB, whose aligned faces are most alike (docs/datasets.md).
        angles_deg: turns at which copies are searched, besides 0; clockwise.
    """

    coarse: float = 0.96
    detail: float = 0.85
    angles_deg: tuple[float, ...] = (-8.0, -4.0, 4.0, 8.0)

    def __post_init__(self) -> None:
        for name in ("coarse", "detail"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name} = {getattr(self, name)} does not lie in 0-1")


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of pictures.

    Attributes:
        a, b: int64 (n,) rows.
        detail: float32 (n,) correlation of the fine structure.
        mirrored: bool (n,) whether one is the other's mirror image.
        angle_deg: float32 (n,) by which ``a`` is turned to lie on ``b``, after mirroring.
    """

    a: IndexArray
    b: IndexArray
    detail: FloatArray
    mirrored: NDArray[np.bool_]
    angle_deg: FloatArray

    def __len__(self) -> int:
        return len(self.a)

    def rows(self, chosen: NDArray[np.bool_] | IndexArray) -> Pairs:
        """The chosen pairs."""
        return Pairs(
            self.a[chosen],
            self.b[chosen],
            self.detail[chosen],
            self.mirrored[chosen],
            self.angle_deg[chosen],
        )


def near(thumbs: ByteArray, options: SimilarOptions) -> Pairs:
    """Pairs of the same photograph as it is, each once with a < b.

    Args:
        thumbs: uint8 (n, SIDE, SIDE) grey.
        options: when a pair counts.
    """
    coarse = low_frequencies(thumbs)
    found: list[tuple[IndexArray, IndexArray, FloatArray, bool, float]] = []
    for start in range(0, len(thumbs), _BLOCK):
        block = coarse[start : start + _BLOCK]
        a, b = np.nonzero(block @ coarse[start:].T >= options.coarse)
        a, b = (a + start)[a < b], (b + start)[a < b]
        detail = _alike(thumbs, a, thumbs, b)
        kept = detail >= options.detail
        found.append((a[kept], b[kept], detail[kept], False, 0.0))
    return _joined(found)


def altered(thumbs: ByteArray, a_rows: IndexArray, b_rows: IndexArray, options: SimilarOptions) -> Pairs:
    """Mirrored or turned copies between two sets of pictures; pairs that pass as they are do not count.

    Args:
        thumbs: uint8 (n, SIDE, SIDE) grey.
        a_rows, b_rows: the two sets.
        options: when a pair counts.
    """
    there = low_frequencies(thumbs[b_rows])
    found: list[tuple[IndexArray, IndexArray, FloatArray, bool, float]] = []
    for mirrored in (False, True):
        flipped = thumbs[a_rows, :, ::-1] if mirrored else thumbs[a_rows]
        for angle in (0.0, *options.angles_deg) if mirrored else options.angles_deg:
            turned = _turned(flipped, angle)
            coarse = low_frequencies(turned)
            for start in range(0, len(a_rows), _BLOCK):
                i, j = np.nonzero(coarse[start : start + _BLOCK] @ there.T >= options.coarse)
                i += start
                best = np.full(len(i), -1, np.float32)
                for finer in _FINER if angle else (0.0,):
                    again = _turned(flipped[start : start + _BLOCK], angle + finer)
                    best = np.maximum(best, _alike(again, i - start, thumbs, b_rows[j]))
                kept = best >= options.detail
                found.append((a_rows[i[kept]], b_rows[j[kept]], best[kept], mirrored, angle))
    pairs = _joined(found)
    if not len(pairs):
        return pairs
    # A pair may be found at several angles: the best one tells.
    order = np.lexsort((-pairs.detail, pairs.b, pairs.a))
    pairs = pairs.rows(order)
    first = np.ones(len(pairs), bool)
    first[1:] = (pairs.a[1:] != pairs.a[:-1]) | (pairs.b[1:] != pairs.b[:-1])
    pairs = pairs.rows(first)
    coarse = low_frequencies(thumbs)
    as_is = (np.einsum("nk,nk->n", coarse[pairs.a], coarse[pairs.b]) >= options.coarse) & (
        _alike(thumbs, pairs.a, thumbs, pairs.b) >= options.detail
    )
    return pairs.rows(~as_is)


def _alike(left: ByteArray, a: IndexArray, right: ByteArray, b: IndexArray) -> FloatArray:
    """Correlation of the fine structure of ``left[a]`` and ``right[b]``; float32 (n,)."""
    out = np.empty(len(a), np.float32)
    for part in _parts(len(a)):
        # In videos each picture occurs in many pairs; its structure is made once.
        own, a_at = np.unique(a[part], return_inverse=True)
        other, b_at = np.unique(b[part], return_inverse=True)
        out[part] = np.einsum("nk,nk->n", _detail(left[own])[a_at], _detail(right[other])[b_at])
    return out


def _parts(n: int) -> list[slice]:
    return [slice(start, start + 8 * _BLOCK) for start in range(0, n, 8 * _BLOCK)]


def _joined(found: list[tuple[IndexArray, IndexArray, FloatArray, bool, float]]) -> Pairs:
    sizes = [len(part[0]) for part in found]
    return Pairs(
        np.concatenate([np.empty(0, np.int64), *(part[0] for part in found)]),
        np.concatenate([np.empty(0, np.int64), *(part[1] for part in found)]),
        np.concatenate([np.empty(0, np.float32), *(part[2] for part in found)]),
        np.repeat(np.array([part[3] for part in found], bool), sizes),
        np.repeat(np.array([part[4] for part in found], np.float32), sizes),
    )


def _window() -> FloatArray:
    """Weight of each pixel: a disk with a soft rim, because corners of a turned copy hold nothing of it."""
    centre = (np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2) / (SIDE / 2)
    radius = np.hypot(centre[:, None], centre[None, :])
    return np.clip((1.05 - radius) / 0.2, 0, 1).astype(np.float32)


_WINDOW = _window()


def _unit(rows: FloatArray, scale: FloatArray) -> FloatArray:
    """Rows of length 1; those of flat pictures become 0."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(scale[:, None] < _FLAT, 0, rows / np.maximum(length, 1e-6)).astype(np.float32)


def _centred(thumbs: ByteArray) -> tuple[FloatArray, FloatArray]:
    """Pictures less their weighted mean, weighted; and by how many grey levels each varies."""
    values = thumbs.astype(np.float32)
    weight = _WINDOW / _WINDOW.sum()
    mean = np.einsum("nij,ij->n", values, weight)
    values -= mean[:, None, None]
    spread = np.sqrt(np.einsum("nij,ij->n", values**2, weight))
    return values * _WINDOW, spread


def low_frequencies(thumbs: ByteArray) -> FloatArray:
    """Low frequencies of the cosine transform: their products are correlations.

    Args:
        thumbs: uint8 (n, SIDE, SIDE) grey.

    Returns:
        float32 (n, 63) without the mean; rows of length 1, or 0 for a flat picture.
    """
    i = np.arange(SIDE, dtype=np.float32)
    basis = np.stack([np.cos(np.pi * (2 * i + 1) * u / (2 * SIDE)) for u in range(_FREQUENCIES)])
    basis *= np.sqrt(2 / SIDE)
    basis[0] /= np.sqrt(2)
    out = np.empty((len(thumbs), _FREQUENCIES**2 - 1), np.float32)
    for part in _parts(len(thumbs)):
        values, spread = _centred(thumbs[part])
        waves = np.matmul(np.matmul(basis.astype(np.float32), values), basis.T.astype(np.float32))
        out[part] = _unit(waves.reshape(len(values), -1)[:, 1:], spread)
    return out


def _detail(thumbs: ByteArray) -> FloatArray:
    """(n, SIDE²) fine structure: what a blur of two pixels takes away; rows of length 1."""
    import cv2

    values, spread = _centred(thumbs)
    for value, picture in zip(values, thumbs.astype(np.float32), strict=True):
        value[...] = (picture - cv2.GaussianBlur(picture, (0, 0), 2.0)) * _WINDOW
    rows = values.reshape(len(values), -1)
    return _unit(rows - rows.mean(axis=1, keepdims=True), spread)


def _turned(thumbs: ByteArray, angle_deg: float) -> ByteArray:
    """The pictures turned clockwise around their centre, edges repeated."""
    import cv2

    if not angle_deg:
        return thumbs
    centre = ((SIDE - 1) / 2, (SIDE - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, -angle_deg, 1.0)
    out = np.empty_like(thumbs)
    for to, picture in zip(out, thumbs, strict=True):
        plain = np.ascontiguousarray(picture)
        to[...] = cv2.warpAffine(plain, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    return out
