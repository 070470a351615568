"""Which smoother is worth its cost: figures on test pictures and people, and the choice of the default.

``python -m training.temporal.evaluation --help`` is the command behind ``docs/temporal.md``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engagement.errors import ConfigError, EngagementError, WeightsError
from engagement.provenance import learned_from_scores_of
from engagement.smoothing import SmoothingConfig
from engagement.weights.store import LoadedWeights, load_weights
from temporal import SMOOTHERS, build_smoother
from temporal.base import TemporalSmoother
from temporal.box import BoxSmoother
from temporal.conv3d import Conv3dConfig
from temporal.hmm import HmmSmoother
from training import Say
from training.figure_text import to_json
from training.measuring.metrics import interval
from training.temporal.figures import Tally, figures, overall, resample
from training.temporal.fit import SCHEDULES, choose_hmm, choose_windows, held_out_runs, judge, validation_runs
from training.temporal.frame_outputs import FrameModel, load_frame_model, pool
from training.temporal.items import Material
from training.temporal.report import report
from training.temporal.sequences import LabelledRun, Pool, ordered_runs
from training.temporal.train import read_material

#: Test sequences of each of the two kinds, and resamplings of them.
SEQUENCES, DRAWS = 100, 1000
#: Not the seed of training or validation.
TEST_SEED = 2016


@dataclass(frozen=True, slots=True)
class TemporalEvaluation:
    """What the command was asked to do.

    Attributes:
        frame_weights: the frame model that the networks were trained for.
        data: folder of the Parquet sets.
        out: folder for ``evaluation.json`` and the frame model's outputs.
        weights: ``lstm`` and ``cnn3d``: name or file; those that are missing are left out.
        docs: Markdown file to write, or None.
        sequences: of each of the two kinds, per task. draws: of the bootstrap.
        limit: pictures per split, for trials.
    """

    frame_weights: str
    data: Path
    out: Path
    weights: Mapping[str, str]
    docs: Path | None = None
    sequences: int = SEQUENCES
    draws: int = DRAWS
    limit: int | None = None


def evaluate_temporal(run: TemporalEvaluation, say: Say = lambda _: None) -> dict[str, Any]:
    """Compare the smoothers on the test splits. To be run once, when everything is chosen.

    Returns:
        what ``evaluation.json`` holds: see :func:`compare`.
    """
    networks = {
        kind: load_weights(run.weights[kind], kind)
        for kind, needed in SMOOTHERS.items()
        if needed and kind in run.weights
    }
    model = load_frame_model(run.frame_weights)
    _require_made_for(model, load_weights(run.frame_weights, "face_state"), networks)
    for text in model.beware:
        say(f"warning: {text}")
    _, validate = read_material(model, run.data, None, run.out, run.limit, say)
    # As in training with its default seed: the box has the windows that networks of that seed correct.
    count = SCHEDULES["lstm"].validation_runs
    window_s = choose_windows(validation_runs(validate, count, 1))
    hold_s = choose_hmm(validate, count, 1)
    _tell_of_other_boxes(networks, window_s, say)
    smoothers = _smoothers(networks, window_s, hold_s)

    def read(name: str) -> Pool:
        return pool(model, run.data, name, "test", run.out, Conv3dConfig().chip_px, run.limit, say)

    tasks = _tasks(Material(read("rafdb"), read("daisee"), read("wacv2016")), run.sequences)
    usual = SmoothingConfig()
    result = {
        "frame_weights": {
            "name": model.opened.name,
            "sha256": model.opened.sha256,
            "learned": [faces for known in model.learned.values() for faces in known],
        },
        "weights": {
            kind: {"sha256": loaded.sha256, "network": dict(loaded.record.network)}
            for kind, loaded in networks.items()
        },
        "box_s": [usual.window_s, usual.state_window_s],
        "chosen_s": list(window_s),
        "hmm_s": [usual.hold_s, usual.state_hold_s],
        "hmm_chosen_s": list(hold_s),
        "sequences": run.sequences,
        "draws": run.draws,
        **compare(smoothers, tasks, run.draws, say),
    }
    run.out.mkdir(parents=True, exist_ok=True)
    (run.out / "evaluation.json").write_text(to_json(result), encoding="utf-8")
    if run.docs is not None:
        run.docs.parent.mkdir(parents=True, exist_ok=True)
        run.docs.write_text(report(result), encoding="utf-8")
    return result


def _require_made_for(model: FrameModel, frame: LoadedWeights, networks: Mapping[str, LoadedWeights]) -> None:
    """Raise WeightsError where a smoother's network was trained for another frame model."""
    for kind, loaded in networks.items():
        if not learned_from_scores_of(loaded, [frame]):
            made_for = loaded.record.origin.get("frame_weights_sha256")
            raise WeightsError(
                f"{kind} '{loaded.name}' was trained for another frame model (sha256 {str(made_for)[:12]}), "
                f"not for '{model.opened.name}' ({model.opened.sha256[:12]})",
                "Give its own with --frame-weights, or train it again.",
            )


def _tell_of_other_boxes(
    networks: Mapping[str, LoadedWeights], window_s: tuple[float, float], say: Say
) -> None:
    for kind, loaded in networks.items():
        own = loaded.record.network["box_s"], loaded.record.network["state_box_s"]
        if own != window_s:
            say(
                f"warning: {kind} corrects boxes of {own[0]} and {own[1]} s, not of {window_s[0]} and {window_s[1]} s"
            )


