"""``engagement dataset inspect``: reading, searching, writing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engagement import drafts
from training import Say
from training.datasets.registry import load, told
from training.inspection import page
from training.inspection.leaks import relations
from training.inspection.pictures import collect
from training.inspection.similar import SimilarOptions
from training.inspection.summary import summary
from training.samples.table import SampleTable


def inspect(
    data: Sequence[str],
    html: Path | None = None,
    json_file: Path | None = None,
    limit: int | None = None,
    options: SimilarOptions | None = None,
    say: Say = lambda _: None,
) -> dict[str, Any]:
    """Look at data sets, all of them together: a picture of one may lie in the test split of another.

    Args:
        data: references, see ``training.datasets.registry.load``.
        html, json_file: where to write, None for nowhere.
        limit: pictures per split, for trials.
        options: when two pictures count as one photograph.
        say: gets lines of progress.

    Returns:
        figures of :func:`training.inspection.summary.summary`.

    Raises:
        DataError: no such set, or no picture of it can be decoded.
    """
    options = options or SimilarOptions()
    tables = [load(reference) for reference in data]
    pictures = collect([t if limit is None else t.limited(limit) for t in tables], say)
    say("looking for copies")
    found = relations(pictures, options)
    figures = summary(pictures, found, [_said_of(table) for table in tables])
    if json_file is not None:
        drafts.write(json_file, json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    if html is not None:
        page.write(html, pictures, found, figures, options)
    return figures


def _said_of(table: SampleTable) -> list[str]:
    """What a training would say of how a set was read, and of how its faces are framed."""
    said: list[str] = []
    told(table, said.append)
    return said
