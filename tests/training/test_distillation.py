"""What teachers say, and what it costs a student to say otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from engagement.classification.network import FaceStateNet, HeadSpec, NetworkSpec
from engagement.errors import ConfigError
from engagement.labels import EXPRESSIONS, LabelSet
from tests.training.invoking import ok
from tests.training.made_up_faces import SMALL
from training.datasets.registry import load
from training.distillation import distillation_loss, teacher_probabilities
from training.ensemble import EnsembleRun, make_ensemble
from training.opened import open_network
from training.run import export
from training.samples import SampleTable


@pytest.fixture
def table(expression_folders: Path) -> SampleTable:
    return load(str(expression_folders)).part("test")


def teacher_file(path: Path, labels: LabelSet, temperature: float = 1.0, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    network = FaceStateNet(NetworkSpec("resnet18", {"expression": HeadSpec(labels)})).eval()
    export(path, network, SMALL, {"expression": {"temperature": temperature}}, {}, {}, "made up: none")
    return path


def test_a_teacher_speaks_in_the_order_of_the_table(table: SampleTable, tmp_path: Path) -> None:
    path = teacher_file(tmp_path / "a.safetensors", EXPRESSIONS)
    prob = teacher_probabilities([str(path)], table, 2.0)
    assert prob.shape == (len(table), 7) and prob.dtype == np.float32
    np.testing.assert_allclose(prob.sum(axis=1), 1, rtol=1e-5)
    # The same network whose file names its outputs in another order.
    turned = LabelSet("expression", EXPRESSIONS.classes[::-1], "exclusive")
    network = open_network(str(path)).network
    state = network.state_dict()
    other = FaceStateNet(NetworkSpec("resnet18", {"expression": HeadSpec(turned)}))
    other.load_state_dict({k: v.flip(0) if k.startswith("heads.") else v for k, v in state.items()})
    export(tmp_path / "b.safetensors", other.eval(), SMALL, {}, {}, {}, "none")
    again = teacher_probabilities([str(tmp_path / "b.safetensors")], table, 2.0)
    np.testing.assert_allclose(prob, again, atol=1e-6)


def test_teachers_are_calibrated_softened_and_averaged(table: SampleTable, tmp_path: Path) -> None:
    a = teacher_file(tmp_path / "a.safetensors", EXPRESSIONS)
    b = teacher_file(tmp_path / "b.safetensors", EXPRESSIONS, seed=1)
    calibrated = teacher_file(tmp_path / "c.safetensors", EXPRESSIONS, temperature=2.0)
    said: list[str] = []
    both = teacher_probabilities([str(a), str(b)], table, 1.0, said.append)
    each = [teacher_probabilities([str(file)], table, 1.0) for file in (a, b)]
    np.testing.assert_allclose(both, (each[0] + each[1]) / 2, atol=1e-6)
    assert len(said) == 2 and said[0].startswith("teacher a: looking at 21 faces")
    # The file of an ensemble is a teacher too.
    make_ensemble(EnsembleRun((str(a), str(b)), tmp_path / "ensemble.safetensors"))
    np.testing.assert_allclose(
        teacher_probabilities([str(tmp_path / "ensemble.safetensors")], table, 1.0), both, atol=1e-3
    )
    # A calibration of 2 is a softening by 2.
    softened = teacher_probabilities([str(a)], table, 2.0)
    np.testing.assert_allclose(softened, teacher_probabilities([str(calibrated)], table, 1.0), atol=1e-6)
    assert softened.max(axis=1).mean() < each[0].max(axis=1).mean()


def test_answers_that_were_kept_are_given_again_to_the_same_question_alone(
    table: SampleTable, tmp_path: Path
) -> None:
    path, keep, said = teacher_file(tmp_path / "a.safetensors", EXPRESSIONS), tmp_path / "run", list[str]()

    def ask(own: SampleTable = table, temperature: float = 2.0) -> np.ndarray:
        said.clear()
        return teacher_probabilities([str(path)], own, temperature, said.append, keep)

    first = ask()
    assert said and np.array_equal(ask(), first) and not said
    assert len(ask(table.rows(np.arange(5)))) == 5 and said
    assert not np.array_equal(ask(temperature=1.0), first) and said
    teacher_file(path, EXPRESSIONS, seed=1)  # another teacher by the same name
    assert not np.array_equal(ask(), first) and said
    assert {p.suffix for p in keep.iterdir()} == {".npz"}


def test_a_student_that_says_the_same_loses_nothing() -> None:
    prob = torch.softmax(torch.randn(6, 7, generator=torch.Generator().manual_seed(0)), 1)
    for temperature in (1.0, 3.0):
        logits = (temperature * prob.log()).requires_grad_()
        loss = distillation_loss(logits, prob, temperature)
        loss.backward()
        assert float(loss.detach()) == pytest.approx(0, abs=1e-5)
        assert logits.grad is not None and float(logits.grad.abs().max()) < 1e-5
        assert float(distillation_loss(torch.zeros(6, 7), prob, temperature)) > 0.01


def test_a_teacher_of_other_classes_is_refused(table: SampleTable, tmp_path: Path) -> None:
    path = teacher_file(tmp_path / "a.safetensors", LabelSet("own", ("awake", "tired"), "exclusive"))
    with pytest.raises(ConfigError, match=r"a has no head of the classes angry.*expression: awake, tired"):
        teacher_probabilities([str(path)], table, 1.0)


def test_a_distilled_model_keeps_its_teachers_terms(
    expression_folders: Path, make_base: Callable[..., Path], tmp_path: Path
) -> None:
    teacher, out = make_base("mobilenet_v2"), tmp_path / "out"
    arguments = ["base", "--data", expression_folders, "--recipe", "fer2013_lenet", "-o", out]
    changes = ["--set", f"distil={teacher}", "--set", "batch_size=16", "--set", "augmentation=mix"]
    ok(*arguments, *changes, "--max-steps", "2", "--accelerator", "cpu")
    record = open_network(str(out / "model.safetensors")).record
    assert record.origin["recipe"]["distil"] == [teacher.name]
    assert "made up: none" in record.licence
    assert "train_distil" in (out / "log/metrics.csv").read_text()
