"""Tracks to persons of the whole session (offline: everything is known when this runs).

Agglomerative joining of the most alike clusters first, under cannot-link constraints: people visible
at the same time are different people, whatever they look like. The likeness of two clusters is a sum
of log-likelihood ratios for face feature, colours around the head, and seat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from engagement.errors import ConfigError
from engagement.types import FloatArray

#: Person index of a track that is nobody: too short or too doubtful, and like no one in particular.
NOBODY = -1


@dataclass(frozen=True, slots=True)
class PersonsConfig:
    """Options of joining.

    Attributes:
        identity: ``auto`` joins by all evidence, ``off`` makes every track a person.
        min_samples: a track seen less often begins no person.
        min_mean_score: nor does one whose mean detector score is lower.
    """

    identity: str = "auto"
    min_samples: int = 3
    min_mean_score: float = 0.9

    def __post_init__(self) -> None:
        if self.identity not in ("auto", "off"):
            raise ConfigError(f"--identity '{self.identity}' is unknown", "Choose auto or off.")
        if self.min_samples < 1:
            raise ConfigError(f"persons.min_samples {self.min_samples} is below 1")


@dataclass(slots=True, eq=False)
class TrackSummary:
    """A track as it grows: enough to compare it, no pictures; embeddings stay in memory.

    Attributes:
        track_id, shot: id within the video, and the shot it lies in.
        samples: index of each sampled frame it was seen in, increasing.
        first_box, last_box: (4,), where it began and ended.
    """

    track_id: int
    shot: int
    samples: list[int] = field(default_factory=list)
    first_box: FloatArray | None = None
    last_box: FloatArray | None = None
    score_sum: float = 0.0
    weight: float = 0.0
    identity_sum: FloatArray | None = None
    colours_sum: FloatArray | None = None

    def add(
        self,
        sample: int,
        box: FloatArray,
        score: float,
        quality: float,
        identity: FloatArray,
        colours: FloatArray,
    ) -> None:
        """Take one more sight of the face into account."""
        self.samples.append(sample)
        self.first_box = box if self.first_box is None else self.first_box
        self.last_box = box
        self.score_sum += score
        # A poor crop says little about who it is, but a track of poor crops still has an appearance.
        weight = quality + 0.02
        self.weight += weight
        weighted = identity * weight
        self.identity_sum = weighted if self.identity_sum is None else self.identity_sum + weighted
        self.colours_sum = colours.copy() if self.colours_sum is None else self.colours_sum + colours

    @property
    def mean_score(self) -> float:
        return self.score_sum / max(len(self.samples), 1)


@dataclass(slots=True, eq=False)
class _Cluster:
    """Tracks taken for one person."""

    tracks: list[TrackSummary]
    seen: set[int]
    identity: FloatArray
    weight: float
    colours: FloatArray
    n: int

    @classmethod
    def of(cls, track: TrackSummary) -> _Cluster:
        assert track.identity_sum is not None and track.colours_sum is not None
        n = len(track.samples)
        colours = (track.colours_sum / n).astype(np.float32)
        return cls([track], set(track.samples), track.identity_sum, track.weight, colours, n)

    def join(self, other: _Cluster) -> None:
        total = self.n + other.n
        self.colours = ((self.colours * self.n + other.colours * other.n) / total).astype(np.float32)
        self.tracks = sorted(self.tracks + other.tracks, key=lambda t: t.samples[0])
        self.seen |= other.seen
        self.identity = self.identity + other.identity
        self.weight += other.weight
        self.n = total


# Log-likelihood ratios, fitted on pieces of known people by benchmarks/identity.py. One clip keeps its
# light and clothes throughout, so the slope found for colours is far too sure of itself.
_FACE_SLOPE, _FACE_ZERO, _FACE_LIMIT, _FACE_FULL_WEIGHT = 20.0, 0.42, 5.0, 1.0
_COLOUR_SLOPE, _COLOUR_ZERO, _COLOUR_LIMIT = 10.0, 0.82, 2.0
_SEAT_SAME, _SEAT_REACH = 2.0, 1.0


def join_tracks(tracks: Sequence[TrackSummary], config: PersonsConfig) -> dict[int, int]:
    """Which person each track belongs to.

    Returns:
        track_id -> person index from 0 in order of first appearance (then from left to right), or NOBODY.
    """
    ordered = sorted(tracks, key=lambda t: (t.samples[0], t.track_id))
    solid = [
        t for t in ordered if len(t.samples) >= config.min_samples and t.mean_score >= config.min_mean_score
    ]
    solid_ids = {t.track_id for t in solid}
    scraps = [t for t in ordered if t.track_id not in solid_ids]
    clusters = [_Cluster.of(t) for t in solid]
    if config.identity != "off":
        clusters = _agglomerate(clusters)
        for scrap in scraps:
            _adopt(scrap, clusters)
    clusters.sort(key=_first_seen)
    person = {t.track_id: i for i, cluster in enumerate(clusters) for t in cluster.tracks}
    return {t.track_id: person.get(t.track_id, NOBODY) for t in ordered}


def _first_seen(cluster: _Cluster) -> tuple[int, float, int]:
    """Order of ids: by first sight, people seen at once from left to right."""
    first = cluster.tracks[0]
    left = 0.0 if first.first_box is None else float(first.first_box[0])
    return first.samples[0], left, first.track_id


def _agglomerate(clusters: list[_Cluster]) -> list[_Cluster]:
    clusters = list(clusters)
    n = len(clusters)
    score = np.full((n, n), -np.inf)
    for i in range(n):
        for j in range(i + 1, n):
            score[i, j] = likeness(clusters[i], clusters[j])
    gone = np.zeros(n, bool)
    while n > 1:
        best = int(np.argmax(score))
        i, j = divmod(best, n)
        if score[i, j] <= 0:
            break
        clusters[i].join(clusters[j])
        gone[j] = True
        score[j, :] = score[:, j] = -np.inf
        for k in range(n):
            if k != i and not gone[k]:
                a, b = min(i, k), max(i, k)
                score[a, b] = likeness(clusters[a], clusters[b])
    return [c for c, dead in zip(clusters, gone, strict=True) if not dead]


def _adopt(scrap: TrackSummary, clusters: list[_Cluster]) -> None:
    """Give a short or doubtful track to the person it clearly belongs to, if there is one."""
    own = _Cluster.of(scrap)
    scored = [(likeness(c, own), i) for i, c in enumerate(clusters)]
    best, index = max(scored, default=(-np.inf, -1))
    if best > 1.0:
        clusters[index].join(own)


def likeness(a: _Cluster, b: _Cluster) -> float:
    """Log-likelihood ratio that two clusters are one person; minus infinity if seen together."""
    if not a.seen.isdisjoint(b.seen):
        return -np.inf
    return _face(a, b) + _colour(a, b) + _seat(a, b)


def _face(a: _Cluster, b: _Cluster) -> float:
    length = float(np.linalg.norm(a.identity) * np.linalg.norm(b.identity))
    if length <= 0:
        return 0.0
    cosine = float(a.identity @ b.identity) / length
    # A few poor crops are weak evidence, for and against.
    trust = min(1.0, min(a.weight, b.weight) / _FACE_FULL_WEIGHT)
    return trust * float(np.clip(_FACE_SLOPE * (cosine - _FACE_ZERO), -_FACE_LIMIT, _FACE_LIMIT))


def _colour(a: _Cluster, b: _Cluster) -> float:
    alike = float(np.sqrt(a.colours * b.colours).sum())
    return float(np.clip(_COLOUR_SLOPE * (alike - _COLOUR_ZERO), -_COLOUR_LIMIT, _COLOUR_LIMIT))


def _seat(a: _Cluster, b: _Cluster) -> float:
    """Same place before and after an absence, within one shot; places say nothing across cuts."""
    best = 0.0
    for earlier, later in ((a, b), (b, a)):
        for first in earlier.tracks:
            after = [t for t in later.tracks if t.samples[0] > first.samples[-1]]
            if (
                not after
                or after[0].shot != first.shot
                or first.last_box is None
                or after[0].first_box is None
            ):
                continue
            old, new = first.last_box, after[0].first_box
            side = max(float((old[2:] - old[:2]).max()), float((new[2:] - new[:2]).max()), 1.0)
            distance = float(np.linalg.norm((old[:2] + old[2:] - new[:2] - new[2:]) / 2)) / side
            best = max(best, _SEAT_SAME * (1 - distance / _SEAT_REACH))
    return best
