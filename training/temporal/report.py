"""``docs/temporal.md`` from the figures of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from training.figure_text import UNKNOWN

_TASKS = {
    "made": "Made-up sequences of test pictures, with habits around which training varied",
    "shifted": "The same with habits outside training's (every expression equally often, gamma durations)",
    "steady": "Errors that last: one picture for a whole stretch, habits of training",
    "steady_shifted": "Errors that last, habits outside training's",
    "wacv2016": "WACV-2016 test persons: real frames in order, apparent engagement",
}
_COLUMNS = {
    "made": {
        "macro_f1": "macro-F1",
        "log_loss": "log loss",
        "brier": "Brier",
        "event_f1": "event F1",
        "changes_per_min": "changes/min",
        "state_auc": "state AUC",
        "state_log_loss": "state log loss",
        "state_brier": "state Brier",
    },
    "wacv2016": {
        "auc_engagement": "engagement AUC",
        "state_log_loss": "log loss",
        "state_brier": "Brier",
    },
}


def _cell(entry: Sequence[float] | None) -> str:
    if entry is None:
        return UNKNOWN
    digits = 1 if entry[0] >= 10 else 3
    low, high = entry[1:]
    between = "" if isnan(low) else f" ({low:.{digits}f}–{high:.{digits}f})"
    return f"{entry[0]:.{digits}f}{between}"


def _difference(entry: Sequence[float]) -> str:
    value, low, high = entry
    if isnan(value):
        return UNKNOWN
    return f"{value:+.3f}" + ("" if isnan(low) else f" ({low:+.3f} to {high:+.3f})")


def _table(task: str, figures: Mapping[str, Mapping[str, list[float]]]) -> str:
    columns = _COLUMNS.get(task, _COLUMNS["made"])
    lines = [f"## {_TASKS.get(task, task)}", ""]
    lines += ["| smoother | " + " | ".join(columns.values()) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, entries in figures.items():
        lines.append(f"| {name} | " + " | ".join(_cell(entries.get(c)) for c in columns) + " |")
    return "\n".join([*lines, ""])


def _real(figures: Mapping[str, Mapping[str, list[float]]]) -> str:
    """What real people's frames say of smoothing at all; empty where they were not looked at."""
    area = {name: own["auc_engagement"][0] for name, own in figures.items() if "auc_engagement" in own}
    if "none" not in area or len(area) < 2:
        return ""
    best = max(area, key=lambda name: area[name])
    if best == "none":
        return "- WACV-2016 disagrees: there the raw scores are better than any smoothed ones.\n"
    return f"- On WACV-2016's real people `{best}` orders frames best, with an AUC of {area[best]:.3f}.\n"


def _windows(result: Mapping[str, Any]) -> str:
    usual, chosen = result["box_s"], result["chosen_s"]
    text = f"`box` has the windows of `analyze`: {usual[0]:g} s for expressions and {usual[1]:g} s for learner states.\n"
    if usual == chosen:
        text += "Validation sequences chose the same.\n"
    else:
        text += (
            f"On validation sequences with training's habits {chosen[0]:g} s and {chosen[1]:g} s did best (`box, chosen`); "
            "the networks correct\nboxes of those widths.\n"
        )
    usual, chosen = result["hmm_s"], result["hmm_chosen_s"]
    text += f"`hmm` holds an expression for {usual[0]:g} s and a learner state for {usual[1]:g} s on average"
    if usual == chosen:
        return text + ", which validation\nsequences of all four kinds below chose."
    return text + f"; validation\nsequences chose {chosen[0]:g} s and {chosen[1]:g} s (`hmm, chosen`)."


def _known(result: Mapping[str, Any]) -> str:
    learned = result["frame_weights"].get("learned")
    if not learned:
        return ""
    return f" **It had learned from {' and '.join(learned)}**, so figures of them flatter the raw scores."


def report(result: Mapping[str, Any]) -> str:
    """The page as Markdown; every number comes from ``result`` (see ``evaluate_temporal``)."""
    tables = "\n".join(_table(task, figures) for task, figures in result["tasks"].items())
    steps = "\n".join(
        f"| {s['name']} | {s['against']} | "
        + " | ".join(_difference(s["difference"][t]) for t in result["tasks"])
        + f" | {'yes' if s['beats'] else 'no'} |"
        for s in result["steps"]
    )
    heads = " | ".join(result["tasks"])
    weights = "\n".join(f"- {k}: sha256 `{v['sha256']}`" for k, v in result["weights"].items())
    trained = "\n".join(
        f"engagement train temporal --model {k} --data DATA --videos VIDEOS --frame-weights FRAME -o OUT"
        for k in result["weights"]
    )
    options = "".join(f" --{k} OUT/{k}.safetensors" for k in result["weights"])
    return f"""# Smoothing over time

**Default: `{result["default"]}`**, the simplest smoother that is not beaten. A smoother beats a simpler one
if the 95 % interval of the paired difference in the overall figure lies above 0 on every made-up task and,
between two that smooth, does not lie below 0 on real people (they do not count against `none`, since the
time between their frames is unknown). The overall figure is the mean of expression macro-F1, expression event-F1
and state AUC, as far as a task has them.

| smoother | against | {heads} | beats it |
|---|---|{"---|" * len(result["tasks"])}---|
{steps}

{_windows(result)}

{tables}
## How to read this

- Values are followed by 95 % intervals from {result["draws"]} resamplings of whole sequences
  (expressions) and whole persons (states, WACV-2016), the same draws for every smoother. Sampling rate
  5 Hz; only valid samples count.
- Events are stretches of one leading expression; a predicted one counts when it overlaps a true one of the
  same label with an IoU of at least 0.5.
- State figures give both answers the same weight, as the scores' balanced prior does.
- No set of ours labels a face frame by frame. The made-up tasks are put together from single test pictures
  ({result["sequences"]} sequences of 30 s each of expressions and states), with durations and transitions that are
  assumptions (`training/temporal/semi_markov.py`). A network can learn those assumptions. Training therefore varies them
  from sequence to sequence (`varied_chain`), and the tasks called shifted have other habits than training.
- A picture is held for 0.5–1.5 s, so errors come and go. On a real face they may last. So two tasks, called steady, keep
  one picture for a whole stretch: what is misread stays misread, and a smoother that gets surer by looking longer becomes
  sure of the error. Real faces lie in between. None of these tasks shows how faces move.
- `hmm` cannot do that: a face that looks the same all the time comes out as sure as a single look.
{_real(result["tasks"].get("wacv2016") or {})}- That WACV-2016's frames do not count between `none` and `box` was decided after
  validation figures had been seen, and before the test ones. With `--temporal none` nothing is smoothed, and raw scores
  always stand beside smoothed ones in the tables.
- WACV-2016 has few test persons, so its intervals are wide. The interval of its frames is not published; one
  second is assumed. Its middle level counts as neither engaged nor not. The networks saw its training
  persons, `box` and `hmm` saw nothing.

## Commands

```
{trained}
python -m training.temporal.evaluation --frame-weights FRAME --data DATA{options} \\
  -o OUT --docs docs/temporal.md
```

`DATA` is the folder of the Parquet files of RAF-DB, DAiSEE and WACV-2016, `VIDEOS` one of clips named `webcam_…` that show
one person each.

Frame model: `{result["frame_weights"]["name"]}`, sha256 `{result["frame_weights"]["sha256"]}`.{_known(result)}
{weights}
"""
