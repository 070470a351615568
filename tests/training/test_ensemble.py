"""An ensemble is one file that answers with the mean of its members, wherever weights are taken."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engagement.classification.classifier import FaceClassifier
from engagement.classification.ensemble import averaged
from engagement.classification.network import FaceStateNet, HeadSpec, NetworkSpec
from engagement.classification.options import ClassifierConfig
from engagement.errors import ConfigError
from engagement.faces.chips import cut_chips
from engagement.labels import LabelSet
from engagement.types import ChipSpec
from engagement.weights import DEFAULT_WEIGHTS
from engagement.weights.store import locate, read_record
from tests.training.invoking import error, ok
from tests.training.made_up_faces import HALF, made_up_face
from tests.training.tiny_models import write_model
from training.datasets.registry import load
from training.delivery import write_network
from training.ensemble import EnsembleRun, fit_shares
from training.measuring.calibration import fit_temperature
from training.measuring.opened import open_model, open_network


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A grey one for 48 px and a colour one for 32 px."""
    folder = tmp_path_factory.mktemp("members")
    return (
        write_model(folder / "grey.safetensors", "cnn_bn", 48, 1),
        write_model(folder / "colour.safetensors", "mobilenet_v2", 32, 2),
    )


@pytest.fixture(scope="module")
def ensemble(members: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ensemble") / "both.safetensors"
    ok("ensemble", *members, "--weights", "3,1", "-o", path)
    return path


def test_the_mean_of_its_members_is_what_evaluate_measures(
    ensemble: Path, members: tuple[Path, Path], expression_folders: Path, tmp_path: Path
) -> None:
    table = load(str(expression_folders)).part("test")
    grey, colour = (open_network(str(path)).probabilities("expression", table) for path in members)
    mean = open_model(str(ensemble)).probabilities("expression", table)
    np.testing.assert_allclose(mean, 0.75 * grey + 0.25 * colour, atol=1e-6)
    once = ["--no-mirror", "--json", tmp_path / "m.json"]
    ok("evaluate", expression_folders, "--checkpoint", ensemble, *once)
    found = json.loads((tmp_path / "m.json").read_text())
    assert found["accuracy"] == pytest.approx((mean.argmax(1) == table.target.argmax(1)).mean(), abs=1e-6)


def test_analyze_takes_it_and_gives_each_member_its_own_chips(
    ensemble: Path, members: tuple[Path, Path]
) -> None:
    rgb = made_up_face(3, 1, 120)
    box, roll = np.array([[10, 10, 100, 110]], np.float32), np.zeros(1, np.float32)

    def scores(path: Path, copies: int) -> np.ndarray:
        classifier = FaceClassifier(ClassifierConfig(str(path)))
        chips = [np.repeat(cut_chips(rgb, box, roll, spec), copies, axis=0) for spec in classifier.chip_specs]
        assert classifier.weights[0].name == path.stem
        return classifier.score(chips).expression_prob

    together = scores(ensemble, 1)
    np.testing.assert_allclose(
        together, 0.75 * scores(members[0], 1) + 0.25 * scores(members[1], 1), atol=1e-5
    )
    # However many faces are looked at together.
    np.testing.assert_allclose(scores(ensemble, 11), np.repeat(together, 11, 0), atol=1e-5)


def test_its_file_says_what_it_is(ensemble: Path) -> None:
    record = read_record(ensemble)
    assert record.kind == "ensemble"
    assert [m["share"] for m in record.network["members"]] == [0.75, 0.25]
    assert [m["name"] for m in record.network["members"]] == ["grey", "colour"]
    assert record.licence == "made up 1; made up 2"
    card = ensemble.with_suffix(".md").read_text()
    assert "grey (sha256" in card and "Must not be used for" in card
    data = json.loads(ensemble.with_suffix(".json").read_text())
    assert data["cost"]["parameters"] > 2_000_000 and data["labels"]["expression"]["classes"][0] == "angry"


def test_terms_that_members_share_are_said_once(tmp_path: Path) -> None:
    again = (
        "rafdb: research only; no copies; ferplus: pictures research only; rafdb: research only; no copies"
    )
    labels = LabelSet("expression", ("happy", "sad"), "exclusive")
    files = [tmp_path / "one.safetensors", tmp_path / "two.safetensors"]
    for file, terms in zip(files, (again, "ferplus: pictures research only"), strict=True):
        network = FaceStateNet(NetworkSpec("cnn_bn", {"expression": HeadSpec(labels)})).eval()
        write_network(file, network, ChipSpec(48, 0.9, HALF, HALF), {}, {}, {"data": "made up"}, terms)
    out = tmp_path / "both.safetensors"
    ok("ensemble", *files, "-o", out)
    assert read_record(out).licence == "rafdb: research only; no copies; ferplus: pictures research only"
    assert "## Figures\n\nNone: these weights were not measured." in out.with_suffix(".md").read_text()


def test_shares_are_fitted_on_the_validation_split_alone(
    members: tuple[Path, Path], expression_folders: Path, tmp_path: Path
) -> None:
    out = tmp_path / "fitted.safetensors"
    printed = ok("ensemble", *members, "--fit", expression_folders, "-o", out).output
    record = read_record(out)
    table = load(str(expression_folders)).with_validation(0.1).part("val")
    assert set(record.metrics["expression"]) == {"val"}
    assert record.metrics["expression"]["val"]["n"] == len(table)
    shares = [m["share"] for m in record.network["members"]]
    assert sum(shares) == pytest.approx(1) and min(shares) > 0
    parts = [open_network(str(path)).probabilities("expression", table) for path in members]
    mean = averaged(parts, shares)
    again = fit_temperature(np.log(mean + 1e-9), table.target)
    assert record.calibration["expression"]["temperature"] == pytest.approx(again, rel=1e-3)
    assert "of the validation split" in printed


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_fitted_shares_are_at_least_as_good_as_equal_ones(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    truth = np.eye(5, dtype=np.float32)[rng.integers(0, 5, 300)]
    parts = []
    for k in range(count):
        raw = np.exp(rng.normal(0, 1, (300, 5)) + (k + 1) * truth)
        parts.append((raw / raw.sum(axis=1, keepdims=True)).astype(np.float32))
    shares = fit_shares(parts, truth)

    def loss(weights: np.ndarray) -> float:
        mean = np.tensordot(weights, np.stack(parts), 1)
        return float(-np.log((mean * truth).sum(axis=1)).mean())

    assert shares.sum() == pytest.approx(1) and (shares >= 0).all()
    assert loss(shares) <= loss(np.full(count, 1 / count)) + 1e-6


def test_a_temperature_sharpens_the_mean() -> None:
    part = np.array([[0.6, 0.3, 0.1]], np.float32)
    assert averaged([part, part], [0.5, 0.5], 0.5)[0, 0] > 0.6
    assert averaged([part], [1.0]) is part
    assert averaged([part, part], [0.5, 0.5], 2.0).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{grey}"], "no ensemble: give two or more"),
        (["{grey}", "{grey}"], "one checkpoint is given twice"),
        (["default", DEFAULT_WEIGHTS], "one checkpoint is given twice"),
        (["default", "{shipped}"], "one checkpoint is given twice"),
        (["{grey}", "{colour}", "--skip-bad"], "--skip-bad says nothing without --fit"),
        (["{grey}", "{colour}", "--weights", "1"], "--weights has 1 number for 2 checkpoints"),
        (["{grey}", "{colour}", "--weights", "1,x"], "is no list of numbers"),
        (["{grey}", "{colour}", "--weights", "0,0"], "one of them above 0"),
        (["{grey}", "{colour}", "--weights", "1,1", "--fit", "x"], "exclude each other"),
        (["{grey}", "{colour}", "--head", "mood"], "grey has no head 'mood'"),
        (["{grey}", "{other}"], "same classes in the same order"),
        (["{grey}", "nosuch"], "'nosuch' is neither a file nor shipped weights"),
        (["{grey}", "{both}"], "is an ensemble of several networks, but one is needed here"),
    ],
)
def test_mistakes_are_named(
    words: list[str], message: str, members: tuple[Path, Path], ensemble: Path, tmp_path: Path
) -> None:
    labels = LabelSet("expression", ("sad", "happy"), "exclusive")
    other = write_model(tmp_path / "other.safetensors", labels=labels)
    places = {"grey": members[0], "colour": members[1], "other": other, "both": ensemble}
    places["shipped"] = locate("default")[1]
    out = tmp_path / "e.safetensors"
    assert message in error("ensemble", *(w.format(**places) for w in words), "-o", out)
    assert not out.exists()


def test_no_member_is_written_over(members: tuple[Path, Path]) -> None:
    before = members[0].read_bytes()
    assert "is one of the checkpoints" in error("ensemble", *members, "-o", members[0])
    assert members[0].read_bytes() == before
    with pytest.raises(ConfigError, match="is one of the checkpoints"):
        EnsembleRun(("default", str(members[0])), locate("default")[1])


def test_a_set_with_a_test_split_alone_is_refused(
    members: tuple[Path, Path], expression_folders: Path, tmp_path: Path
) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/test").symlink_to(expression_folders / "test")
    said = error("ensemble", *members, "--fit", tmp_path / "set", "-o", tmp_path / "e.safetensors")
    assert "test split alone" in said
