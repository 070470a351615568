"""Sequences with known truth, put together from single pictures that the frame model had not seen.

A picture of the right class is held for about a second and seen through small variations (box,
light, compression: the frame model's own outputs for them), so that consecutive frames err alike;
on top come a slow noise of the logits, irregular times, lost samples and invalid stretches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engagement.errors import DataError
from engagement.labels import EXPRESSIONS, LEARNER_STATES
from engagement.types import ByteArray, FloatArray, IndexArray, TimeArray
from temporal.base import ScoreRun, from_logits
from training.temporal.semi_markov import (
    EXPRESSION_CHAIN,
    Segments,
    SemiMarkov,
    state_chain,
)


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """What the frame model says of P labelled pictures, each in V variations.

    Attributes:
        name: of the data set.
        logits: float32 (P, V, 10), calibrated: log probabilities of expressions, log odds of states.
        chips: uint8 (P, V, S, S), grey.
        expression: int64 (P,), -1 where unknown.
        state: float32 (P, 3), 0-1, NaN where unknown.
        group: (P,) person, or the picture itself where no person is known.
    """

    name: str
    logits: FloatArray
    chips: ByteArray
    expression: IndexArray
    state: FloatArray
    group: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.logits)

    def __repr__(self) -> str:
        return f"Pool({self.name}, {len(self)} pictures, {self.logits.shape[1]} variations)"

    def rows(self, index: IndexArray | NDArray[np.bool_]) -> Pool:
        """The given pictures."""
        return Pool(
            self.name,
            self.logits[index],
            self.chips[index],
            self.expression[index],
            self.state[index],
            self.group[index],
        )


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRun:
    """A run and the truth at its samples.

    Attributes:
        run: as a smoother takes it, with chips.
        expression: int64 (T,), -1 where unknown.
        state: float32 (T, 3), 0-1, NaN where unknown.
        source: what it was made from. group: unit of resampling (sequence or person).
    """

    run: ScoreRun
    expression: IndexArray
    state: FloatArray
    source: str
    group: str


@dataclass(frozen=True, slots=True)
class Conditions:
    """How a sequence is observed.

    Attributes:
        rate_hz: range of the sampling rate; one is drawn per sequence.
        time_jitter: standard deviation of the sampling times, in intervals.
        hold_s: range of how long one picture stands for its class.
        vary_s: mean time until another variation of the picture is seen.
        noise, noise_s: standard deviation of the logits' slow noise, and its correlation time.
        offset: standard deviation of a person's constant offset of each logit.
        lost: share of samples that are missing altogether.
        invalid_every_s: mean time between invalid stretches, of 0.2-2 s each.
        chips: whether moving pictures are made as well.
    """

    rate_hz: tuple[float, float] = (1.0, 10.0)
    time_jitter: float = 0.08
    hold_s: tuple[float, float] = (0.5, 1.5)
    vary_s: float = 0.4
    noise: float = 0.3
    noise_s: float = 0.3
    offset: float = 0.2
    lost: float = 0.03
    invalid_every_s: float = 15.0
    chips: bool = True


#: As a video is analysed by default.
AT_5_HZ = Conditions(rate_hz=(5.0, 5.0))


def sample_times(duration_s: float, how: Conditions, rng: np.random.Generator) -> TimeArray:
    """Irregular, strictly increasing times from near 0 to ``duration_s``; at least one."""
    low, high = how.rate_hz
    rate = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    times = np.arange(0, duration_s, 1 / rate)
    # A quarter of an interval each way at most, so that the order stays.
    times = times + np.clip(rng.normal(0, how.time_jitter, len(times)), -0.25, 0.25) / rate
    kept = rng.random(len(times)) >= how.lost
    kept[rng.integers(len(times))] = True
    return times[kept]


def expression_run(
    pool: Pool,
    duration_s: float,
    how: Conditions,
    rng: np.random.Generator,
    chain: SemiMarkov = EXPRESSION_CHAIN,
) -> LabelledRun:
    """A sequence of expressions; the learner states are unknown.

    Raises:
        DataError: a class has no picture in the pool.
    """
    members = {c: np.flatnonzero(pool.expression == c) for c in range(len(EXPRESSIONS))}
    lacking = [EXPRESSIONS.classes[c] for c, rows in members.items() if not len(rows)]
    if lacking:
        raise DataError(
            f"the pool '{pool.name}' has no picture of: {', '.join(lacking)}",
            "Give the data set whole, and a greater --limit or none.",
        )
    times, rows, run = _observe(pool, chain, members, duration_s, how, rng)
    state = np.full((len(times), len(LEARNER_STATES)), np.nan, np.float32)
    return LabelledRun(run, pool.expression[rows], state, pool.name, "")


def state_codes(state: FloatArray) -> IndexArray:
    """Learner states (n, 3) as bit masks (n,), bit k for state k."""
    return ((state > 0.5) << np.arange(state.shape[1])).sum(axis=1).astype(np.int64)


def state_run(
    pool: Pool,
    duration_s: float,
    how: Conditions,
    rng: np.random.Generator,
    shifted: bool = False,
    pace: float = 1.0,
) -> LabelledRun:
    """A sequence of one person's learner states; the expressions are unknown."""
    person = str(rng.choice(np.unique(pool.group)))
    mine = np.flatnonzero(pool.group == person)
    codes = state_codes(pool.state[mine])
    kinds, counts = np.unique(codes, return_counts=True)
    members = {i: mine[codes == code] for i, code in enumerate(kinds.tolist())}
    chain = state_chain(kinds.astype(np.int64), counts.astype(np.int64), shifted, pace)
    times, rows, run = _observe(pool, chain, members, duration_s, how, rng)
    return LabelledRun(run, np.full(len(times), -1, np.int64), pool.state[rows], pool.name, person)


