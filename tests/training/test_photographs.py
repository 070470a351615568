"""Photographs in which faces have to be found before they are evaluated."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.training.invoking import ok


@pytest.mark.shared
def test_evaluate_finds_faces_in_photographs(shared_data: Path, base_file: Path, tmp_path: Path) -> None:
    """RAF-DB's faces on a large grey ground, and one picture without a face."""
    import cv2

    from training.datasets.registry import load
    from training.samples.table import read_rgb

    table = load(f"{shared_data}:rafdb").part("test")
    for i in range(4):
        photograph = np.full((300, 400, 3), 128, np.uint8)
        photograph[100:200, 150 + 10 * i : 250 + 10 * i] = read_rgb(table.images[i])
        (tmp_path / "set/happy").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / f"set/happy/{i}.png"), cv2.cvtColor(photograph, cv2.COLOR_RGB2BGR))
    cv2.imwrite(str(tmp_path / "set/happy/none.png"), np.full((300, 400, 3), 128, np.uint8))
    result = ok(
        "evaluate", tmp_path / "set", "--checkpoint", base_file, "--detect", "--json", tmp_path / "e.json"
    )
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["pictures"] == 5
    assert found["without_face"] >= 1
    assert found["n"] + found["without_face"] == 5
    assert "without a face, left out" in result.output


@pytest.mark.shared
def test_a_class_of_which_no_face_was_found_is_named(
    shared_data: Path, base_file: Path, tmp_path: Path
) -> None:
    """The mean class accuracy does not count it, which nothing else would tell."""
    import cv2

    from training.datasets.registry import load
    from training.samples.table import read_rgb

    blank = np.full((300, 400, 3), 128, np.uint8)
    photograph = blank.copy()
    photograph[100:200, 150:250] = read_rgb(load(f"{shared_data}:rafdb").part("train").images[0])
    for name, picture in (("happy/1.png", photograph), ("sad/1.png", blank), ("fear/1.png", blank)):
        (tmp_path / "set" / name).parent.mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "set" / name), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    printed = ok("evaluate", tmp_path / "set", "--checkpoint", base_file, "--detect").output
    assert "2 of 3 pictures without a face, left out: none is left of fear, sad" in printed
