"""Which changed copies of a picture ``engagement dataset inspect`` finds, measured on real test pictures.

    python benchmarks/copies.py data:rafdb data:fer2013

Prints for each change the share of copies found, and how many pairs of different pictures were taken for copies.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

import cv2
import numpy as np

from engagement.types import ByteArray
from training.datasets.registry import load
from training.inspection.similar import SIDE, SimilarOptions, altered, near
from training.samples.table import read_rgb

PICTURES = 400


def turned(picture: ByteArray, angle_deg: float) -> ByteArray:
    """Turned around the centre; corners are black."""
    height, width = picture.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle_deg, 1)
    return np.asarray(cv2.warpAffine(picture, matrix, (width, height)), np.uint8)


def compressed(picture: ByteArray) -> ByteArray:
    coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)


def shifted(picture: ByteArray, share: float) -> ByteArray:
    return np.roll(picture, round(picture.shape[1] * share), axis=1)


def cut(picture: ByteArray, share: float) -> ByteArray:
    edge = max(1, round(picture.shape[0] * share / 2))
    return np.asarray(cv2.resize(picture[edge:-edge, edge:-edge], picture.shape[::-1]), np.uint8)


def noisy(picture: ByteArray) -> ByteArray:
    noise = np.random.default_rng(0).normal(0, 8, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def halved(picture: ByteArray) -> ByteArray:
    return np.asarray(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)


CHANGES: Mapping[str, Callable[[ByteArray], ByteArray]] = {
    "brightness +40": lambda p: np.clip(p.astype(int) + 40, 0, 255).astype(np.uint8),
    "contrast 0.6": lambda p: (p * 0.6 + 30).astype(np.uint8),
    "gamma 1.6": lambda p: (255 * (p / 255) ** 1.6).astype(np.uint8),
    "JPEG quality 30": compressed,
    "half size": halved,
    "noise of 8 levels": noisy,
    "mirrored": lambda p: np.ascontiguousarray(p[:, ::-1]),
    **{f"turned {a}°": (lambda p, a=a: turned(p, a)) for a in (1.5, 3, 5, 7, 10)},
    "mirrored, turned 5°": lambda p: turned(np.ascontiguousarray(p[:, ::-1]), 5),
    "cut 4 %": lambda p: cut(p, 0.04),
    "shifted 2 %": lambda p: shifted(p, 0.02),
    "shifted 4 %": lambda p: shifted(p, 0.04),
}


def main(references: list[str]) -> None:
    options = SimilarOptions()
    for reference in references:
        table = load(reference).part("test")
        rows = np.random.default_rng(0).permutation(len(table))[:PICTURES]
        originals = [
            np.asarray(cv2.cvtColor(read_rgb(table.images[i]), cv2.COLOR_RGB2GRAY), np.uint8) for i in rows
        ]
        n = len(originals)
        print(f"{table.name}, {n} test pictures")
        for name, change in CHANGES.items():
            both = [*originals, *(change(p) for p in originals)]
            thumbs = np.stack([cv2.resize(p, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for p in both])
            as_is = near(np.asarray(thumbs, np.uint8), options)
            other = altered(np.asarray(thumbs, np.uint8), np.arange(n), np.arange(n, 2 * n), options)
            across = (as_is.a < n) & (as_is.b >= n)
            a = np.concatenate([as_is.a[across], other.a])
            b = np.concatenate([as_is.b[across], other.b])
            right = b == a + n
            print(
                f"  {name:20s} found {len(set(a[right].tolist())) / n:6.1%}  wrong pairs {int((~right).sum())}"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("references", nargs="+", metavar="FOLDER:SET", help="data sets with a test split")
    main(parser.parse_args().references)
