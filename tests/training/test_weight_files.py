"""Weight files of another form: what is wrong with them is said in one line that names the file."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engagement.classification.classifier import ClassifierConfig, FaceClassifier
from engagement.errors import WeightsError
from engagement.smoothing import SmoothingConfig, load_smoother
from engagement.weights.store import WeightRecord, load_weights, save_weights
from temporal.lstm import LstmConfig, LstmNet
from tests.training.tiny_models import write_model
from training.measuring.opened import open_network


def _rewritten(path: Path, change: Callable[[Any], None], part: str = "network") -> str:
    """A network of both heads whose record was changed."""
    loaded = load_weights(str(write_model(path, states=True)), "face_state")
    body = copy.deepcopy(dict(getattr(loaded.record, part)))
    change(body)
    save_weights(path, replace(loaded.record, **{part: body}), loaded.tensors)
    return str(path)


def _labels(head: str, **changes: Any) -> Callable[[Any], None]:
    return lambda network: network["heads"][head]["labels"].update(changes)


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("network", _labels("state", classes=["boredom", "engagement"]), "'heads.state.1.bias'.*3 .*2 "),
        ("network", dict.clear, "describes no network .it lacks 'heads'"),
        ("network", lambda network: network.update(backbone="resnet999"), "unknown backbone 'resnet999'"),
        ("network", _labels("state", kind="any"), "unknown kind of label set: 'any'"),
        ("chip", dict.clear, "describes no face chips .it lacks 'mean'"),
        ("chip", lambda chip: chip.update(size="large"), "describes no face chips .*large"),
    ],
)
def test_a_record_of_another_form_is_told(
    part: str, change: Callable[[Any], None], said: str, tmp_path: Path
) -> None:
    path = _rewritten(tmp_path / "odd.safetensors", change, part)
    with pytest.raises(WeightsError, match=f"odd: .*{said}") as caught:
        open_network(path)
    assert "engagement train" in caught.value.hint


@pytest.mark.parametrize(
    ("head", "changes", "said"),
    [
        ("state", {"classes": ["tired", "engagement", "confusion"]}, "none of ours: tired"),
        ("state", {"kind": "exclusive"}, "exclusive classes"),
        ("expression", {"kind": "independent"}, "independent classes"),
        (
            "expression",
            {"classes": ["angry", "disgust", "fear", "happy", "neutral", "sad", "awe"]},
            "ours: awe",
        ),
    ],
)
def test_documented_heads_are_for_documented_classes(
    head: str, changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = _rewritten(tmp_path / "odd.safetensors", _labels(head, **changes))
    with pytest.raises(WeightsError, match=rf"odd\.safetensors: its head '{head}' has .*{said}") as caught:
        FaceClassifier(ClassifierConfig(path))
    assert "train extension" in caught.value.hint


def test_a_smoother_of_another_version_is_told(tmp_path: Path) -> None:
    config = LstmConfig(hidden=4)
    network = {name: getattr(config, name) for name in config.__slots__ if name != "hop_s"}
    path = tmp_path / "old.safetensors"
    save_weights(path, WeightRecord("lstm", network), LstmNet(config).state_dict())
    with pytest.raises(WeightsError, match=r"old\.safetensors: .*hop_s") as caught:
        load_smoother(SmoothingConfig("lstm", str(path)))
    assert "--temporal-weights" in caught.value.hint
    # Of another size than its record says.
    save_weights(
        path, WeightRecord("lstm", {**network, "hop_s": 15.0, "hidden": 6}), LstmNet(config).state_dict()
    )
    with pytest.raises(WeightsError, match=r"old\.safetensors: .*do not fit"):
        load_smoother(SmoothingConfig("lstm", str(path)))


@pytest.mark.parametrize("name", ["best.ckpt", "model.onnx"])
def test_what_to_give_instead_of_a_checkpoint_or_an_export(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(
        WeightsError, match=r"is no safetensors file\. Give the model\.safetensors of its training"
    ):
        open_network(str(tmp_path / name))
    beside = write_model(tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="Give the weights beside it") as told:
        open_network(str(tmp_path / name))
    assert str(beside) in told.value.hint


def test_of_shipped_weights_those_are_named_that_will_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as told:
        open_network(str(tmp_path / "nosuch"))
    assert told.value.hint == "Shipped: default (face_state), open"
    with pytest.raises(WeightsError) as told:
        load_weights("nosuch", "lstm")
    assert told.value.hint == "Shipped: lstm"
