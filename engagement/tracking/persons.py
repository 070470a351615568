"""Tracks to persons of the whole session (offline: everything is known when this runs).

Agglomerative joining of the most alike clusters first, under cannot-link constraints: people visible
at the same time are different people, whatever they look like; of a moment in which one track ends while another
begins that is not said (:mod:`engagement.tracking.splitting`). The likeness of two clusters is a sum of log-likelihood
ratios (:mod:`engagement.tracking.evidence`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from engagement.errors import ConfigError
from engagement.tracking.candidates import Candidates
from engagement.tracking.evidence import EVIDENCE, Evidence
from engagement.tracking.facenet import cached_file
from engagement.tracking.summary import TrackSummary
from engagement.weights.store import short_digest

#: Person index of a track that is nobody: too short or too doubtful, and like no one in particular.
NOBODY = -1

IDENTITIES = ("auto", "appearance", "facenet", "off")

#: Log-likelihood ratio from which two are one, and from which a scrap belongs to somebody. Of all who come and
#: go in a session most are not the same, and small faces are all somewhat alike (docs/results.md, Identity): with
#: faces to go by, it takes more than colours can say alone.
_SAME, _SAME_WITHOUT_FACES = 2.25, 1.0
#: Somebody is followed for so many samples at a stretch at least once; a print that looks like a face is not.
_STRETCH = 4
#: Detectors are sure of large faces: between these sides, in pixels, the least mean score rises by so much.
#: A print on a jumper that looks like a face scores below it all the time.
_LARGE_PX, _LARGE_EXTRA = (32.0, 56.0), 0.1
#: Clusters compared with all others at a time: what that takes is bounded, whatever the length of the session.
_ROWS = 64
#: Comparing with the clusters that are left alone is worth copying them when they are such a share of before.
_WORTHWHILE = 0.75


@dataclass(frozen=True, slots=True)
class PersonsConfig:
    """Options of joining.

    Attributes:
        identity: ``auto`` joins by all evidence with our own face feature, ``facenet`` with facenet-pytorch's,
            ``appearance`` without any, ``off`` makes every track a person.
        identity_weights: file of facenet's weights; None for the cache where facenet-pytorch keeps it.
        identity_sha256: first 16 digits of that file's hash, see ``short_digest``.
        min_samples: a track seen less often begins no person; where tracks are joined (not ``off``), nor does one seen
            fewer than four times.
        min_mean_score: nor does one whose mean detector score is lower; a large face needs a higher one.
        min_best_score: nor one whose best score is: chance faces in a wall or a sleeve are doubtful
            throughout, while a person is seen well at least once.
    """

    identity: str = "auto"
    identity_weights: str | None = None
    min_samples: int = 3
    min_mean_score: float = 0.8
    min_best_score: float = 0.95
    identity_sha256: str | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.identity not in IDENTITIES:
            raise ConfigError(f"--identity '{self.identity}' is unknown", f"Choose {', '.join(IDENTITIES)}.")
        if self.identity_weights is not None and self.identity != "facenet":
            raise ConfigError(
                f"--identity-weights is given with --identity {self.identity}", "Add --identity facenet."
            )
        weights = self.identity_weights
        if weights is None and self.identity == "facenet" and cached_file().is_file():
            weights = str(cached_file())
        if weights is not None:
            object.__setattr__(self, "identity_sha256", short_digest("--identity-weights", weights))
        if self.min_samples < 1:
            raise ConfigError(
                f"persons.min_samples {self.min_samples} is below 1", "Leave it out for the default, 3."
            )

    @property
    def evidence(self) -> tuple[str, ...]:
        """Kinds of evidence that this choice uses."""
        return EVIDENCE if self.identity != "appearance" else tuple(k for k in EVIDENCE if k != "face")

    @property
    def by_faces(self) -> bool:
        """Whether tracks are joined and split by what faces look like."""
        return self.identity != "off" and "face" in self.evidence


def join_tracks(
    tracks: Sequence[TrackSummary], config: PersonsConfig, evidence: Sequence[str] | None = None
) -> dict[int, int]:
    """Which person each track belongs to.

    Args:
        evidence: kinds that count, for measurements; None for those of the configuration.

    Returns:
        track_id -> person index from 0 in order of first appearance (then from left to right), or NOBODY.
    """
    ordered = sorted(tracks, key=lambda t: (t.samples[0], t.track_id))
    groups = [[t] for t in ordered if _solid(t, config)]
    if config.identity != "off":
        groups = _grouped(ordered, config, evidence or config.evidence)
    groups.sort(key=first_seen)
    person = {t.track_id: i for i, group in enumerate(groups) for t in group}
    return {t.track_id: person.get(t.track_id, NOBODY) for t in ordered}


def _solid(track: TrackSummary, config: PersonsConfig) -> bool:
    """Whether a track is enough to be a person of its own."""
    seen = len(track.samples)
    extra = _LARGE_EXTRA * float(np.interp(track.side_px, _LARGE_PX, (0, 1)))
    return (
        seen >= config.min_samples
        and track.score_sum / max(seen, 1) >= config.min_mean_score + extra
        and track.best_score >= config.min_best_score
    )


def first_seen(group: Sequence[TrackSummary]) -> tuple[int, float, int]:
    """Order of ids: by first sight, people seen at once from left to right."""
    first = min(group, key=lambda t: (t.samples[0], t.track_id))
    left = float(first.first_box[0])
    return first.samples[0], left, first.track_id


def _grouped(
    ordered: Sequence[TrackSummary], config: PersonsConfig, kinds: Sequence[str]
) -> list[list[TrackSummary]]:
    """Solid tracks joined, then scraps given to whom they clearly belong."""
    usable = [t for t in ordered if t.identity_sum is not None]
    evidence = Evidence(usable, kinds)
    limit = _SAME if "face" in kinds else _SAME_WITHOUT_FACES
    solid = np.array([_solid(t, config) for t in usable], bool)
    members = {i: [i] for i in np.flatnonzero(solid).tolist()}
    _agglomerate(evidence, members, limit)
    persons = np.array(sorted(members), np.int64)
    evidence.narrow(persons)
    for scrap in np.flatnonzero(~solid).tolist() if members else ():
        ratios = evidence.ratios([scrap])[0]
        if ratios.max() > limit:
            best = int(persons[ratios.argmax()])
            evidence.join(best, scrap)
            members[best].append(scrap)
    groups = [[usable[i] for i in group] for group in members.values()]
    # Each holds a track that is a person by itself: what came to it must not unmake the person.
    stretch = max(_STRETCH, config.min_samples)
    return [g for g in groups if max(len(t.samples) for t in g) >= stretch]


def _agglomerate(evidence: Evidence, members: dict[int, list[int]], limit: float) -> None:
    """Join the two most alike clusters until no two are likely enough the same.

    Args:
        limit: log-likelihood ratio from which they are.
    """
    alive = np.array(sorted(members), np.int64)
    evidence.narrow(alive)
    pairs = Candidates(len(evidence.weight), limit)
    for at in range(0, len(alive), _ROWS):
        rows = alive[at : at + _ROWS].tolist()
        for k, (i, ratios) in enumerate(zip(rows, evidence.ratios(rows), strict=True), at + 1):
            pairs.begin(i, alive[k:], ratios[k:])  # each pair once
    while pair := pairs.best():
        i, j = pair
        evidence.join(i, j)
        members[i] += members.pop(j)
        if len(members) < _WORTHWHILE * len(evidence.among):
            evidence.narrow(np.array(sorted(members), np.int64))
        pairs.join(i, j, evidence.among, evidence.ratios([i])[0])


__all__ = ["IDENTITIES", "NOBODY", "PersonsConfig", "TrackSummary", "join_tracks"]
