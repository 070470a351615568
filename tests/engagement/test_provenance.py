"""Which smoothers belong to which weights."""

from __future__ import annotations

from typing import Any

import pytest

from engagement.provenance import learned_from_scores_of
from engagement.weights.store import LoadedWeights, WeightRecord, load_weights


def made(sha256: str, kind: str = "face_state", **origin: Any) -> LoadedWeights:
    record = WeightRecord(kind=kind, network={}, metrics={}, licence="none", origin=origin)
    return LoadedWeights("made up", sha256, record, {})


STATES = {"head": {"hidden": 0}, "base": {"sha256": "net"}}


@pytest.mark.parametrize(
    ("in_use", "same"),
    [
        (made("frame"), True),
        (made("shipped", **STATES), True),
        (made("net"), True),
        (made("other"), False),
        # Own classes, and a network that went on learning, say something else than what they began with.
        (made("own", head={"name": "own"}, base={"sha256": "net"}), False),
        (made("further", recipe={"init": "net"}, base={"sha256": "net"}), False),
    ],
    ids=["frame model", "other people", "base", "stranger", "own classes", "trained on"],
)
def test_a_smoother_belongs_to_the_scores_it_learned_from(in_use: LoadedWeights, same: bool) -> None:
    smoother = made("s", "lstm", frame_weights_sha256="frame", frame_weights_base_sha256="net")
    assert learned_from_scores_of(smoother, [in_use]) is same
    assert learned_from_scores_of(smoother, [made("other"), in_use]) is same


def test_a_smoother_that_does_not_say_belongs_to_nothing() -> None:
    assert not learned_from_scores_of(made("s", "lstm", frame_weights_base_sha256=""), [made("a"), made("")])


@pytest.mark.parametrize("kind", ["lstm", "cnn3d"])
def test_shipped_smoothers_belong_to_the_shipped_network(kind: str) -> None:
    assert learned_from_scores_of(load_weights(kind, kind), [load_weights("face_state", "face_state")])
