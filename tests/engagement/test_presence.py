"""Who was there for long enough: what is asked, and where the limits lie."""

from __future__ import annotations

import pandas as pd
import pytest

from engagement.timelines.presence import PresenceConfig, parse_presence, read_long


@pytest.mark.parametrize(
    ("text", "asked", "told"),
    [
        ("10", PresenceConfig(min_s=10), "10\u202fs"),
        (" 2.5S ", PresenceConfig(min_s=2.5), "2.5\u202fs"),
        ("90 sec", PresenceConfig(min_s=90), "90\u202fs"),
        ("2 min", PresenceConfig(min_s=120), "120\u202fs"),
        ("0,5m", PresenceConfig(min_s=30), "30\u202fs"),
        ("1 minutes", PresenceConfig(min_s=60), "60\u202fs"),
        ("5%", PresenceConfig(min_share=0.05), "5\u202f% of the session"),
        ("100 %", PresenceConfig(min_share=1), "100\u202f% of the session"),
    ],
)
def test_times_and_shares_are_understood(text: str, asked: PresenceConfig, told: str) -> None:
    assert parse_presence(text) == asked
    assert str(asked) == told


def test_whoever_was_seen_for_exactly_as_long_is_shown() -> None:
    """The table has four decimals: a third of a session is 0.3333 there."""
    seen = pd.DataFrame(
        {"observed_s": [9.99, 10.0, 40.0, 19.9999], "session_share": [0.9, 0.3333, 0.33, 0.5]}
    )
    assert PresenceConfig().keeps(seen).all()
    assert PresenceConfig(min_s=10).keeps(seen).tolist() == [False, True, True, True]
    assert PresenceConfig(min_s=19.99995).keeps(seen).tolist() == [False, False, True, True]
    assert PresenceConfig(min_share=1 / 3).keeps(seen).tolist() == [True, True, False, True]
    assert PresenceConfig(min_s=10, min_share=1 / 3).keeps(seen).tolist() == [False, True, False, True]


def test_a_twentieth_of_the_best_read_is_a_fair_part() -> None:
    assert read_long([100, 5, 4, 0]).tolist() == [True, True, False, False]
    assert read_long([0, 0]).tolist() == [False, False]
    assert read_long([]).tolist() == []
