"""The page of a run and of a measurement: complete, escaped, alone, and without faces unless asked."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagement.labels import EXPRESSIONS, LEARNER_STATES
from engagement.types import ChipSpec
from tests.training.invoking import error, ok
from tests.training.made_up_faces import HALF, write_face
from tests.training.tiny_models import write_model
from training.measuring.metrics import expected_calibration_error, reliability
from training.measuring.opened import open_network
from training.measuring.outcome import figures
from training.report.cost import gflops
from training.report.drawing import confusion, learning_curves, read_history, ticks


def train(data: Path, out: Path, *more: str) -> None:
    ok(
        *("train", "base", "--data", data, "--recipe", "fer2013_lenet", "-o", out, "--test", *more),
        *("--set", "epochs=3", "--set", "batch_size=16", "--set", "patience=0", "--accelerator", "cpu"),
    )


@pytest.fixture(scope="module")
def trained(expression_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    train(expression_folders, out)
    return out


def alone(page: str) -> bool:
    """No address but those of the document types."""
    return not re.search(r"(src|href)=\"(?!data:|#)", page) and "@import" not in page


def test_a_run_leaves_everything_in_one_folder(trained: Path) -> None:
    for name in (
        *("model.safetensors", "metrics.json", "cost.json", "recipe.json", "model_card.md"),
        *("model_card.json", "report.html", "log/metrics.csv"),
    ):
        assert (trained / name).is_file(), name
    found = json.loads((trained / "metrics.json").read_text())["test"]
    for row in found["per_class"].values():
        for key in ("precision", "recall", "f1"):
            low, high = row["intervals"][key]
            assert low <= row[key] + 1e-6 and row[key] <= high + 1e-6
    assert set(found["intervals"]) == {"accuracy", "mean_class_accuracy", "macro_f1", "weighted_f1", "ece"}
    cost = json.loads((trained / "cost.json").read_text())
    assert cost["gmacs"] == pytest.approx(cost["gflops"] / 2)
    assert cost["accuracy_per_gflop"]["test"] == pytest.approx(found["accuracy"] / cost["gflops"], rel=1e-3)
    assert cost["faces_per_s"] > 0 and "thread" in cost["measured_on"]
    card = json.loads((trained / "model_card.json").read_text())
    assert card["metrics"]["expression"]["test"] == found
    assert "GFLOPs per face" in (trained / "model_card.md").read_text()


def test_the_page_of_a_run_shows_curves_classes_and_recipe_but_no_face(trained: Path) -> None:
    page = (trained / "report.html").read_text()
    assert alone(page)
    assert "data:image" not in page
    assert page.count("<polyline") >= 8  # loss of train and validation, accuracy …, and their keys
    for words in (
        "val split, ",
        "test split, 21 faces",
        "Confusion matrix",
        "Reliability",
        "learning_rate",
        "GMACs",
    ):
        assert words in page
    for name in EXPRESSIONS.classes:
        assert f">{name}</th>" in page


def test_faces_only_where_asked(trained: Path, expression_folders: Path, tmp_path: Path) -> None:
    words = (
        "evaluate",
        expression_folders,
        "--checkpoint",
        trained / "model.safetensors",
        "--report",
        tmp_path,
    )
    ok(*words)
    assert "data:image" not in (tmp_path / "report.html").read_text()
    ok(*words, "--gallery")
    page = (tmp_path / "report.html").read_text()
    found = json.loads((tmp_path / "metrics.json").read_text())
    wrong = found["n"] - sum(found["confusion"][i][i] for i in range(7))
    assert page.count("data:image/jpeg") == wrong  # three test faces a class: all are shown
    assert alone(page) and "must go no further" in page
    said = error("evaluate", expression_folders, "--checkpoint", trained / "model.safetensors", "--gallery")
    assert "Add --report FOLDER" in said


def test_the_page_of_a_finished_run_can_be_had_with_faces(
    trained: Path, expression_folders: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    train(expression_folders, tmp_path / "run", "--gallery")
    page = (tmp_path / "run/report.html").read_text()
    assert "data:image/jpeg" in page and alone(page)
    for name in ("metrics.json", "log/metrics.csv"):
        assert (tmp_path / "run" / name).read_text() == (trained / name).read_text()


def test_states_have_the_same_page(daisee_folder: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "m<b>.safetensors", states=True)
    words = (
        "evaluate",
        daisee_folder,
        "--checkpoint",
        model,
        "--report",
        tmp_path,
        "--json",
        tmp_path / "j.json",
    )
    ok(*words)
    found = json.loads((tmp_path / "j.json").read_text())
    assert found["head"] == "state" and found["engagement"]["reliability"]
    page = (tmp_path / "report.html").read_text()
    assert "m&lt;b&gt;" in page and "m<b>" not in page
    for name in LEARNER_STATES.classes:
        assert f"<h3>{name}</h3>" in page


@pytest.mark.parametrize("people", [1, 3])
def test_intervals_are_explained_where_there_are_any(tmp_path: Path, people: int) -> None:
    """Of a single person's faces nothing can be resampled."""
    for i in range(12):
        write_face(tmp_path / f"{i}.png", i % 2, i)
    for name, columns in (("classes", "label"), ("grades", "tired")):
        answers = ("happy", "sad") if columns == "label" else ("0", "1")
        lines = [
            f"{i}.png,{'train' if i < 4 else 'val'},p{i % people if i > 3 else 9},{answers[i % 2]}"
            for i in range(12)
        ]
        table = tmp_path / f"{name}.csv"
        table.write_text("\n".join([f"file,split,person,{columns}", *lines]), encoding="utf-8")
        base = write_model(tmp_path / "base.safetensors")
        ok("train", "extension", "--data", table, "--base", base, "--name", "own", "-o", tmp_path / name)
        page = (tmp_path / name / "report.html").read_text(encoding="utf-8")
        assert ("Below the figures: 95 % intervals" in page) == (people > 1)
        assert ("<u style=" in page) == (people > 1 and name == "classes")  # the interval as it is drawn
        assert "nan" not in re.sub(r"<script.*?</script>|Landau", "", page, flags=re.DOTALL).lower()


