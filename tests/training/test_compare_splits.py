"""The leaky and the honest figure, side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from engagement.cli import cli
from engagement.errors import DataError
from tests.training.captured import write_captured
from tests.training.made_up_faces import write_face
from training.collection.augment import CopyOptions, augment_faces
from training.inspection import comparison
from training.inspection.comparison import compare_splits


@pytest.mark.shared
def test_the_set_made_to_show_it_shows_it(shared_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    words = ["dataset", "inspect", f"{shared_data}:student_states_demo", "--compare-splits", "--limit", "300"]
    result = CliRunner().invoke(cli, [*words, "--json", str(out)])
    assert result.exception is None, result.output
    frame, subject = json.loads(out.read_text())["splits"]
    assert (frame["name"], subject["name"]) == ("split_frame", "split_subject")
    assert frame["known"] == frame["test"]
    assert frame["near"] > 0.3 * frame["test"]
    assert (subject["near"], subject["beside"], subject["known"]) == (0, 0, 0)
    value, low, high = frame["accuracy"]
    assert subject["accuracy"][2] < low <= value <= high
    assert "split_frame flatters" in result.output


def test_copies_flatter_only_where_they_are_divided(tmp_path: Path, base_file: Path) -> None:
    videos = {"happy": {"a.mp4": 12, "b.mp4": 12}, "sad": {"c.mp4": 12, "d.mp4": 12}}
    write_captured(tmp_path / "f", videos, {"a.mp4": "Ann", "b.mp4": "Bo", "c.mp4": "Ann", "d.mp4": "Bo"})
    augment_faces(tmp_path / "f", tmp_path / "g", CopyOptions(2, rotation_deg=4, light=0.1))
    found = {one.name: one for one in compare_splits([str(tmp_path / "g")], base=str(base_file))}
    assert list(found) == ["by picture", "by block of time", "by video", "by person"]
    assert found["by picture"].near > 0
    assert found["by picture"].known
    assert found["by video"].known == 0
    for one in found.values():
        assert one.train + one.test == 48 * 3
        assert one.accuracy[1] <= one.accuracy[0] <= one.accuracy[2]
        assert 0 < one.majority < 1


def test_no_figure_is_cut_in_a_narrow_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("by picture", "by block of time", "by video", "by person")
    found = [
        comparison.SplitFigures(n, 27, 1009, 1006, 0, None, (0.5556, 0.3333, 0.7778), (0.5, 0.3, 0.7), 0.4)
        for n in names
    ]
    monkeypatch.setattr(comparison, "compare_splits", lambda *_, **__: found)
    monkeypatch.setenv("COLUMNS", "70")
    said = CliRunner().invoke(cli, ["dataset", "inspect", str(tmp_path), "--compare-splits"]).output
    assert said.count("(0.333–0.778)") == 4 and "…" not in said


def test_sets_that_cannot_be_compared_say_why(
    tmp_path: Path, base_file: Path, expression_folders: Path, daisee_folder: Path
) -> None:
    for i in range(6):
        write_face(tmp_path / "plain" / f"{i % 2}" / f"{i}.png", i % 2, i)
    for data, said in (
        ([str(tmp_path / "plain")], "cannot be divided by source or person"),
        ([str(tmp_path / "plain"), str(expression_folders)], "are not the same pictures"),
        ([str(tmp_path / "plain")] * 3, "3 sets were given"),
        ([str(daisee_folder)], "independent states"),
    ):
        with pytest.raises(DataError, match=said):
            compare_splits(data, base=str(base_file))


def test_the_page_belongs_to_the_inspection(tmp_path: Path) -> None:
    words = ["dataset", "inspect", str(tmp_path), "--compare-splits", "--html", str(tmp_path / "x.html")]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2
    assert "leave out --html" in result.output


def test_a_split_of_a_single_side_is_an_error(tmp_path: Path, base_file: Path) -> None:
    write_captured(tmp_path / "f", {"happy": {"a.mp4": 4}, "sad": {"b.mp4": 4}})
    with pytest.raises(DataError):
        compare_splits([str(tmp_path / "f")], base=str(base_file))
