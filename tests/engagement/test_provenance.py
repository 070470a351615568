"""Which smoothers belong to which weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engagement.provenance import base_sha256, learned_from_scores_of, weights_record
from engagement.weights.store import LoadedWeights, WeightRecord, load_weights


def made(sha256: str, kind: str = "face_state", **origin: Any) -> LoadedWeights:
    network = {"heads": {"expression": {}}} if kind == "face_state" else {}
    record = WeightRecord(kind=kind, network=network, metrics={}, licence="none", origin=origin)
    return LoadedWeights("made up", sha256, record, {})


STATES = {"head": {"hidden": 0}, "base": {"sha256": "net"}}
NET, FRAME = {"sha256": "net"}, {"sha256": "frame", **STATES}


def own(name: str, frozen: bool = True) -> dict[str, Any]:
    """What `engagement train extension` and `train personal` record of their head."""
    return {"name": name, "frozen": frozen}


@pytest.mark.parametrize(
    ("in_use", "same"),
    [
        (made("frame"), True),
        (made("shipped", **STATES), True),
        (made("net"), True),
        (made("other"), False),
        # Own classes, and a network that went on learning, say something else than what they began with.
        (made("own", head={"name": "own"}, base=NET), False),
        (made("own", head=own("own", frozen=False), base=NET), False),
        (made("own", head=own("expression"), base=NET), False),
        # A head of its own on a frozen backbone leaves expressions as they are.
        (made("own", head=own("own"), base=NET), True),
        (made("own", head=own("own"), base=FRAME), True),
        (made("own", head=own("own"), base={"sha256": "other", "head": own("first"), "base": NET}), True),
        (made("shipped", head={"hidden": 0}, base={"sha256": "x", "head": own("own"), "base": NET}), True),
        (made("further", recipe={"init": "net"}, base={"sha256": "net"}), False),
    ],
    ids=[
        "frame model",
        "other people",
        "base",
        "stranger",
        "own classes",
        "own classes, unfrozen",
        "own expressions",
        "frozen",
        "frozen on states",
        "frozen twice",
        "states on frozen",
        "trained on",
    ],
)
def test_a_smoother_belongs_to_the_scores_it_learned_from(in_use: LoadedWeights, same: bool) -> None:
    smoother = made("s", "lstm", frame_weights_sha256="frame", frame_weights_base_sha256="net")
    assert learned_from_scores_of(smoother, [in_use]) is same
    assert learned_from_scores_of(smoother, [made("other"), in_use]) is same


def test_a_head_without_the_expressions_of_its_base_says_nothing_of_them() -> None:
    """As `train personal --equalize` writes it: expressions come from the shipped network then."""
    alone = made("own", head=own("own"), base=NET)
    alone = replace(alone, record=replace(alone.record, network={"heads": {"own": {}}}))
    smoother = made("s", "lstm", frame_weights_sha256="net")
    assert not learned_from_scores_of(smoother, [alone])
    assert base_sha256(alone.record) == ""


def test_the_first_weights_of_the_same_expressions_are_recorded() -> None:
    assert base_sha256(made("own", head=own("own"), base=FRAME).record) == "net"
    assert base_sha256(made("frame", **STATES).record) == "net"
    assert base_sha256(made("net", recipe={}).record) == ""


def test_a_smoother_that_does_not_say_belongs_to_nothing() -> None:
    assert not learned_from_scores_of(made("s", "lstm", frame_weights_base_sha256=""), [made("a"), made("")])


@pytest.mark.parametrize("kind", ["lstm", "cnn3d"])
def test_shipped_smoothers_belong_to_the_shipped_network(kind: str) -> None:
    assert learned_from_scores_of(load_weights(kind, kind), [load_weights("face_state", "face_state")])


def test_the_weights_that_tell_states_are_marked() -> None:
    alone, shipped = made("alone"), made("shipped")
    both = {"heads": {"expression": {}, "state": {}}}
    shipped = replace(shipped, name="face_state", record=replace(shipped.record, network=both))
    for used, names in (([alone, shipped], ["face_state"]), ([shipped], ["face_state"]), ([alone], [])):
        assert [n for n, record in weights_record(used).items() if record.get("states")] == names
