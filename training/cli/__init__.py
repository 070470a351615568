"""``engagement train`` and ``engagement evaluate``: the surface. The work is done in ``training.*``,
which is imported when a command runs, so that ``--help`` costs nothing.
"""

from __future__ import annotations

import click

from training.cli.base import base, states
from training.cli.evaluate import evaluate
from training.cli.identity import identity
from training.cli.matrix import matrix
from training.cli.temporal import temporal
from training.cli.transfer import extension, personal

__all__ = ["evaluate", "train"]


@click.group()
def train() -> None:
    """Train expression, state, personal and temporal models.

    The sequence behind the shipped weights: base, identity, states, temporal (docs/training.md).
    """


for _command in (base, states, personal, extension, temporal, identity, matrix):
    train.add_command(_command)
