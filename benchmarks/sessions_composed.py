"""Sessions composed of single-person clips: who is who and where is known exactly.

A session is a list of samples, each a list of placements: which person, which picture of their clip, where
on the canvas. `render` draws it as a video; `benchmarks/sessions_streams.py` composes detections from it
without drawing. Tests and benchmarks build their sessions here, so that both mean the same by a "swap".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from engagement.types import ByteArray
from engagement.video import open_video
from engagement.video.sampling import select

BACKGROUND = 30  # grey level of an empty canvas
#: Tile sizes by the number of columns of a gallery on a canvas of 1280 x 720.
TILES = {1: (640, 360), 2: (640, 360), 3: (426, 240), 4: (320, 180)}
CANVAS = (1280, 720)

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Placement:
    """One person's tile in one sample.

    Attributes:
        person: index into the session's people.
        x, y: corner of the tile on the canvas, pixels; may lie outside.
        tile_wh: its size.
        condition: how it is lit, coded or framed: plain, dim, compressed or cropped.
    """

    person: int
    x: int
    y: int
    tile_wh: tuple[int, int]
    condition: str = "plain"


@dataclass(frozen=True, slots=True)
class Session:
    """A composed recording.

    Attributes:
        name: of the scenario.
        people: how many there are; a placement counts them from 0.
        samples: one list of placements per sample, drawn in order, so later ones cover earlier ones.
        canvas_wh: pixels.
        rate: samples per second; the drawn video has this frame rate.
        start: (people,) picture of their clip with which each begins.
    """

    name: str
    people: int
    samples: list[list[Placement]]
    canvas_wh: tuple[int, int] = CANVAS
    rate: int = 5
    start: tuple[int, ...] = field(default=())

    def picture_of(self, person: int, sample: int) -> int:
        """Picture of the person's clip at a sample: it runs on while they are hidden."""
        return sample + (self.start[person] if self.start else 0)


def there_and_back(number: int, length: int) -> int:
    """Index of the picture when a clip of ``length`` is played forwards and backwards for ever."""
    if length < 2:
        return 0
    at = number % (2 * length - 2)
    return at if at < length else 2 * length - 2 - at


def clip_pictures(
    path: Path, tile_wh: tuple[int, int], rate: int, condition: str = "plain"
) -> list[ByteArray]:
    """A clip's pictures at ``rate`` per second, fitted to a tile, in a condition."""
    with open_video(path) as reader:
        pictures = [
            fit(frame.rgb, tile_wh, condition == "cropped") for frame in select(reader.tickets(), rate)
        ]
    if condition == "dim":
        return [_dim(p) for p in pictures]
    if condition == "compressed":
        return _compressed(pictures, rate)
    return pictures


