"""Is the top-level package ``temporal`` or ``training`` ours?

Both names occur elsewhere, and another distribution may overwrite the folder or stand in the
working directory. The check runs before the ordinary import and names the intruder.
"""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

from engagement.errors import EngagementError


def check_sibling(name: str) -> None:
    """Raise unless ``name`` would be imported from beside this package and says it is ours.

    Raises:
        EngagementError: missing, or somebody else's.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise EngagementError(
            f"the package '{name}' that belongs to engagement is missing", "Reinstall engagement."
        )
    origin = Path(spec.origin).resolve()
    beside = Path(__file__).resolve().parent.parent
    if origin.parent.parent != beside or _owner(origin) != "engagement":
        raise EngagementError(
            f"'{name}' would be imported from {origin.parent}, which does not belong to engagement",
            "Install engagement in an environment of its own (pipx), or change the working directory.",
        )


def _owner(path: Path) -> str | None:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "OWNER" for t in node.targets
        ):
            value = node.value
            return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None
    return None
