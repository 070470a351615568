"""Folders that nobody may look into. Rights would not do: nothing is closed to root, who may run this."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest


def close(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """From now on folders called ``name`` cannot be searched."""
    scandir, stat = os.scandir, os.stat

    def refuse(path: str) -> object:
        if Path(path).name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    def refuse_inside(path: int | str | Path, **how: Any) -> os.stat_result:
        if not isinstance(path, int) and name in Path(path).parts[:-1]:
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **how)

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os, "stat", refuse_inside)
