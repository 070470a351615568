"""A single page that is no part of a run: one template, nothing beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engagement.reports import templates


def page_text(template: str, **context: Any) -> str:
    """Fill a template of ``reports_templates``.

    Args:
        template: file name; it extends ``base.html``.
        context: names that the template uses; text is escaped.
    """
    return templates.fill(template, css=templates.resource("report.css"), **context)


def write_page(path: Path, template: str, **context: Any) -> Path:
    """Write :func:`page_text` whole; the folder of ``path`` is made."""
    return templates.write(path, page_text(template, **context))
