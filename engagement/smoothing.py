"""Persons' scores to smoothed scores. Only this and ``clips`` import ``temporal``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engagement.errors import ConfigError, WeightsError
from engagement.labels import EXPRESSIONS
from engagement.runs import find_runs
from engagement.siblings import check_sibling
from engagement.types import FloatArray, IndexArray, TimeArray

if TYPE_CHECKING:
    from engagement.weights.store import LoadedWeights
    from temporal.base import TemporalSmoother


@cache
def smoothers() -> Mapping[str, bool]:
    """Name -> whether it needs weights, of every smoother that ``temporal`` has, in order of simplicity.

    Raises:
        EngagementError: ``temporal`` is missing, or somebody else's.
    """
    check_sibling("temporal")
    from temporal import SMOOTHERS

    return SMOOTHERS


@dataclass(frozen=True, slots=True)
class SmoothingConfig:
    """Options of smoothing.

    Attributes:
        method: a key of :func:`smoothers`.
        weights: file of a network that ``engagement train temporal`` wrote; empty for the shipped one.
        window_s, state_window_s: width of the box for expressions and for learner states; the former also of the one
            for scores of further heads.
        hold_s, state_hold_s: how long the HMM holds an expression and a state on average. All four were chosen on
            validation sequences (docs/temporal.md).
        max_gap_s: a person not seen for longer is not smoothed over, unless samples lie that far apart.
    """

    method: str = "hmm"
    weights: str = ""
    window_s: float = 3.0
    state_window_s: float = 5.0
    hold_s: float = 0.5
    state_hold_s: float = 3.0
    max_gap_s: float = 0.6

    def __post_init__(self) -> None:
        known = smoothers()
        if self.method not in known:
            raise ConfigError(f"--temporal '{self.method}' is unknown", f"Choose one of: {', '.join(known)}")
        if self.weights and not known[self.method]:
            raise ConfigError(
                f"--temporal-weights {self.weights} cannot be used with --temporal {self.method}",
                f"Add {' or '.join(f'--temporal {name}' for name, needed in known.items() if needed)}.",
            )
        for width in (self.window_s, self.state_window_s):
            if not 0 < width <= 60:
                raise ConfigError(
                    f"--window {width:g} is not above 0 and at most 60 s",
                    "Leave it out for the defaults, 3 and 5 s.",
                )
        for hold in (self.hold_s, self.state_hold_s):
            if not 0 < hold <= 60:
                raise ConfigError(
                    f"smoothing.hold_s {hold:g} is not above 0 and at most 60 s",
                    "Leave it out for the defaults, 0.5 and 3 s.",
                )
        if not 0 < self.max_gap_s <= 10:
            raise ConfigError(
                f"smoothing.max_gap_s {self.max_gap_s} is not within 0-10 s",
                "Leave it out for the default, 0.6 s.",
            )

    @property
    def further_window_s(self) -> float:
        """Width of the box for scores of further heads, which only ``none`` leaves alone; 0 for no smoothing."""
        return 0.0 if self.method == "none" else self.window_s

    def in_use(self, network: Mapping[str, Any], further: bool) -> dict[str, float]:
        """Those of the widths and lengths that have a say in the scores, by name, for the record of a result.

        Args:
            network: of the weights in use, with the widths of the box that it corrects; empty for other smoothers.
            further: whether there are scores of further heads.
        """
        out: dict[str, float] = {}
        if self.method == "box":
            out |= {"window_s": self.window_s, "state_window_s": self.state_window_s}
        elif self.method == "hmm":
            out |= {"hold_s": self.hold_s, "state_hold_s": self.state_hold_s}
        for name, ours in (("box_s", "window_s"), ("state_box_s", "state_window_s")):
            if name in network:
                out[ours] = network[name]
        return out | ({"further_window_s": self.further_window_s} if further else {})

    def gap_s(self, step_s: float) -> float:
        """The longest pause within a stretch, of samples ``step_s`` apart: at least three of them long."""
        return max(self.max_gap_s, round(3 * step_s, 6))


def load_smoother(config: SmoothingConfig) -> tuple[TemporalSmoother, LoadedWeights | None]:
    """The smoother and, for a network, the weights it uses.

    Raises:
        WeightsError: the file is missing, damaged, or of a network that another version built.
    """
    from temporal import build_smoother

    if config.method == "box":
        return build_smoother("box", window_s=config.window_s, state_window_s=config.state_window_s), None
    if config.method == "hmm":
        return build_smoother("hmm", hold_s=config.hold_s, state_hold_s=config.state_hold_s), None
    if not smoothers()[config.method]:
        return build_smoother(config.method), None
    from engagement.weights.store import load_weights

    weights = load_weights(config.weights or config.method, config.method)
    try:
        return build_smoother(config.method, (weights.record.network, weights.tensors)), weights
    except (TypeError, ValueError) as error:
        raise WeightsError(
            f"{config.weights or weights.name}: {error}",
            f"Write the file anew with `engagement train temporal --model {config.method}`, or leave out --temporal-weights.",
        ) from error


def smooth_persons(
    smoother: TemporalSmoother,
    times_s: TimeArray,
    rows: NDArray[np.void],
    person: IndexArray,
    max_gap_s: float,
    min_quality: float,
) -> FloatArray:
    """Smoothed scores of every face, each uninterrupted stretch of a person by itself.

    Args:
        times_s: (n_samples,). rows: the records of the faces (see FaceRecords). person: (len(rows),).
        max_gap_s: a longer pause ends a stretch (see ``SmoothingConfig.gap_s``).
        min_quality: poorer crops, and frozen ones, have no say and get no smoothed score: nothing is claimed of them.

    Returns:
        float32 (len(rows), 10); NaN for poor crops, frozen ones and nobody's.
    """
    from temporal.base import ScoreRun

    out = np.full(rows["prob"].shape, np.nan, np.float32)
    valid = _usable(rows, min_quality)
    if smoother.needs_chips:
        out[:] = rows["clip"]
    else:
        for part in _stretches(times_s[rows["sample"]], person, max_gap_s):
            times = times_s[rows["sample"][part]]
            out[part] = smoother.smooth(ScoreRun(times, rows["prob"][part], valid[part], None))
    out[~valid | (person < 0)] = np.nan
    named = np.asarray(rows["prob"][:, : len(EXPRESSIONS)].any(axis=0))
    _leave_out(out[:, : len(EXPRESSIONS)], named)
    return out


def _leave_out(expressions: FloatArray, named: NDArray[np.bool_]) -> None:
    """Take what smoothers, who know all seven, give to expressions that the model in use cannot name.

    Args:
        expressions: (n, 7) smoothed, changed in place; the others sum to 1 afterwards, and rows of NaN stay so.
        named: (7,) whether any raw score is above 0.
    """
    if not named.all():
        expressions[:, ~named] = 0
        expressions /= expressions.sum(axis=1, keepdims=True)


def smooth_further(
    times_s: TimeArray,
    rows: NDArray[np.void],
    person: IndexArray,
    max_gap_s: float,
    min_quality: float,
    window_s: float,
) -> FloatArray:
    """Scores of a checkpoint's further heads as their mean over a centred window, stretch by stretch.

    Args:
        window_s: see ``SmoothingConfig.further_window_s``. The others as for :func:`smooth_persons`.

    Returns:
        float32 (len(rows), k), NaN for poor crops, frozen ones and nobody's.
    """
    from temporal.box import window_mean

    out = rows["extra"].copy()
    valid = _usable(rows, min_quality)
    if window_s and out.shape[1]:
        for part in _stretches(times_s[rows["sample"]], person, max_gap_s):
            times = times_s[rows["sample"][part]]
            out[part] = window_mean(times, rows["extra"][part], valid[part], window_s)
    out[~valid | (person < 0)] = np.nan
    return out


def _usable(rows: NDArray[np.void], min_quality: float) -> NDArray[np.bool_]:
    """Rows of which something can be claimed."""
    return (rows["quality"] >= min_quality) & ~rows["frozen"]


def _stretches(time_s: TimeArray, person: IndexArray, max_gap_s: float) -> Iterator[IndexArray]:
    """Rows of each uninterrupted stretch of each person, in order of time; nobody's rows are in none."""
    for index in range(int(person.max(initial=-1)) + 1):
        own = np.flatnonzero(person == index)
        run = find_runs(time_s[own], max_gap_s)
        for number in range(int(run.max(initial=-1)) + 1):
            yield own[run == number]
