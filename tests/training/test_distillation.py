"""What teachers say, and what it costs a student to say otherwise."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
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
from training.delivery import write_network
from training.ensemble import EnsembleRun, make_ensemble
from training.fitting.distillation import Teachers, distillation_loss, teacher_probabilities
from training.measuring.opened import open_network
from training.samples.chip_dataset import ChipDataset
from training.samples.table import SampleTable


@pytest.fixture
def table(expression_folders: Path) -> SampleTable:
    return load(str(expression_folders)).part("test")


def teacher_file(path: Path, labels: LabelSet, temperature: float = 1.0, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    network = FaceStateNet(NetworkSpec("resnet18", {"expression": HeadSpec(labels)})).eval()
    write_network(path, network, SMALL, {"expression": {"temperature": temperature}}, {}, {}, "made up: none")
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
    write_network(tmp_path / "b.safetensors", other.eval(), SMALL, {}, {}, {}, "none")
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


def test_teachers_say_the_same_of_a_batch_as_of_the_faces_in_it(table: SampleTable, tmp_path: Path) -> None:
    a = teacher_file(tmp_path / "a.safetensors", EXPRESSIONS, temperature=1.5)
    b = teacher_file(tmp_path / "b.safetensors", EXPRESSIONS, seed=1)
    make_ensemble(EnsembleRun((str(a), str(b)), tmp_path / "both.safetensors"))
    files = [str(a), str(tmp_path / "both.safetensors")]
    dataset = ChipDataset(table, SMALL)
    chips = torch.stack([dataset[row][0] for row in range(len(table))])
    asked = Teachers(files, table.labels, SMALL, 2.0, "cpu")
    said = asked(chips)
    assert said.dtype == torch.float32
    np.testing.assert_allclose(said.numpy(), teacher_probabilities(files, table, 2.0), atol=1e-4)
    # What is shown is what counts, not which face it is of.
    assert (asked(chips.flip(3)) - said).abs().max() > 1e-3
    # A student that is used to other pixel values shows the same picture.
    other = replace(SMALL, mean=(0.4, 0.4, 0.4), std=(0.2, 0.25, 0.3))
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (other.mean, other.std))
    renormalised = (
        (chips * torch.tensor(SMALL.std).view(1, 3, 1, 1)) + torch.tensor(SMALL.mean).view(1, 3, 1, 1) - mean
    ) / std
    again = Teachers(files, table.labels, other, 2.0, "cpu")(renormalised)
    np.testing.assert_allclose(again.numpy(), said.numpy(), atol=1e-4)


def test_a_teacher_of_larger_pictures_gets_larger_ones(table: SampleTable, tmp_path: Path) -> None:
    path = teacher_file(tmp_path / "a.safetensors", EXPRESSIONS)
    smaller = replace(SMALL, size=SMALL.size // 2)
    dataset = ChipDataset(table, smaller)
    chips = torch.stack([dataset[row][0] for row in range(4)])
    enlarged = torch.nn.functional.interpolate(chips, (SMALL.size, SMALL.size), mode="bilinear")
    np.testing.assert_allclose(
        Teachers([str(path)], table.labels, smaller, 1.0, "cpu")(chips).numpy(),
        Teachers([str(path)], table.labels, SMALL, 1.0, "cpu")(enlarged).numpy(),
        atol=1e-3,  # chips are whole numbers
    )
    asked = Teachers([str(path)], table.labels, SMALL, 1.0, "cpu")
    elsewhere = pickle.loads(pickle.dumps(asked))
    np.testing.assert_array_equal(elsewhere(enlarged).numpy(), asked(enlarged).numpy())
    with pytest.raises(
        ConfigError, match=r"'varied': a sees faces with margin .*, the student with margin 1.3"
    ):
        Teachers([str(path)], table.labels, replace(SMALL, margin=1.3), 1.0, "cpu")


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


def test_a_run_whose_teachers_see_every_batch(
    expression_folders: Path, make_base: Callable[..., Path], tmp_path: Path
) -> None:
    teacher, out = make_base("mobilenet_v2"), tmp_path / "out"
    margin = open_network(str(teacher)).chip.margin
    arguments = ["base", "--data", expression_folders, "--recipe", "fer2013_lenet", "-o", out]
    changes = ["--set", f"distil={teacher}", "--set", "distil_views=varied", "--set", f"margin={margin}"]
    more = ["--set", "batch_size=16", "--set", "augmentation=moderate_mix", "--set", "ema=0.5"]
    ok(*arguments, *changes, *more, "--max-steps", "2", "--accelerator", "cpu")
    assert "train_distil" in (out / "log/metrics.csv").read_text()
    assert not list(out.glob("teachers_*"))