def test_keys_of_an_evaluation(trained: Path, expression_folders: Path, tmp_path: Path) -> None:
    """Classes that the set lacks count for nothing in the means; names are matched."""
    folder = tmp_path / "set" / "test"
    folder.mkdir(parents=True)
    for ours, theirs in (("happy", "Happiness"), ("angry", "anger"), ("sad", "sadness")):
        (folder / theirs).symlink_to(expression_folders / "test" / ours)
    path = tmp_path / "j.json"
    ok("evaluate", folder.parent, "--checkpoint", trained / "model.safetensors", "--json", path)
    found = json.loads(path.read_text())
    keys = "accuracy mean_class_accuracy macro_f1 weighted_f1 ece per_class confusion n labels"
    assert found.keys() >= {*keys.split()}
    assert set(found["per_class"]) == {"angry", "happy", "sad"} and found["n"] == 9
    rows = found["per_class"].values()
    assert found["mean_class_accuracy"] == pytest.approx(np.mean([r["recall"] for r in rows]), abs=1e-5)
    assert found["macro_f1"] == pytest.approx(np.mean([r["f1"] for r in rows]), abs=1e-5)


def test_operations_are_counted_twice_per_multiplication(tmp_path: Path) -> None:
    network = open_network(str(write_model(tmp_path / "m.safetensors", "lenet"))).network
    maps = [(1, 32, 48), (32, 64, 24), (64, 128, 12)]
    wanted = sum(2 * i * o * 9 * side**2 for i, o, side in maps) + 2 * (128 * 36 * 512 + 512 * 7)
    assert gflops(network, ChipSpec(48, 0.9, HALF, HALF)) == pytest.approx(wanted / 1e9)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_bins_add_up_to_the_calibration_error(pairs: list[tuple[float, bool]]) -> None:
    confidence, right = (np.array(v) for v in zip(*pairs, strict=True))
    bins = reliability(confidence, right)
    assert sum(b["n"] for b in bins) == len(pairs)
    assert all(b["low"] - 1e-9 <= b["confidence"] <= b["high"] + 1e-9 for b in bins)
    total = sum(b["n"] / len(pairs) * abs(b["confidence"] - b["accuracy"]) for b in bins)
    assert expected_calibration_error(confidence, right) == pytest.approx(total)


@given(st.floats(-1e4, 1e4), st.floats(0, 1e4))
def test_ticks_enclose_the_values(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert found[0] <= low + 1e-6 and found[-1] >= low + span - 1e-6
    assert 2 <= len(found) <= 7 and found == sorted(set(found))


def test_a_log_with_gaps_is_drawn(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text("epoch,step,train_loss,val_loss,val_accuracy\n1,5,1.5,,0.25\n2,10,1.25,1.0,0.5\n")
    panels = learning_curves(read_history(file))
    assert [p["title"] for p in panels] == ["Loss", "Validation"]
    assert [len(line["points"]) for line in panels[0]["lines"]] == [2, 1]
    assert learning_curves(read_history(tmp_path / "absent.csv")) == []


def test_an_accuracy_that_stays_is_drawn_with_ticks_that_differ(tmp_path: Path) -> None:
    """Logged from float32 and from float64 it is not the same number, and yet the same figure."""
    file = tmp_path / "metrics.csv"
    file.write_text(
        "epoch,val_accuracy,val_mean_class\n1,0.1857142895,0.1857142857\n2,0.1857142895,0.1857142857\n"
    )
    (panel,) = learning_curves(read_history(file))
    told = [text for text, _ in panel["y_ticks"]]
    assert len(set(told)) == len(told) >= 2 and max(map(len, told)) <= 6
    ((_, y), *_) = panel["lines"][0]["points"]
    assert 40 < y < 160  # near the middle, not on the frame


def test_a_log_of_a_run_that_diverged_is_drawn_as_far_as_it_goes(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text("epoch,train_loss,val_loss,val_accuracy\n1,1.5,1.0,nan\n2,nan,inf,nan\n")
    (panel,) = learning_curves(read_history(file))
    assert [(line["name"], len(line["points"]), line["last"]) for line in panel["lines"]] == [
        ("train", 1, "1.500"),
        ("validation", 1, "1.000"),
    ]


def test_intervals_hold_the_figure_and_a_missing_class_is_left_out() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 6, 200)  # surprise never occurs
    prob = rng.dirichlet(np.ones(7), 200).astype(np.float32)
    groups = np.arange(200).astype(str)
    found = figures(prob, np.eye(7, dtype=np.float32)[truth], groups, EXPRESSIONS, 50)
    assert "surprise" not in found["per_class"]
    for row in found["per_class"].values():
        low, high = row["intervals"]["recall"]
        assert low <= row["recall"] <= high
    assert [row["name"] for row in confusion(found)] == list(EXPRESSIONS.classes[:-1])
