"""What a few labels per person are worth: DAiSEE's unseen subjects, the rest of their clips before and after.

    python benchmarks/calibration.py FOLDER:daisee                  # validation subjects
    python benchmarks/calibration.py FOLDER:daisee --split test     # once for each model that is reported
    python benchmarks/calibration.py FOLDER:daisee --priors         # how the default priors were chosen

Of every subject, ten clips are labelled: the ones that `engagement calibrate` would propose (margin, spread over
the subject's clips), the least certain wherever they lie (margin alone), or any (random, mean over seeds). All
subjects of the split are fitted together, as the people of one session, by the code of the command. Then the
AUC over the other clips of all subjects, before and after: the same clips in both. A shift per person cannot
change the order of one person's own clips, so the AUC within subjects (their mean) stays what it is, and all
that is won is won between people. Also the log loss, which says whether the scores mean what they say. Intervals
resample subjects: 95 %, percentiles.

Scores are kept in --cache, by the sha256 of the weights.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engagement.calibration.fit import PriorConfig, fit_shifts
from engagement.calibration.moments import MomentsConfig, information, propose
from engagement.labels import LEARNER_STATES
from engagement.timelines.shifts import shifted
from training.metrics import auc, interval

_STATES = LEARNER_STATES.classes
_DRAWS = 1000

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Clips:
    """Scores (n, 3) and answers (n, 3) of clips, and the subject of each (n,) from 0."""

    score: Floats
    yes: NDArray[np.bool_]
    subject: NDArray[np.int64]

    @property
    def rows(self) -> list[NDArray[np.int64]]:
        """Of each subject, in the order of the clips' numbers."""
        return [np.flatnonzero(self.subject == s) for s in range(int(self.subject.max()) + 1)]


@dataclass(frozen=True, eq=False)
class Outcome:
    """One choice of labels: rows that were not labelled, and all scores (n, 3) after calibration."""

    rest: NDArray[np.int64]
    after: Floats


def read_clips(data: str, split: str, checkpoint: str, cache: Path) -> Clips:
    """Scores of a split, computed once."""
    from training.datasets.registry import prepared
    from training.opened import open_model

    model = open_model(checkpoint)
    file = cache / f"daisee_{split}_{model.sha256[:16]}.npz"
    if not file.is_file():
        table = prepared(data, None, False, print).part(split)
        assert table.labels == LEARNER_STATES
        order = np.argsort(table.sample_id)
        score = model.probabilities("state", table)
        assert model.head("state").labels == LEARNER_STATES and np.isfinite(table.target).all()
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(file, score=score[order], yes=table.target[order] > 0.5, subject=table.group[order])
    found = np.load(file)
    subject = np.unique(found["subject"], return_inverse=True)[1].astype(np.int64)
    return Clips(found["score"].astype(np.float64), found["yes"], subject)


