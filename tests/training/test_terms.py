"""What a model may be used for: the terms of everything it learned from."""

from __future__ import annotations

import pytest

from engagement.weights.store import WeightRecord
from training.datasets.terms import licence_text, names_in, terms_of
from training.report.cards import card


def test_terms_of_a_set_are_said_once_however_often_it_taught() -> None:
    first = licence_text("ferplus")
    second = licence_text("rafdb+ferplus", first)
    # Teachers and base bring the same sets along again.
    third = licence_text("rafdb", f"{second}; {first}; {second}")
    assert third == second == f"{first}; rafdb: {terms_of('rafdb').licence}"


def test_other_terms_of_a_base_stay() -> None:
    assert (
        licence_text("rafdb", "made up: none; none")
        == f"made up: none; none; rafdb: {terms_of('rafdb').licence}"
    )


def test_a_card_says_terms_once_also_of_weights_that_repeat_them() -> None:
    record = WeightRecord("face_state", {}, licence="a: research; cite it; b: none; a: research; cite it")
    assert "Licence of these weights: a: research; cite it; b: none\n" in card(record, "m.safetensors", "0")


@pytest.mark.parametrize(
    "names", [["CK+"], ["rafdb", "CK+"], ["CK+", "rafdb"], ["FER+", "CK+", "a"], ["rafdb"]]
)
def test_joined_sets_are_known_apart(names: list[str]) -> None:
    assert names_in("+".join(names)) == names
