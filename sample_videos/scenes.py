"""What happens in each sample clip: who sits where, who walks, what is in the way, and the rooms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from math import pi, sin

import cv2
import numpy as np

WIDTH, HEIGHT, FPS = 960, 540, 15
TABLE_TOP = 404  # below this line the table hides where the portraits are cut off

Track = tuple[tuple[float, float], ...]
Room = Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class Pose:
    """Where a face is at one time: centre and height in pixels, tilt in degrees, brightness."""

    x: float
    y: float
    height: float
    angle: float
    gain: float


@dataclass(frozen=True)
class Actor:
    """One person of a clip.

    Attributes:
        name: in the truth file. portrait: key in portraits.PORTRAITS. y: of the face's centre.
        height: of the face. walk: (time, x) knots, smoothly joined. panel: which tile holds the person.
        light: (time, gain) knots, joined likewise. grow: (time, factor) knots for the size.
    """

    name: str
    portrait: str
    y: float
    height: float
    walk: Track
    panel: int = 0
    light: Track = ((0.0, 1.0),)
    grow: Track = ((0.0, 1.0),)

    def pose(self, time: float) -> Pose:
        """The face at `time`: seated people sway a little, walking people bob."""
        phase = 1.9 * (ord(self.name) - ord("A"))
        speed = abs(knots(self.walk, time + 0.05) - knots(self.walk, time - 0.05)) / 0.1
        bob = 6 * min(speed / 250, 1) * abs(sin(2 * pi * 1.7 * time))
        size = self.height / 120  # sway belongs to the person, so it scales with the picture
        return Pose(
            x=knots(self.walk, time) + 7 * size * sin(2 * pi * time / 4.1 + phase),
            y=self.y + 3.5 * size * sin(2 * pi * time / 2.9 + 1.7 * phase) - bob,
            height=self.height * knots(self.grow, time) * (1 + 0.015 * sin(2 * pi * time / 6.1 + phase)),
            angle=1.8 * sin(2 * pi * time / 5.3 + phase),
            gain=knots(self.light, time) * (1 + 0.015 * sin(2 * pi * time / 1.3 + phase)),
        )


@dataclass(frozen=True)
class Clipboard:
    """A clipboard raised before an actor's face: up and down as `lift` says (0 hidden, 1 at the mouth)."""

    actor: str
    lift: Track


@dataclass(frozen=True)
class Panel:
    """A tile of the picture with a room of its own; dark during the given spans."""

    x: int
    y: int
    width: int
    height: int
    room: Room
    dark: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Scene:
    """One clip. `actors` stand from back to front; `times` are the frames' time stamps."""

    name: str
    about: str
    duration: float
    actors: tuple[Actor, ...]
    panels: tuple[Panel, ...]
    times: tuple[float, ...]
    table: bool = True
    clipboard: Clipboard | None = None
    seed: int = field(default=1)


def knots(track: Track, time: float) -> float:
    """Value of a knot track: eased between knots, held before the first and after the last."""
    if time <= track[0][0]:
        return track[0][1]
    for (t0, v0), (t1, v1) in pairwise(track):
        if time <= t1:
            u = (time - t0) / (t1 - t0)
            return v0 + (v1 - v0) * u * u * (3 - 2 * u)
    return track[-1][1]


def _shade(width: int, height: int, top: tuple[int, ...], bottom: tuple[int, ...]) -> np.ndarray:
    """A wall: vertical gradient, lit from the upper left."""
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    across = np.linspace(1.05, 0.9, width, dtype=np.float32)[None, :, None]
    return (np.float32(top) * (1 - down) + np.float32(bottom) * down) * across


