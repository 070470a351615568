"""Training commands as a user would call them."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from engagement.errors import EngagementError
from training.cli import evaluate, train


def invoke(*arguments: str | Path) -> Result:
    command = evaluate if arguments[0] == "evaluate" else train
    words = [str(a) for a in (arguments[1:] if command is evaluate else arguments)]
    return CliRunner().invoke(command, words)


def ok(*arguments: str | Path) -> Result:
    result = invoke(*arguments)
    if result.exception is not None:
        raise result.exception
    return result


def error(*arguments: str | Path) -> str:
    """The one line that the command line prints."""
    result = invoke(*arguments)
    if isinstance(result.exception, EngagementError):
        return str(result.exception)
    assert result.exit_code == 2, result.output
    return result.output
