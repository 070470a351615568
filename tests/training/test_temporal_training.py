"""A few steps of training on made-up pools, resuming, and comparing; the real files where they are."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engagement.classification.network import FaceStateNet, HeadSpec, NetworkSpec
from engagement.errors import ConfigError, DataError, WeightsError
from engagement.faces.chips import cut_chips, normalize_chips
from engagement.faces.pose import head_pose
from engagement.labels import EXPRESSIONS, LEARNER_STATES
from engagement.types import ChipSpec, FaceDetections
from engagement.video import open_video
from engagement.weights.store import WeightRecord, load_weights, save_weights
from temporal import build_smoother
from temporal.base import from_logits
from temporal.box import BoxSmoother, NoSmoother
from temporal.conv3d import Conv3dConfig
from temporal.lstm import LstmConfig, LstmNet
from tests import media
from tests.training.made_up_pools import PX, made_up_material
from training.cache import cached
from training.figure_text import to_json
from training.temporal.card import write_card
from training.temporal.clip_outputs import clip_runs, face_run
from training.temporal.evaluation import TemporalEvaluation, beats, compare, evaluate_temporal
from training.temporal.fit import Fitting, Schedule, choose_hmm, choose_windows, fit_network, held_out_runs
from training.temporal.frame_outputs import load_frame_model, pool
from training.temporal.module import TemporalTrainer, smoother_of
from training.temporal.report import report
from training.temporal.sequences import (
    ordered_runs,
)
from training.temporal.train import TemporalRun, train_temporal


def test_the_box_beats_nothing_where_frames_are_noisy(tmp_path: Path) -> None:
    material = made_up_material(3)
    assert material.ordered is not None
    runs = held_out_runs(material, 12, 1)
    windows = choose_windows(runs)
    assert windows[0] > 0.5
    smoothers = {"none": NoSmoother(), "box": BoxSmoother(*windows), "box, chosen": BoxSmoother(2.0)}
    tasks = {"made": runs, "wacv2016": ordered_runs(material.ordered)}
    result = compare(smoothers, tasks, 60)
    assert result["default"] == "box"
    assert result["steps"][0]["against"] == "none"
    value, low, high = result["tasks"]["made"]["box"]["overall"]
    assert low <= value <= high
    # A smoother that is the simpler one again beats nobody.
    same = compare({"box": BoxSmoother(2.0), "lstm": BoxSmoother(2.0)}, tasks, 20)
    assert same["default"] == "box"
    assert same["steps"][0]["difference"]["made"] == [0.0, 0.0, 0.0]
    page = report(
        {
            **result,
            "frame_weights": {"name": "f", "sha256": "0"},
            "weights": {},
            "box_s": [3.0, 5.0],
            "chosen_s": list(windows),
            "hmm_s": [0.5, 3.0],
            "hmm_chosen_s": [0.5, 3.0],
            "sequences": 12,
            "draws": 60,
        }
    )
    assert "**Default: `box`**" in page and "3 s for expressions and 5 s" in page
    assert f"{windows[0]:g} s and {windows[1]:g} s did best" in page
    assert f"{value:.3f}" not in page  # the overall figure stands in the comparison alone
    assert f"{result['tasks']['made']['box']['macro_f1'][0]:.3f}" in page


def test_errors_that_last_last() -> None:
    """What separates the steady tasks from the others: one picture, so one error, for a whole stretch."""

    def turns(steady: bool) -> int:
        runs = held_out_runs(made_up_material(3), 8, 1, steady=steady)
        wrong = [r.run.prob[:, :7].argmax(axis=1) != r.expression for r in runs if (r.expression >= 0).any()]
        return sum(int(np.diff(w).sum()) for w in wrong)

    assert turns(True) < turns(False)


def test_holding_times_come_from_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.temporal.fit.HOLDS_S", (0.05, 0.5))
    monkeypatch.setattr("training.temporal.fit.STATE_HOLDS_S", (3.0, 0.05))
    # The made-up pictures are so noisy that hardly holding anything is the worse of two.
    assert choose_hmm(made_up_material(3), 4, 1) == (0.5, 3.0)


def test_a_single_person_has_no_interval(tmp_path: Path) -> None:
    """As trials with a low --limit may have; JSON, page and the choice of the default cope."""
    ordered = made_up_material(0).ordered
    assert ordered is not None
    single = ordered_runs(replace(ordered, group=np.array(["one"] * len(ordered))))
    smoothers = {"none": NoSmoother(), "box": BoxSmoother(3.0)}
    result = compare(smoothers, {"made": single, "wacv2016": single}, 50)
    value, low, high = result["tasks"]["wacv2016"]["box"]["state_auc"]
    assert 0 < value < 1 and np.isnan([low, high]).all()
    assert result["default"] == "none"
    assert json.loads(to_json(result))["steps"][0]["difference"]["made"][1:] == [None, None]
    about = {"frame_weights": {"name": "f", "sha256": "0"}, "weights": {}, "sequences": 1, "draws": 50}
    about |= {"hmm_s": [0.5, 3.0], "hmm_chosen_s": [0.7, 2.0]}
    page = report({**result, **about, "box_s": [3.0, 5.0], "chosen_s": [3.0, 5.0]})
    assert "validation\nsequences chose 0.7 s and 2 s (`hmm, chosen`)" in page
    assert f"| box | {result['tasks']['wacv2016']['box']['auc_engagement'][0]:.3f} |" in page
    assert "nan" not in page


@pytest.mark.parametrize(
    ("made", "shifted", "real", "expected"),
    [
        ((0.1, 0.01, 0.2), (0.1, 0.01, 0.2), (0.0, -0.1, 0.1), True),
        ((0.1, 0.01, 0.2), (0.1, -0.01, 0.2), (0.0, -0.1, 0.1), False),
        ((0.1, -0.01, 0.2), (0.1, 0.01, 0.2), (0.1, 0.0, 0.2), False),
        ((0.1, 0.01, 0.2), (0.1, 0.01, 0.2), (-0.1, -0.2, -0.01), False),
    ],
)
def test_what_beating_means(made: tuple, shifted: tuple, real: tuple, expected: bool) -> None:
    difference = {"made": made, "shifted": shifted, "wacv2016": real}
    assert beats(difference, "box") is expected
    # The time between real people's frames is unknown: no veto against smoothing as such.
    assert beats(difference, "none") is (expected or real[2] < 0)


SMALL = Schedule(steps=6, batch=4, learning_rate=1e-2, epoch_steps=3, validation_runs=2)


@pytest.mark.parametrize("config", [LstmConfig(hidden=6), Conv3dConfig(channels=(4, 4, 4), hidden=8)])
def test_a_few_steps_change_the_network_and_survive_the_file(
    config: LstmConfig | Conv3dConfig, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    kind = "lstm" if isinstance(config, LstmConfig) else "cnn3d"
    material = made_up_material(0)
    said: list[str] = []
    network, checkpoint, metrics = fit_network(
        Fitting(kind, SMALL, config), material, made_up_material(9), tmp_path, said.append
    )
    assert not recwarn.list  # Lightning's, which mean nothing here
    assert checkpoint.is_file()
    assert (tmp_path / "last.ckpt").is_file()
    assert any(p.abs().max() > 0 for p in network.head.parameters())
    assert 0 < metrics["val_score"] < 1
    assert [s.split(":")[0] for s in said if s.startswith("step")] == ["step 3", "step 6"]
    rows = (tmp_path / "log" / "metrics.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 3
    assert "val_score" in rows[0]
    record = WeightRecord(kind, asdict(network.config))
    save_weights(tmp_path / "out.safetensors", record, network.state_dict())
    loaded = load_weights(str(tmp_path / "out.safetensors"), kind)
    again = build_smoother(kind, (loaded.record.network, loaded.tensors))
    run = held_out_runs(material, 1, 3)[0].run
    np.testing.assert_allclose(again.smooth(run), smoother_of(network).smooth(run), atol=0.01)


@pytest.mark.parametrize("steps", [1, 9, 10, 11])
def test_a_run_of_any_length_has_a_schedule(steps: int) -> None:
    made = TemporalTrainer(
        LstmNet(LstmConfig(hidden=2)), torch.ones(7), [], 1e-2, steps
    ).configure_optimizers()
    for _ in range(steps - 1):
        made["optimizer"].step()
        made["lr_scheduler"]["scheduler"].step()
    assert 0 < made["optimizer"].param_groups[0]["lr"] <= 1e-2


def test_a_resumed_run_goes_on_as_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, material, other = LstmConfig(hidden=6), made_up_material(0), made_up_material(9)
    fit_network(Fitting("lstm", SMALL, config), material, other, tmp_path / "whole")

    class KilledError(Exception):
        pass

    def say(text: str) -> None:
        if text.startswith("step 6"):
            raise KilledError

    with pytest.raises(KilledError):
        fit_network(Fitting("lstm", SMALL, config), material, other, tmp_path / "cut", say)
    fit_network(Fitting("lstm", SMALL, config), material, other, tmp_path / "cut")
    whole, cut = (
        torch.load(tmp_path / d / "last.ckpt", weights_only=False)["state_dict"] for d in ("whole", "cut")
    )
    for key in whole:
        torch.testing.assert_close(cut[key], whole[key])
    with pytest.raises(ConfigError, match="seed"):
        fit_network(Fitting("lstm", SMALL, config, seed=2), material, other, tmp_path / "cut")
    with pytest.raises(ConfigError, match="outputs of the frame model"):
        fit_network(Fitting("lstm", SMALL, config), made_up_material(1), other, tmp_path / "cut")
    (tmp_path / "cut" / "settings.json").unlink()
    with pytest.raises(ConfigError, match="differs in"):
        fit_network(Fitting("lstm", SMALL, config), material, other, tmp_path / "cut")


@pytest.mark.parametrize(
    ("file", "kept", "said"),
    [
        ("last.ckpt", 2000, r"last\.ckpt is damaged\. Remove .*last\.ckpt: the run then begins anew"),
        ("best.ckpt", 2000, r"best\.ckpt is damaged\. Remove .*last\.ckpt"),
        ("best.ckpt", None, r"best\.ckpt is gone, which held the best epoch\. Remove .*last\.ckpt"),
    ],
)
def test_a_checkpoint_that_does_not_serve_is_named(
    file: str, kept: int | None, said: str, tmp_path: Path
) -> None:
    config, material, other = LstmConfig(hidden=4), made_up_material(0), made_up_material(9)
    short = replace(SMALL, steps=2, epoch_steps=1, validation_runs=1)
    fit_network(Fitting("lstm", short, config), material, other, tmp_path)
    told: list[str] = []
    fit_network(Fitting("lstm", short, config), material, other, tmp_path, told.append)
    assert f"{tmp_path}: finished before, nothing is left to train" in told
    path = tmp_path / file
    content = path.read_bytes()
    path.unlink()
    if kept is not None:
        path.write_bytes(content[:kept])
    with pytest.raises(DataError, match=said):
        fit_network(Fitting("lstm", short, config), material, other, tmp_path)
    (tmp_path / "last.ckpt").unlink(missing_ok=True)
    fit_network(Fitting("lstm", short, config), material, other, tmp_path)


def test_half_a_file_of_outputs_is_made_anew(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> dict[str, np.ndarray]:
        made.append(1)
        return {"group": np.array(["a", "b"]), "logits": np.arange(6.0)}

    path = tmp_path / "outputs" / "x.npz"
    first = cached(path, make)
    again = cached(path, make)
    assert len(made) == 1
    assert again["group"].tolist() == first["group"].tolist()
    path.write_bytes(path.read_bytes()[:100])
    assert cached(path, make)["logits"].tolist() == first["logits"].tolist()
    assert len(made) == 2


@pytest.mark.parametrize(
    ("phase", "learned"),
    [
        ({}, {}),
        ({"head": {"views": 3}, "fit": ["train"]}, {}),
        ({"data": "daisee", "head": {"views": 3}}, {"state": ["DAiSEE's validation people"]}),
        (
            {"data": "daisee", "head": {"views": 3}, "fit": ["train", "val"], "more": {"data": ["wacv2016"]}},
            {"state": ["DAiSEE's validation people", "people of wacv2016"]},
        ),
        ({"head": {"name": "mood"}, "base": {"head": {"views": 3}, "fit": ["train"]}}, {}),
        (
            {"data": "rafdb", "recipe": {"validation_share": None}},
            {"expression": ["RAF-DB's validation faces"]},
        ),
    ],
)
def test_a_frame_model_says_whom_it_knows(phase: dict, learned: dict[str, list[str]], tmp_path: Path) -> None:
    path = _frame_weights(tmp_path / "frame.safetensors")
    loaded = load_weights(str(path), "face_state")
    save_weights(path, replace(loaded.record, origin=phase), loaded.tensors)
    model = load_frame_model(path)
    assert model.learned == learned
    # The head that knows them is named, with what would help it.
    assert [
        "expression head" in text and "held out at least 10% of RAF-DB" in text for text in model.beware
    ] == [head == "expression" for head in learned]
    made = {"bound": 1.5}
    record = WeightRecord("lstm", made, origin={"frame_weights_learned": learned})
    card = write_card(tmp_path / "lstm.md", record, "0", 1).read_text(encoding="utf-8")
    for head, says in (("expression", "expressions"), ("state", "states")):
        assert (f"frame model's {head} head had learned" in card) is (head in learned)
        assert (f"what is said of {says} here does not hold" in card) is (head in learned)


def _frame_weights(path: Path, heads: tuple[str, ...] = ("expression", "state")) -> Path:
    torch.manual_seed(0)
    labels = {"expression": EXPRESSIONS, "state": LEARNER_STATES}
    spec = NetworkSpec("mobilenet_v2", {h: HeadSpec(labels[h]) for h in heads})
    chip = ChipSpec(48, 0.9, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    calibration = {
        "expression": {"temperature": 2.0},
        "state": {"scale": [1.0, 2.0, 0.5], "bias": [0.0, 1.0, -1.0]},
    }
    record = WeightRecord("face_state", spec.to_dict(), chip.to_dict(), calibration)
    save_weights(path, record, FaceStateNet(spec).state_dict())
    return path


def test_the_frame_models_calibration_is_applied(tmp_path: Path) -> None:
    model = load_frame_model(_frame_weights(tmp_path / "frame.safetensors"))
    chips = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 3)).astype(np.uint8)
    logits = model.logits(chips)

    with torch.inference_mode():
        raw = model.opened.network(torch.from_numpy(normalize_chips(chips, model.chip))).logits
    np.testing.assert_allclose(logits[:, :7], torch.log_softmax(raw["expression"] / 2, 1), atol=1e-4)
    expected = raw["state"].numpy() * [1.0, 2.0, 0.5] + [0.0, 1.0, -1.0]
    np.testing.assert_allclose(logits[:, 7:], expected, atol=1e-4)


def test_a_frame_model_without_states_is_refused(tmp_path: Path) -> None:
    path = _frame_weights(tmp_path / "frame.safetensors", ("expression",))
    with pytest.raises(WeightsError, match="'state' head"):
        load_frame_model(path)


def test_unknown_models_and_training_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lstm, cnn3d"):
        train_temporal(TemporalRun("gru", "x", tmp_path, None, tmp_path))
    model = load_frame_model(_frame_weights(tmp_path / "frame.safetensors"))
    with pytest.raises(DataError, match="trained on the train split"):
        pool(model, tmp_path, "rafdb", "train", tmp_path, PX)


class EverySecondFrame:
    """A detector that finds a small and a large face in every second frame."""

    def __init__(self) -> None:
        self.calls = 0

    def detect(self, rgb: np.ndarray, frame_index: int, time_s: float) -> FaceDetections:
        self.calls += 1
        if self.calls % 2 == 0:
            return FaceDetections.none(frame_index, time_s)
        boxes = np.array([[0, 0, 20, 20], [30, 10, 90, 70]], np.float32)
        points = boxes[:, None, :2] + np.array([[5, 6], [15, 6], [10, 11], [6, 15], [14, 15]], np.float32)
        return FaceDetections(frame_index, time_s, boxes, np.ones(2, np.float32), points.astype(np.float32))


def test_the_largest_face_of_a_clip_is_followed(tmp_path: Path) -> None:
    clip = media.steady(tmp_path)
    model = load_frame_model(_frame_weights(tmp_path / "frame.safetensors"))
    run = face_run(model, clip.path, PX, EverySecondFrame())  # type: ignore[arg-type]
    np.testing.assert_allclose(run.times_s, np.arange(0, 1.6, 0.2), atol=1e-6)
    np.testing.assert_array_equal(run.valid, np.arange(8) % 2 == 0)
    assert run.chips is not None
    assert run.chips[run.valid].any(axis=(1, 2)).all()
    assert not run.chips[~run.valid].any()
    with open_video(clip.path) as video:
        first = next(iter(video.tickets())).frame().rgb
    large = EverySecondFrame().detect(first, 0, 0.0).take(np.array([1], np.int64))
    roll = head_pose(large.landmarks_xy)[:, 2]
    chip = cut_chips(first, large.boxes_xyxy, roll, model.chip)
    np.testing.assert_allclose(run.prob[0], from_logits(model.logits(chip))[0], atol=1e-4)
    with pytest.raises(DataError, match="no clips named webcam"):
        clip_runs(model, tmp_path, tmp_path, PX)


@pytest.mark.shared
@pytest.mark.slow
def test_from_files_to_weights_and_figures(shared_data: Path, tmp_path: Path) -> None:
    frame = _frame_weights(tmp_path / "frame.safetensors")
    made = train_temporal(
        TemporalRun("lstm", str(frame), shared_data, None, tmp_path / "out", max_steps=2, limit=120)
    )
    assert load_weights(str(made["weights"]), "lstm").record.origin["frame_weights"] == "frame"
    card = made["card"].read_text(encoding="utf-8")
    assert "non-commercial" in card
    assert str(tmp_path) not in card
    asked = TemporalEvaluation(
        str(frame),
        shared_data,
        tmp_path / "out",
        {"lstm": str(made["weights"])},
        docs=tmp_path / "temporal.md",
        sequences=2,
        draws=5,
        limit=120,
    )
    result = evaluate_temporal(asked)
    other = _frame_weights(tmp_path / "other.safetensors")
    loaded = load_weights(str(other), "face_state")
    save_weights(other, replace(loaded.record, origin={"data": "others"}), loaded.tensors)
    with pytest.raises(WeightsError, match="another frame model"):
        evaluate_temporal(replace(asked, frame_weights=str(other)))
    stored = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert stored["default"] == result["default"]
    page = (tmp_path / "temporal.md").read_text(encoding="utf-8")
    assert "| lstm |" in page
    assert str(tmp_path) not in page
