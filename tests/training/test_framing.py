"""How pictures of unknown origin frame their faces is seen before anything is cut from them."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from engagement.cli import cli
from engagement.faces.mtcnn import MtcnnDetector
from engagement.faces.options import MtcnnConfig
from engagement.types import ChipSpec
from engagement.video import open_video
from engagement.video.sampling import select
from tests.training.invoking import ok
from training.datasets.framing import FRAMINGS, measured, with_measured_framing
from training.datasets.registry import load, prepared
from training.explain.faces import faces_of
from training.samples.chip_dataset import ChipDataset
from training.samples.table import read_rgb

Write = Callable[[Path, float], Path]


@pytest.fixture(scope="module")
def write(sample_videos: Path) -> Write:
    """Writes squares around the faces of a clip, of so many times their boxes' longer side, into two class folders."""
    detector = MtcnnDetector(MtcnnConfig(min_face_px=40))
    found: list[tuple[np.ndarray, np.ndarray]] = []
    with open_video(sample_videos / "crossing.mp4") as reader:
        for frame in select(reader.tickets(), 2):
            faces = detector.detect(frame.rgb)
            found += [(frame.rgb, box) for box in faces.boxes_xyxy]
    assert len(found) >= 8

    def written(folder: Path, sides: float) -> Path:
        for number, (rgb, box) in enumerate(found[:16]):
            side = sides * float(max(box[2:] - box[:2]))
            pad = int(side)
            wide = cv2.copyMakeBorder(rgb, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
            x, y = ((box[:2] + box[2:]) / 2 + pad - side / 2).round().astype(int)
            square = wide[y : y + round(side), x : x + round(side)]
            place = folder / ("happy" if number % 2 else "sad") / f"{number:02d}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(place), cv2.cvtColor(square, cv2.COLOR_RGB2BGR))
        return folder

    return written


@pytest.mark.parametrize("sides", [0.9, 1.2, 2.0])
def test_the_framing_of_a_folder_is_told_from_its_pictures(
    write: Write, sides: float, tmp_path: Path
) -> None:
    said: list[str] = []
    table = prepared(str(write(tmp_path / "faces", sides)), None, False, said.append)
    assert len({tuple(row) for row in table.box.tolist()}) == 1
    x1, y1, x2, y2 = table.box[0].tolist()
    assert max(x2 - x1, y2 - y1) == pytest.approx(1 / sides, rel=0.12)
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((0.5, 0.5), abs=0.06)
    assert any("times as high as its picture" in line for line in said)


def test_boxes_that_are_known_stay(write: Write, tmp_path: Path) -> None:
    whole = load(str(write(tmp_path / "faces", 1.5)))
    own = whole.box.copy()
    own[::2] = (0.2, 0.2, 0.8, 0.8)
    found = with_measured_framing(replace(whole, box=own)).box
    assert (found[::2] == own[::2]).all()
    assert (found[1::2] != own[1::2]).any(axis=1).all()


@pytest.mark.parametrize("name", ["rafdb", "fer2013"])
def test_a_folder_that_is_only_called_like_a_set_is_looked_at(
    write: Write, name: str, tmp_path: Path
) -> None:
    folder = write(tmp_path / name, 2.0)
    rows = "".join(f"{p.relative_to(tmp_path)},{p.parent.name}\n" for p in sorted(folder.rglob("*.png")))
    (tmp_path / f"{name}.csv").write_text(f"file,label\n{rows}")
    for reference in (folder, tmp_path / f"{name}.csv"):
        x1, y1, x2, y2 = prepared(str(reference), None, False, lambda _: None).box[0].tolist()
        assert max(x2 - x1, y2 - y1) == pytest.approx(0.5, rel=0.12)
    named = load(f"{folder}:{name}").box
    assert (named == np.array(FRAMINGS[name], np.float32)).all()


def test_pictures_without_faces_keep_the_usual_framing_and_this_is_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(6):
        place = tmp_path / "set" / "ab"[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place), rng.integers(0, 255, (60, 60, 3)).astype(np.uint8))
    said: list[str] = []
    table = prepared(str(tmp_path / "set"), None, False, said.append)
    assert (table.box == np.array(FRAMINGS["folder"], np.float32)).all()
    assert any("too few pictures" in line and "evaluate --detect" in line for line in said)


