"""Heads that read frozen stages alone go on saying the same, so training keeps them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from engagement.classification.network import FaceStateNet, HeadSpec, NetworkSpec
from engagement.labels import EXPRESSIONS, LEARNER_STATES
from tests.training.invoking import error, ok
from tests.training.made_up_faces import SMALL
from training.datasets.registry import load
from training.delivery import write_network
from training.measuring.opened import open_network, resting
from training.measuring.prediction import predict

SPEC = NetworkSpec(
    "efficientnet_b0",
    {"expression": HeadSpec(EXPRESSIONS), "state": HeadSpec(LEARNER_STATES, stages=(2, 6), grid=2)},
    identity_dim=16,
)


@pytest.fixture
def grown(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    path = tmp_path / "grown.safetensors"
    calibration = {"expression": {"temperature": 2.0}, "state": {"scale": [0.5] * 3, "bias": [0.1] * 3}}
    metrics = {"state": {"folds": {"n": 9}}, "identity_teacher_cosine": 0.6}
    write_network(path, FaceStateNet(SPEC).eval(), SMALL, calibration, metrics, {"data": "elsewhere"}, "none")
    return path


@pytest.mark.parametrize(
    ("frozen", "heads", "identity"), [(5, [], False), (6, [], True), (7, ["state"], True)]
)
def test_what_rests_is_what_reads_frozen_stages(frozen: int, heads: list[str], identity: bool) -> None:
    assert resting(FaceStateNet(SPEC), frozen) == (heads, identity)


def test_all_rests_where_nothing_learns() -> None:
    assert resting(FaceStateNet(SPEC), 9) == (["expression", "state"], True)


@pytest.mark.parametrize(
    ("frozen", "heads", "identity"), [(7, {"expression", "state"}, True), (3, {"expression"}, False)]
)
def test_base_training_keeps_what_rests(
    grown: Path, expression_folders: Path, tmp_path: Path, frozen: int, heads: set[str], identity: bool
) -> None:
    out = tmp_path / "out"
    arguments = ["base", "--data", expression_folders, "--recipe", "rafdb", "--init", grown, "-o", out]
    small = ["--set", f"size={SMALL.size}", "--set", f"margin={SMALL.margin}", "--set", "batch_size=8"]
    told = ok(
        *arguments, *small, "--set", f"freeze={frozen}", "--max-steps", "2", "--accelerator", "cpu"
    ).output
    assert ("state and the identity feature read frozen stages alone" in told) == identity
    before, after = open_network(str(grown)), open_network(str(out / "model.safetensors"))
    assert set(after.heads) == heads
    assert bool(after.network.spec.identity_dim) == identity
    assert ("identity_teacher_cosine" in after.record.metrics) == identity
    assert set(after.record.metrics) - {"identity_teacher_cosine"} == heads
    assert set(after.record.calibration) == heads
    if identity:  # a run that an earlier version began, which kept no heads
        record = json.loads((out / "run.json").read_text(encoding="utf-8"))
        del record["other heads"]
        (out / "run.json").write_text(json.dumps(record), encoding="utf-8")
        words = [*arguments, *small, "--set", f"freeze={frozen}", "--max-steps", "2", "--accelerator", "cpu"]
        assert "differs in: other heads" in error(*words)
    table = load(str(expression_folders)).part("test")
    was, says = predict(before.network, table, SMALL), predict(after.network, table, SMALL)
    assert not np.array_equal(was["expression"], says["expression"])
    if "state" in heads:
        np.testing.assert_array_equal(was["state"], says["state"])
        assert after.record.calibration["state"] == before.record.calibration["state"]
