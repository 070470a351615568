"""The people of a session's page: what stands beside them, and how they are called and corrected."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pandas as pd
import pytest

from engagement.reports import theme
from engagement.reports.render import render_session
from tests.engagement.report_data import fabricate, summary_of, write_folder


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of four people, with its page."""
    root = tmp_path_factory.mktemp("out")
    data = fabricate(4, 60)
    write_folder(root / "a", data, summary_of(data, "a.mp4"))
    render_session(root / "a", root, {})
    return root / "a"


def test_seen_and_readable_are_two_figures(session: Path) -> None:
    """Somebody seen all the time may hardly ever be readable."""
    page = unescape((session / "session.html").read_text(encoding="utf-8"))
    shown = re.findall(
        r'<span>([^\n]*? seen)</span><span class="sr">, </span><span>([^\n]*? readable)</span>', page
    )
    persons = pd.read_csv(session / "persons.csv").sort_values("first_s", kind="stable")
    readable = persons["n_used"] / persons["n_samples"]
    assert shown == [
        (f"{theme.share(seen)} seen", f"{theme.share(of_these)} readable")
        for seen, of_these in zip(persons["session_share"], readable, strict=True)
    ]
