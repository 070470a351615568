"""Templates to files: the only place that escapes, and the only one that writes HTML."""

from __future__ import annotations

import os
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from engagement.drafts import drafted
from engagement.reports import theme
from engagement.wording import count

if TYPE_CHECKING:
    import jinja2

#: Folder of a run with what its pages share.
ASSETS = "report_assets"


def fill(template: str, **context: Any) -> str:
    """A page: a file of ``reports_templates`` with its names filled in, escaped."""
    return _environment().get_template(template).render(**context)


def write(path: Path, text: str) -> Path:
    """Write so that a reader finds the old page or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with drafted(path) as draft:
        draft.write_bytes(text.encode("utf-8", "replace"))
    return path


def resource(name: str) -> str:
    """A file of ``reports_templates`` as it is."""
    return resources.files("reports_templates").joinpath(name).read_text(encoding="utf-8")


def url(path: str) -> str:
    """A relative path for href; bytes that are no UTF-8 come back as they were."""
    return quote(path.encode("utf-8", "surrogateescape"), safe="/")


def stretch(start_s: float, end_s: float) -> str:
    """Fragment that a page's script understands as a stretch of time: this one, with a margin around it."""
    around = (end_s - start_s) / 4
    return f"#t={max(0.0, start_s - around):.0f}-{end_s + around:.0f}"


def links(folder: Path, root: Path) -> dict[str, str]:
    """Links of a page in ``folder``: up to the run's folder, and to the shared script."""
    from engagement.reports.figures import script_name

    up = os.path.relpath(root.resolve(), folder.resolve()).replace(os.sep, "/")
    return {"up": url(up), "plotly_src": f"{url(up)}/{ASSETS}/{script_name()}"}


def _script_json(text: str) -> str:
    """JSON that cannot end the script element it stands in."""
    from markupsafe import Markup

    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(resource),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.ChainableUndefined,
    )
    environment.filters |= {
        "clock": theme.clock,
        "duration": theme.duration,
        "share": theme.share,
        "script_json": _script_json,
    }
    environment.globals |= {"theme": theme, "count": count}
    return environment
