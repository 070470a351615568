"""Commands as a user would call them."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from engagement.cli import cli
from engagement.errors import EngagementError
from training.cli import train


def run(*words: str | Path) -> Result:
    """Run ``engagement …``; ``train`` may be left out."""
    before = ["train"] if words[0] in train.commands else []
    return CliRunner().invoke(cli, [*before, *map(str, words)])


def ok(*words: str | Path) -> Result:
    result = run(*words)
    if result.exception is not None:
        raise result.exception
    return result


def error(*words: str | Path) -> str:
    """The one line that the command line prints."""
    result = run(*words)
    if isinstance(result.exception, EngagementError):
        return str(result.exception)
    assert result.exit_code == 2, result.output
    return result.output
