"""The command line. Commands are loaded when they are called, so ``--help`` costs nothing."""

from __future__ import annotations

import sys

import click

from engagement import __version__
from engagement.cli.lazy_group import LazyGroup
from engagement.device import wait_asleep
from engagement.errors import ConfigError, EngagementError, unforeseen

#: Command -> (module:attribute, one line of help). The help stands here so that listing loads no module.
COMMANDS = {
    "analyze": ("engagement.cli.analyze:analyze", "Find, follow and read the faces in recorded sessions."),
    "report": ("engagement.cli.report:report", "Write the pages again from saved tables."),
    "calibrate": (
        "engagement.cli.calibrate:calibrate",
        "Fit learner states to the people of a session, by a few labels.",
    ),
    "faces": ("engagement.cli.faces:faces", "Collect faces from labelled videos."),
    "dataset": ("training.cli.dataset:dataset", "Look at data sets: counts, copies, leaks between splits."),
    "train": ("training.cli:train", "Train expression, state, personal and temporal models."),
    "evaluate": ("training.cli:evaluate", "Measure a model on a data set."),
    "ensemble": ("training.cli.ensemble:ensemble", "Join several models into one weight file."),
    "explain": ("training.cli.explain:explain", "Show where in a face a model looked (Grad-CAM)."),
    "export": ("training.cli.export:export", "Write a model as ONNX, checked against the original."),
    "columns": ("engagement.cli.columns:columns", "Explain every column of the tables."),
    "benchmark": ("engagement.cli.benchmark:benchmark", "Say how fast an analysis is here, stage by stage."),
    "doctor": ("engagement.cli.doctor:doctor", "Check packages, weights and devices."),
}


@click.command(
    cls=LazyGroup,
    commands_table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="engagement")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """What people's faces show over a recorded session, with its certainty.

    These are estimates of apparent expression, not of feelings or learning.
    """
    context.obj = {"debug": debug}


def main() -> None:
    """Entry point: one clear line for each error, and exit status 0, 1 (failed), 2 (usage) or 130."""
    debug = "--debug" in sys.argv
    wait_asleep()
    try:
        status = cli.main(prog_name="engagement", standalone_mode=False)
    except click.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except EngagementError as error:
        if debug:
            raise
        click.echo(f"error: {error}", err=True)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
    except BrokenPipeError:
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        click.echo(f"error: {unforeseen(error)}", err=True)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)
