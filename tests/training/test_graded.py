"""Several graded labels of a picture: read from a CSV, fitted as steps of one direction, used by further commands."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from engagement.classification.network import HeadSpec
from engagement.errors import DataError
from engagement.labels import LEARNER_STATES, LabelSet
from engagement.weights.store import load_weights
from tests.training.invoking import error, ok
from tests.training.made_up_faces import write_face
from tests.training.tiny_models import write_model
from training.datasets.graded import graded_csv, thresholds
from training.datasets.manifest import is_grade
from training.datasets.registry import load
from training.fitting.frozen import HeadFit, apply_head, fit_head
from training.measuring.metrics import auc
from training.measuring.opened import open_model


@pytest.fixture
def graded(tmp_path: Path) -> Path:
    """24 faces of 12 people; the kind of face decides how tired it is (0-2), not how loud (0-1)."""
    rows = []
    for i in range(24):
        write_face(tmp_path / "pictures" / f"{i}.png", i % 3, i)
        rows.append({"file": f"pictures/{i}.png", "person": f"p{i // 2}", "tired": i % 3, "loud": i // 2 % 2})
    rows[5]["loud"] = ""
    return write(tmp_path / "grades.csv", rows)


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


def test_each_grade_becomes_its_steps(graded: Path) -> None:
    table = graded_csv(graded)
    assert table.labels.classes == ("loud_1", "tired_1", "tired_2")
    assert table.target[:3, 1:].tolist() == [[0, 0], [1, 0], [1, 1]]
    assert np.isnan(table.target[5, 0]) and np.isfinite(np.delete(table.target, 5, axis=0)).all()
    assert len(set(table.group.tolist())) == 12
    assert thresholds(table.labels) == {"loud": (0,), "tired": (1, 2)}


def test_splits_boxes_and_people_of_a_csv_are_taken(tmp_path: Path) -> None:
    for i in range(3):
        write_face(tmp_path / f"{i}.png", i, i)
    lines = [
        "file,split,group,box_x1,box_y1,box_x2,box_y2,tired",
        "0.png,test,a.mp4#1,0.1,0.2,0.8,0.9,0",
        "1.png,val,a.mp4#7,0.1,0.2,0.8,0.9,1",
        "2.png,,,,,,,1",
    ]
    (tmp_path / "grades.csv").write_text("\n".join(lines) + "\n")
    table = graded_csv(tmp_path / "grades.csv")
    assert table.split.tolist() == ["test", "val", "train"]
    assert table.group.tolist() == ["a.mp4#1", "a.mp4#7", "2.png"]
    assert table.source.tolist() == ["a.mp4", "a.mp4", "2.png"]
    assert table.box[:2].tolist() == [pytest.approx([0.1, 0.2, 0.8, 0.9])] * 2
    assert table.images == [tmp_path / f"{i}.png" for i in range(3)]
    assert len(table.notes) == 1  # one has no box


def test_people_that_are_named_for_some_faces_only_are_said(graded: Path, base_file: Path) -> None:
    lines = graded.read_text(encoding="utf-8").splitlines()
    some = [*lines[:19], *(re.sub(r",p\d+,", ",,", line) for line in lines[19:])]
    graded.write_text("\n".join(some), encoding="utf-8")
    out = graded.with_name("out")
    said = ok("extension", "--data", graded, "--base", base_file, "--name", "own", "-o", out).output
    assert "beware: nothing tells which person or recording 6 of 24 pictures are of" in said


def test_grades_beside_labels_are_said_not_to_be_read(graded: Path) -> None:
    with graded.open(newline="", encoding="utf-8") as file:
        rows = [dict(row) | {"label": f"k{i % 2}", "note": "?"} for i, row in enumerate(csv.DictReader(file))]
    boxes = [{"x1": "0", "y1": "0", "x2": "1", "y2": 1 + i % 2} for i in range(len(rows))]
    table = load(str(write(graded, [row | box for row, box in zip(rows, boxes, strict=True)])))
    assert table.labels.classes == ("k0", "k1")
    assert "beside 'label': tired, loud; a CSV without 'label'" in table.notes[-1]
    assert "could be grades" in ok("dataset", "inspect", graded).output
    plain = [{name: row[name] for name in ("file", "label", "note", "person")} for row in rows]
    assert not load(str(write(graded, plain))).notes


def test_mistakes_in_the_table_are_named(graded: Path) -> None:
    lines = graded.read_text(encoding="utf-8").splitlines()
    slip = graded.with_name("slip.csv")
    slip.write_text(
        "\n".join([lines[0] + ",Subject", *(line + ",7" for line in lines[1:])]), encoding="utf-8"
    )
    assert (
        graded_csv(slip).labels.classes == graded_csv(graded).labels.classes
    )  # no grade, but whose a face is
    slip.write_text("\n".join([lines[0], lines[1] + ",9", *lines[2:]]), encoding="utf-8")
    with pytest.raises(DataError, match="line 2: more cells"):
        graded_csv(slip)
    slip.write_text("\n".join([lines[0] + ",flat", *(line + ",2" for line in lines[1:])]), encoding="utf-8")
    with pytest.raises(DataError, match="'flat' is 2 wherever"):
        graded_csv(slip)


@pytest.mark.parametrize("delimiter", [",", '","', ", ", '", "'])
def test_a_header_may_be_quoted_and_spaced(graded: Path, delimiter: str) -> None:
    with graded.open(newline="", encoding="utf-8") as file:
        rows = [[row[name] for name in ("file", "tired", "loud")] for row in csv.DictReader(file)]
    quote = '"' if '"' in delimiter else ""
    lines = [quote + delimiter.join(row) + quote for row in (["file", "tired", "loud"], *rows)]
    graded.write_text("\n".join(lines), encoding="utf-8")
    table = load(str(graded))
    assert table.labels.classes == ("loud_1", "tired_1", "tired_2")
    assert table.target[:3, 1:].tolist() == [[0, 0], [1, 0], [1, 1]]


def test_people_in_a_quoted_or_spaced_header_are_kept_apart(graded: Path) -> None:
    text = graded.read_text(encoding="utf-8")
    header, rest = text.split("\n", 1)
    assert header.strip() == "file,person,tired,loud"
    graded.write_text('"file","person","tired","loud"\n' + rest, encoding="utf-8")
    assert len(set(load(str(graded)).group.tolist())) == 12
    graded.write_text("file, person, tired, loud\n" + rest.replace(",", ", "), encoding="utf-8")
    assert len(set(load(str(graded)).group.tolist())) == 12


@pytest.mark.parametrize("classes", [LEARNER_STATES.classes, ("a_1", "a_3"), ("a_1", "b")])
def test_other_labels_are_no_steps(classes: tuple[str, ...]) -> None:
    assert thresholds(LabelSet("x", classes, "independent")) == {}


def test_steps_share_a_direction_and_never_cross() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(600, 5)).astype(np.float32)
    level = np.digitize(features[:, 0] + 0.5 * rng.normal(size=600), [-0.8, 0.3, 1.2])
    target = np.stack([level >= k for k in (1, 2, 3)], axis=1).astype(np.float32)
    spec = HeadSpec(LabelSet("grade", ("g_1", "g_2", "g_3"), "independent"))
    found = fit_head(
        features[None], target, spec, HeadFit(weight_decay=0.001, balance=0.0, tied=((0, 1, 2),))
    )
    logits = apply_head(features, found)
    assert (np.diff(logits, axis=1) < 0).all()  # at least 2 is never likelier than at least 1
    assert np.corrcoef(logits[:, 0], level)[0, 1] > 0.8
    np.testing.assert_array_equal(found["1.weight"][0], found["1.weight"][2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tired": "very"}, "grades.csv, line 4: 'very' is no grade of 'tired'"),
        ({"tired": "1.5"}, "'1.5' is no grade of 'tired'"),
        ({"file": "lost.png"}, "lost.png does not exist"),
    ],
)
def test_what_is_no_grade_is_named(
    graded: Path, base_file: Path, tmp_path: Path, change: dict[str, str], message: str
) -> None:
    with graded.open(newline="", encoding="utf-8") as file:
        rows: list[dict[str, object]] = [dict(row) for row in csv.DictReader(file)]
    rows[2] |= change
    write(graded, rows)
    assert message in error(
        "extension", "--data", graded, "--base", base_file, "--name", "grades", "-o", tmp_path / "out"
    )


def test_a_grade_is_a_whole_number_up_to_ten() -> None:
    assert all(map(is_grade, map(str, range(11))))
    assert not any(map(is_grade, ("11", "-1", "1.5", "", "²", "1e0", " ")))


def test_a_grade_that_never_varies_is_refused(graded: Path) -> None:
    with graded.open(newline="", encoding="utf-8") as file:
        rows = [dict(row) | {"loud": 0} for row in csv.DictReader(file)]
    with pytest.raises(Exception, match="grade 'loud' is never above 0"):
        graded_csv(write(graded, rows))


def test_an_extension_learns_grades_and_is_measured(
    graded: Path, make_base: Callable[..., Path], tmp_path: Path
) -> None:
    base = make_base("mobilenet_v2")
    ok("extension", "--data", graded, "--base", base, "--name", "lesson", "-o", tmp_path / "out")
    path = tmp_path / "out" / "model.safetensors"
    heads = load_weights(str(path), "face_state").record.network["heads"]
    assert heads["lesson"]["labels"]["classes"] == ["loud_1", "tired_1", "tired_2"]
    ok(
        "evaluate", graded, "--checkpoint", path, "--head", "lesson", "--split", "all", "--no-mirror",
        "--json", tmp_path / "found.json",
    )  # fmt: skip
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["tired_2"]["auc"] > 0.9


def test_a_head_of_states_is_measured_on_grades_and_on_folders_of_states(
    graded: Path, tmp_path: Path
) -> None:
    """What a head says of a state is held against each step of the grade, or against the other folders."""
    model = write_model(tmp_path / "states.safetensors", states=True)
    graded.write_text(
        graded.read_text(encoding="utf-8").replace("tired", "bored").replace("loud", "engagement")
    )
    report = ("--report", tmp_path / "report", "--gallery")
    ok("evaluate", graded, "--checkpoint", model, "--no-mirror", "--json", tmp_path / "found.json", *report)
    page = (tmp_path / "report/report.html").read_text()
    assert "No faces are shown" in page and "Pictures of real people" not in page
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["head"] == "state" and found["labels"] == ["bored_1", "bored_2", "engagement_1"]
    table = load(str(graded))
    said = open_model(str(model)).probabilities("state", table)
    for step, column in (("bored_1", 0), ("bored_2", 0), ("engagement_1", 1)):
        yes = table.target[:, table.labels.index(step)]
        known = np.isfinite(yes)
        expected = auc(said[known, column], yes[known] > 0.5)
        assert found[step]["auc"] == pytest.approx(expected, abs=1e-6)
        assert found[step]["n"] == known.sum()
        assert found[step]["positive_share"] == pytest.approx(float(yes[known].mean()), abs=1e-6)

    for i in range(12):
        write_face(tmp_path / "folders" / ("bored" if i % 3 else "Confusion") / f"{i}.png", i % 3, i)
    said_so = ok("evaluate", tmp_path / "folders", "--checkpoint", model, "--json", tmp_path / "found.json")
    assert "each state against the others' faces" in said_so.output
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["boredom"]["positive_share"] == pytest.approx(2 / 3, abs=1e-6)
    assert found["confusion"]["auc"] is not None and found["engagement"]["auc"] is None