def test_faces_of_very_different_sizes_are_warned_of(write: Write, tmp_path: Path) -> None:
    write(tmp_path / "faces" / "train", 1.2)
    write(tmp_path / "faces" / "test", 2.8)
    said: list[str] = []
    prepared(str(tmp_path / "faces"), None, False, said.append)
    assert any(line.startswith("warning") and "--detect" in line for line in said)


def test_photographs_are_learned_from_by_the_faces_in_them(
    write: Write, base_file: Path, tmp_path: Path
) -> None:
    """One without a face is left out and said; the pictures that were held out are found again all the same."""
    photographs = in_corners(write(tmp_path / "faces", 1.2))
    for name in ("happy", "sad"):
        cv2.imwrite(str(photographs / name / "none.png"), np.full((320, 320, 3), 127, np.uint8))
    out = tmp_path / "out"
    trained = ok("personal", "--data", photographs, "--base", base_file, "-o", out, "--detect").output
    assert " of 18 pictures without a face, left out" in trained and "warning" not in trained
    model = out / "personal.safetensors"
    words = ("evaluate", photographs, "--checkpoint", model, "--split", "val", "--no-mirror", "--detect")
    assert "warning" not in ok(*words, "--json", tmp_path / "val.json").output
    found = json.loads((tmp_path / "val.json").read_text())
    assert found["accuracy"] == json.loads((out / "metrics.json").read_text())["val"]["accuracy"]


