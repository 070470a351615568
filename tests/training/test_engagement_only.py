"""A learner-state head that also learns from faces labelled with engagement alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engagement.errors import ConfigError, DataError
from engagement.weights.store import load_weights
from tests.training.invoking import error, ok
from tests.training.made_up_faces import write_face
from training.datasets.registry import load
from training.engagement_only import engagement_figures, engagement_only


@pytest.fixture(scope="module")
def wacv_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """WACV-2016's layout with made-up faces: 6 people of 6 frames, who look like DAiSEE's made-up ones."""
    folder = tmp_path_factory.mktemp("wacv")
    lines = ["subject,frame,engagement,split"]
    for subject in range(1, 7):
        for frame in range(6):
            level = frame % 3
            write_face(
                folder / str(subject) / f"{frame:05d}_{level}.png", int(level == 0), 40 * subject + frame
            )
            lines.append(f"{subject},{frame},{level},train")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_it_learns_from_both_and_says_so(
    daisee_folder: Path, wacv_folder: Path, base_file: Path, tmp_path: Path
) -> None:
    given = ["states", "--data", daisee_folder, "--base", base_file, "--views", "1", "-o"]
    ok(*given, tmp_path / "alone")
    ok(*given, tmp_path / "both", "--more", wacv_folder, "--leave-out", "2")
    alone, both = (
        load_weights(str(tmp_path / name / "model.safetensors"), "face_state") for name in ("alone", "both")
    )
    assert "more" not in alone.record.origin
    more = both.record.origin["more"]
    assert (more["data"], more["left_out"]) == (["wacv2016"], ["2"])
    (held_out,) = more["held_out"]
    assert (held_out["people"], held_out["faces"]) == (5, 30)
    assert "wacv2016" in both.record.licence
    # Boredom and confusion are not labelled there: their heads learn from the same faces as before.
    weight = [loaded.tensors["heads.state.1.weight"].float().numpy() for loaded in (alone, both)]
    kept, changed = (
        np.corrcoef(weight[0][0], weight[1][0])[0, 1],
        np.corrcoef(weight[0][1], weight[1][1])[0, 1],
    )
    assert kept > 0.9
    assert kept > changed
    # Figures and calibration are still about DAiSEE's people alone.
    assert both.record.metrics["state"]["folds"]["n"] == 6 * 8
    card = (tmp_path / "both" / "model_card.md").read_text(encoding="utf-8")
    assert "wacv2016" in card


def test_levels_become_engagement_and_nothing_else(wacv_folder: Path) -> None:
    table = engagement_only(load(str(wacv_folder)), ("1", "6"))
    assert set(table.group.tolist()) == {"2", "3", "4", "5"}
    assert np.isnan(table.target[:, [0, 2]]).all()
    assert table.levels is not None
    known = dict(zip(table.levels[:, 1].tolist(), table.target[:, 1].tolist(), strict=True))
    assert known == pytest.approx({0: 0.0, 1: 0.7, 2: 1.0})
    logits = np.zeros((len(table), 3), np.float32)
    logits[:, 1] = table.levels[:, 1]
    found = engagement_figures(logits, table)
    assert (found["auc_engaged"]["value"], found["spearman"]["value"]) == pytest.approx((1, 1))


def test_mistakes(daisee_folder: Path, wacv_folder: Path, base_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--leave-out 9,x: nobody of 'wacv2016' is called so"):
        engagement_only(load(str(wacv_folder)), ("1", "9", "x"))
    with pytest.raises(DataError, match="learner_state, not with levels of engagement"):
        engagement_only(load(str(daisee_folder)))
    said = error("states", "--data", daisee_folder, "--base", base_file, "-o", tmp_path, "--leave-out", "1")
    assert "--leave-out names people of --more" in said
