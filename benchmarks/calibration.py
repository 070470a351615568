"""What a few labels per person are worth: DAiSEE's unseen subjects, the rest of their clips before and after.

    python benchmarks/calibration.py FOLDER:daisee                  # validation subjects
    python benchmarks/calibration.py FOLDER:daisee --split test     # once for each model that is reported
    python benchmarks/calibration.py FOLDER:daisee --priors         # how the default priors were chosen
    python benchmarks/calibration.py FOLDER:daisee --richer         # more than a shift, tried and left out

Of every subject, ten clips are labelled: the ones that `engagement calibrate` would propose (margin, spread over
the subject's clips), the least certain wherever they lie (margin alone), or any (random, mean over seeds). All
subjects of the split are fitted together, as the people of one session, by the code of the command. Then the
AUC over the other clips of all subjects, before and after: the same clips in both. A shift per person cannot
change the order of one person's own clips, so the AUC within subjects (their mean) stays what it is, and all
that is won is won between people. "Labels alone" is what the same labels say without looking at any picture: what
is better than that, the model adds. The log loss says whether scores mean what they say. Intervals resample
subjects: 95 %, percentiles. The shipped head has learned from the validation subjects: figures on them flatter, and serve to
compare settings.

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
from scipy.optimize import minimize
from scipy.special import expit

from engagement.calibration.fit import PriorConfig, fit_shifts
from engagement.labelling.proposals import ProposalConfig, information, propose
from engagement.labels import LEARNER_STATES
from engagement.timelines.shifts import logits, shifted
from engagement.types import Floats
from training.measuring.metrics import auc, interval

_STATES = LEARNER_STATES.classes
_DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Clips:
    """Scores (n, 3) and answers (n, 3) of clips, the subject of each (n,) from 0, expressions (n, 7), and of a
    single network its features (n, d)."""

    score: Floats
    yes: NDArray[np.bool_]
    subject: NDArray[np.int64]
    expression: Floats
    features: Floats

    @property
    def rows(self) -> list[NDArray[np.int64]]:
        """Of each subject, in the order of the clips' numbers."""
        return [np.flatnonzero(self.subject == s) for s in range(int(self.subject.max()) + 1)]


@dataclass(frozen=True, eq=False)
class Outcome:
    """One choice of labels: rows that were not labelled, all scores (n, 3) after calibration, and what the same
    labels say without a model (the score 0.5 throughout, shifted)."""

    rest: NDArray[np.int64]
    after: Floats
    alone: Floats


def read_clips(data: str, split: str, checkpoint: str, cache: Path) -> Clips:
    """Scores of a split, computed once."""
    from engagement.classification.classifier import calibrate
    from training.datasets.registry import prepared
    from training.measuring.opened import Opened, open_model
    from training.measuring.prediction import predict

    model = open_model(checkpoint)
    file = cache / f"daisee_{split}_{model.sha256[:16]}.npz"
    if not file.is_file():
        table = prepared(data, None, False, print).part(split)
        assert table.labels == LEARNER_STATES
        order = np.argsort(table.sample_id)
        assert model.head("state").labels == LEARNER_STATES and np.isfinite(table.target).all()
        cache.mkdir(parents=True, exist_ok=True)
        if isinstance(model, Opened):  # one pass for all three
            out = predict(model.network, table, model.chip)
            score, expression = (
                calibrate(out[head], model.head(head).labels, dict(model.record.calibration.get(head, {})))
                for head in ("state", "expression")
            )
            features = out["features"]
        else:
            score, expression = (model.probabilities(head, table) for head in ("state", "expression"))
            features = np.zeros((len(table), 0))
        np.savez(
            file,
            score=score[order],
            yes=table.target[order] > 0.5,
            subject=table.group[order],
            expression=expression[order],
            features=features[order],
        )
    found = np.load(file)
    subject = np.unique(found["subject"], return_inverse=True)[1].astype(np.int64)
    scored = [found[name].astype(np.float64) for name in ("score", "expression", "features")]
    return Clips(scored[0], found["yes"], subject, *scored[1:])


