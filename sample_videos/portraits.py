"""The portraits the sample clips are made of: where they come from, and their cut-outs.

Only pictures whose licence is beyond doubt are used; SOURCES.md names author and reason for each.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

WAND_SDIST = "Wand-0.6.13.tar.gz"
WAND_MEMBER = "Wand-0.6.13/tests/assets/mona-lisa.jpg"


@dataclass(frozen=True)
class Portrait:
    """One source picture.

    Attributes:
        key: short name. description: what is seen. source: package and path, as in SOURCES.md.
        sha256: of the file, so that another release with another picture is noticed.
        outline: head and shoulders, rough, in pixels of the picture; GrabCut finds the true edge.
        face: MTCNN's box (facenet-pytorch 2.5.3) in the picture: x1, y1, x2, y2.
        balance: gain per channel (red, green, blue) that brings the picture to common room light.
    """

    key: str
    description: str
    source: str
    sha256: str
    outline: tuple[tuple[int, int], ...]
    face: tuple[float, float, float, float]
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class CutOut:
    """A portrait with its background removed.

    Attributes:
        portrait: where it comes from. rgba: float32 (h, w, 4), colour 0..255 premultiplied, alpha 0..1.
    """

    portrait: Portrait
    rgba: np.ndarray


HOPPER = Portrait(
    "hopper",
    "older woman in navy uniform with hat and glasses (Grace Hopper, photograph)",
    "matplotlib 3.11.2: mpl-data/sample_data/grace_hopper.jpg (US Navy)",
    "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130",
    (
        (14, 600),
        (14, 516),
        (24, 450),
        (44, 398),
        (78, 372),
        (146, 354),
        (206, 326),
        (182, 300),
        (160, 262),
        (153, 204),
        (160, 168),
        (150, 138),
        (162, 108),
        (172, 60),
        (198, 34),
        (258, 20),
        (318, 34),
        (352, 66),
        (366, 96),
        (370, 132),
        (362, 168),
        (374, 192),
        (374, 240),
        (360, 282),
        (336, 314),
        (396, 342),
        (456, 366),
        (486, 390),
        (504, 444),
        (511, 516),
        (511, 600),
    ),
    (170.3, 109.8, 354.0, 327.8),
)
COLLINS = Portrait(
    "collins",
    "woman with short hair in an orange space suit (Eileen Collins, photograph)",
    "scikit-image 0.26.0: skimage/data/astronaut.png (NASA)",
    "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    (
        (28, 346),
        (32, 318),
        (42, 304),
        (72, 276),
        (124, 246),
        (121, 194),
        (133, 158),
        (165, 148),
        (184, 150),
        (176, 128),
        (160, 108),
        (150, 78),
        (153, 50),
        (174, 24),
        (226, 12),
        (272, 21),
        (297, 45),
        (300, 78),
        (292, 103),
        (270, 126),
        (258, 166),
        (290, 190),
        (304, 220),
        (328, 250),
        (348, 286),
        (360, 320),
        (366, 346),
    ),
    (179.0, 59.5, 268.1, 176.0),
)
MONA_LISA = Portrait(
    "mona_lisa",
    "woman in a dark dress (Mona Lisa, painting)",
    f"Wand 0.6.13 source package: {WAND_MEMBER} (Leonardo da Vinci)",
    "8217b583b9396d03d65f24db114d1b056426e9ab06dfa051940e84c577230dcb",
    (
        (44, 443),
        (54, 400),
        (64, 360),
        (76, 312),
        (106, 276),
        (119, 228),
        (125, 180),
        (123, 120),
        (134, 78),
        (172, 56),
        (210, 62),
        (234, 96),
        (243, 144),
        (247, 204),
        (258, 252),
        (298, 286),
        (324, 318),
        (342, 360),
        (352, 400),
        (366, 443),
    ),
    (143.5, 83.9, 237.1, 212.3),
    (1.08, 1.05, 1.22),
)
PORTRAITS = {p.key: p for p in (HOPPER, COLLINS, MONA_LISA)}


def _hopper_bytes() -> bytes:
    import matplotlib

    return (Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").read_bytes()


def _collins_bytes() -> bytes:
    import skimage.data

    return (Path(skimage.data.__file__).parent / "astronaut.png").read_bytes()


def _mona_lisa_bytes(sdist: Path) -> bytes:
    with tarfile.open(sdist) as archive:
        member = archive.extractfile(WAND_MEMBER)
        if member is None:
            raise FileNotFoundError(f"{WAND_MEMBER} in {sdist}")
        return member.read()


def cut_outs(wand_sdist: Path) -> dict[str, CutOut]:
    """Read every portrait and cut out head and shoulders.

    Args:
        wand_sdist: Wand's source package, which alone carries the Mona Lisa.

    Raises:
        ValueError: a file is not the one the outlines and face boxes were drawn for.
    """
    readers: dict[str, Callable[[], bytes]] = {
        "hopper": _hopper_bytes,
        "collins": _collins_bytes,
        "mona_lisa": partial(_mona_lisa_bytes, wand_sdist),
    }
    result = {}
    for key, read in readers.items():
        data, portrait = read(), PORTRAITS[key]
        if hashlib.sha256(data).hexdigest() != portrait.sha256:
            raise ValueError(f"{portrait.source}: another picture than expected")
        picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        result[key] = CutOut(portrait, _cut(picture, portrait))
    return result


def _cut(picture: np.ndarray, portrait: Portrait) -> np.ndarray:
    """Premultiplied RGBA of one person; GrabCut decides only in a band along the rough outline."""
    rough = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(rough, [np.array(portrait.outline, np.int32)], 1)
    bottom = max(y for _, y in portrait.outline)
    band = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (25, 25))
    # Pad below, or erosion would also loosen the straight cut that the table hides anyway.
    padded = cv2.copyMakeBorder(rough[:bottom], 0, 40, 0, 0, cv2.BORDER_REPLICATE)
    inner = cv2.erode(padded, band)[:bottom]
    outer = cv2.dilate(padded, band)[:bottom]
    mask = np.where(rough[:bottom] == 1, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    mask[inner == 1], mask[outer == 0] = cv2.GC_FGD, cv2.GC_BGD
    cv2.setRNGSeed(7)
    image = np.ascontiguousarray(picture[:bottom, :, ::-1])
    cv2.grabCut(image, mask, None, np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK)
    person = ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).astype(np.uint8)
    person = cv2.morphologyEx(person, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    person = cv2.morphologyEx(person, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    person = cv2.medianBlur(person, 13)  # hair against a dark background leaves a ragged edge
    count, labels, stats, _ = cv2.connectedComponentsWithStats(person)
    if count > 2:  # stray specks of the background
        person = (labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)
    # One pixel inwards and soft: otherwise a rim of the old background shines through.
    alpha = cv2.GaussianBlur(cv2.erode(person, np.ones((3, 3), np.uint8)).astype(np.float32), (0, 0), 1.3)
    colour = np.clip(picture[:bottom].astype(np.float32) * np.float32(portrait.balance), 0, 255)
    return np.dstack([colour * alpha[..., None], alpha])
