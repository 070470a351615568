"""What Grad-CAM's pictures are called: every face keeps its own, inside the folder of the results."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

pytest.importorskip("captum")

from engagement.classification.network import FaceStateNet, HeadSpec, NetworkSpec
from engagement.labels import LabelSet
from engagement.types import ChipSpec
from tests import media
from tests.training.invoking import error, ok
from tests.training.made_up_faces import HALF, write_face
from training.delivery import write_network
from training.explain.faces import Face, listed
from training.explain.run import _files, _write


def _model(path: Path, classes: tuple[str, ...]) -> Path:
    network = FaceStateNet(NetworkSpec("cnn_bn", {"mood": HeadSpec(LabelSet("mood", classes, "exclusive"))}))
    write_network(path, network.eval(), ChipSpec(48, 0.9, HALF, HALF), {}, {}, {"data": "made up"}, "made up")
    return path


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "faces.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_classes_of_any_name_stay_inside_the_folder(tmp_path: Path) -> None:
    """A label comes from somebody's CSV, or with somebody's weights."""
    classes = ("../../up", "../../upper")
    file = _model(tmp_path / "m.safetensors", classes)
    write_face(tmp_path / "face.png", 0, 0)
    out = tmp_path / "deep/er/out"
    ok("explain", tmp_path / "face.png", "--cropped", "--checkpoint", file, "-o", out)
    (row,) = _rows(out)
    assert row["class"] in classes
    assert (out / row["overlay"]).resolve().is_relative_to(out.resolve())
    assert (out / row["overlay"]).is_file() and len(Path(row["overlay"]).parts) == 3
    assert len(list((out / "sheets").iterdir())) == 1
    assert not list((tmp_path / "deep").rglob("up*"))


def test_classes_whose_names_look_alike_have_a_folder_each() -> None:
    found = _files(("happy", "on/off", "on:off", "..", "café"))
    assert found[0] == "happy" and found[-1] == "café"
    assert len(set(found)) == 5 and not any("/" in name or ":" in name or name == ".." for name in found)


def test_no_overlay_takes_the_place_of_another(tmp_path: Path) -> None:
    """Two pictures img.jpg, and two faces of img_1.jpg."""
    import numpy as np

    drawn = np.zeros((8, 8, 3), np.uint8)
    chip = np.zeros((4, 4, 3), np.uint8)
    given = (("a/img.jpg", 1), ("b/img.jpg", 1), ("b/img_1.jpg", 1), ("b/img_1.jpg", 2))
    faces = [Face(source, None, number, chip) for source, number in given]
    _write(tmp_path, faces, ("x",), np.ones((4, 1), np.float32), [drawn] * 4)
    rows = _rows(tmp_path)
    assert len({row["overlay"] for row in rows}) == len(list((tmp_path / "overlays").rglob("*.png"))) == 4


def test_the_table_tells_pictures_of_one_name_apart(tmp_path: Path) -> None:
    for folder in ("happy", "sad"):
        (tmp_path / "crops" / folder).mkdir(parents=True)
        write_face(tmp_path / "crops" / folder / "1.png", 1, 1)
    shutil.copy(tmp_path / "crops/sad/1.png", tmp_path / "alone.png")
    file = _model(tmp_path / "m.safetensors", ("a", "b"))
    given = (tmp_path / "crops", tmp_path / "alone.png")
    ok("explain", *given, "--cropped", "--checkpoint", file, "-o", tmp_path / "out")
    assert [row["source"] for row in _rows(tmp_path / "out")] == ["happy/1.png", "sad/1.png", "alone.png"]


def test_pictures_of_one_name_in_two_folders_are_told_apart(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder / "happy").mkdir(parents=True)
        write_face(tmp_path / folder / "happy" / "1.png", 1, 1)
    write_face(tmp_path / "two" / "happy" / "2.png", 1, 1)
    found = listed([tmp_path / "one", tmp_path / "two"])
    whole = [(tmp_path / folder / "happy/1.png").as_posix() for folder in ("one", "two")]
    assert list(found.values()) == [*whole, "happy/2.png"]


def test_a_folder_gives_the_recordings_that_an_analysis_finds_in_it(tmp_path: Path) -> None:
    """Those called .ts by their content: TypeScript sources are called so too."""
    media.transport_stream(tmp_path).path.rename(tmp_path / "tuner.ts")
    (tmp_path / "source.ts").write_text("GameBoard = 1;\n" * 50)
    (tmp_path / ".dropped").mkdir()
    write_face(tmp_path / ".dropped" / "1.png", 1, 1)
    write_face(tmp_path / "face.png", 1, 1)
    assert list(listed([tmp_path]).values()) == ["face.png", "tuner.ts"]


def test_a_picture_that_is_called_like_a_video_is_explained_as_one(tmp_path: Path) -> None:
    file = _model(tmp_path / "m.safetensors", ("a", "b"))
    write_face(tmp_path / "face.png", 1, 1)
    shown = (tmp_path / "face.png").rename(tmp_path / "face.mp4")
    ok("explain", shown, "--cropped", "--checkpoint", file, "-o", tmp_path / "out")
    assert [(row["source"], row["time_s"]) for row in _rows(tmp_path / "out")] == [("face.mp4", "")]


@pytest.mark.parametrize("name", ["sheets/plan.txt", "overlays/mine.png", "faces.csv", "explain.html"])
def test_files_of_others_are_not_replaced(name: str, tmp_path: Path) -> None:
    """Also where a table of another kind lies beside folders that an earlier call would have drawn."""
    file = _model(tmp_path / "m.safetensors", ("happy", "sad"))
    write_face(tmp_path / "face.png", 0, 0)
    out = tmp_path / "out"
    for own in (name, "faces.csv"):
        (out / own).parent.mkdir(parents=True, exist_ok=True)
        (out / own).write_text("mine", encoding="utf-8")
        said = error("explain", tmp_path / "face.png", "--cropped", "--checkpoint", file, "-o", out)
        assert f"{out} holds " in said and name.split("/")[0] in said
        assert (out / own).read_text(encoding="utf-8") == "mine" and not list(out.rglob("*.jpg"))


def test_what_an_earlier_call_drew_is_not_explained(tmp_path: Path) -> None:
    """Results may lie in the folder that is explained."""
    file = _model(tmp_path / "m.safetensors", ("a", "b"))
    (tmp_path / "crops/happy").mkdir(parents=True)
    write_face(tmp_path / "crops/happy/1.png", 1, 1)
    for _ in range(2):
        ok("explain", tmp_path / "crops", "--cropped", "--checkpoint", file, "-o", tmp_path / "crops/where")
        assert [row["source"] for row in _rows(tmp_path / "crops/where")] == ["happy/1.png"]
