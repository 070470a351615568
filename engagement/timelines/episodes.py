"""Smoothed state scores to events: who leads, from when to when; gaps stay gaps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engagement.errors import ConfigError
from engagement.labels import LEARNER_STATES, UNCERTAIN, WIDE_MARGIN
from engagement.runs import LONGEST_STEPS
from engagement.types import FloatArray, TimeArray


@dataclass(frozen=True, slots=True)
class EpisodesConfig:
    """Options of events.

    Attributes:
        state_margin: lead over the second state below which nothing is claimed.
        wide: states that the model tells little better than chance of unseen people (``provenance.weak_states``): they
            need twice the margin.
    """

    state_margin: float = 0.1
    wide: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.state_margin <= 1:
            raise ConfigError(f"--margin {self.state_margin} is not within 0-1", "0.1 is the default.")


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch of one state; ``mean_prob`` is the leader's mean smoothed score, 0-1."""

    start_s: float
    end_s: float
    state: str
    mean_prob: float


def find_episodes(
    times_s: TimeArray,
    scores: FloatArray,
    run: NDArray[np.int64],
    step_s: float,
    config: EpisodesConfig,
    end_s: float = math.inf,
) -> list[Episode]:
    """Consecutive samples with the same leading state.

    Args:
        times_s: (n,) increasing. scores: (n, 3) smoothed, NaN where nothing is known.
        run: (n,) number of the uninterrupted stretch each sample lies in.
        step_s: that a sample stands for; the last one of an episode reaches to the next sample, at most twice as far.
        end_s: of the video, beyond which nothing reaches.
    """
    n = len(times_s)
    if not n:
        return []
    known: NDArray[np.bool_] = np.asarray(np.isfinite(scores).all(axis=1))
    states = leading(scores, config)
    goes_on = known[1:] & known[:-1] & (run[1:] == run[:-1]) & (states[1:] == states[:-1])
    firsts = np.flatnonzero(known & ~np.concatenate([[False], goes_on]))
    lasts = np.flatnonzero(known & ~np.concatenate([goes_on, [False]]))
    episodes: list[Episode] = []
    for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
        last_s = float(times_s[last])
        until_s = last_s + step_s
        if last + 1 < n and run[last + 1] == run[last]:
            until_s = min(float(times_s[last + 1]), last_s + LONGEST_STEPS * step_s)
        mean_prob = float(np.mean(scores[first : last + 1].max(axis=1)))
        until_s = max(min(until_s, end_s), last_s)
        episodes.append(Episode(float(times_s[first]), until_s, str(states[first]), mean_prob))
    return episodes


def leading(scores: FloatArray, config: EpisodesConfig) -> NDArray[np.str_]:
    """The winner of each row, or ``uncertain`` where its lead is below its margin or nothing is known."""
    names = np.array(LEARNER_STATES.classes, dtype=np.str_).astype("<U16")
    margins = max(config.state_margin, 1e-9) * np.where(np.isin(names, config.wide), WIDE_MARGIN, 1.0)
    filled = np.nan_to_num(scores, nan=0.0)
    order, first = np.sort(filled, axis=1), filled.argmax(axis=1)
    clear = (order[:, -1] - order[:, -2]) >= margins[first]
    return np.where(clear, names[first], UNCERTAIN)
