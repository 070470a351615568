"""Sessions of one or two people in which nothing changed: how many have moments all the same? And how many shifts are found?

    python -m benchmarks.moments

The three estimates of each person go up and down by themselves (a process of first order: how far and how slowly is given),
as ``engagement.timelines.moments`` reads them. Boredom and confusion need twice the shift, as with the shipped network.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from engagement.labels import LEARNER_STATES
from engagement.timelines.moments import find_own_moments, window_s

_WIDE = ("boredom", "confusion")
#: (steps of the class's curves, seconds each): of two minutes, and of an hour.
_SESSIONS = ((120, 1.0), (400, 9.0))
_SPREADS = (0.07, 0.15)
_SLOW = (0.1, 0.5, 1.0, 2.0, 5.0, 20.0)
_SHIFT = 0.3


def wandering(rng: np.random.Generator, steps: int, slow: float) -> NDArray[np.float64]:
    """(3, steps) of unit spread, each of which forgets where it was within ``slow`` steps."""
    keep = np.exp(-1 / slow)
    kicks = rng.normal(size=(len(LEARNER_STATES.classes), steps)) * np.sqrt(1 - keep**2)
    kicks[:, 0] /= np.sqrt(1 - keep**2)
    return np.asarray(lfilter([1.0], [1.0, -keep], kicks, axis=1), np.float64)


def curves(estimates: NDArray[np.float64], step_s: float) -> dict[str, Any]:
    """Of one person as ``timelines.curves`` gives them: no bands. Estimates: (3, steps), 0-1."""
    n = estimates.shape[1]
    out: dict[str, Any] = {"step_s": step_s, "time_s": (np.arange(n) * step_s).tolist(), "n_used": [1] * n}
    for state, values in zip(LEARNER_STATES.classes, estimates.clip(0, 1), strict=True):
        out |= {state: values.tolist(), f"{state}_lo": [None] * n, f"{state}_hi": [None] * n}
    return out


def session(
    rng: np.random.Generator, n_steps: int, step_s: float, spread: float, slow: float, shift: float
) -> list[bool]:
    """Whether each of two people has a moment. slow: in stretches that are compared. shift: of the engagement of
    both, from two fifths of the session on."""
    shifted = np.zeros((len(LEARNER_STATES.classes), n_steps))
    shifted[LEARNER_STATES.classes.index("engagement"), round(0.4 * n_steps) :] = shift
    width = window_s(curves(shifted, step_s)) / step_s
    people = {
        name: curves(0.4 + spread * wandering(rng, n_steps, slow * width) + shifted, step_s)
        for name in ("P01", "P02")
    }
    return [bool(find_own_moments({name: own}, _WIDE)) for name, own in people.items()]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=500, help="of each kind (500)")
    n = parser.parse_args().sessions
    print(
        f"| session | estimates go up and down by | in so many stretches | one person | two people | {_SHIFT:g} found |"
    )
    print("|" + "---|" * 6)
    for steps, step_s in _SESSIONS:
        for spread in _SPREADS:
            for slow in _SLOW:
                unchanged, changed = (
                    _shares(n, steps, step_s, spread, slow, shift) for shift in (0.0, _SHIFT)
                )
                shares = " | ".join(f"{100 * share:.1f} %" for share in (*unchanged, changed[0]))
                print(f"| {steps * step_s / 60:g} min | {spread:g} | {slow:g} | {shares} |", flush=True)


def _shares(
    n: int, n_steps: int, step_s: float, spread: float, slow: float, shift: float
) -> tuple[float, float]:
    """Of n sessions: of people who have moments, and of sessions of two people that have any."""
    rng = np.random.default_rng(0)
    found = np.array([session(rng, n_steps, step_s, spread, slow, shift) for _ in range(n)])
    return float(found.mean()), float(found.any(axis=1).mean())


if __name__ == "__main__":
    main()