def chosen(clips: Clips, how: str, n: int, seed: int) -> NDArray[np.int64]:
    """Rows to label: at most n of each subject, and never more than half of them."""
    rng = np.random.default_rng(seed)
    out = []
    for rows in clips.rows:
        own = min(n, len(rows) // 2)
        score = clips.score[rows]
        if how == "spread":
            picked = propose(np.arange(len(rows), dtype=np.float64), score, MomentsConfig(own, 0.0))
        elif how == "margin":
            picked = np.argsort(-information(score), kind="stable")[:own]
        else:
            picked = rng.choice(len(rows), own, replace=False)
        out.append(rows[picked])
    return np.concatenate(out)


def calibrated(clips: Clips, labelled: NDArray[np.int64], prior: PriorConfig) -> Outcome:
    """Fit on the labelled rows, shift all."""
    after = np.empty_like(clips.score)
    n = len(clips.rows)
    for i in range(len(_STATES)):
        own = clips.score[labelled, i], clips.yes[labelled, i], clips.subject[labelled]
        after[:, i] = shifted(clips.score[:, i], fit_shifts(*own, n, prior)[clips.subject])
    return Outcome(np.setdiff1d(np.arange(len(clips.score)), labelled), after)


def outcomes(clips: Clips, how: str, n: int, seeds: int, prior: PriorConfig) -> list[Outcome]:
    """One, or one per seed where chance chooses."""
    return [
        calibrated(clips, chosen(clips, how, n, s), prior) for s in range(seeds if how == "random" else 1)
    ]


def concordance(score: Floats, yes: NDArray[np.bool_], subject: NDArray[np.int64], n: int) -> Floats:
    """(n, n): pairs of a clip with the state of one subject and one without of another that stand in that order.

    Ties count half. The sum over all pairs, divided by their number, is the AUC; with it a resampling of subjects
    is a product of matrices.
    """
    positive, negative = score[yes], score[~yes]
    won = (positive[:, None] > negative[None]) + 0.5 * (positive[:, None] == negative[None])
    left, right = np.eye(n)[subject[yes]], np.eye(n)[subject[~yes]]
    return left.T @ won @ right


def figures(clips: Clips, found: list[Outcome], state: int, times: Floats) -> Floats:
    """AUC before and after, log loss (nats) before and after, over the clips that were not labelled.

    Args:
        times: (draws, subjects) how often each subject counts.

    Returns:
        (draws, 4) means over the outcomes.
    """
    n = times.shape[1]
    out = np.zeros((len(times), 4))
    for one in found:
        yes, subject = clips.yes[one.rest, state], clips.subject[one.rest]
        pairs = (times @ np.bincount(subject[yes], minlength=n)) * (
            times @ np.bincount(subject[~yes], minlength=n)
        )
        clips_each = times @ np.bincount(subject, minlength=n)
        for i, score in enumerate((clips.score[one.rest, state], one.after[one.rest, state])):
            won = concordance(score, yes, subject, n)
            out[:, i] += np.einsum("di,ij,dj->d", times, won, times) / pairs
            lost = -np.log(np.clip(np.where(yes, score, 1 - score), 1e-4, 1))
            out[:, 2 + i] += times @ np.bincount(subject, lost, n) / clips_each
    return out / len(found)


def within(clips: Clips, state: int) -> float:
    """Mean over subjects of the AUC over the subject's own clips, which no shift can change."""
    return float(np.nanmean([auc(clips.score[r, state], clips.yes[r, state]) for r in clips.rows]))


def report(clips: Clips, n: int, seeds: int, prior: PriorConfig) -> Iterator[str]:
    """A table in Markdown: a row for each state and choice."""
    subjects = len(clips.rows)
    yield f"{subjects} subjects, {len(clips.score)} clips, {n} labelled of each, {prior}\n"
    yield "| state | chosen | AUC before | after | change | log loss before | after | change |"
    yield "|---|---|---|---|---|---|---|---|"
    drawn = np.random.default_rng(0).multinomial(subjects, np.full(subjects, 1 / subjects), _DRAWS)
    times = np.concatenate([np.ones((1, subjects)), drawn.astype(np.float64)])
    changes: dict[tuple[str, str], Floats] = {}
    for how in ("spread", "margin", "random"):
        found = outcomes(clips, how, n, seeds, prior)
        for i, state in enumerate(_STATES):
            values = figures(clips, found, i, times)
            a, b, c, d = values[0]
            auc_change, loss_change = values[:, 1] - values[:, 0], values[:, 3] - values[:, 2]
            changes[how, state] = auc_change
            yield (
                f"| {state} | {how} | {a:.3f} | {b:.3f} | {_with_range(auc_change)} | "
                f"{c:.3f} | {d:.3f} | {_with_range(loss_change)} |"
            )
    yield ""
    for state in _STATES:
        more = _with_range(changes["spread", state] - changes["random", state])
        yield f"{state}: change in AUC, spread less random: {more}"
    inner = ", ".join(f"{state} {within(clips, i):.3f}" for i, state in enumerate(_STATES))
    yield f"AUC within subjects (mean), before and after alike: {inner}"


def priors(clips: Clips, n: int) -> Iterator[str]:
    """Mean over states of change in AUC and of log loss, for priors on a grid."""
    once = np.ones((1, len(clips.rows)))
    yield "| person_sd | session_sd | change in AUC | log loss |\n|---|---|---|---|"
    for person_sd in (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0):
        for session_sd in (0.1, 0.5, 1.0, 2.0):
            found = outcomes(clips, "spread", n, 1, PriorConfig(person_sd, session_sd))
            mean = np.mean([figures(clips, found, i, once)[0] for i in range(len(_STATES))], axis=0)
            yield f"| {person_sd} | {session_sd} | {mean[1] - mean[0]:+.3f} | {mean[3]:.4f} |"


def _with_range(values: Floats) -> str:
    """The first value, and the interval of the others."""
    low, high = interval(values[1:].tolist())
    return f"{values[0]:+.3f} ({low:+.3f} to {high:+.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", help="DAiSEE: its folder, or FOLDER:daisee")
    parser.add_argument("--split", choices=("val", "test"), default="val")
    parser.add_argument("--checkpoint", default="default", help="weights with learner states")
    parser.add_argument("-n", type=int, default=10, help="labelled clips per subject")
    parser.add_argument("--seeds", type=int, default=20, help="of the random choice")
    parser.add_argument("--priors", action="store_true", help="a grid of priors instead (validation only)")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "engagement-calibration")
    given = parser.parse_args()
    if given.priors and given.split != "val":
        parser.error("--priors chooses, so it never looks at test subjects")
    clips = read_clips(given.data, given.split, given.checkpoint, given.cache)
    for line in (
        priors(clips, given.n) if given.priors else report(clips, given.n, given.seeds, PriorConfig())
    ):
        print(line, flush=True)


if __name__ == "__main__":
    main()
