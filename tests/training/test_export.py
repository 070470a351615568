"""An exported file does what torch does, says what it is, and is not written where it would not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from engagement.weights.store import load_weights, read_record, save_weights  # noqa: E402
from tests.training.invoking import error, ok  # noqa: E402
from tests.training.made_up_faces import made_up_face  # noqa: E402
from tests.training.tiny_models import write_model  # noqa: E402
from training.export import run as export_run  # noqa: E402
from training.export.graph import chip_inputs, torch_outputs  # noqa: E402
from training.export.quantisation import exact_nodes  # noqa: E402
from training.measuring.opened import open_model  # noqa: E402


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    found = {
        "grey": write_model(folder / "grey.safetensors", "cnn_bn", 48, 1),
        "states": write_model(
            folder / "states.safetensors", "efficientnet_b0", 96, 2, states=True, identity=16
        ),
        "odd": write_model(folder / "odd.safetensors", "mobilenet_v2", 40, 3, mirror=True),
    }
    found["default"] = Path("default")
    found["ensemble"] = folder / "ensemble.safetensors"
    ok("ensemble", found["grey"], found["odd"], "--weights", "2,1", "-o", found["ensemble"])
    return found


@pytest.mark.parametrize("kind", ["grey", "states", "odd", "ensemble", "default"])
def test_the_file_does_what_torch_does(kind: str, models: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    printed = ok("export", models[kind], "--onnx", "-o", path).output
    assert "largest difference from torch" in printed
    model = open_model(str(models[kind]))
    inputs = chip_inputs(model)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    assert [value.name for value in session.get_inputs()] == list(inputs)
    for count in (1, 3):  # the number of faces is open
        chips = [np.stack([made_up_face(k, 9, s.size) for k in range(count)]) for s in inputs.values()]
        got = dict(zip(names, session.run(names, dict(zip(inputs, chips, strict=True))), strict=True))
        for name, wanted in torch_outputs(model, chips).items():
            np.testing.assert_allclose(got[name], wanted, atol=1e-4)
    assert (names == ["expression", "state", "identity"]) == (kind in ("states", "default"))


def test_what_is_compared_is_what_evaluate_says(models: dict[str, Path], expression_folders: Path) -> None:
    from training.datasets.registry import load
    from training.samples.chip_dataset import ChipDataset

    table = load(str(expression_folders)).part("test")
    for kind in ("grey", "ensemble"):
        model = open_model(str(models[kind]))
        chips = [
            np.stack([ChipDataset(table, spec).chip(i) for i in range(len(table))])
            for spec in chip_inputs(model).values()
        ]
        np.testing.assert_allclose(
            torch_outputs(model, chips)["expression"], model.probabilities("expression", table), atol=1e-5
        )


def test_the_file_says_what_its_user_must_know(models: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    ok("export", models["states"], "--onnx", "-o", path)
    facts = ort.InferenceSession(str(path)).get_modelmeta().custom_metadata_map
    assert json.loads(facts["labels"])["state"]["classes"] == ["boredom", "engagement", "confusion"]
    assert json.loads(facts["chips"])["chips"]["size"] == 96
    assert json.loads(facts["calibration"])["expression"]["temperature"] == 1.4
    assert facts["licence"] == "made up 2" and facts["precision"] == "float32"
    assert facts["looks"].startswith("one at each face; `engagement analyze` takes two")
    found = json.loads(path.with_name(f"{path.name}.json").read_text())
    assert set(found["largest_difference"]["random faces"]) == {"expression", "state", "identity"}


@pytest.mark.parametrize(("kind", "looks"), [("odd", "two at"), ("ensemble", "one or two at")])
def test_the_file_says_how_often_it_looks(
    kind: str, looks: str, models: dict[str, Path], tmp_path: Path
) -> None:
    ok("export", models[kind], "--onnx", "-o", tmp_path / "m.onnx")
    facts = ort.InferenceSession(str(tmp_path / "m.onnx")).get_modelmeta().custom_metadata_map
    assert facts["looks"].startswith(looks)


def test_a_file_that_differs_is_not_written(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = export_run.onnx_outputs
    monkeypatch.setattr(
        export_run, "onnx_outputs", lambda path, chips: {k: v + 0.01 for k, v in honest(path, chips).items()}
    )
    said = error("export", models["grey"], "--onnx", "-o", tmp_path / "m.onnx")
    assert "differs from the original by 0.01 in 'expression'" in said
    assert not list(tmp_path.iterdir())


def test_8_bits_tell_how_far_they_agree(
    models: dict[str, Path], expression_folders: Path, tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    words = ("export", models["grey"], "--onnx", "--int8", "--data", expression_folders, "-o", path)
    printed = ok(*words, "--min-agreement", "0").output
    assert "8 bits agree with the original on" in printed
    found = json.loads(path.with_name(f"{path.name}.json").read_text())
    assert found["bytes"] < found["float_bytes"]
    assert 0.5 < found["agreement"]["expression"] <= 1
    assert set(found["accuracy"]) == {"float", "int8"}
    assert ort.InferenceSession(str(path)).get_modelmeta().custom_metadata_map["precision"] == "int8"


def test_8_bits_that_change_too_much_are_refused(
    models: dict[str, Path], expression_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = export_run._agreement
    monkeypatch.setattr(export_run, "_agreement", lambda *a: {**honest(*a), "agreement": {"expression": 0.5}})
    said = error(
        *("export", models["grey"], "--onnx", "--int8", "--data", expression_folders),
        *("-o", tmp_path / "m.onnx"),
    )
    assert "8 bits leave 'expression' as it is for 50.0%" in said
    assert not list(tmp_path.iterdir())


def test_test_faces_are_left_alone(expression_folders: Path, tmp_path: Path) -> None:
    run = export_run.ExportRun("default", tmp_path / "m.onnx", True, str(expression_folders))
    ranges, compared = export_run._faces(run, lambda _: None)
    assert ranges is not None and compared is not None
    assert set(ranges.split) == {"train"} and set(compared.split) == {"val"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--onnx", "-o", "m.pt"], "does not end in .onnx"),
        (["--onnx", "-o", "m.onnx", "--int8"], "--int8 needs --data"),
        (["--onnx", "-o", "m.onnx", "--limit", "3"], "--limit says nothing without --data"),
        (["--onnx", "-o", "m.onnx", "--skip-bad"], "--skip-bad says nothing without --data"),
        (["--onnx", "-o", "m.onnx", "--min-agreement", "0.9"], "--min-agreement says nothing without --int8"),
        (["--onnx", "-o", "m.onnx", "--tolerance", "0"], "--tolerance 0.0 is not within"),
        (["-o", "m.onnx"], "Missing option '--onnx'"),
    ],
)
def test_mistakes_are_named(words: list[str], message: str, models: dict[str, Path]) -> None:
    assert message in error("export", models["grey"], *words)


@pytest.mark.parametrize("kind", ["ensemble", "default"])
def test_first_and_last_layers_of_every_member_and_head_stay_in_float(
    kind: str, models: dict[str, Path], tmp_path: Path
) -> None:
    import onnx

    path = tmp_path / "m.onnx"
    ok("export", models[kind], "--onnx", "-o", path)
    kept = set(exact_nodes(path))
    dense = [node for node in onnx.load(str(path)).graph.node if node.op_type in ("Conv", "Gemm")]
    prefixes = ("/networks.0/", "/networks.1/") if kind == "ensemble" else ("",)
    for prefix in prefixes:
        own = [node.name for node in dense if prefix in node.name]
        assert own[0] in kept, own[0]
    for head in ("expression", "state", "identity"):
        for prefix in prefixes:
            own = [n.name for n in dense if n.op_type == "Gemm" and prefix in n.name and f"/{head}" in n.name]
            assert not own or own[-1] in kept, own
    assert len(kept) < len(dense)


@pytest.mark.shared
@pytest.mark.slow
def test_the_shipped_model_exports_with_8_bits(shared_data: Path, tmp_path: Path) -> None:
    data = f"{shared_data}:rafdb"
    printed = ok(
        *(
            "export",
            "default",
            "--onnx",
            "--int8",
            "--data",
            data,
            "--limit",
            300,
            "--min-agreement",
            0.9,
            "-o",
            tmp_path / "m.onnx",
        )
    ).output
    assert "agree" in printed
    assert (tmp_path / "m.onnx").stat().st_size < 12e6


def test_a_model_that_evens_out_light_is_refused_at_once(models: dict[str, Path], tmp_path: Path) -> None:
    record, tensors = read_record(models["grey"]), load_weights(str(models["grey"]), "face_state").tensors
    save_weights(
        tmp_path / "even.safetensors", replace(record, chip={**record.chip, "equalize": True}), tensors
    )
    said = error("export", tmp_path / "even.safetensors", "--onnx", "-o", tmp_path / "m.onnx")
    assert "even evens out the light of every face first" in said
