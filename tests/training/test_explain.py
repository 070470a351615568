"""Grad-CAM: overlays per face, a sheet per class, one page; and maps that lie where the class lies."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("captum")

from engagement.classification.network import FaceStateNet, HeadSpec, NetworkSpec
from engagement.labels import EXPRESSIONS, LEARNER_STATES, LabelSet
from engagement.types import ChipSpec
from tests.training.captured import write_captured
from tests.training.invoking import error, ok
from tests.training.made_up_faces import HALF, SMALL, write_face
from tests.training.tiny_models import write_model
from training.datasets.registry import load
from training.delivery import write_network
from training.explain.faces import faces_of
from training.explain.gradcam import chosen_stage, grad_cam, map_sides
from training.samples.chip_dataset import ChipDataset


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors", "cnn_bn", 48, 4)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for kind in range(5):
        write_face(folder / f"face <{kind}>.png", kind, kind)
    return folder


def test_overlays_sheets_table_and_page(model: Path, pictures: Path, tmp_path: Path) -> None:
    stale = tmp_path / "sheets" / "awake.jpg"
    stale.parent.mkdir()
    stale.write_text("of an earlier call")
    (tmp_path / "faces.csv").write_text("source,time_s,face,class,overlay,prob_awake\n")
    printed = ok("explain", pictures, "--cropped", "--checkpoint", model, "-o", tmp_path).output
    assert not stale.exists()
    with (tmp_path / "faces.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["source"] for row in rows] == sorted(p.name for p in pictures.iterdir())
    for row in rows:
        drawn = cv2.imread(str(tmp_path / row["overlay"]))
        assert drawn.shape == (224, 224, 3)
        assert float(row[f"prob_{row['class']}"]) == max(float(v) for k, v in row.items() if k[:5] == "prob_")
        assert (tmp_path / "sheets" / f"{row['class']}.jpg").is_file()
        assert row["class"] in printed
    page = (tmp_path / "explain.html").read_text(encoding="utf-8")
    assert "face &lt;0&gt;.png" in page and "<0>" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/jpeg;base64,") >= 2 * len(rows)


def test_the_class_is_that_of_evaluate(model: Path, pictures: Path, tmp_path: Path) -> None:
    """Two looks by default, as everywhere else; one where it is asked for."""
    said: dict[str, list[float]] = {}
    for name, words in (("twice", ()), ("once", ("--no-mirror",))):
        ok("explain", pictures, "--cropped", "--checkpoint", model, *words, "-o", tmp_path / name)
        with (tmp_path / name / "faces.csv").open(encoding="utf-8") as file:
            said[name] = [
                float(v) for row in csv.DictReader(file) for k, v in row.items() if k[:5] == "prob_"
            ]
    assert np.abs(np.subtract(said["twice"], said["once"])).max() > 1e-3


def test_captured_faces_are_cut_as_training_cuts_them(tmp_path: Path) -> None:
    folder = write_captured(tmp_path / "mine", {"awake": {"a.mp4": 2}, "tired": {"b.mp4": 2}})
    chip = ChipSpec(48, 0.9, HALF, HALF)
    table = load(str(folder))
    files = {Path(str(image)): Path(str(image)).name for image in table.images}
    found = list(faces_of(files, chip, cropped=True, min_face_px=24, every_s=1.0))
    for i, face in enumerate(found):
        np.testing.assert_array_equal(face.chip, ChipDataset(table, chip).chip(i))


def test_a_video_is_sampled(model: Path, tmp_path: Path) -> None:
    from tests.training.made_up_faces import made_up_face

    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 64))
    for i in range(30):
        writer.write(made_up_face(2, i, 64))
    writer.release()
    path = path.rename(tmp_path / "clip.dat")  # who names a file may call it as they like
    ok("explain", path, "--cropped", "--every", "1", "--checkpoint", model, "-o", tmp_path / "out")
    with (tmp_path / "out/faces.csv").open(encoding="utf-8") as file:
        times = [float(row["time_s"]) for row in csv.DictReader(file)]
    assert times == pytest.approx([0, 1, 2], abs=0.11)


def test_the_map_lies_where_the_class_lies() -> None:
    """A network that sums the brightness of its last map looks at the bright corner."""
    labels = LabelSet("pair", ("dark", "bright"), "exclusive")
    network = FaceStateNet(NetworkSpec("mobilenet_v2", {"expression": HeadSpec(labels)}))
    network.backbone = torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.ReLU())
    head = torch.nn.Linear(3, 2)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[-1.0] * 3, [1.0] * 3]))
    network.heads["expression"] = head
    chips = np.zeros((2, 32, 32, 3), np.uint8)
    chips[0, :8, :8], chips[1, 24:, 24:] = 255, 255
    maps = grad_cam(network.eval(), "expression", 0, chips, SMALL, np.array([1, 1]))
    assert maps.shape == (2, 32, 32) and maps.min() >= 0 and maps.max() == 1
    assert max(np.unravel_index(maps[0].argmax(), (32, 32))) < 10
    assert maps[0, :8, :8].mean() > 0.5 > maps[0, 16:, 16:].mean()
    assert maps[1, 24:, 24:].mean() > 0.5 > maps[1, :16, :16].mean()


@pytest.mark.parametrize(
    ("backbone", "size", "side"), [("cnn_bn", 48, 6), ("lenet", 48, 6), ("efficientnet_b0", 96, 6)]
)
def test_the_last_fine_map_is_chosen(backbone: str, size: int, side: int) -> None:
    labels = LabelSet("pair", ("a", "b"), "exclusive")
    network = FaceStateNet(NetworkSpec(backbone, {"expression": HeadSpec(labels)})).eval()
    chip = ChipSpec(size, 0.9, HALF, HALF)
    assert map_sides(network, chip)[chosen_stage(network, chip)] == side


def test_a_head_is_explained_by_no_stage_after_those_it_reads(pictures: Path, tmp_path: Path) -> None:
    heads = {"expression": HeadSpec(EXPRESSIONS), "state": HeadSpec(LEARNER_STATES, 0, (3, 4), 3)}
    network = FaceStateNet(NetworkSpec("efficientnet_b0", heads)).eval()
    chip = ChipSpec(96, 0.9, HALF, HALF)
    assert chosen_stage(network, chip) == 5 and chosen_stage(network, chip, 6) == 6
    assert chosen_stage(network, chip, None, (3, 4)) == 4
    file = tmp_path / "m.safetensors"
    write_network(file, network, chip, {}, {}, {"data": "made up"}, "made up")
    words = (
        "explain",
        pictures,
        "--cropped",
        "--checkpoint",
        file,
        "-o",
        tmp_path / "out",
        "--head",
        "state",
    )
    said = error(*words, "--stage", "5")
    assert "--stage 5 is no stage with a map that this head reads" in said
    assert "4 (6 x 6)" in said and "5 (" not in said
    for more in ((), ("--stage", "3")):
        ok(*words, *more)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--every", "0"], "--every 0.0 is not within"),
        (["--cropped", "--min-face", "40"], "--min-face says nothing with --cropped"),
        (["--stage", "99"], "--stage 99 is no stage with a map"),
        (["--head", "mood"], "--head takes one that it has: expression"),
        ([], "no face was found in any of the files"),
    ],
)
def test_mistakes_are_named(
    words: list[str], message: str, model: Path, pictures: Path, tmp_path: Path
) -> None:
    cropped = ["--cropped"] if words else []  # without it, stripes are no faces
    said = error("explain", pictures, *cropped, *words, "--checkpoint", model, "-o", tmp_path / "out")
    assert message in said


def test_damaged_files_are_left_out_on_demand(model: Path, pictures: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("no picture")
    words = ("explain", bad, pictures, "--cropped", "--checkpoint", model, "-o", tmp_path / "out")
    said = error(*words)
    assert "bad.png" in said and "--skip-bad leaves it out" in said
    printed = ok(*words, "--skip-bad").output
    assert "skipped: " in printed and "bad.png" in printed
    with (tmp_path / "out/faces.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 5


def test_an_ensemble_names_its_members(model: Path, pictures: Path, tmp_path: Path) -> None:
    other = write_model(tmp_path / "other.safetensors", "cnn_bn", 48, 5)
    ok("ensemble", model, other, "-o", tmp_path / "e.safetensors")
    words = ("explain", pictures, "--cropped", "--checkpoint", tmp_path / "e.safetensors", "-o", tmp_path)
    assert "Explain one of the files it was made from: e/tiny, e/other" in error(*words)