def _smoothers(
    networks: Mapping[str, LoadedWeights], window_s: tuple[float, float], hold_s: tuple[float, float]
) -> dict[str, TemporalSmoother]:
    """Those to compare, in order of simplicity.

    Args:
        window_s, hold_s: what validation chose for the box and the HMM (expressions, states), seconds; shown beside
            the usual ones where it differs.
    """
    usual = SmoothingConfig()
    smoothers: dict[str, TemporalSmoother] = {
        "none": build_smoother("none"),
        "box": BoxSmoother(usual.window_s, usual.state_window_s),
    }
    if window_s != (usual.window_s, usual.state_window_s):
        smoothers["box, chosen"] = BoxSmoother(*window_s)
    smoothers["hmm"] = HmmSmoother(usual.hold_s, usual.state_hold_s)
    if hold_s != (usual.hold_s, usual.state_hold_s):
        smoothers["hmm, chosen"] = HmmSmoother(*hold_s)
    for kind, loaded in networks.items():
        smoothers[kind] = build_smoother(kind, (loaded.record.network, loaded.tensors))
    return smoothers


def _tasks(test: Material, sequences: int) -> dict[str, list[LabelledRun]]:
    """Name -> runs of test pictures and people: made up in four ways, and those of real people."""
    assert test.ordered is not None
    return {
        "made": held_out_runs(test, sequences, TEST_SEED),
        "shifted": held_out_runs(test, sequences, TEST_SEED + 1, shifted=True),
        "steady": held_out_runs(test, sequences, TEST_SEED + 2, steady=True),
        "steady_shifted": held_out_runs(test, sequences, TEST_SEED + 3, shifted=True, steady=True),
        "wacv2016": ordered_runs(test.ordered),
    }


def compare(
    smoothers: Mapping[str, TemporalSmoother],
    tasks: Mapping[str, Sequence[LabelledRun]],
    draws: int,
    say: Say = lambda _: None,
) -> dict[str, Any]:
    """Figures, intervals and paired differences of smoothers.

    Args:
        smoothers: in order of simplicity. Names of SMOOTHERS compete to be the default.
        tasks: name -> labelled runs. ``wacv2016`` has real people.
        draws: of the bootstrap.
        say: takes messages.

    Returns:
        tasks: task -> smoother -> figure -> [value, low, high] (95 %, NaN where they are not known, see ``resample``);
        steps: the comparisons that the default came from, in order; default: its name.
    """
    table: dict[str, dict[str, dict[str, list[float]]]] = {}
    drawn: dict[str, dict[str, list[dict[str, float]]]] = {}
    whole: dict[str, dict[str, float]] = {}
    for task, runs in tasks.items():
        tallies: list[Tally] = []
        for name, smoother in smoothers.items():
            say(f"{task}: {name}")
            tallies.append(judge(smoother, runs))
        samples = resample(tallies, [r.group for r in runs], draws)
        drawn[task] = dict(zip(smoothers, samples, strict=True))
        table[task], whole[task] = {}, {}
        for name, one in zip(smoothers, tallies, strict=True):
            value = figures(one.total())
            whole[task][name] = value["overall"] = overall(value)
            table[task][name] = {
                key: [v, *interval([s[key] for s in drawn[task][name]])]
                for key, v in value.items()
                if np.isfinite(v)
            }
    steps: list[dict[str, Any]] = []
    best = next(iter(smoothers))
    for name in [n for n in smoothers if n in SMOOTHERS and n != best]:
        difference = {
            task: [
                whole[task][name] - whole[task][best],
                *interval([a["overall"] - b["overall"] for a, b in zip(d[name], d[best], strict=True)]),
            ]
            for task, d in drawn.items()
        }
        wins = beats(difference, best)
        steps.append({"name": name, "against": best, "difference": difference, "beats": wins})
        best = name if wins else best
    return {"tasks": table, "steps": steps, "default": best}


def beats(difference: Mapping[str, Sequence[float]], against: str) -> bool:
    """Whether a smoother beats a simpler one.

    Args:
        difference: task -> (value, low, high) of the overall figure's paired difference.
        against: name of the simpler one.

    Returns:
        the whole 95 % interval lies above 0 on every made-up task, so under other habits than those of
        training too, and on real people (``wacv2016``) it does not lie below 0 as a whole. Against
        ``none`` real people have no veto: the time between their frames is unknown, so nobody can say
        how many of them a window of seconds should hold; two smoothers are equally wrong about it.
    """
    made = [d for task, d in difference.items() if task != "wacv2016"]
    real = [d for task, d in difference.items() if task == "wacv2016" and against != "none"]
    return bool(made) and all(d[1] > 0 for d in made) and all(not d[2] < 0 for d in real)


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m training.temporal.evaluation", description=__doc__)
    parser.add_argument("--frame-weights", default="default", help="shipped name or file")
    parser.add_argument("--data", required=True, type=Path, help="folder of the Parquet sets")
    parser.add_argument("--lstm", help="shipped name or file")
    parser.add_argument("--cnn3d", help="shipped name or file")
    parser.add_argument("-o", "--output", required=True, type=Path, help="folder of the run")
    parser.add_argument("--docs", type=Path, help="Markdown file to write")
    parser.add_argument("--limit", type=int, help="pictures per split, for trials")
    given = parser.parse_args()
    weights = {k: getattr(given, k) for k in ("lstm", "cnn3d") if getattr(given, k)}
    run = TemporalEvaluation(
        given.frame_weights, given.data, given.output, weights, docs=given.docs, limit=given.limit
    )
    try:
        result = evaluate_temporal(run, print)
    except EngagementError as error:
        parser.exit(2 if isinstance(error, ConfigError) else 1, f"error: {error}\n")
    print(f"default: {result['default']}")  # noqa: T201


if __name__ == "__main__":
    main()