def fit(rgb: ByteArray, tile_wh: tuple[int, int], filled: bool = False) -> ByteArray:
    """A picture scaled to fit a tile, the rest of the tile grey; or to fill it, what does not fit cut off."""
    width, height = tile_wh
    scale = (max if filled else min)(width / rgb.shape[1], height / rgb.shape[0])
    size = (max(int(rgb.shape[1] * scale), 1), max(int(rgb.shape[0] * scale), 1))
    scaled = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    return compose(
        [(Placement(0, (width - size[0]) // 2, (height - size[1]) // 2, tile_wh), scaled)], tile_wh
    )


def _dim(rgb: ByteArray) -> ByteArray:
    """Evening: half the light, and what there is comes from a warm lamp."""
    lit = rgb.astype(np.float32) * np.array([0.62, 0.5, 0.36], np.float32) + 6
    return np.clip(lit, 0, 255).astype(np.uint8)


def _compressed(pictures: list[ByteArray], rate: int) -> list[ByteArray]:
    """Through H.264 at a rate factor where blocks show."""
    height, width = pictures[0].shape[:2]
    coder = av.CodecContext.create("libx264", "w")
    coder.width, coder.height, coder.pix_fmt = width, height, "yuv420p"  # type: ignore[attr-defined]
    coder.time_base, coder.options = Fraction(1, rate), {"crf": "38", "preset": "veryfast", "bf": "0"}
    decoder = av.CodecContext.create("h264", "r")
    packets = []
    for i, rgb in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame.pts = i
        packets += coder.encode(frame)  # type: ignore[attr-defined]
    packets += coder.encode(None)  # type: ignore[attr-defined]
    out = [f.to_ndarray(format="rgb24") for p in packets for f in decoder.decode(p)]  # type: ignore[attr-defined]
    return out + [f.to_ndarray(format="rgb24") for f in decoder.decode(None)]  # type: ignore[attr-defined]


def compose(pictures: Sequence[tuple[Placement, ByteArray]], canvas_wh: tuple[int, int]) -> ByteArray:
    """Tiles pasted on an empty canvas in order."""
    width, height = canvas_wh
    canvas = np.full((height, width, 3), BACKGROUND, np.uint8)
    for at, rgb in pictures:
        x1, y1 = max(at.x, 0), max(at.y, 0)
        x2, y2 = min(at.x + rgb.shape[1], width), min(at.y + rgb.shape[0], height)
        if x2 > x1 and y2 > y1:
            canvas[y1:y2, x1:x2] = rgb[y1 - at.y : y2 - at.y, x1 - at.x : x2 - at.x]
    return canvas


def render(session: Session, clips: Sequence[Path], out: Path, crf: int = 20) -> Path:
    """Draw a session as H.264.

    Args:
        clips: one per person.
        crf: rate factor of x264; 20 is good, 38 shows blocks.
    """
    drawn: dict[tuple[int, tuple[int, int], str], list[ByteArray]] = {}
    with av.open(str(out), "w") as container:
        options = {"crf": str(crf), "preset": "veryfast"}
        stream = container.add_stream("libx264", rate=session.rate, options=options)
        stream.width, stream.height = session.canvas_wh
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, session.rate)
        for sample, placements in enumerate(session.samples):
            tiles = []
            for at in placements:
                key = (at.person, at.tile_wh, at.condition)
                if key not in drawn:
                    drawn[key] = clip_pictures(clips[at.person], at.tile_wh, session.rate, at.condition)
                number = session.picture_of(at.person, sample)
                tiles.append((at, drawn[key][there_and_back(number, len(drawn[key]))]))
            frame = av.VideoFrame.from_ndarray(compose(tiles, session.canvas_wh), format="rgb24")
            frame.pts = sample
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return out


# Scenarios. `rng` decides who, where and when; the same seed gives the same session.


def gallery(count: int, canvas_wh: tuple[int, int] = CANVAS) -> list[tuple[int, int, tuple[int, int]]]:
    """Corners and sizes of ``count`` tiles, as calls lay them out: square-ish, rows centred."""
    columns = max(int(np.ceil(np.sqrt(count))), 1)
    tile = TILES[columns]
    rows = -(-count // columns)
    top = (canvas_wh[1] - rows * tile[1]) // 2
    out = []
    for row in range(rows):
        inside = min(columns, count - row * columns)
        left = (canvas_wh[0] - inside * tile[0]) // 2
        out += [(left + k * tile[0], top + row * tile[1], tile) for k in range(inside)]
    return out


def absences(rng: np.random.Generator, seconds: float, lengths: Span = (10, 60)) -> list[Span]:
    """One or two times when somebody is hidden, well within the session and apart from each other."""
    out: list[Span] = []
    for _ in range(int(rng.integers(1, 3))):
        length = float(rng.uniform(lengths[0], min(lengths[1], seconds / 2.5)))
        start = float(rng.uniform(4, seconds - length - 4))
        if all(start > b + 4 or start + length < a - 4 for a, b in out):
            out.append((start, start + length))
    return out


def _inside(time_s: float, spans: Sequence[Span]) -> bool:
    return any(a <= time_s < b for a, b in spans)


def seats(
    name: str,
    people: int,
    seconds: float,
    seat_of: Callable[[int, float], int],
    hidden: Mapping[int, Sequence[Span]],
    rng: np.random.Generator,
    condition: Callable[[int, float], str] = lambda _person, _time: "plain",
) -> Session:
    """People in a fixed grid, hidden at times, each in the seat that ``seat_of(person, time)`` says."""
    grid = gallery(people)
    rate = 5
    samples = []
    for i in range(int(seconds * rate)):
        time_s = i / rate
        row = []
        for person in range(people):
            if not _inside(time_s, hidden.get(person, ())):
                x, y, tile = grid[seat_of(person, time_s)]
                row.append(Placement(person, x, y, tile, condition(person, time_s)))
        samples.append(row)
    return Session(name, people, samples, start=_starts(rng, people))


def _starts(rng: np.random.Generator, people: int) -> tuple[int, ...]:
    return tuple(int(v) for v in rng.integers(0, 60, people))


def fixed(people: int, seconds: float, rng: np.random.Generator) -> Session:
    """Fixed seats; everybody is away for 10-60 s once or twice."""
    hidden = {p: absences(rng, seconds) for p in range(people)}
    return seats("fixed", people, seconds, lambda p, _: p, hidden, rng)


def late(people: int, seconds: float, rng: np.random.Generator) -> Session:
    """Fixed seats; half of the people join late, some leave early."""
    hidden: dict[int, list[Span]] = {}
    for person in range(people):
        if rng.random() < 0.5:
            hidden.setdefault(person, []).append((0, float(rng.uniform(5, seconds / 2))))
        if rng.random() < 0.25:
            hidden.setdefault(person, []).append((float(rng.uniform(seconds * 0.7, seconds)), seconds))
    return seats("late", people, seconds, lambda p, _: p, hidden, rng)


def _swaps(people: int, seconds: float, rng: np.random.Generator, at_once: bool) -> tuple[list, dict]:
    """(time, order of seats) from then on; and who is hidden when, if they walk rather than jump."""
    order = np.arange(people)
    plan: list[tuple[float, np.ndarray]] = [(0.0, order.copy())]
    hidden: dict[int, list[Span]] = {}
    for time_s in np.linspace(seconds * 0.2, seconds * 0.85, 4):
        moved = rng.permutation(people)[: max(2, people // 3)]
        order = order.copy()
        order[moved] = order[np.roll(moved, 1)]
        plan.append((float(time_s), order))
        if not at_once:
            for person in moved.tolist():
                away = (float(time_s - rng.uniform(0.5, 5)), float(time_s + rng.uniform(0.5, 5)))
                hidden.setdefault(person, []).append(away)
    return plan, hidden


def _seat_at(plan: list[tuple[float, np.ndarray]]) -> Callable[[int, float], int]:
    def seat(person: int, time_s: float) -> int:
        return int(next(order for start, order in reversed(plan) if start <= time_s)[person])

    return seat


def swapped(people: int, seconds: float, rng: np.random.Generator) -> Session:
    """A third of the people change seats four times: they leave and sit down somewhere else."""
    plan, hidden = _swaps(people, seconds, rng, at_once=False)
    return seats("swapped", people, seconds, _seat_at(plan), hidden, rng)


def swapped_at_once(people: int, seconds: float, rng: np.random.Generator) -> Session:
    """The same between two samples, as tiles of a call do."""
    plan, _ = _swaps(people, seconds, rng, at_once=True)
    return seats("swapped at once", people, seconds, _seat_at(plan), {}, rng)


def mixed(people: int, seconds: float, rng: np.random.Generator) -> Session:
    """Absences, late people and changed seats together."""
    plan, hidden = _swaps(people, seconds, rng, at_once=bool(rng.integers(2)))
    for person in range(people):
        spans = hidden.setdefault(person, [])
        if rng.random() < 0.3:
            spans.append((0, float(rng.uniform(5, seconds / 3))))
        spans += absences(rng, seconds)
    return seats("mixed", people, seconds, _seat_at(plan), hidden, rng)


def relaid(people: int, seconds: float, rng: np.random.Generator) -> Session:
    """A gallery view: whoever joins or leaves moves and resizes the tiles of the others."""
    hidden: dict[int, list[Span]] = {}
    for person in range(people):
        spans = absences(rng, seconds) if rng.random() < 0.6 else []
        if person >= 2 and rng.random() < 0.5:
            spans.append((0, float(rng.uniform(5, seconds * 0.6))))
        hidden[person] = spans
    rate = 5
    order: list[int] = []
    samples = []
    for i in range(int(seconds * rate)):
        here = [p for p in range(people) if not _inside(i / rate, hidden[p])]
        # Tiles keep the order in which people joined; who comes back is the last.
        order = [p for p in order if p in here] + [p for p in here if p not in order]
        samples.append([Placement(p, *place) for p, place in zip(order, gallery(len(order)), strict=True)])
    return Session("relaid", people, samples, start=_starts(rng, people))


def crossing(people: int, seconds: float, rng: np.random.Generator) -> Session:
    """Pairs walk past each other, one before the other, again and again."""
    columns = max(int(np.ceil(np.sqrt(people))), 2)
    width, height = TILES[columns]
    rate = 5
    samples = []
    for i in range(int(seconds * rate)):
        row = []
        for person in range(people):
            pair, second = divmod(person, 2)
            lane, part = divmod(pair, max(columns // 2, 1))
            left = part * 2 * width
            # Each has an own speed, so that pairs do not all meet at once.
            phase = 2 * np.pi * i / rate / (9 + 1.7 * pair) + np.pi * second
            x = int(left + width / 2 + width / 2 * np.cos(phase))
            row.append(Placement(person, x, lane * height, (width, height)))
        samples.append(row)
    return Session("crossing", people, samples, start=_starts(rng, people))


def relit(people: int, seconds: float, rng: np.random.Generator) -> Session:
    """Fixed seats with absences; for each person the light goes down at some moment and stays so."""
    hidden = {p: absences(rng, seconds) for p in range(people)}
    dark_from = rng.uniform(seconds * 0.2, seconds * 0.8, people)
    return seats(
        "relit",
        people,
        seconds,
        lambda p, _: p,
        hidden,
        rng,
        lambda p, t: "dim" if t >= dark_from[p] else "plain",
    )


def compressed(people: int, seconds: float, rng: np.random.Generator) -> Session:
    """Seats changed with absences, all of it through a coarse coder."""
    session = mixed(people, seconds, rng)
    samples = [[replace(at, condition="compressed") for at in row] for row in session.samples]
    return replace(session, name="compressed", samples=samples)


def cropped(people: int, seconds: float, rng: np.random.Generator) -> Session:
    """Tiles laid out anew, all of them filled: they cut faces that are close to the camera."""
    session = relaid(people, seconds, rng)
    samples = [[replace(at, condition="cropped") for at in row] for row in session.samples]
    return replace(session, name="cropped", samples=samples)


def speakers(people: int, seconds: float, rng: np.random.Generator) -> Session:
    """One person at a time in the same place, hard cuts between them every 2-7 s."""
    rate = 5
    samples: list[list[Placement]] = []
    last = -1
    while len(samples) < seconds * rate:
        choice = [p for p in range(people) if p != last]
        # Everybody speaks once before chance decides.
        turn = len({at.person for row in samples for at in row})
        last = turn if turn < people else int(rng.choice(choice))
        samples += [[Placement(last, 0, 0, TILES[1])]] * int(rng.uniform(2, 7) * rate)
    return Session("speakers", people, samples, TILES[1], start=_starts(rng, people))


SCENARIOS: Mapping[str, Callable[[int, float, np.random.Generator], Session]] = {
    "fixed": fixed,
    "late": late,
    "relit": relit,
    "swapped": swapped,
    "swapped at once": swapped_at_once,
    "mixed": mixed,
    "compressed": compressed,
    "relaid": relaid,
    "cropped": cropped,
    "crossing": crossing,
    "speakers": speakers,
}