def chosen(clips: Clips, how: str, n: int, seed: int) -> NDArray[np.int64]:
    """Rows to label: at most n of each subject, and never more than half of them."""
    rng = np.random.default_rng(seed)
    out = []
    for rows in clips.rows:
        own = min(n, len(rows) // 2)
        score = clips.score[rows]
        if how == "spread":
            picked = propose(np.arange(len(rows), dtype=np.float64), score, ProposalConfig(own, 0.0))
        elif how == "margin":
            picked = np.argsort(-information(score), kind="stable")[:own]
        else:
            picked = rng.choice(len(rows), own, replace=False)
        out.append(rows[picked])
    return np.concatenate(out)


def calibrated(clips: Clips, labelled: NDArray[np.int64], prior: PriorConfig) -> Outcome:
    """Fit on the labelled rows, shift all."""
    n = len(clips.rows)
    undecided = np.full_like(clips.score, 0.5)
    after, alone = np.empty_like(clips.score), np.empty_like(clips.score)
    for i in range(len(_STATES)):
        said = clips.yes[labelled, i], clips.subject[labelled], n, prior
        for score, out in ((clips.score[:, i], after), (undecided[:, i], alone)):
            out[:, i] = shifted(score, fit_shifts(score[labelled], *said)[clips.subject])
    return Outcome(np.setdiff1d(np.arange(len(clips.score)), labelled), after, alone)


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
    """AUC before, after and of labels alone, then log loss (nats) of the three, over the clips not labelled.

    Args:
        times: (draws, subjects) how often each subject counts.

    Returns:
        (draws, 6) means over the outcomes.
    """
    n = times.shape[1]
    out = np.zeros((len(times), 6))
    for one in found:
        yes, subject = clips.yes[one.rest, state], clips.subject[one.rest]
        pairs = (times @ np.bincount(subject[yes], minlength=n)) * (
            times @ np.bincount(subject[~yes], minlength=n)
        )
        clips_each = times @ np.bincount(subject, minlength=n)
        for i, scores in enumerate((clips.score, one.after, one.alone)):
            score = scores[one.rest, state]
            won = concordance(score, yes, subject, n)
            out[:, i] += np.einsum("di,ij,dj->d", times, won, times) / pairs
            lost = -np.log(np.clip(np.where(yes, score, 1 - score), 1e-4, 1))
            out[:, 3 + i] += times @ np.bincount(subject, lost, n) / clips_each
    return out / len(found)


def within(clips: Clips, state: int) -> float:
    """Mean over subjects of the AUC over the subject's own clips, which no shift can change."""
    return float(np.nanmean([auc(clips.score[r, state], clips.yes[r, state]) for r in clips.rows]))


def report(clips: Clips, n: int, seeds: int, prior: PriorConfig) -> Iterator[str]:
    """A table in Markdown: a row for each state and choice."""
    subjects = len(clips.rows)
    yield f"{subjects} subjects, {len(clips.score)} clips, {n} labelled of each, {prior}\n"
    yield "| state | chosen | AUC before | after | change | labels alone | log loss before | after | change |"
    yield "|---|---|---|---|---|---|---|---|---|"
    drawn = np.random.default_rng(0).multinomial(subjects, np.full(subjects, 1 / subjects), _DRAWS)
    times = np.concatenate([np.ones((1, subjects)), drawn.astype(np.float64)])
    changes: dict[tuple[str, str], Floats] = {}
    for how in ("spread", "margin", "random"):
        found = outcomes(clips, how, n, seeds, prior)
        for i, state in enumerate(_STATES):
            values = figures(clips, found, i, times)
            a, b, alone, c, d, _ = values[0]
            auc_change, loss_change = values[:, 1] - values[:, 0], values[:, 4] - values[:, 3]
            changes[how, state] = auc_change
            yield (
                f"| {state} | {how} | {a:.3f} | {b:.3f} | {_with_range(auc_change)} | {alone:.3f} | "
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
            yield f"| {person_sd} | {session_sd} | {mean[1] - mean[0]:+.3f} | {mean[4]:.4f} |"


def richer(clips: Clips, n: int) -> Iterator[str]:
    """What inputs beside the shift would change: mean over states, for the session (shared) or each person (own).

    Their weights have Gaussian priors around 0, so each model is shrunk to the one with a shift alone.
    """
    own = [logits(clips.score[:, [i]]) for i in range(len(_STATES))]
    every = logits(np.concatenate([clips.expression, clips.score], axis=1))
    given: dict[str, list[Floats]] = {"slope": own, "ten scores": [every] * len(_STATES)}
    if clips.features.shape[1]:
        left, size, _ = np.linalg.svd(clips.features - clips.features.mean(axis=0), full_matrices=False)
        given["32 components of the features"] = [left[:, :32] * size[:32]] * len(_STATES)
    labelled = [chosen(clips, "spread", n, 0), *(chosen(clips, "random", n, seed) for seed in range(4))]
    yield "| inputs | sd shared | sd own | change in AUC | change in AUC within subjects |\n|---|---|---|---|---|"
    for name, inputs in given.items():
        for shared, own_sd in ((0.05, 0), (0.2, 0), (1, 0), (0, 0.05), (0, 0.2), (0, 1), (0.1, 0.1)):
            change = np.mean(
                [
                    _richer(clips, rows, i, _standard(z), shared, own_sd)
                    for rows in labelled
                    for i, z in enumerate(inputs)
                ],
                axis=0,
            )
            yield f"| {name} | {shared} | {own_sd} | {change[0]:+.3f} | {change[1]:+.3f} |"


def _standard(values: Floats) -> Floats:
    return (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-9)


def _richer(
    clips: Clips, rows: NDArray[np.int64], state: int, inputs: Floats, shared: float, own: float
) -> list[float]:
    """Change in AUC and in AUC within subjects over the clips not labelled.

    A Gaussian prior on weights is a ridge, and every model here is linear: inputs are scaled by their standard
    deviations and fitted with a penalty of 1.
    """
    prior, people = PriorConfig(), np.eye(len(clips.rows))[clips.subject]
    blocks = [np.full((len(people), 1), prior.session_sd), prior.person_sd * people]
    if shared:
        blocks.append(shared * inputs)
    if own:
        blocks.append(own * (people[:, :, None] * inputs[:, None]).reshape(len(people), -1))
    design, offset = np.concatenate(blocks, axis=1), logits(clips.score[:, state])
    sign = np.where(clips.yes[rows, state], 1.0, -1.0)

    def loss(v: Floats) -> tuple[float, Floats]:
        against = -sign * (offset[rows] + design[rows] @ v)
        slope = -sign * expit(against)
        return float(np.logaddexp(0, against).sum() + v @ v / 2), design[rows].T @ slope + v

    v: Floats = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B").x
    rest = np.setdiff1d(np.arange(len(offset)), rows)
    out: list[list[float]] = []
    for score in (offset, offset + design @ v):
        each = [np.intersect1d(own_rows, rest) for own_rows in clips.rows]
        inner = np.nanmean([auc(score[r], clips.yes[r, state]) for r in each])
        out.append([auc(score[rest], clips.yes[rest, state]), float(inner)])
    return [after - before for before, after in zip(*out, strict=True)]


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
    parser.add_argument("--richer", action="store_true", help="more than a shift instead (validation only)")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "engagement-calibration")
    given = parser.parse_args()
    if (given.priors or given.richer) and given.split != "val":
        parser.error("--priors and --richer choose, so they never look at test subjects")
    clips = read_clips(given.data, given.split, given.checkpoint, given.cache)
    lines = report(clips, given.n, given.seeds, PriorConfig())
    if given.priors or given.richer:
        lines = priors(clips, given.n) if given.priors else richer(clips, given.n)
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    main()
