"""What transfer decides before it trains: who validates, what a head may be called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engagement.errors import ConfigError
from tests.training.captured import write_captured
from training.datasets.registry import load
from training.held_out import with_transfer_validation
from training.transfer import head_name


@pytest.mark.parametrize("videos", [2, 3])
@pytest.mark.parametrize("classes", [3, 7])
def test_every_class_is_learned_and_validated_where_its_videos_allow_it(
    tmp_path: Path, classes: int, videos: int
) -> None:
    names = [f"class{i}" for i in range(classes)]
    write_captured(tmp_path / "f", {name: {f"{name}_{v}.mp4": 4 for v in range(videos)} for name in names})
    table = with_transfer_validation(load(str(tmp_path / "f")))
    for split in ("train", "val"):
        assert (table.part(split).target.sum(axis=0) > 0).all(), split
    sides = {source: set(table.split[table.source == source].tolist()) for source in np.unique(table.source)}
    assert all(len(side) == 1 for side in sides.values())


@pytest.mark.parametrize("name", ["training", "items", "pop", "forward"])
def test_a_head_is_not_called_like_something_that_modules_have(name: str) -> None:
    with pytest.raises(ConfigError, match=f"--name '{name}' cannot be a head's name"):
        head_name(name)
    assert head_name(name, folder=True) == f"own_{name}"
