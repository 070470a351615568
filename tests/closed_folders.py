"""Folders that nobody may look into. Rights would not do: nothing is closed to root, who may run this."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def close(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """From now on folders called ``name`` cannot be searched."""
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