def _box(image: np.ndarray, at: tuple[float, float, float, float], colour: tuple[int, ...]) -> None:
    """Fill a rectangle given in fractions of the picture."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (round(f * s) for f, s in zip(at, (width, height, width, height), strict=True))
    image[y1:y2, x1:x2] = np.float32(colour)


def _blurred(image: np.ndarray) -> np.ndarray:
    """Out of focus, as a wall behind people is; it also leaves the face detector nothing to find."""
    return cv2.GaussianBlur(image, (0, 0), image.shape[1] / 190)


def classroom(width: int, height: int) -> np.ndarray:
    """Pale wall, whiteboard, door."""
    wall = _shade(width, height, (205, 202, 192), (178, 174, 164))
    _box(wall, (0.26, 0.08, 0.75, 0.50), (150, 150, 150))
    _box(wall, (0.268, 0.094, 0.742, 0.486), (226, 229, 230))
    _box(wall, (0.30, 0.16, 0.44, 0.168), (120, 140, 190))
    _box(wall, (0.30, 0.21, 0.40, 0.218), (120, 140, 190))
    _box(wall, (0.86, 0.06, 0.98, 1.0), (150, 122, 96))
    return _blurred(wall)


def corridor(width: int, height: int) -> np.ndarray:
    """Blue-grey wall with two windows."""
    wall = _shade(width, height, (150, 164, 176), (126, 138, 148))
    for left in (0.10, 0.60):
        _box(wall, (left, 0.05, left + 0.30, 0.55), (222, 226, 226))
        _box(wall, (left + 0.01, 0.07, left + 0.145, 0.53), (196, 214, 226))
        _box(wall, (left + 0.155, 0.07, left + 0.29, 0.53), (196, 214, 226))
    return _blurred(wall)


def library(width: int, height: int) -> np.ndarray:
    """Green-grey wall with a book shelf on the right."""
    wall = _shade(width, height, (172, 184, 170), (146, 158, 146))
    _box(wall, (0.70, 0.05, 1.0, 1.0), (112, 86, 62))
    rng = np.random.default_rng(3)
    for shelf in range(3):
        left = 0.715
        while left < 0.97:
            wide = float(rng.uniform(0.012, 0.026))
            top = 0.08 + 0.24 * shelf + float(rng.uniform(0, 0.05))
            colour = tuple(int(c) for c in (rng.integers(95, 135) + rng.integers(-22, 23, 3)))
            _box(wall, (left, top, left + wide, 0.27 + 0.24 * shelf), colour)
            left += wide + 0.003
    return _blurred(wall)


def study(width: int, height: int) -> np.ndarray:
    """Warm wall with a picture frame."""
    wall = _shade(width, height, (196, 180, 160), (168, 152, 132))
    _box(wall, (0.70, 0.12, 0.92, 0.42), (110, 90, 70))
    _box(wall, (0.715, 0.14, 0.905, 0.40), (170, 190, 196))
    return _blurred(wall)


def no_camera(width: int, height: int) -> np.ndarray:
    """The tile of somebody who joined without a camera."""
    tile = np.full((height, width, 3), 44, np.float32)
    cv2.circle(tile, (width // 2, height // 2), height // 5, (86, 104, 120), -1, cv2.LINE_AA)
    return tile


def table(picture: np.ndarray) -> None:
    """Paint the table into the foreground: top, edge, front."""
    height, width = picture.shape[:2]
    top = _shade(width, 34, (176, 140, 102), (158, 122, 86))
    picture[TABLE_TOP : TABLE_TOP + 34] = top
    picture[TABLE_TOP + 34 : TABLE_TOP + 42] = np.float32((112, 84, 58))
    picture[TABLE_TOP + 42 :] = _shade(width, height - TABLE_TOP - 42, (138, 106, 76), (112, 86, 62))


def clipboard_picture(width: int, height: int) -> np.ndarray:
    """Back of a brown clipboard with its clip, uint8."""
    board = np.full((height, width, 3), (134, 98, 62), np.float32)
    board *= np.linspace(1.08, 0.9, height, dtype=np.float32)[:, None, None]
    cv2.rectangle(board, (0, 0), (width - 1, height - 1), (96, 68, 42), 3)
    cv2.rectangle(board, (width // 3, 0), (2 * width // 3, 12), (178, 180, 184), -1)
    return board


def _steady(duration: float) -> tuple[float, ...]:
    return tuple(k / FPS for k in range(round(duration * FPS)))


def _uneven(duration: float, seed: int) -> tuple[float, ...]:
    """Time stamps as call software writes them: 15 frames/s, half as many in the middle, all jittered."""
    rng = np.random.default_rng(seed)
    times, now = [0.0], 0.0
    while True:
        slow = duration * 0.4 < now < duration * 0.7
        now += (2 if slow else 1) / FPS * float(rng.uniform(0.8, 1.25))
        if now >= duration - 0.02:
            return tuple(times)
        times.append(round(now, 3))


_FULL = (0, 0, WIDTH, HEIGHT)
_LEFT, _RIGHT = -190, WIDTH + 190

SEMINAR = Scene(
    "seminar",
    "Three people at a table; C leaves to the right and comes back to the same seat about six seconds later.",
    16.0,
    (
        Actor("A", "hopper", 196, 124, ((0, 180),)),
        Actor("B", "mona_lisa", 176, 120, ((0, 480),)),
        Actor(
            "C",
            "collins",
            182,
            124,
            ((4.4, 770), (6.0, _RIGHT), (11.0, _RIGHT), (12.6, 770)),
            light=((8.0, 1.0), (8.1, 0.94)),
            grow=((8.0, 1.0), (8.1, 1.04)),
        ),
    ),
    (Panel(*_FULL, classroom),),
    _steady(16.0),
    seed=11,
)
CROSSING = Scene(
    "crossing",
    "A and B swap seats; B passes in front of A.",
    8.0,
    (
        Actor("A", "mona_lisa", 176, 116, ((2.4, 250), (5.2, 720))),
        Actor("B", "collins", 188, 134, ((2.8, 720), (5.6, 240))),
    ),
    (Panel(*_FULL, corridor),),
    _steady(8.0),
    seed=12,
)
OCCLUDED = Scene(
    "occluded",
    "A holds a clipboard before mouth and nose for a while; C joins late from the left.",
    9.0,
    (
        Actor("B", "mona_lisa", 176, 118, ((0, 780),)),
        Actor("A", "collins", 184, 128, ((0, 490),)),
        Actor("C", "hopper", 196, 126, ((4.8, _LEFT), (6.4, 190))),
    ),
    (Panel(*_FULL, library),),
    _steady(9.0),
    clipboard=Clipboard("A", ((1.8, 0), (2.4, 1), (4.2, 1), (4.8, 0))),
    seed=13,
)
_TILE = (WIDTH // 2 - 6, HEIGHT // 2 - 6)
VIDEO_CALL = Scene(
    "video_call",
    "A gallery of four tiles with uneven frame times; B's camera is off for a while, the fourth has none.",
    10.0,
    (
        Actor("A", "collins", 104, 104, ((0, 236),), panel=0),
        Actor("B", "hopper", 128, 106, ((0, 232),), panel=1),
        Actor("C", "mona_lisa", 100, 100, ((0, 240),), panel=2),
    ),
    (
        Panel(4, 4, *_TILE, study),
        Panel(WIDTH // 2 + 2, 4, *_TILE, corridor, dark=((3.5, 6.5),)),
        Panel(4, HEIGHT // 2 + 2, *_TILE, library),
        Panel(WIDTH // 2 + 2, HEIGHT // 2 + 2, *_TILE, no_camera),
    ),
    _uneven(10.0, 14),
    table=False,
    seed=14,
)
SCENES = (SEMINAR, CROSSING, OCCLUDED, VIDEO_CALL)