def in_corners(folder: Path) -> Path:
    """The same faces in one corner or another of larger pictures."""
    for number, path in enumerate(sorted(folder.rglob("*.png"))):
        face = cv2.resize(read_rgb(path), (80, 80))[..., ::-1]
        x, y = [(0, 0), (240, 20), (30, 230), (220, 240)][number // 2 % 4]
        page = np.full((320, 320, 3), 127, np.uint8)
        page[y : y + 80, x : x + 80] = face
        cv2.imwrite(str(path), page)
    return folder


def test_photographs_whose_faces_are_of_one_size_are_warned_of(write: Write, tmp_path: Path) -> None:
    """A face in one corner or another: the middle of them all shows nobody."""
    in_corners(write(tmp_path / "faces", 1.2))
    said: list[str] = []
    prepared(str(tmp_path / "faces"), None, False, said.append)
    assert any("different places" in line and "--detect" in line for line in said)


def test_faces_a_quarter_of_their_side_beside_the_middle_are_warned_of(write: Write, tmp_path: Path) -> None:
    """One box for them all then costs a tenth of the accuracy."""
    for number, path in enumerate(sorted(write(tmp_path / "faces", 1.2).rglob("*.png"))):
        face = cv2.resize(read_rgb(path), (160, 160))[..., ::-1]
        x = (56, 80, 104)[number // 2 % 3]
        page = np.full((320, 320, 3), 127, np.uint8)
        page[80:240, x : x + 160] = face
        cv2.imwrite(str(path), page)
    said: list[str] = []
    prepared(str(tmp_path / "faces"), None, False, said.append)
    assert any("different places" in line and "--detect" in line for line in said)


def test_pictures_of_different_shapes_are_warned_of(write: Write, tmp_path: Path) -> None:
    folder = write(tmp_path / "faces", 1.3)
    for picture in sorted(folder.rglob("*.png"))[::2]:
        square = cv2.imread(str(picture))
        assert square is not None
        aside = round(0.4 * square.shape[1])
        cv2.imwrite(str(picture), cv2.copyMakeBorder(square, 0, 0, aside, aside, cv2.BORDER_REPLICATE))
    said: list[str] = []
    prepared(str(folder), None, False, said.append)
    assert any("different shapes" in line and "--detect" in line for line in said)


def test_the_framing_is_the_same_on_other_processors(write: Write, tmp_path: Path) -> None:
    """It is part of what names a set, by which a run goes on and features are found again."""
    found = measured(load(str(write(tmp_path / "faces", 1.2))).images)
    assert found is not None and not found.uneven
    np.testing.assert_array_equal(found.box, found.box.round(3))


def test_explained_crops_are_framed_as_they_show(write: Write, tmp_path: Path) -> None:
    folder = write(tmp_path / "faces", 2.0)
    chip = ChipSpec(48, 0.9, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    (tmp_path / "faces" / "sad" / "long.mp4").write_bytes(b"no picture, and never read as one")
    table = prepared(str(folder), None, False, lambda _: None)
    said: list[str] = []
    files = [Path(str(image)) for image in table.images]
    faces = faces_of(
        {path: path.name for path in [*files, folder / "sad" / "long.mp4"]},
        chip,
        cropped=True,
        min_face_px=24,
        every_s=1.0,
        skip_bad=True,
        say=said.append,
    )
    found = list(faces)
    for i, face in enumerate(found):
        np.testing.assert_array_equal(face.chip, ChipDataset(table, chip).chip(i))
    assert len(found) == len(files)
    assert f"found in {len(files)})" in said[0] and "times as high as its picture" in said[0]


def test_damaged_pictures_are_left_to_who_reads_them_all(write: Write, tmp_path: Path) -> None:
    folder = write(tmp_path / "faces", 1.2)
    (folder / "sad" / "00.png").write_bytes(b"no picture")
    found = measured(load(str(folder)).images)
    assert found is not None
    assert found.found < found.looked


def test_evaluate_cuts_loosely_framed_faces_as_it_would_cut_tight_ones(write: Write, tmp_path: Path) -> None:
    said = {}
    for sides in (1.1, 2.2):
        folder, out = write(tmp_path / str(sides), sides), tmp_path / f"{sides}.json"
        result = ok("evaluate", folder, "--json", out)
        assert "times as high as its picture" in result.output
        found = json.loads(out.read_text())
        x1, y1, x2, y2 = found["face_box"]
        assert max(x2 - x1, y2 - y1) == pytest.approx(1 / sides, rel=0.12)
        said[sides] = found["confusion"]
    moved = np.abs(np.array(said[1.1]) - np.array(said[2.2])).sum() / 2
    assert moved <= 2


def test_inspection_says_how_faces_are_framed_and_warns_of_photographs(write: Write, tmp_path: Path) -> None:
    write(tmp_path / "faces" / "train", 1.2)
    write(tmp_path / "faces" / "test", 2.8)
    page, figures = tmp_path / "page.html", tmp_path / "figures.json"
    words = ["dataset", "inspect", tmp_path / "faces", "--html", page, "--json", figures]
    result = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    found = json.loads(figures.read_text())
    (note,) = found["sets"][0]["notes"]
    (warning,) = [text for text in found["warnings"] if "--detect" in text]
    assert "times as high as its picture" in note and "warning" not in note + warning
    for text in (note, warning):
        assert text in result.output and text in html.unescape(page.read_text())


@pytest.mark.parametrize(
    ("columns", "unread"),
    [
        ("x1,y1,x2,y2", "x1, y1, x2, y2"),
        ("Left,Top,Right,Bottom", "Left, Top, Right, Bottom"),
        ("face_x,face_y,face_width,face_height", "face_x, face_y, face_width, face_height"),
        ("h,w,x,y", "x, y, w, h"),
        ("bbox_xmin,bbox_ymin,bbox_xmax,bbox_ymax", "bbox_xmin, bbox_ymin, bbox_xmax, bbox_ymax"),
        ("bounding_box_x,bounding_box_y,width,height", "bounding_box_x, bounding_box_y, width, height"),
        ("box_x1,box_y1,box_x2,box_y2", ""),
    ],
)
@pytest.mark.parametrize(("given", "classes"), [("label", ("0", "1")), ("bored", ("bored_1",))])
def test_columns_that_look_like_a_box_and_are_not_read_are_named(
    tmp_path: Path, given: str, classes: tuple[str, ...], columns: str, unread: str
) -> None:
    """Neither passed over in silence nor taken for grades."""
    lines = [f"file,{given},{columns}"]
    for number in range(2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((8, 8, 3), np.uint8))
        lines.append(f"{number}.png,{number},0.1,0.1,0.8,0.9")
    (tmp_path / "faces.csv").write_text("\n".join(lines))
    table = load(str(tmp_path / "faces.csv"))
    assert table.labels.classes == classes
    assert len(table.notes) == bool(unread)
    assert not unread or (
        f"columns {unread} look like a face box" in table.notes[0] and "box_x1" in table.notes[0]
    )
