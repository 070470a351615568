"""Detectors by name: YuNet on a made-up model, and detectors that a package plugs in."""

from __future__ import annotations

import os
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from engagement import video
from engagement.cli.doctor import doctor
from engagement.errors import BackendUnavailable, ConfigError, WeightsError
from engagement.faces import plugins
from engagement.faces.near import look_near
from engagement.faces.options import DetectorConfig, MtcnnConfig
from engagement.faces.yunet import YunetDetector
from engagement.types import FaceDetections
from tests.made_up_yunet import FACE_PX, write_model
from tests.media import write_video
from tests.sessions.command import run_command

RED, BLUE = (255, 0, 0), (0, 0, 255)


def _picture(height: int, width: int, *squares: tuple[int, int, int, tuple[int, int, int]]) -> np.ndarray:
    """Grey, with squares given by left, top, side, colour."""
    rgb = np.full((height, width, 3), 128, np.uint8)
    for left, top, side, colour in squares:
        rgb[top : top + side, left : left + side] = colour
    return rgb


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx", reason="needs onnx to make a model up (extra 'test')")
    return write_model(tmp_path_factory.mktemp("yunet") / "made_up.onnx")


def test_yunet_reads_boxes_points_and_colours_as_opencv_gives_them(model: Path) -> None:
    detector = YunetDetector(model)
    faces = detector.detect(_picture(240, 320, (64, 80, 8, RED), (160, 80, 8, BLUE)), 3, 0.6)
    assert (len(faces), faces.frame_index, faces.time_s) == (1, 3, 0.6)
    width, height = FACE_PX
    centre = np.array([68, 84])
    assert np.allclose(faces.boxes_xyxy[0, :2], centre - (width / 2, height / 2), atol=0.1)
    assert np.allclose(faces.boxes_xyxy[0, 2:], centre + (width / 2, height / 2), atol=0.1)
    eyes, mouth = faces.landmarks_xy[0, :2], faces.landmarks_xy[0, 3:]
    assert eyes[0, 0] < eyes[1, 0] and mouth[0, 0] < mouth[1, 0]
    assert eyes[:, 1].max() < faces.landmarks_xy[0, 2, 1] < mouth[:, 1].min()
    assert 0.99 < faces.score[0] <= 1


def test_yunet_leaves_out_the_smaller_and_finds_the_larger(model: Path) -> None:
    square = (64, 80, 8, RED)
    assert len(YunetDetector(model, min_face_px=60).detect(_picture(240, 320, square))) == 0
    heights = np.diff(
        YunetDetector(model).detect(_picture(1280, 1280, (640, 640, 80, RED))).boxes_xyxy[:, 1::2]
    )
    assert heights.max() > 200  # seen in the reduced picture alone


def test_yunet_looks_near_a_guess(model: Path) -> None:
    detector = YunetDetector(model)
    rgb = _picture(400, 640, (200, 200, 16, RED), (500, 96, 16, RED))
    near = np.array([[180, 176, 228, 232]], np.float32)
    found = detector.refine(rgb, near, 5, 1.0)
    assert len(found) == 1 and found.frame_index == 5
    centre = (found.boxes_xyxy[0, :2] + found.boxes_xyxy[0, 2:]) / 2
    assert np.linalg.norm(centre - (208, 208)) < 10
    twice = detector.refine(rgb, np.concatenate([near, near + 4]))
    assert len(twice) == 1
    at_the_edge = np.array([[-30, -30, 20, 20], [700, 500, 760, 560], [10, 10, 10, 10]], np.float32)
    assert len(detector.refine(rgb, at_the_edge)) == 0


def test_yunet_serves_two_threads_at_once(model: Path) -> None:
    detector = YunetDetector(model)
    pictures = [_picture(160 + 32 * i, 224 - 32 * i, (64, 80, 8, RED)) for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(detector.detect, pictures * 25))
    assert all(np.array_equal(f.boxes_xyxy, found[0].boxes_xyxy) for f in found) and len(found[0]) == 1


def test_files_that_are_no_model_give_one_clear_line(tmp_path: Path, capfd) -> None:
    junk = tmp_path / "junk.onnx"
    junk.write_bytes(b"no model")
    with pytest.raises(WeightsError, match=r"junk\.onnx cannot be read as YuNet's model"):
        YunetDetector(junk)
    with pytest.raises(ConfigError, match=r"absent\.onnx cannot be read \(No such file"):
        DetectorConfig("yunet", str(tmp_path / "absent.onnx"))
    with pytest.raises(ConfigError, match="yunet needs its model file"):
        DetectorConfig("yunet")
    with pytest.raises(ConfigError, match="mtcnn brings its own"):
        DetectorConfig("mtcnn", str(junk))
    assert capfd.readouterr() == ("", "")  # OpenCV's own chatter is kept from the user


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_the_place_of_a_model_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(ConfigError, match=r"--detector-weights .*pipe\.onnx is a pipe"):
        DetectorConfig("yunet", str(tmp_path / "pipe.onnx"))


