"""What happens in composed sessions: who sits where, leaves, comes back, speaks.

`rng` decides who, where and when; the same seed gives the same session. Tests and benchmarks build their sessions here,
so that both mean the same by a "swap".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.sessions_composed import CANVAS, TILES, Placement, Session

Span = tuple[float, float]


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


def _turns(people: int, seconds: float, rng: np.random.Generator) -> list[int]:
    """Who speaks in each sample, 2-7 s at a time."""
    rate = 5
    turns: list[int] = []
    while len(turns) < seconds * rate:
        choice = [p for p in range(people) if p != (turns[-1] if turns else -1)]
        # Everybody speaks once before chance decides.
        turn = len(set(turns))
        turns += [turn if turn < people else int(rng.choice(choice))] * int(rng.uniform(2, 7) * rate)
    return turns


def speakers(people: int, seconds: float, rng: np.random.Generator) -> Session:
    """One person at a time in the same place, hard cuts between them every 2-7 s."""
    samples = [[Placement(person, 0, 0, TILES[1])] for person in _turns(people, seconds, rng)]
    return Session("speakers", people, samples, TILES[1], start=_starts(rng, people))


def speaker_above(people: int, seconds: float, rng: np.random.Generator) -> Session:
    """Who speaks is large, the others are small; who stops is in both places for 0.4 s, as in a dissolve."""
    turns = _turns(people, seconds, rng)
    large, small = TILES[1], TILES[4]
    samples = []
    for i, speaking in enumerate(turns):
        places = [(p, p % 4 * small[0], large[1] + p // 4 * small[1]) for p in range(people)]
        row = [Placement(p, x, y, small) for p, x, y in places if p != speaking]
        samples.append([*row, Placement(turns[max(i - 2, 0)], (CANVAS[0] - large[0]) // 2, 0, large)])
    canvas = (CANVAS[0], large[1] + -(-people // 4) * small[1])
    return Session("speaker above", people, samples, canvas, start=_starts(rng, people))


def speaker_repeated(people: int, seconds: float, rng: np.random.Generator) -> Session:
    """Who speaks is large and at the same time small in a strip of all."""
    large, small = TILES[1], TILES[4]
    strip = [Placement(p, p % 4 * small[0], large[1] + p // 4 * small[1], small) for p in range(people)]
    samples = [
        [Placement(speaking, (CANVAS[0] - large[0]) // 2, 0, large), *strip]
        for speaking in _turns(people, seconds, rng)
    ]
    canvas = (CANVAS[0], large[1] + -(-people // 4) * small[1])
    return Session("speaker repeated", people, samples, canvas, start=_starts(rng, people))


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
    "speaker above": speaker_above,
}

#: What composed detections cannot tell, since they have no pictures.
DRAWN: Mapping[str, Callable[[int, float, np.random.Generator], Session]] = {
    "speaker repeated": speaker_repeated
}
