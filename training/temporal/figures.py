"""Figures of smoothed sequences, kept as sums per sequence so that resampling costs next to nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from engagement.labels import LEARNER_STATES
from engagement.types import FloatArray, IndexArray, TimeArray
from temporal.base import EXPRESSION_COUNT
from training.temporal.sequences import LabelledRun

#: Cells of the histogram of a state's score; AUC is exact up to ties within a cell.
BINS = 256
_FLOOR = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Sums over N sequences, float64.

    Attributes:
        confusion: (N, 7, 7), rows truth.
        log_loss, brier: (N,) sums over the samples whose expression is known.
        events: (N, 3): matched, predicted and true expression segments.
        changes: (N, 2): changes of the leading expression, and seconds.
        histogram: (N, 3, 2, BINS), scores of each state where it is absent and present.
        state_log_loss, state_brier: (N, 3, 2), sums by absent and present.
        state_events: (N, 3): as ``events``, for stretches with a state at or above 0.5.
    """

    confusion: NDArray[np.float64]
    log_loss: NDArray[np.float64]
    brier: NDArray[np.float64]
    events: NDArray[np.float64]
    changes: NDArray[np.float64]
    histogram: NDArray[np.float64]
    state_log_loss: NDArray[np.float64]
    state_brier: NDArray[np.float64]
    state_events: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.log_loss)

    def total(self, times: NDArray[np.integer] | None = None) -> Tally:
        """Sums over the sequences as one of length 1, each counted ``times`` (N,) times."""
        weight = np.ones(len(self)) if times is None else times.astype(np.float64)
        parts: list[NDArray[np.float64]] = [
            np.asarray(np.tensordot(weight, getattr(self, f.name), 1), np.float64)[None] for f in fields(self)
        ]
        return Tally(*parts)

    @classmethod
    def join(cls, parts: Sequence[Tally]) -> Tally:
        """All sequences of several tallies."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))


def tally(run: LabelledRun, prob: FloatArray) -> Tally:
    """Sums of one sequence. Only samples that are valid count, the same for every smoother.

    Args:
        run: the truth.
        prob: float32 (T, 10), smoothed.
    """
    valid, times = run.run.valid, run.run.times_s
    p = np.clip(prob.astype(np.float64), _FLOOR, 1 - _FLOOR)
    truth, guess = run.expression, np.nan_to_num(prob[:, :EXPRESSION_COUNT]).argmax(axis=1)
    known = valid & (truth >= 0)
    confusion = np.zeros((7, 7))
    np.add.at(confusion, (truth[known], guess[known]), 1)
    one_hot = np.eye(EXPRESSION_COUNT)[truth[known]]
    q = p[known, :EXPRESSION_COUNT]
    events, changes = np.zeros(3), np.zeros(2)
    if known.any():
        events = _matches(truth[valid], guess[valid], times[valid])
        changes[:] = (np.diff(guess[valid]) != 0).sum(), times[-1] - times[0]
    histogram, state_log, state_brier = np.zeros((3, 2, BINS)), np.zeros((3, 2)), np.zeros((3, 2))
    state_events = np.zeros(3)
    for k in range(len(LEARNER_STATES)):
        # A target of one half (WACV's middle level) is neither present nor absent.
        clear = valid & np.isfinite(run.state[:, k]) & (run.state[:, k] != 0.5)
        if not clear.any():
            continue
        yes, score = run.state[clear, k] > 0.5, p[clear, EXPRESSION_COUNT + k]
        cell = np.minimum((score * BINS).astype(int), BINS - 1)
        np.add.at(histogram[k], (yes.astype(int), cell), 1)
        for side in (0, 1):
            s = score[yes == bool(side)]
            state_log[k, side] = -np.log(s if side else 1 - s).sum()
            state_brier[k, side] = ((side - s) ** 2).sum()
        state_events += _matches(yes.astype(np.int64), (score >= 0.5).astype(np.int64), times[clear], skip=0)
    return Tally(
        confusion=confusion[None],
        log_loss=-np.log(q[one_hot > 0]).sum()[None],
        brier=((q - one_hot) ** 2).sum()[None],
        events=events[None],
        changes=changes[None],
        histogram=histogram[None],
        state_log_loss=state_log[None],
        state_brier=state_brier[None],
        state_events=state_events[None],
    )


def segments(label: IndexArray, times_s: TimeArray) -> list[tuple[int, float, float]]:
    """(label, start, end) of equal neighbours; an edge lies half way between two samples."""
    edge = np.flatnonzero(np.diff(label)) + 1
    middle = (times_s[edge - 1] + times_s[edge]) / 2
    half = float(np.median(np.diff(times_s))) / 2 if len(times_s) > 1 else 0.1
    start = np.concatenate([[times_s[0] - half], middle])
    end = np.concatenate([middle, [times_s[-1] + half]])
    first = np.concatenate([[0], edge])
    return [(int(label[i]), float(a), float(b)) for i, a, b in zip(first, start, end, strict=True)]


def _matches(
    truth: IndexArray, guess: IndexArray, times_s: TimeArray, skip: int | None = None
) -> NDArray[np.float64]:
    """Matched, predicted and true segments; a match has the same label and an IoU of at least 0.5.

    At such an overlap no segment can match two others, so the order of matching does not matter.
    """
    true = [s for s in segments(truth, times_s) if s[0] != skip]
    predicted = [s for s in segments(guess, times_s) if s[0] != skip]
    hits = 0
    for label, start, end in true:
        for other, a, b in predicted:
            overlap = min(end, b) - max(start, a)
            if label == other and overlap > 0 and overlap / (max(end, b) - min(start, a)) >= 0.5:
                hits += 1
                break
    return np.array([hits, len(predicted), len(true)], np.float64)


def figures(total: Tally) -> dict[str, float]:
    """Figures of a tally of length 1; NaN where nothing was labelled.

    Returns:
        macro_f1, log_loss, brier, event_f1, changes_per_min for expressions; state_auc and one AUC
        per state; state_log_loss and state_brier with both answers weighing the same; state_event_f1.
    """
    confusion = total.confusion[0]
    support, hits = confusion.sum(axis=1), np.diag(confusion)
    f1 = 2 * hits / np.maximum(support + confusion.sum(axis=0), 1e-12)
    n = support.sum() or np.nan
    matched, predicted, true = total.events[0]
    count = total.histogram[0].sum(axis=2)
    area = [_auc(total.histogram[0, k]) for k in range(3)]
    both_answers = (count > 0).all(axis=1)  # of states without one of them nothing is said
    both = {
        name: float((getattr(total, name)[0][both_answers] / count[both_answers]).mean())
        if both_answers.any()
        else np.nan
        for name in ("state_log_loss", "state_brier")
    }
    s_matched, s_predicted, s_true = total.state_events[0]
    return {
        "macro_f1": float(f1[support > 0].mean()) if n == n else np.nan,
        "log_loss": float(total.log_loss[0] / n),
        "brier": float(total.brier[0] / n),
        "event_f1": float(2 * matched / (predicted + true)) if predicted + true else np.nan,
        "changes_per_min": float(total.changes[0, 0] / total.changes[0, 1] * 60)
        if total.changes[0, 1]
        else np.nan,
        "state_auc": float(np.nanmean(area)) if np.isfinite(area).any() else np.nan,
        **{f"auc_{name}": area[k] for k, name in enumerate(LEARNER_STATES.classes)},
        **both,
        "state_event_f1": float(2 * s_matched / (s_predicted + s_true)) if s_predicted + s_true else np.nan,
    }


def _auc(histogram: NDArray[np.float64]) -> float:
    """Area under the ROC curve from scores in cells; ties within a cell count half."""
    absent, present = histogram
    if not absent.sum() or not present.sum():
        return float("nan")
    below = np.cumsum(absent) - absent
    return float((present * (below + absent / 2)).sum() / (absent.sum() * present.sum()))


def overall(figure: dict[str, float]) -> float:
    """The one number that models are selected and compared by: the mean of the figures that exist of
    expression macro-F1, expression event-F1 and state AUC, 0-1."""
    values = [figure[k] for k in ("macro_f1", "event_f1", "state_auc") if np.isfinite(figure[k])]
    return float(np.mean(values)) if values else float("nan")


def resample(
    tallies: Sequence[Tally], groups: Sequence[str], draws: int = 1000, seed: int = 0
) -> list[list[dict[str, float]]]:
    """Figures of several smoothers under the same random draws of groups with replacement.

    Args:
        tallies: one per smoother, of the same N sequences.
        groups: (N,) person or sequence; what is drawn as a whole.
        draws: how many.
        seed: of the draws.

    Returns:
        per smoother, ``draws`` sets of figures; ``overall`` is among them. None of a single group: how another one
        would differ is not known.
    """
    rng = np.random.default_rng(seed)
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    n = int(member.max()) + 1
    out: list[list[dict[str, float]]] = [[] for _ in tallies]
    for _ in range(draws if n > 1 else 0):
        times = np.bincount(rng.integers(0, n, n), minlength=n)[member]
        for place, one in zip(out, tallies, strict=True):
            figure = figures(one.total(times))
            place.append({**figure, "overall": overall(figure)})
    return out