def test_a_changed_model_file_is_another_configuration(tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(b"one")
    before = DetectorConfig("mine", str(file))
    assert before == DetectorConfig("mine", str(file))
    file.write_bytes(b"two")
    assert before != DetectorConfig("mine", str(file))


class RedSquares:
    """A plugged-in detector: the one red square of a picture is a face."""

    name = "red"

    def __init__(self, min_face_px: int, weights: Path | None, device: str) -> None:
        self.given = (min_face_px, weights, device)

    def detect(self, rgb: np.ndarray, frame_index: int = 0, time_s: float = 0.0) -> FaceDetections:
        red = (rgb[..., 0] > 180) & (rgb[..., 1:].max(axis=2) < 90)
        if not red.any():
            return FaceDetections.none(frame_index, time_s)
        y, x = np.nonzero(red)
        low, high = np.array([x.min(), y.min()]), np.array([x.max(), y.max()]) + 1
        places = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
        return FaceDetections(
            frame_index,
            time_s,
            np.concatenate([low, high])[None].astype(np.float32),
            np.array([0.99], np.float32),
            (low + places * (high - low))[None].astype(np.float32),
        )

    def refine(
        self, rgb: np.ndarray, boxes_xyxy: np.ndarray, frame_index: int = 0, time_s: float = 0.0
    ) -> FaceDetections:
        return look_near(self.detect, rgb, boxes_xyxy, frame_index, time_s)


def _broken(**_: object) -> object:
    raise RuntimeError("no licence")


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entry points as an installed package would have them."""
    module = types.ModuleType("made_up_detectors")
    module.__dict__.update(RedSquares=RedSquares, broken=_broken, thing=lambda **_: object())
    monkeypatch.setitem(sys.modules, "made_up_detectors", module)
    points = [
        metadata.EntryPoint(name, f"made_up_detectors:{value}", plugins.GROUP)
        for name, value in {
            "red": "RedSquares",
            "broken": "broken",
            "thing": "thing",
            "gone": "nowhere",
            "mtcnn": "thing",
        }.items()
    ]
    real = metadata.entry_points

    def entry_points(**select: str) -> metadata.EntryPoints:
        return metadata.EntryPoints(points) if select.get("group") == plugins.GROUP else real(**select)

    monkeypatch.setattr(metadata, "entry_points", entry_points)


@pytest.mark.usefixtures("plugged")
@pytest.mark.parametrize(("device", "torchs"), [("cuda", "cuda"), ("openvino", "cpu")])
def test_a_plugged_in_detector_is_made_with_the_users_options_and_a_device_that_torch_knows(
    tmp_path: Path, device: str, torchs: str
) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(b"one")
    detector = plugins.make_detector(DetectorConfig("red", str(file)), MtcnnConfig(min_face_px=31), device)
    assert isinstance(detector, RedSquares)
    assert detector.given == (31, file, torchs)
    assert plugins.names() == ["mtcnn", "yunet", "broken", "gone", "red", "thing"]


@pytest.mark.usefixtures("plugged")
@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("broken", BackendUnavailable, r"'broken' cannot be loaded \(RuntimeError: no licence\)"),
        ("gone", BackendUnavailable, "'gone' cannot be loaded"),
        ("thing", BackendUnavailable, "is no face detector: it lacks name, detect, refine"),
        ("other", ConfigError, "--detector 'other' is unknown. Choose one of mtcnn, yunet, broken"),
    ],
)
def test_detectors_that_cannot_be_used_say_so(name: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        plugins.make_detector(DetectorConfig(name))


@pytest.mark.usefixtures("plugged")
def test_ours_cannot_be_replaced_and_doctor_lists_all() -> None:
    from engagement.faces.mtcnn import MtcnnDetector

    assert isinstance(plugins.make_detector(DetectorConfig()), MtcnnDetector)
    said = plugins.describe()
    assert said.startswith("mtcnn (default), yunet")
    assert "red (from a package)" in said
    assert "gone (from a package, cannot be loaded: AttributeError" in said


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("av", "auto is pyav"),
        ("pyarrow", "pyarrow ("),
        ("facenet_pytorch", "facenet_pytorch ("),
        ("decord", ""),
    ],
)
def test_doctor_says_what_an_analysis_lacks(monkeypatch: pytest.MonkeyPatch, module: str, said: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    result = CliRunner().invoke(doctor, standalone_mode=False)
    problems = [line for line in result.output.splitlines() if "PROBLEM" in line]
    if said:
        assert result.return_value == 1 and len(problems) == 1 and said in problems[0]
    else:
        assert "decord (not installed, optional)" in result.output and not problems


def test_doctor_knows_every_video_reader_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "LIBRARIES", {**video.LIBRARIES, "another": "no_such_library"})
    said = CliRunner().invoke(doctor, standalone_mode=False).output
    assert all(name in said for name in video.BACKENDS) and "another (missing)" in said


def test_doctor_goes_on_after_a_package_that_breaks_in_a_way_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "scipy.py").write_text("raise ValueError('numpy.dtype size changed')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "scipy")
    result = CliRunner().invoke(doctor, standalone_mode=False)
    assert result.return_value == 1 and "scipy (numpy.dtype size changed)" in result.output
    assert "\ndevice " in result.output


@pytest.mark.usefixtures("plugged")
def test_an_analysis_finds_faces_with_it(tmp_path: Path) -> None:
    from engagement.config import AnalysisConfig
    from engagement.pipeline import Analyzer

    # The painted red corner, 16 px enlarged thrice.
    video = write_video(tmp_path / "red.mp4", range(0, 2400, 200), zoom=3)
    config = AnalysisConfig(detector=DetectorConfig("red"), thumbnails=False)
    rows = Analyzer(config, "cpu").analyze_video(video).records.rows
    assert len(rows["track"]) >= 11
    assert len(set(rows["track"].tolist())) == 1


def test_wrong_use_is_one_line_and_status_two(tmp_path: Path, capsys) -> None:
    video = tmp_path / "a.mp4"
    video.write_bytes(b"")
    assert run_command("analyze", video, "-o", tmp_path / "o", "--detector", "nobody") == 2
    said = capsys.readouterr().err
    assert "--detector 'nobody' is unknown" in said and said.count("\n") == 1
