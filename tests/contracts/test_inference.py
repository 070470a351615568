"""Every way to run a network: same numbers as torch, whatever the batch, from several threads."""

from __future__ import annotations

import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

import engagement.device
from engagement.classification.backbones import BACKBONES
from engagement.classification.classifier import FaceClassifier
from engagement.classification.network import FaceStateNet, HeadSpec, NetworkSpec
from engagement.classification.options import ClassifierConfig
from engagement.errors import ConfigError
from engagement.faces.mtcnn import MtcnnDetector
from engagement.inference import Run, openvino_there, runner
from engagement.labels import EXPRESSIONS

#: Where the package asks for OpenVINO it must be there: nothing passes by skipping.
needs_openvino = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="the package asks for OpenVINO on x86-64 alone"
)
DEVICES = ["cpu", pytest.param("openvino", marks=needs_openvino)]


class Mean(nn.Module):
    """Two outputs of different shapes, so that neither their order nor their lengths can be mixed up."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.float().mean(dim=(1, 2)), x.float().sum(dim=3)


@pytest.fixture(params=DEVICES)
def run(request: pytest.FixtureRequest) -> Run:
    return runner(Mean().eval(), np.zeros((2, 4, 4, 3), np.uint8), (0, 1, 2), request.param)


def pictures(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("shape", [(1, 4, 4, 3), (2, 4, 4, 3), (7, 9, 5, 3)])
def test_outputs_in_order_for_any_free_length(run: Run, shape: tuple[int, ...]) -> None:
    batch = pictures(*shape)
    mean, total = run(batch)
    assert mean.dtype == total.dtype == np.float32
    np.testing.assert_allclose(mean, batch.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(total, batch.sum(axis=3, dtype=np.float32), rtol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_networks_are_made_ready_in_several_threads(device: str) -> None:
    labels = {"expression": HeadSpec(EXPRESSIONS)}
    chips = np.zeros((2, 3, 32, 32), np.float32)

    def ready(seed: int) -> tuple[np.ndarray, np.ndarray]:
        network = FaceStateNet(NetworkSpec("mobilenet_v2", labels)).backbone.eval()
        with torch.inference_mode():
            expected = network(torch.from_numpy(chips)).numpy()
        return runner(network, chips, (0,), device)(chips)[0], expected

    with ThreadPoolExecutor(4) as pool:
        for found, expected in pool.map(ready, range(8)):
            np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_next_batch_changes_nothing_that_was_given_out(run: Run) -> None:
    first = run(pictures(3, 4, 4, 3))
    before = [part.copy() for part in first]
    run(pictures(3, 4, 4, 3)[::-1])
    for part, kept in zip(first, before, strict=True):
        np.testing.assert_array_equal(part, kept)


def test_several_threads_at_once(run: Run) -> None:
    batches = [pictures(n, 6, 6, 3) for n in range(1, 9)] * 5
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(run, batches))
    for batch, (mean, _) in zip(batches, answers, strict=True):
        np.testing.assert_allclose(mean, batch.mean(axis=(1, 2)), rtol=1e-5)


@needs_openvino
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_every_backbone_says_the_same_by_openvino(backbone: str, mirror: bool) -> None:
    torch.manual_seed(0)
    network = FaceStateNet(NetworkSpec(backbone, {"expression": HeadSpec(EXPRESSIONS)}, mirror=mirror)).eval()
    side = BACKBONES[backbone].size or 48
    batch = np.random.default_rng(0).normal(size=(3, 3, side, side)).astype(np.float32)
    logits = _Logits(network).eval()
    (ours,) = runner(logits, batch[:2], (0,), "cpu")(batch)
    (other,) = runner(logits, batch[:2], (0,), "openvino")(batch)
    assert np.ptp(ours) > 0
    np.testing.assert_allclose(other, ours, atol=2e-4 * float(np.abs(ours).max()))


class _Logits(nn.Module):
    def __init__(self, network: FaceStateNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, chips: torch.Tensor) -> torch.Tensor:
        return self.network(chips).logits["expression"]


@needs_openvino
@pytest.mark.parametrize("mirror", [False, True])
def test_shipped_scores_are_the_same_by_openvino(mirror: bool) -> None:
    config = ClassifierConfig(mirror=mirror)
    torch_way, other_way = FaceClassifier(config), FaceClassifier(config, "openvino")
    side = torch_way.chip_specs[0].size
    for n in (0, 1, 18):  # none, one, more than a forward pass takes
        chips = [pictures(n, side, side, 3)]
        ours, other = torch_way.score(chips), other_way.score(chips)
        for name in ("expression_prob", "state_prob", "identity"):
            assert getattr(other, name).shape == getattr(ours, name).shape
            np.testing.assert_allclose(getattr(other, name), getattr(ours, name), atol=1e-4)


@needs_openvino
def test_shipped_detector_finds_the_same_by_openvino() -> None:
    portrait = pytest.importorskip("skimage.data", reason="needs scikit-image's portrait").astronaut()
    ours, other = (MtcnnDetector(device=device) for device in ("cpu", "openvino"))
    found, again = ours.detect(portrait), other.detect(portrait)
    np.testing.assert_allclose(again.boxes_xyxy, found.boxes_xyxy, atol=0.05)
    np.testing.assert_allclose(again.score, found.score, atol=1e-4)
    near = found.boxes_xyxy + np.float32(4)
    np.testing.assert_allclose(
        other.refine(portrait, near).boxes_xyxy, ours.refine(portrait, near).boxes_xyxy, atol=0.05
    )


@needs_openvino
def test_openvino_reports_its_use_to_nobody_and_says_nothing() -> None:
    """Its package comes with one that tells its makers what was called; that one is never loaded."""
    code = (
        "import sys; from engagement.classification.classifier import FaceClassifier;"
        "FaceClassifier(None, 'openvino');"
        "assert 'openvino' in sys.modules;"
        "loaded = [m for m in sys.modules if 'openvino_telemetry' in m and sys.modules[m] is not None];"
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


@needs_openvino
def test_openvino_is_there_where_the_package_asks_for_it() -> None:
    assert openvino_there()
    assert engagement.device.choose("openvino") == "openvino"


def test_openvino_that_does_not_load_leaves_the_work_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert not openvino_there()
    assert engagement.device.choose("auto") != "openvino"


def test_openvino_that_is_not_there_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engagement.inference.openvino_there", lambda: False)
    with pytest.raises(ConfigError, match="--device openvino: OpenVINO is not installed"):
        engagement.device.choose("openvino")
