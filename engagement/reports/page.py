"""A single page that is no part of a run: one template, nothing beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engagement.reports import render


def write_page(path: Path, template: str, **context: Any) -> Path:
    """Fill a template of ``reports_templates`` and write it whole.

    Args:
        path: of the page; its folder is made.
        template: file name; it extends ``base.html``.
        context: names that the template uses; text is escaped.
    """
    return render._write(path, render._render(template, css=render._resource("report.css"), **context))