def ordered_runs(pool: Pool, step_s: float = 1.0) -> list[LabelledRun]:
    """Pictures that are already in order: one run per person, first variation, one per ``step_s``."""
    out: list[LabelledRun] = []
    for person in dict.fromkeys(pool.group.tolist()):
        rows = np.flatnonzero(pool.group == person)
        run = ScoreRun(
            np.arange(len(rows), dtype=np.float64) * step_s,
            from_logits(pool.logits[rows, 0]),
            np.ones(len(rows), np.bool_),
            pool.chips[rows, 0],
        )
        out.append(LabelledRun(run, pool.expression[rows], pool.state[rows], pool.name, person))
    return out


def _observe(
    pool: Pool,
    chain: SemiMarkov,
    members: Mapping[int, IndexArray],
    duration_s: float,
    how: Conditions,
    rng: np.random.Generator,
) -> tuple[TimeArray, IndexArray, ScoreRun]:
    """Times, the picture behind each sample, and what is seen of it."""
    times = sample_times(duration_s, how, rng)
    rows = _pictures(chain.draw(duration_s, rng), members, times, how, rng)
    variation = _sticky(times, pool.logits.shape[1], how.vary_s, rng)
    logits = pool.logits[rows, variation] + _slow_noise(times, pool.logits.shape[2], how, rng)
    logits = logits + rng.normal(0, how.offset, pool.logits.shape[2])
    valid = _validity(times, how, rng)
    # An invalid sample shows something, but not this face: half of another picture, at random.
    other = rng.integers(0, len(pool), int((~valid).sum()))
    logits[~valid] = pool.logits[other, 0] * rng.uniform(0, 1.5, (len(other), 1))
    chips = None
    if how.chips:
        # Draws of its own: with and without pictures the scores are the same.
        chips = _moving(pool.chips[rows, variation], times, rng.spawn(1)[0])
        chips[~valid] = pool.chips[other, 0] // 2 + chips[~valid] // 2
    return times, rows, ScoreRun(times, from_logits(logits), valid, chips)


def _pictures(
    segments: Segments,
    members: Mapping[int, IndexArray],
    times: TimeArray,
    how: Conditions,
    rng: np.random.Generator,
) -> IndexArray:
    """(T,) the picture that stands for each sample's label, another one every second or so."""
    place = segments.place(times)
    rows = np.empty(len(times), np.int64)
    for segment in np.unique(place):
        inside = np.flatnonzero(place == segment)
        candidates = members[int(segments.label[segment])]
        until = -np.inf
        for i in inside:
            if times[i] >= until:
                picture = int(rng.choice(candidates))
                until = times[i] + rng.uniform(*how.hold_s)
            rows[i] = picture
    return rows


def _sticky(times: TimeArray, kinds: int, mean_s: float, rng: np.random.Generator) -> IndexArray:
    """(T,) a kind that changes at random times, ``mean_s`` apart on average."""
    step = np.diff(times, prepend=times[0])
    change = rng.random(len(times)) < 1 - np.exp(-step / mean_s)
    change[0] = True
    draws = rng.integers(0, kinds, len(times))
    return draws[np.maximum.accumulate(np.where(change, np.arange(len(times)), 0))].astype(np.int64)


def _slow_noise(times: TimeArray, k: int, how: Conditions, rng: np.random.Generator) -> FloatArray:
    """(T, k) Ornstein-Uhlenbeck noise sampled at the given times."""
    keep = np.exp(-np.diff(times, prepend=times[0] - 1e3) / how.noise_s)
    fresh = rng.normal(0, how.noise, (len(times), k)) * np.sqrt(1 - keep**2)[:, None]
    out = np.empty_like(fresh)
    last = np.zeros(k)
    for i in range(len(times)):
        last = last * keep[i] + fresh[i]
        out[i] = last
    return out.astype(np.float32)


def _moving(chips: ByteArray, times: TimeArray, rng: np.random.Generator) -> ByteArray:
    """Stills as moving pictures: a wandering box, changing light, noise; uint8 (T, S, S)."""
    import cv2

    size = chips.shape[1]
    drift = _slow_noise(times, 4, Conditions(noise=1.0, noise_s=1.0), rng)
    out = np.empty_like(chips)
    grain = rng.uniform(0, 5)
    for i, chip in enumerate(chips):
        dx, dy, zoom, light = drift[i]
        scale = 1 + 0.02 * zoom
        centre = (1 - scale) * (size - 1) / 2
        matrix = np.array([[scale, 0, centre + 0.02 * size * dx], [0, scale, centre + 0.02 * size * dy]])
        moved = cv2.warpAffine(chip, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
        moved = moved * (1 + 0.08 * light) + rng.normal(0, grain, moved.shape)
        out[i] = np.clip(np.rint(moved), 0, 255).astype(np.uint8)
    return out


def _validity(times: TimeArray, how: Conditions, rng: np.random.Generator) -> NDArray[np.bool_]:
    valid = np.ones(len(times), np.bool_)
    start = times[0] + rng.exponential(how.invalid_every_s)
    while start < times[-1]:
        length = rng.uniform(0.2, 2.0)
        valid &= ~((times >= start) & (times < start + length))
        start += length + rng.exponential(how.invalid_every_s)
    if not valid.any():
        valid[rng.integers(len(valid))] = True
    return valid
