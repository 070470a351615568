"""Figures and sentences of an inspection, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.test_inspection import face, inspected, jpeg, table_of
from training.inspection.summary import summary

#: Train 0 to 2; test: an exact and a near copy, one unlike any; val: a mirror image.
FACES = [
    *(face(1), face(2), face(3)),
    *(face(1), jpeg(face(2), 90), face(9)),
    np.ascontiguousarray(face(3)[:, ::-1]),
]
SPLIT = ["train"] * 3 + ["test"] * 3 + ["val"]


def test_each_leak_is_told_with_how_many_and_what_to_do() -> None:
    found = summary(*inspected(table_of(FACES, SPLIT)))
    assert found["affected"]["test"] == {"pictures": 2, "of": 3, "share": pytest.approx(2 / 3)}
    assert found["affected"]["val"] == {"pictures": 1, "of": 1, "share": 1}
    told = [text for text in found["warnings"] if "has no picture of" not in text]
    assert told[0].startswith(
        "Leakage: train has a copy or a neighbouring frame of 2 of 3 test pictures (66.7 %)"
    )
    assert told[1].startswith(
        "Leakage: train has a copy or a neighbouring frame of 1 of 1 val pictures (100.0 %)"
    )
    advice = {text.split(": ")[1].split(" in train")[0]: text for text in told[2:]}
    for kind, words in (
        ("exact copy", "Leave the copies out"),
        ("near copy", "may know them by heart"),
        ("mirrored or turned copy", "validate on another video or person"),
    ):
        assert words in advice[kind]
    assert advice["exact copy"].startswith("1 of 3 test pictures (33.3 %)")
    pairs = {leak["kind"]: leak["pairs"] for leak in found["leaks"]}
    assert [(p["picture"], p["in_train"]) for own in pairs.values() for p in own] == [
        *[("d", "a"), ("e", "b"), ("g", "c")],
    ]
    assert pairs["exact copy"][0]["labels"] == ["one", "one"]
    assert 0.85 <= pairs["near copy"][0]["likeness"] <= 1
    # Each lies on both sides, none twice on one.
    copies = found["copies"]
    assert (copies["groups_of_exact_copies"], copies["groups_across_splits"]) == (1, 1)
    assert copies["exact_surplus_within"] == copies["near_copies_within"] == {}


def test_what_is_known_of_how_a_set_was_read_is_told_as_note_or_warning() -> None:
    said = [("boxes are not read", "warning: faces lie elsewhere")]
    found = summary(*inspected(table_of([face(1), face(2)], ["train"] * 2, classes=[0, 1])), said)
    assert found["sets"][0]["notes"] == ["boxes are not read"]
    assert found["warnings"] == ["faces lie elsewhere"]


def test_sizes_are_told_the_commonest_first_and_all_of_them_by_their_ends() -> None:
    sides = [20, *[30] * 3, *range(40, 48), 64, 64]
    pictures = [face(i)[:side, : side // 2] for i, side in enumerate(sides)]
    own = summary(*inspected(table_of(pictures, ["train"] * len(sides))))["sets"][0]
    assert own["pictures"] == len(sides) and own["different_sizes"] == 11 and len(own["sizes"]) == 8
    assert own["sizes"][:2] == [
        {"width": 15, "height": 30, "pictures": 3},
        {"width": 32, "height": 64, "pictures": 2},
    ]
    assert (own["smallest"], own["largest"]) == ([10, 20], [32, 64])
