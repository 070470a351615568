"""Joining the tracks of long sessions: what it holds in memory, and that sparing it changes nothing."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from benchmarks.joining import made_up
from engagement.tracking.candidates import Candidates
from engagement.tracking.evidence import Evidence
from engagement.tracking.persons import PersonsConfig, join_tracks


def test_memory_does_not_grow_with_all_pairs_of_tracks() -> None:
    tracks = made_up(1500, 20, np.random.default_rng(0))
    tracemalloc.start()
    try:
        person = join_tracks(tracks, PersonsConfig())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(set(person.values())) == 20
    assert peak < 50e6  # a single table of all pairs is 18 MB in float64; there were several


@pytest.mark.parametrize("seed", range(20))
def test_pairs_come_in_the_order_of_the_whole_table(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, limit = 12, 3.0

    def drawn(*shape: int) -> np.ndarray:
        return rng.integers(0, 9, shape).astype(np.float64)  # many are equal

    table = np.triu(drawn(n, n), 1)
    table += table.T
    np.fill_diagonal(table, -np.inf)
    pairs = Candidates(n, limit)
    for i in range(n):
        pairs.begin(i, np.arange(i + 1, n), table[i, i + 1 :])
    while table.max() > limit:
        i, j = np.unravel_index(table.argmax(), table.shape)
        assert pairs.best() == (i, j)
        table[j] = table[:, j] = -np.inf
        table[i] = np.where(np.isinf(table[i]), -np.inf, drawn(n))
        table[:, i] = table[i]
        pairs.join(int(i), int(j), np.arange(n), table[i])
    assert pairs.best() is None


def test_a_cluster_is_near_and_apart_from_what_any_of_its_tracks_is() -> None:
    tracks = made_up(12, 3, np.random.default_rng(1))
    evidence = Evidence(tracks, ("seat",))
    near = [dict(zip(*(a.tolist() for a in evidence.near(i)), strict=True)) for i in (0, 4)]
    apart = [set(np.flatnonzero(np.isinf(evidence.ratios([i])[0])).tolist()) for i in (0, 4)]
    assert near[0].keys() == {3, 6, 9} and near[1].keys() == {1, 7, 10}
    evidence.join(0, 4)
    assert set(evidence.near(0)[0].tolist()) == near[0].keys() | near[1].keys()
    ratios = evidence.ratios([0])[0]
    assert set(np.flatnonzero(np.isinf(ratios)).tolist()) == (apart[0] | apart[1]) - {4}
    # Both ways, also for what is compared with fewer.
    evidence.narrow(np.array([0, 3, 7]))
    for k, other in enumerate((3, 7), 1):
        assert evidence.ratios([other])[0, 0] == evidence.ratios([0])[0, k] == ratios[other]
