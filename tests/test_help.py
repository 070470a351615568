"""What ``--help`` says of commands and defaults is what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest

from engagement.cli import cli
from engagement.config import AnalysisConfig
from engagement.video import BACKENDS
from temporal import SMOOTHERS
from training.states import StatesRun


def command(path: str) -> click.Command:
    """A command by its words, ``"train states"``."""
    found: click.Command = cli
    for word in path.split():
        assert isinstance(found, click.Group)
        step = found.get_command(click.Context(found), word)
        assert step is not None
        found = step
    return found


def helps(path: str) -> dict[str, str]:
    """Option (without dashes) -> its help."""
    options = [p for p in command(path).params if isinstance(p, click.Option)]
    return {name.lstrip("-"): option.help or "" for option in options for name in option.opts}


@pytest.mark.parametrize("path", ["", "faces", "dataset", "train"])
def test_no_line_of_a_list_of_commands_is_cut_short(path: str) -> None:
    group = command(path)
    with click.Context(group, info_name="engagement", terminal_width=80) as context:
        commands = group.get_help(context).partition("Commands:")[2]
    assert commands and "..." not in commands


@pytest.mark.parametrize(("option", "names"), [("backend", BACKENDS), ("temporal", tuple(SMOOTHERS))])
def test_analyze_names_what_there_is(option: str, names: tuple[str, ...]) -> None:
    said = re.split(r", | or ", helps("analyze")[option].partition(": ")[2].partition(".")[0])
    assert [name for name in said if name != "auto"] == list(names)


def test_defaults_that_help_tells_in_words_are_those_of_the_options() -> None:
    plain = AnalysisConfig()
    states = StatesRun("data", "base", Path("out"))
    told: dict[tuple[str, str], Any] = {
        ("analyze", "sample-rate"): plain.sampling.rate_hz,
        ("analyze", "min-face"): plain.detection.min_face_px,
        ("analyze", "detector"): plain.detector.name,
        ("analyze", "scan-every"): plain.search.scan_every_s,
        ("analyze", "min-quality"): plain.quality.min_quality,
        ("analyze", "temporal"): plain.smoothing.method,
        ("analyze", "window"): plain.smoothing.window_s,
        ("analyze", "margin"): plain.episodes.state_margin,
        ("analyze", "identity"): plain.persons.identity,
        ("analyze", "backend"): plain.backend,
        ("train states", "views"): states.views,
        ("train states", "hidden"): states.hidden,
        ("train states", "weight-decay"): states.weight_decay,
        ("train states", "grid"): states.grid,
        ("train states", "seed"): states.seed,
    }
    for (path, option), value in told.items():
        shown = f"{value:g}" if isinstance(value, int | float) else value
        found = re.search(r"\[default: ([^\];]+)[\];]", helps(path)[option])
        assert found is not None and found[1] == shown, (path, option)
